"""Legacy text completions of models that only chat: the prompt becomes a message, the answer becomes text."""

from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace
from typing import Any

import orjson

from shared import Json
from shared.errors import InvalidValue, MissingParameter, UnsupportedParameter
from shared.providers.calls import Answer, Call, Events
from shared.wire.events import Event

_REFUSED: tuple[tuple[str, Any], ...] = (("echo", False), ("best_of", 1), ("suffix", ""))
"""Parameters that a chat has no words for, each with the value that asks for nothing."""


def chat_call(call: Call) -> Call:
    """The chat completion that answers a text completion.

    Raises `InvalidValue` for what is not one prompt in words, and `UnsupportedParameter`.
    """
    body = {name: value for name, value in call.body.items() if name not in ("prompt", "logprobs")}
    for name, nothing in _REFUSED:
        if body.pop(name, None) not in (None, nothing):
            raise UnsupportedParameter(f"This model chats only: it does not take '{name}'.", param=name)
    body["messages"] = [{"role": "user", "content": _prompt(call.body)}]
    wanted = call.body.get("logprobs")
    if isinstance(wanted, int) and not isinstance(wanted, bool):
        body |= {"logprobs": True, "top_logprobs": wanted}
    return replace(call, path="chat/completions", body=body)


def _prompt(body: Mapping[str, Any]) -> str:
    prompt = body.get("prompt")
    if prompt is None:
        raise MissingParameter("prompt")
    if isinstance(prompt, list) and len(prompt) == 1:
        prompt = prompt[0]
    if not isinstance(prompt, str):
        raise InvalidValue("This model chats only: it takes one prompt, as a string.", param="prompt")
    return prompt


def text_answer(answer: Answer) -> Answer:
    """A chat's plain answer as a text completion."""
    choices = [_text_choice(choice, choice.get("message"), {}) for choice in answer.content["choices"]]
    content = {**answer.content, "object": "text_completion", "choices": choices}
    return replace(answer, body=orjson.dumps(content), content=content)


class TextEvents:
    """A chat's stream as that of a text completion. Chunks that carry no text go, but for the last ones."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._offsets: dict[int, int] = {}
        self.headers = events.headers
        self.dropped = events.dropped
        self.done = False

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        async for event in self._events:
            choices = [
                _text_choice(choice, choice.get("delta"), self._offsets)
                for choice in event.chunk.get("choices") or ()
            ]
            if choices and not any(choice["text"] or choice["finish_reason"] for choice in choices):
                continue
            chunk = {**event.chunk, "object": "text_completion", "choices": choices}
            yield Event(orjson.dumps(chunk), chunk)
        self.done = self._events.done

    async def aclose(self) -> None:
        await self._events.aclose()


def _text_choice(choice: Json, message: Json | None, offsets: dict[int, int]) -> Json:
    """`offsets` holds, per choice, how much text came before; it is moved on."""
    index = choice.get("index", 0)
    text = (message or {}).get("content") or ""
    start = offsets.get(index, 0)
    offsets[index] = start + len(text)
    return {
        "text": text,
        "index": index,
        "logprobs": _text_logprobs(choice.get("logprobs"), start),
        "finish_reason": choice.get("finish_reason"),
    }


def _text_logprobs(logprobs: Json | None, offset: int) -> Json | None:
    """A chat's logprobs in the shape of a text completion's (OpenAI's API reference)."""
    tokens = (logprobs or {}).get("content")
    if not tokens:
        return None
    made: Json = {"tokens": [], "token_logprobs": [], "top_logprobs": [], "text_offset": []}
    for token in tokens:
        made["tokens"].append(token["token"])
        made["token_logprobs"].append(token["logprob"])
        made["top_logprobs"].append({top["token"]: top["logprob"] for top in token.get("top_logprobs") or ()})
        made["text_offset"].append(offset)
        offset += len(token["token"])
    return made
