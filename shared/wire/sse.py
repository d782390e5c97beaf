"""Server-sent events (WHATWG HTML, section 9.2): a pure, incremental decoder, and the encoder."""

from typing import NamedTuple

from shared.errors import InvalidProviderResponse

DONE = b"[DONE]"
HEARTBEAT = b": keep-alive\n\n"
MAX_EVENT_BYTES = 64 * 1024 * 1024
"""A single event may hold a base64 image; what is larger is no event."""


class ServerSentEvent(NamedTuple):
    """One event: `data` lines joined by a line feed, and the `event` field, empty where there was none."""

    data: bytes
    name: bytes = b""


def encode(data: bytes, name: bytes = b"") -> bytes:
    """`data: …`, for data without line breaks, which JSON never has; after `event: …` where there is a name."""
    if name:
        return b"event: " + name + b"\ndata: " + data + b"\n\n"
    return b"data: " + data + b"\n\n"


class Decoder:
    """Bytes in, events out, cut wherever the network likes. Comments and unknown fields are skipped."""

    __slots__ = ("_buffer", "_first", "_held_return")

    def __init__(self) -> None:
        self._buffer = b""
        self._held_return = False
        self._first = True

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """The events that `chunk` completes."""
        if self._first and chunk:
            self._first = False
            chunk = chunk.removeprefix(b"\xef\xbb\xbf")
        if self._held_return or b"\r" in chunk:
            chunk = self._unify(chunk)
        buffer = self._buffer + chunk if self._buffer else chunk
        frames = buffer.split(b"\n\n")
        self._buffer = frames.pop()
        if len(self._buffer) > MAX_EVENT_BYTES:
            raise InvalidProviderResponse("The provider sent an event that is too large.")
        events = []
        for frame in frames:
            event = _parse(frame)
            if event is not None:
                events.append(event)
        return events

    def flush(self) -> list[ServerSentEvent]:
        """What is left when the stream ended without a last blank line; it may be half an event."""
        event = _parse(self._buffer)
        self._buffer = b""
        return [event] if event is not None else []

    def _unify(self, chunk: bytes) -> bytes:
        """Line ends as line feeds; a carriage return at the very end waits for what follows it."""
        if self._held_return:
            chunk = b"\r" + chunk
        self._held_return = chunk.endswith(b"\r")
        if self._held_return:
            chunk = chunk[:-1]
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _parse(frame: bytes) -> ServerSentEvent | None:
    if frame.startswith(b"data: ") and b"\n" not in frame:
        return ServerSentEvent(frame[6:])
    data: list[bytes] = []
    name = b""
    for line in frame.split(b"\n"):
        field, colon, value = line.partition(b":")
        if not colon and not field:
            continue
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return ServerSentEvent(b"\n".join(data), name) if data else None
