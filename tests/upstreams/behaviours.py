"""How an upstream of the tests may answer: well, badly, slowly, or not at all."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

import orjson

from shared import Json


@dataclass(frozen=True, slots=True)
class Frame:
    """One server-sent event: its `data`, and its `event` name where the provider's format has one."""

    data: str
    event: str = ""

    def json(self) -> Any:
        return orjson.loads(self.data)


def frame(content: Json, event: str = "") -> Frame:
    return Frame(orjson.dumps(content).decode(), event)


DONE = Frame("[DONE]")


@dataclass(frozen=True, slots=True)
class Reply:
    """A plain answer. A body that is no bytes is sent as JSON. `hang_up` closes the connection after it."""

    body: Json | list[Any] | bytes = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    hang_up: bool = False


Change: TypeAlias = Callable[[Sequence[Frame]], Sequence[Frame]]


@dataclass(frozen=True, slots=True)
class StreamReply:
    """A stream of server-sent events.

    Without `frames`, those that the upstream would have sent by itself. `change` edits the list, then
    `stop_after` keeps only its first k frames, then `ending` says how it ends: `complete` closes cleanly
    after the last frame, `cut` breaks the connection inside the chunked encoding, `stall` stays open
    and silent until the client goes. `slices` is the number of bytes in each write (1: every byte on its
    own). With `hold_after` the stream waits before frame k until `released` is set. `pause` is the seconds
    before each frame.
    """

    frames: Sequence[Frame] | None = None
    change: Change | None = None
    stop_after: int | None = None
    ending: Literal["complete", "cut", "stall"] = "complete"
    slices: int | None = None
    line_end: str = "\n"
    comments: bool = False
    split_data: bool = False
    pause: float = 0.0
    hold_after: int | None = None
    released: asyncio.Event | None = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "text/event-stream; charset=utf-8"

    def chosen(self) -> list[Frame]:
        """The frames to send, in order."""
        frames = list(self.frames or ())
        if self.change is not None:
            frames = list(self.change(frames))
        return frames[: self.stop_after]

    def encode(self, item: Frame) -> bytes:
        """One frame on the wire. `split_data` spreads its JSON over several `data:` lines, as SSE allows."""
        lines = [": still here", ""] if self.comments else []
        if item.event:
            lines.append(f"event: {item.event}")
        text = item.data
        if self.split_data and text.startswith("{"):
            text = orjson.dumps(orjson.loads(text), option=orjson.OPT_INDENT_2).decode()
        lines += [f"data: {line}" for line in text.split("\n")]
        return (self.line_end.join(lines) + 2 * self.line_end).encode()


@dataclass(frozen=True, slots=True)
class SoundReply:
    """An answer of bytes in pieces. `ending` is as in `StreamReply`; before it `released`, if there, is awaited.

    `length` is the `content-length` that it claims to have; without one it comes in chunks.
    """

    pieces: Sequence[bytes]
    ending: Literal["complete", "cut", "stall"] = "complete"
    length: int | None = None
    released: asyncio.Event | None = None
    content_type: str = "audio/mpeg"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Hang:
    """Takes the request and says nothing until the client goes (or `released` is set: then it answers)."""

    released: asyncio.Event | None = None


@dataclass(frozen=True, slots=True)
class HangUp:
    """Takes the request and closes the connection without a word."""


Behaviour: TypeAlias = Reply | StreamReply | SoundReply | Hang | HangUp


def filled(scripted: Behaviour, default: Behaviour) -> Behaviour:
    """A scripted stream without frames gets the default's; where no stream was asked for, the default."""
    if isinstance(scripted, StreamReply) and scripted.frames is None:
        if not isinstance(default, StreamReply):
            return default
        return replace(
            scripted,
            frames=default.frames,
            headers={**default.headers, **scripted.headers},
        )
    return scripted


def broken_event(at: int) -> Change:
    """Puts an event that is no JSON before frame `at`."""

    def change(frames: Sequence[Frame]) -> Sequence[Frame]:
        return [*frames[:at], Frame('{"id": "chatcmpl-1", "choices": [{'), *frames[at:]]

    return change


def error_event(at: int, error: Json, event: str = "") -> Change:
    """Sends the first `at` frames, then `error`, and nothing after it."""

    def change(frames: Sequence[Frame]) -> Sequence[Frame]:
        return [*frames[:at], frame(error, event)]

    return change


def without(*unwanted: str) -> Change:
    """Leaves out the frames whose data holds one of these texts."""

    def change(frames: Sequence[Frame]) -> Sequence[Frame]:
        return [item for item in frames if not any(text in item.data for text in unwanted)]

    return change


def without_done(frames: Sequence[Frame]) -> Sequence[Frame]:
    """The stream without its `[DONE]`."""
    return [item for item in frames if item != DONE]
