"""The demo provider: every answer is made up here, in the format and with the manners of OpenAI's API."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from functools import partial
from typing import TypeVar

import orjson

from shared import Json
from shared.catalog.documents import Model
from shared.errors import UnsupportedOperation
from shared.ports import Clock
from shared.providers.calls import Answer, Call, Download
from shared.providers.demo.chat import ChatCompletion
from shared.providers.demo.completions import Completion
from shared.providers.demo.embeddings import Embeddings
from shared.providers.demo.images import Images
from shared.providers.demo.moderations import Moderation
from shared.providers.demo.operation import Operation, Question, Rendered, Sounding, Streamed
from shared.providers.demo.responses import Response
from shared.providers.demo.shelf import Shelf
from shared.providers.demo.speech import Speech
from shared.providers.demo.transcriptions import Transcription, Translation
from shared.wire.events import Event
from shared.wire.usage import Usage, read_usage

T = TypeVar("T")

OPERATIONS: Mapping[str, Callable[[Question], Operation | Rendered]] = {
    "chat/completions": ChatCompletion,
    "completions": Completion,
    "images/generations": Images,
    "images/edits": Images,
    "images/variations": Images,
    "embeddings": Embeddings,
    "moderations": Moderation,
    "audio/transcriptions": Transcription,
    "audio/translations": Translation,
}
"""What the demo provider can do, by OpenAI's path. A new operation is a line here."""
SOUNDS: Mapping[str, Callable[[Question], Sounding]] = {"audio/speech": Speech}
"""What it answers in bytes."""


class DemoProvider:
    """A `Provider` without a network. `pause` is in seconds before each event of a stream."""

    def __init__(self, clock: Clock, *, pause: float = 0.0) -> None:
        self._clock = clock
        self._pause = pause
        self._shelf = Shelf()
        # Responses are kept for the calls that come after them.
        self._operations: Mapping[str, Callable[[Question], Operation | Rendered]] = {
            **OPERATIONS,
            "responses": partial(Response, self._shelf),
        }

        self._streams: Mapping[str, Callable[[Question], object]] = {**self._operations, **SOUNDS}

    async def send(self, call: Call) -> Answer:
        if call.bodiless:
            content = self._shelf.answer(call)
            return Answer(orjson.dumps(content), content)
        operation = self._made(call, self._operations)
        if isinstance(operation, Rendered):
            body, content = await operation.rendered()
        else:
            content = operation.answer()
            body = orjson.dumps(content)
        return Answer(
            body=body,
            content=content,
            usage=read_usage(content.get("usage")),
            dropped=operation.dropped,
            content_type=getattr(operation, "content_type", "application/json"),
        )

    async def open(self, call: Call) -> "DemoEvents":
        if call.bodiless:
            return DemoEvents(self._shelf.events(call), self._pause, ())
        operation = self._made(call, self._streams)
        if not isinstance(operation, Streamed):
            raise UnsupportedOperation(f"The demo provider does not stream {call.path}.", param="stream")
        return DemoEvents(operation.chunks(), self._pause, operation.dropped)

    async def download(self, call: Call) -> Download:
        sound = self._made(call, SOUNDS)
        return DemoDownload(sound, self._pause)

    async def probe(self, model: Model) -> bool:
        """It is as alive as the process."""
        return True

    async def close(self) -> None:
        """There is nothing to close."""

    def _made(self, call: Call, table: Mapping[str, Callable[[Question], T]]) -> T:
        make = table.get(call.path)
        if make is None:
            raise UnsupportedOperation(f"The demo provider does not do {call.path}.", param="model")
        capabilities = call.model.capabilities
        return make(
            Question(
                body=call.body,
                model=call.model.code,
                created=int(self._clock.time()),
                context=capabilities.max_input_tokens,
                form=call.form,
            )
        )


class DemoDownload:
    """An open answer of bytes: see `shared.providers.calls.Download`."""

    def __init__(self, sound: Sounding, pause: float) -> None:
        self.headers: Mapping[str, str] = {}
        self.dropped = sound.dropped
        self.content_type = sound.content_type
        self.usage: Usage | None = None
        self._parts = sound.parts()
        self._pause = pause

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        for part in self._parts:
            await asyncio.sleep(self._pause)
            yield part

    async def aclose(self) -> None:
        """There is nothing to close."""


class DemoEvents:
    """An open stream: see `shared.providers.calls.Events`."""

    def __init__(self, chunks: Iterator[Json], pause: float, dropped: tuple[str, ...]) -> None:
        self.headers: Mapping[str, str] = {}
        self.dropped = dropped
        self.done = False
        self._chunks = chunks
        self._pause = pause
        self._closed = False

    async def __aiter__(self) -> AsyncGenerator[Event, None]:
        typed = False
        for chunk in self._chunks:
            # Even without a pause the loop gets its turn, as it does while a real provider is awaited.
            await asyncio.sleep(self._pause)
            if self._closed:
                return
            kind = chunk.get("type")
            name = kind.encode() if isinstance(kind, str) else b""
            # A stream of typed events has no end mark of its own: its last event says that it is over.
            typed = bool(name)
            yield Event(orjson.dumps(chunk), chunk, name)
        self.done = not typed

    async def aclose(self) -> None:
        self._closed = True
