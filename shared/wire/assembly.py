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
    """Chunks of chat or text completions. Texts are joined, indexed lists merged; of others the last one stands.

    The effort grows with the length of the answer, and no faster. What has not the shape of a chunk is left out.
    """

    def __init__(self) -> None:
        self._top: Json = {}
        self._choices: dict[int, Json] = {}

    def note(self, event: Event) -> None:
        for name, value in event.chunk.items():
            if name == "choices":
                for choice in value if isinstance(value, list) else ():
                    if isinstance(choice, dict):
                        self._note_choice(choice)
            elif value is not None and not (name == "id" and self._top.get("id")):
                # Azure's first chunk has an empty id, and Gemini a new one in each.
                self._top[name] = value

    def _note_choice(self, chunk: Json) -> None:
        index = chunk.get("index")
        index = index if isinstance(index, int) else 0
        choice = self._choices.setdefault(index, {"index": index})
        for name, value in chunk.items():
            if name == "index":
                continue
            if name == "delta":
                message = choice.setdefault("message", {"role": "assistant", "content": None})
                if isinstance(value, dict):
                    _merge_fields(message, value)
            elif name == "text":
                choice[name] = _merged(choice.get(name), value if isinstance(value, str) else "", name)
            elif name == "logprobs":
                choice[name] = _merged_logprobs(choice.get(name), value)
            elif value is not None or name not in choice:
                choice[name] = value

    @property
    def content(self) -> Json:
        choices = [_closed(_plain(self._choices[index])) for index in sorted(self._choices)]
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


class _Text:
    """A text that goes on with each chunk: joined at the end, for to join it each time copies it each time."""

    __slots__ = ("pieces",)

    def __init__(self, first: str) -> None:
        self.pieces = [first]


def _merge_fields(known: Json, part: Json) -> None:
    for name, value in part.items():
        known[name] = _merged(known.get(name), value, name)


def _merged(known: Any, part: Any, field: str) -> Any:
    """What is known with one more part of it. `known` is this module's own, and may be changed."""
    if part is None:
        return known
    if isinstance(known, _Text) and isinstance(part, str):
        known.pieces.append(part)
        return known
    if known is not None and part == "":
        return known
    if isinstance(known, dict) and isinstance(part, dict):
        _merge_fields(known, part)
        return known
    if isinstance(part, list):
        return _merged_lists(known if isinstance(known, list) else [], part)
    if isinstance(part, dict):
        return _merged({}, part, field)
    return _Text(part) if isinstance(part, str) and field not in _WHOLE else part


def _merged_lists(known: list[Any], part: list[Any]) -> list[Any]:
    """Items with an index join the one of that index; others are added."""
    for item in part:
        index = item.get("index") if isinstance(item, dict) else None
        if index is None:
            known.append(item)
            continue
        found = (other for other in known if isinstance(other, dict) and other.get("index") == index)
        same = next(found, None)
        if same is None:
            known.append(_merged({}, item, ""))
        else:
            _merge_fields(same, item)
    return known


def _merged_logprobs(known: Any, part: Any) -> Any:
    """The lists of `content`, `refusal` or `tokens` go on with each chunk."""
    if not isinstance(part, dict):
        return known
    merged: Json = known if isinstance(known, dict) else {}
    for name, value in part.items():
        before = merged.get(name)
        if isinstance(before, list) and isinstance(value, list):
            before += value
        elif value is not None or name not in merged:
            merged[name] = list(value) if isinstance(value, list) else value
    return merged


def _plain(value: Any) -> Any:
    if isinstance(value, _Text):
        return "".join(value.pieces)
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _closed(choice: Json) -> Json:
    """A choice as a plain answer has it: tool calls carry no index there."""
    message = choice.get("message")
    calls = message.get("tool_calls") if isinstance(message, dict) else None
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, dict):
            call.pop("index", None)
    return choice
