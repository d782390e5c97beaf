"""Legacy text completions of the demo model, in OpenAI's wire format (API reference, Completions)."""

from collections.abc import Iterator
from dataclasses import dataclass

from shared import Json
from shared.providers.demo.chat import MAX_CHOICES, MAX_TOKENS, SAMPLING, dropped_names
from shared.providers.demo.conversation import Conversation
from shared.providers.demo.fields import flag, refusal, stop_texts, whole_number
from shared.providers.demo.operation import (
    Question,
    check_context,
    fingerprint,
    new_id,
    usage_object,
    wants_usage_key,
)
from shared.providers.demo.reply import in_words
from shared.providers.demo.tokens import alternatives, clip, pieces, words
from shared.wire.estimate import estimate_tokens
from shared.wire.parameters import OPENAI_PARAMETERS

DEFAULT_TOKENS = 16
"""OpenAI's own default of `max_tokens` here (API reference)."""
MAX_PROMPTS = 2048
_UNDERSTOOD = frozenset(
    (
        "model",
        "prompt",
        "stream",
        "stream_options",
        "n",
        "best_of",
        "max_tokens",
        "stop",
        "echo",
        "logprobs",
        "seed",
    )
)
_WITHOUT_MEANING = OPENAI_PARAMETERS - _UNDERSTOOD - SAMPLING


@dataclass(frozen=True, slots=True)
class Choice:
    text: str
    finish_reason: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """`text` as it is quoted; `tokens` by the stated rule, or as many as the client's own token ids."""

    text: str
    tokens: int


class Completion:
    """An `Operation`. Raises `ProviderRefusal` when it is made, for a body that OpenAI's API would refuse."""

    def __init__(self, question: Question) -> None:
        body = question.body
        self._body = body
        self._head: Json = {
            "id": new_id("cmpl-"),
            "object": "text_completion",
            "created": question.created,
            "model": question.model,
            "system_fingerprint": fingerprint(question),
        }
        self.dropped = dropped_names(body, _WITHOUT_MEANING)
        self._top = whole_number(body, "logprobs", 0, 5)
        prompts = _read_prompts(body.get("prompt"))
        self._prompt_tokens = sum(prompt.tokens for prompt in prompts)
        check_context(question, self._prompt_tokens)
        self._choices = _choices(question, prompts)

    def answer(self) -> Json:
        choices = [
            {
                "index": index,
                "text": choice.text,
                "logprobs": self._logprobs(pieces(choice.text), 0),
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(self._choices)
        ]
        return {**self._head, "choices": choices, "usage": self._usage()}

    def chunks(self) -> Iterator[Json]:
        """The words of one choice after the other, then usage."""
        for index, choice in enumerate(self._choices):
            offset = 0
            for part in words(choice.text) if self._top is None else pieces(choice.text):
                yield self._chunk(index, part, self._logprobs([part], offset), None)
                offset += len(part)
            yield self._chunk(index, "", None, choice.finish_reason)
        yield {**self._head, "choices": [], "usage": self._usage()}

    def _chunk(self, index: int, text: str, logprobs: Json | None, finish_reason: str | None) -> Json:
        choice = {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish_reason}
        chunk: Json = {**self._head, "choices": [choice]}
        if wants_usage_key(self._body):
            chunk["usage"] = None
        return chunk

    def _logprobs(self, tokens: list[str], offset: int) -> Json | None:
        """`offset` is where in the text the first token stands."""
        if self._top is None:
            return None
        offsets = []
        for token in tokens:
            offsets.append(offset)
            offset += len(token)
        return {
            "tokens": tokens,
            "token_logprobs": [0.0 for _ in tokens],
            "top_logprobs": [dict(alternatives(token, self._top)) for token in tokens] if self._top else None,
            "text_offset": offsets,
        }

    def _usage(self) -> Json:
        return usage_object(
            self._prompt_tokens, sum(estimate_tokens(choice.text) for choice in self._choices)
        )


def _choices(question: Question, prompts: list[Prompt]) -> list[Choice]:
    body = question.body
    number = whole_number(body, "n", 1, MAX_CHOICES) or 1
    best_of = whole_number(body, "best_of", 1, 20)
    if best_of is not None and best_of < number:
        raise refusal("'best_of' must not be below 'n'.", "best_of")
    limit = whole_number(body, "max_tokens", 0, MAX_TOKENS)
    limit = DEFAULT_TOKENS if limit is None else limit
    stops = stop_texts(body)
    echo = flag(body, "echo", False)
    choices = []
    for prompt in prompts:
        conversation = Conversation(prompt.text, (), ())
        for index in range(number):
            text, finish_reason = clip(in_words(conversation, question.model, index, number), limit, stops)
            choices.append(Choice(prompt.text + text if echo else text, finish_reason))
    return choices


def _read_prompts(value: object) -> list[Prompt]:
    """`prompt`: a text, token ids, or a list of either."""
    if value is None:
        return [Prompt("", 0)]
    if isinstance(value, list) and value and not _token_ids(value):
        if len(value) > MAX_PROMPTS:
            raise refusal(f"'prompt' must hold at most {MAX_PROMPTS} items.", "prompt")
        return [_prompt(item, f"prompt[{index}]") for index, item in enumerate(value)]
    return [_prompt(value, "prompt")]


def _prompt(value: object, param: str) -> Prompt:
    if isinstance(value, str):
        return Prompt(value, estimate_tokens(value))
    if isinstance(value, list) and value and _token_ids(value):
        return Prompt(f"({len(value)} token ids)", len(value))
    raise refusal(f"'{param}' must be text, or an array of token ids.", param)


def _token_ids(value: list[object]) -> bool:
    return all(isinstance(item, int) and not isinstance(item, bool) and item >= 0 for item in value)
