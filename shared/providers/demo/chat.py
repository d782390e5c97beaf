"""Chat completions of the demo model, in OpenAI's wire format (API reference, Chat)."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared import Json
from shared.providers.demo.conversation import read_conversation
from shared.providers.demo.fields import array, flag, refusal, stop_texts, whole_number
from shared.providers.demo.operation import (
    Question,
    check_context,
    fingerprint,
    new_id,
    usage_object,
    wants_usage_key,
)
from shared.providers.demo.reply import reply_texts
from shared.providers.demo.tokens import clip, log_probability, pieces, words
from shared.providers.demo.tools import ToolCall, tool_calls
from shared.wire.estimate import estimate_prompt, estimate_tokens
from shared.wire.parameters import OPENAI_PARAMETERS

MAX_CHOICES = 128
MAX_TOKENS = 2**31 - 1
SAMPLING = frozenset(
    (
        "temperature",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "user",
        "safety_identifier",
        "metadata",
        "store",
        "service_tier",
    )
)
"""Parameters that are kept without an effect: the demo model's one likely answer stays the likeliest."""
_WITHOUT_MEANING = frozenset(
    ("web_search_options", "prediction", "moderation", "best_of", "echo", "suffix", "prompt")
)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the `n` answers. `text` is None where tools are called."""

    text: str | None
    calls: tuple[ToolCall, ...]
    finish_reason: str

    @property
    def tokens(self) -> int:
        return estimate_tokens(self.text or "") + sum(
            estimate_tokens(call.name + call.input) for call in self.calls
        )


class ChatCompletion:
    """An `Operation`. Raises `ProviderRefusal` when it is made, for a body that OpenAI's API would refuse."""

    def __init__(self, question: Question) -> None:
        body = question.body
        self._body = body
        self._head: Json = {
            "id": new_id("chatcmpl-"),
            "object": "chat.completion",
            "created": question.created,
            "model": question.model,
            "service_tier": "default",
            "system_fingerprint": fingerprint(question),
        }
        self.dropped = dropped_names(body, _WITHOUT_MEANING)
        if any(item != "text" for item in array(body.get("modalities"), "modalities")):
            raise refusal("The demo model answers in text only.", "modalities")
        self._log_probabilities = flag(body, "logprobs", False)
        self._top = whole_number(body, "top_logprobs", 0, 20)
        if self._top and not self._log_probabilities:
            raise refusal("'top_logprobs' needs 'logprobs' to be true.", "top_logprobs")
        self._choices = _choices(question)
        self._prompt = estimate_prompt(body)
        check_context(question, self._prompt)

    def answer(self) -> Json:
        choices = [
            {
                "index": index,
                "message": _message(choice),
                "logprobs": self._logprobs(pieces(choice.text or "")) if choice.text is not None else None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(self._choices)
        ]
        return {**self._head, "choices": choices, "usage": self._usage()}

    def chunks(self) -> Iterator[Json]:
        """The role of each choice, then their words in turn, then usage."""
        for index, choice in enumerate(self._choices):
            start: Json = {"role": "assistant", "content": None if choice.calls else "", "refusal": None}
            yield self._chunk(index, start)
        streams = [(index, self._deltas(choice)) for index, choice in enumerate(self._choices)]
        while streams:
            going = []
            for index, deltas in streams:
                delta = next(deltas, None)
                if delta is None:
                    yield self._chunk(index, {}, finish_reason=self._choices[index].finish_reason)
                else:
                    yield self._chunk(index, delta[0], delta[1])
                    going.append((index, deltas))
            streams = going
        yield {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": self._usage()}

    def _chunk(
        self, index: int, delta: Json, logprobs: Json | None = None, finish_reason: str | None = None
    ) -> Json:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}
        chunk: Json = {**self._head, "object": "chat.completion.chunk", "choices": [choice]}
        if wants_usage_key(self._body):
            chunk["usage"] = None
        return chunk

    def _deltas(self, choice: Choice) -> Iterator[tuple[Json, Json | None]]:
        """(delta, logprobs) in order: words, or tokens where their probabilities were asked for."""
        if choice.text is not None:
            for part in pieces(choice.text) if self._log_probabilities else words(choice.text):
                yield {"content": part}, self._logprobs([part])
        for index, call in enumerate(choice.calls):
            if call.kind == "legacy":
                yield {"function_call": {"name": call.name, "arguments": ""}}, None
                for part in pieces(call.input):
                    yield {"function_call": {"arguments": part}}, None
            else:
                field = "input" if call.kind == "custom" else "arguments"
                opening = {"index": index, **_tool_call(call, "")}
                yield {"tool_calls": [opening]}, None
                for part in pieces(call.input):
                    yield {"tool_calls": [{"index": index, call.kind: {field: part}}]}, None

    def _logprobs(self, tokens: list[str]) -> Json | None:
        if not self._log_probabilities:
            return None
        return {"content": [log_probability(token, self._top or 0) for token in tokens], "refusal": None}

    def _usage(self) -> Json:
        return usage_object(self._prompt, sum(choice.tokens for choice in self._choices))


def dropped_names(body: Json, without_meaning: frozenset[str]) -> tuple[str, ...]:
    """Fields that the demo model does not take: unknown ones, and those without a meaning here."""
    return tuple(
        sorted(
            name
            for name, value in body.items()
            if value is not None and (name not in OPENAI_PARAMETERS or name in without_meaning)
        )
    )


def _choices(question: Question) -> list[Choice]:
    body = question.body
    number = whole_number(body, "n", 1, MAX_CHOICES) or 1
    limit = whole_number(body, "max_completion_tokens", 1, MAX_TOKENS)
    older_limit = whole_number(body, "max_tokens", 1, MAX_TOKENS)
    limit = older_limit if limit is None else limit
    stops = stop_texts(body)
    conversation = read_conversation(body)
    calls = tool_calls(body, conversation)
    if calls:
        return [_cut_calls(calls, limit)] * number
    choices = []
    for whole in reply_texts(body, conversation, question.model, number):
        text, finish_reason = clip(whole, limit, stops)
        choices.append(Choice(text, (), finish_reason))
    return choices


def _cut_calls(calls: tuple[ToolCall, ...], limit: int | None) -> Choice:
    """The calls within the limit of tokens. The one that crosses it is cut short, as a model's would be."""
    kept: list[ToolCall] = []
    for call in calls:
        name_tokens, tokens = estimate_tokens(call.name), estimate_tokens(call.name + call.input)
        if limit is not None and tokens > limit:
            short, _ = clip(call.input, max(limit - name_tokens, 0), ())
            return Choice(None, (*kept, ToolCall(call.kind, call.name, short)), "length")
        kept.append(call)
        limit = None if limit is None else limit - tokens
    return Choice(None, calls, "function_call" if calls[0].kind == "legacy" else "tool_calls")


def _message(choice: Choice) -> Json:
    message: Json = {"role": "assistant", "content": choice.text, "refusal": None, "annotations": []}
    if choice.calls and choice.calls[0].kind == "legacy":
        message["function_call"] = {"name": choice.calls[0].name, "arguments": choice.calls[0].input}
    elif choice.calls:
        message["tool_calls"] = [_tool_call(call, call.input) for call in choice.calls]
    return message


def _tool_call(call: ToolCall, text: str) -> Json:
    """A tool call with a new id, holding `text` of its input."""
    inner = {"name": call.name, "input" if call.kind == "custom" else "arguments": text}
    return {"id": new_id("call_"), "type": call.kind, call.kind: inner}
