"""Chat completions and completions: what the proxy checks of a request and reads of an answer.

Only what the proxy reads is checked for every provider; OpenAI's ranges only where OpenAI's API answers.
"""

from typing import Any

import orjson

from shared import Json
from shared.errors import InvalidValue, MissingParameter
from shared.wire.estimate import tokens_of
from shared.wire.events import Event
from shared.wire.sse import DONE, encode
from shared.wire.usage import Usage, read_usage

MAX_MESSAGES = 2048


def check_chat(body: Json) -> None:
    """Raises an `InvalidRequest` that names the field."""
    _check_common(body)
    messages = body.get("messages")
    if messages is None:
        raise MissingParameter("messages")
    if not isinstance(messages, list):
        raise InvalidValue("'messages' must be an array.", param="messages")
    if not 1 <= len(messages) <= MAX_MESSAGES:
        raise InvalidValue(f"'messages' must hold 1 to {MAX_MESSAGES} items.", param="messages")
    for index, message in enumerate(messages):
        if not isinstance(message, dict):
            raise InvalidValue("A message must be an object.", param=f"messages[{index}]")
        role = message.get("role")
        if role is None:
            raise MissingParameter(f"messages[{index}].role")
        if not isinstance(role, str) or not role:
            raise InvalidValue("A message's role must be text.", param=f"messages[{index}].role")


def check_completion(body: Json) -> None:
    """Raises an `InvalidRequest` that names the field."""
    _check_common(body)
    prompt = body.get("prompt")
    if prompt is None:
        raise MissingParameter("prompt")
    if not isinstance(prompt, str | list):
        raise InvalidValue("'prompt' must be text or an array.", param="prompt")


def _check_common(body: Json) -> None:
    model = body.get("model")
    if model is not None and (not isinstance(model, str) or not model):
        raise InvalidValue("'model' must be text.", param="model")
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidValue("'stream' must be true or false.", param="stream")
    n = body.get("n")
    if n is not None and (not isinstance(n, int) or isinstance(n, bool) or n < 1):
        raise InvalidValue("'n' must be a whole number of 1 or more.", param="n")
    options = body.get("stream_options")
    if options is not None:
        if not isinstance(options, dict):
            raise InvalidValue("'stream_options' must be an object.", param="stream_options")
        include = options.get("include_usage")
        if include is not None and not isinstance(include, bool):
            raise InvalidValue("'include_usage' must be true or false.", param="stream_options.include_usage")


def check_openai_ranges(body: Json) -> None:
    """OpenAI's own ranges (API reference), for OpenAI, Azure and Demo models."""
    for name, low, high in (
        ("temperature", 0, 2),
        ("top_p", 0, 1),
        ("presence_penalty", -2, 2),
        ("frequency_penalty", -2, 2),
    ):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidValue(f"'{name}' must be a number from {low} to {high}.", param=name)
    n = body.get("n")
    if n is not None and n > 128:
        raise InvalidValue("'n' must be at most 128.", param="n")
    stop = body.get("stop")
    if stop is not None:
        if not isinstance(stop, str | list):
            raise InvalidValue("'stop' must be text or an array.", param="stop")
        if isinstance(stop, list) and (len(stop) > 4 or not all(isinstance(item, str) for item in stop)):
            raise InvalidValue("'stop' must hold at most 4 texts.", param="stop")


def expected_choices(body: Json) -> int:
    """How many choices an answer has: `n` for each prompt."""
    n = body.get("n")
    prompt = body.get("prompt")
    several = isinstance(prompt, list) and bool(prompt) and not isinstance(prompt[0], int)
    return (n if isinstance(n, int) else 1) * (len(prompt) if several and prompt is not None else 1)


def wants_usage(body: Json) -> bool:
    """Whether the client of a stream asked for the last chunk with usage."""
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True


def carries_something(chunk: Json) -> bool:
    """Whether a chunk commits the stream: content, tool call, refusal, reasoning, audio or finish.

    A chunk with a role alone, or without choices (Azure's `prompt_filter_results`), waits.
    """
    for choice in _choices(chunk):
        if choice.get("finish_reason") is not None or choice.get("text"):
            return True
        delta = choice.get("delta")
        if isinstance(delta, dict):
            for name, value in delta.items():
                if name != "role" and value:
                    return True
    return False


class ChatReading:
    """What a stream of chat or text completions has said so far, and what of it the client is shown.

    `body` is the request's: it tells how many choices there must be, and whether usage was asked for.
    """

    __slots__ = ("_expected", "_finished", "_id", "_reported", "_seen", "_show_usage", "characters")
    ending = encode(DONE)

    def __init__(self, body: Json) -> None:
        self.characters = 0
        self._expected = expected_choices(body)
        self._show_usage = wants_usage(body)
        self._seen: set[int] = set()
        self._finished: set[int] = set()
        self._reported: Any = None
        self._id: str | None = None

    def note(self, event: Event) -> None:
        usage = event.chunk.get("usage")
        if usage:
            self._reported = usage
        for choice in _choices(event.chunk):
            index = choice.get("index", 0)
            if not isinstance(index, int):
                index = 0
            self._seen.add(index)
            if choice.get("finish_reason") is not None:
                self._finished.add(index)
            text = choice.get("text")
            if isinstance(text, str):
                self.characters += len(text)
            delta = choice.get("delta")
            if isinstance(delta, dict):
                self.characters += _length(delta)

    def carries(self, event: Event) -> bool:
        return carries_something(event.chunk)

    def shown(self, event: Event) -> bytes | None:
        """The event as it is sent: one id per stream, and usage only for who asked."""
        data, chunk = event.data, event.chunk
        if not self._show_usage and is_usage_chunk(chunk):
            return None
        identity = chunk.get("id")
        if identity and identity != self._id:
            if self._id is None:
                self._id = identity
            else:
                data = orjson.dumps({**chunk, "id": self._id})
        return encode(data)

    def complete(self, marked: bool) -> bool:
        """Whether the answer is whole: every choice that began has its `finish_reason`.

        `marked` says that the provider sent its own end mark; without it, every choice that was asked for
        must have finished too.
        """
        if not self._finished >= self._seen:
            return False
        return bool(self._finished) and (marked or len(self._finished) >= self._expected)

    def usage(self) -> Usage | None:
        return read_usage(self._reported)


def _length(delta: Json) -> int:
    characters = 0
    for name in ("content", "refusal", "reasoning_content", "reasoning"):
        value = delta.get(name)
        if isinstance(value, str):
            characters += len(value)
    calls = delta.get("tool_calls")
    if isinstance(calls, list):
        for call in calls:
            function = call.get("function") if isinstance(call, dict) else None
            if isinstance(function, dict):
                for name in ("name", "arguments"):
                    value = function.get(name)
                    if isinstance(value, str):
                        characters += len(value)
    return characters


def is_usage_chunk(chunk: Json) -> bool:
    """The last chunk of a stream whose usage was asked for: no choices, but `usage`."""
    return not chunk.get("choices") and bool(chunk.get("usage"))


def estimate_answer(content: Json) -> int:
    """Tokens of a plain answer by the stated rule, where a provider reports no usage."""
    characters = 0
    for choice in _choices(content):
        text = choice.get("text")
        if isinstance(text, str):
            characters += len(text)
        message = choice.get("message")
        if isinstance(message, dict):
            characters += _length(message)
    return tokens_of(characters)


def _choices(chunk: Json) -> list[Json]:
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return []
    return [choice for choice in choices if isinstance(choice, dict)]
