"""What a stream of typed events has said so far (OpenAI's API reference, Responses, streaming events)."""

from typing import Any

import orjson

from shared import Json
from shared.errors import ProxyError
from shared.providers.openai_errors import error_in_stream
from shared.wire.events import Event, Reading
from shared.wire.responses import output_characters
from shared.wire.sse import DONE, encode
from shared.wire.usage import Usage, read_usage

ENDINGS = frozenset(
    (
        "response.completed",
        "response.incomplete",
        "response.failed",
        "response.cancelled",
        "response.canceled",
    )
)
"""Events that end a stream: nothing that counts comes after one."""
_OPENINGS = frozenset(
    """
response.created response.queued response.in_progress response.content_part.added
response.reasoning_summary_part.added keepalive
""".split()
)
"""Events that say nothing of the answer yet."""
_ITEM_ADDED = "response.output_item.added"
_QUIET_ITEMS = frozenset(("message", "reasoning"))
"""Items that begin empty; any other is a tool's call."""
_BYTES = frozenset(("response.audio.delta", "response.output_audio.delta"))
"""Deltas of base64, which are no text to count."""


class ResponsesReading:
    """A `Reading` of Responses. `body` is the request's. It is whole with the event that ends it, and only then."""

    __slots__ = ("_ended", "_reported", "characters", "ending", "sequence")

    def __init__(self, body: Json) -> None:
        self.characters = 0
        self.ending = b""
        self.sequence = -1
        """The number of the last event."""
        self._ended = False
        self._reported: Any = None

    def note(self, event: Event) -> None:
        chunk = event.chunk
        number = chunk.get("sequence_number")
        if isinstance(number, int):
            self.sequence = number
        kind = chunk.get("type")
        if not isinstance(kind, str):
            return
        if kind.endswith(".delta") and kind not in _BYTES:
            delta = chunk.get("delta")
            self.characters += len(delta) if isinstance(delta, str) else 0
        elif kind in ENDINGS:
            self._ended = True
            response = chunk.get("response")
            if isinstance(response, dict):
                self._reported = response.get("usage")
                self.characters = max(self.characters, output_characters(response.get("output")))

    def carries(self, event: Event) -> bool:
        """Raises what went wrong where the response failed before it said anything."""
        chunk = event.chunk
        kind = chunk.get("type")
        if kind == "response.failed":
            response = chunk.get("response")
            raise error_in_stream(response.get("error") if isinstance(response, dict) else None)
        if not isinstance(kind, str) or kind in _OPENINGS:
            return False
        if kind == _ITEM_ADDED:
            item = chunk.get("item")
            return isinstance(item, dict) and str(item.get("type")) not in _QUIET_ITEMS
        return not kind.endswith(".delta") or bool(chunk.get("delta"))

    def shown(self, event: Event) -> bytes:
        return encode(event.data, event.name)

    def complete(self, marked: bool) -> bool:
        """`marked`: the provider has sent `[DONE]`, which OpenAI itself does not. Then the client gets it too."""
        self.ending = encode(DONE) if marked else b""
        return self._ended

    def usage(self) -> Usage | None:
        return read_usage(self._reported)


def error_event(error: ProxyError, reading: Reading | None) -> bytes:
    """An error after the commit, as OpenAI words it in such a stream: an `error` event of its own number."""
    number = reading.sequence + 1 if isinstance(reading, ResponsesReading) else 0
    content = {
        "type": "error",
        "code": error.code,
        "message": error.message,
        "param": error.param,
        "sequence_number": number,
    }
    return encode(orjson.dumps(content), b"error")
