"""Puts a streamed answer together: what the same call would have answered at once."""

from typing import Any, Protocol

from shared import Json
from shared.providers.openai_errors import error_in_stream
from shared.wire.events import Event


class Assembly(Protocol):
    """Takes the events of one stream; once it is complete, `content` is the plain answer."""

    def note(self, event: Event) -> None: ...

    @property
    def content(self) -> Json: ...


class ChatAssembly:
    """Chunks of chat or text completions. Texts are joined, indexed lists merged; of others the last one stands."""

    def __init__(self) -> None:
        self._top: Json = {}
        self._choices: dict[int, Json] = {}

    def note(self, event: Event) -> None:
        for name, value in event.chunk.items():
            if name == "choices":
                for choice in value if isinstance(value, list) else ():
                    self._note_choice(choice)
            elif name == "id" and "id" in self._top:
                continue
            elif value is not None:
                self._top[name] = value

    def _note_choice(self, chunk: Json) -> None:
        index = chunk.get("index", 0)
        choice = self._choices.setdefault(index, {"index": index})
        for name, value in chunk.items():
            if name == "delta":
                message = choice.setdefault("message", {"role": "assistant", "content": None})
                for field, part in (value or {}).items():
                    message[field] = _merged(message.get(field), part, field)
            elif name == "text":
                choice["text"] = choice.get("text", "") + (value or "")
            elif name == "logprobs":
                choice[name] = _merged_logprobs(choice.get(name), value)
            elif value is not None or name not in choice:
                choice[name] = value

    @property
    def content(self) -> Json:
        choices = [_closed(self._choices[index]) for index in sorted(self._choices)]
        kind = str(self._top.get("object", "")).removesuffix(".chunk") or "chat.completion"
        return {**self._top, "object": kind, "choices": choices}


class ResponseAssembly:
    """Typed events of a response: the last one holds it whole."""

    def __init__(self) -> None:
        self._response: Json = {}

    def note(self, event: Event) -> None:
        """Raises what the provider says went wrong."""
        response = event.chunk.get("response")
        if not isinstance(response, dict):
            return
        if event.chunk.get("type") == "response.failed":
            raise error_in_stream(response.get("error"))
        self._response = response

    @property
    def content(self) -> Json:
        return self._response


_WHOLE = frozenset(("role", "id", "type", "index"))
"""Texts that are sent whole, perhaps again and again."""


def _merged(known: Any, part: Any, field: str) -> Any:
    if part is None:
        return known
    if known is None:
        return _first(part)
    if isinstance(known, str) and isinstance(part, str) and field not in _WHOLE:
        return known + part
    if part == "":
        return known
    if isinstance(known, dict) and isinstance(part, dict):
        return {**known, **{name: _merged(known.get(name), value, name) for name, value in part.items()}}
    if isinstance(known, list) and isinstance(part, list):
        return _merged_lists(known, part)
    return part


def _first(part: Any) -> Any:
    return _merged_lists([], part) if isinstance(part, list) else part


def _merged_lists(known: list[Any], part: list[Any]) -> list[Any]:
    """Items with an index join the one of that index; others are added."""
    items = list(known)
    for item in part:
        index = item.get("index") if isinstance(item, dict) else None
        place = next(
            (at for at, other in enumerate(items) if isinstance(other, dict) and other.get("index") == index),
            None,
        )
        if index is None or place is None:
            items.append(item)
        else:
            items[place] = _merged(items[place], item, "")
    return items


def _merged_logprobs(known: Any, part: Any) -> Any:
    """The lists of `content`, `refusal` or `tokens` go on with each chunk."""
    if not isinstance(part, dict):
        return known
    if not isinstance(known, dict):
        return part
    merged = dict(known)
    for name, value in part.items():
        before = merged.get(name)
        joined = isinstance(before, list) and isinstance(value, list)
        merged[name] = before + value if joined else value if value is not None else before
    return merged


def _closed(choice: Json) -> Json:
    """A choice as a plain answer has it: tool calls carry no index there."""
    message = choice.get("message")
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    if not isinstance(calls, list):
        return choice
    plain = [{name: value for name, value in call.items() if name != "index"} for call in calls]
    return {**choice, "message": {**message, "tool_calls": plain}} if message else choice
