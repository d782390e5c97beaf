"""A call of a job: streamed from the provider where that can be, and gathered into one plain answer.

Nothing has been sent to a client meanwhile, so an answer that breaks off anywhere is an error like any other.
"""

import asyncio
import dataclasses
from collections.abc import Callable
from typing import Any

import orjson

from shared import Json
from shared.errors import ProviderRefusal, ProviderTimeout, ProviderUnreachable
from shared.inference.deadlines import Deadlines
from shared.inference.operations import Operation
from shared.inference.record import CallRecord
from shared.inference.silence import Silence
from shared.inference.stream import Opened
from shared.providers.calls import Answer, AnsweredWhole, Call, Provider
from shared.wire.estimate import tokens_of
from shared.wire.events import Reading
from shared.wire.usage import Usage

_LIMITS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class Collecting:
    """Follows one call. `on_step` is told of each step: `planned`, `sent`, and then of each event.

    `record` is there once the call has begun.
    """

    def __init__(self, operation: Operation, on_step: Callable[[str], None]) -> None:
        self.record: CallRecord | None = None
        self._operation = operation
        self._on_step = on_step
        self._reading: Reading | None = None
        self._body: Json = {}

    def planned(self) -> None:
        self._on_step("planned")

    @property
    def tokens(self) -> int:
        """Tokens of the answer so far, by the stated rule."""
        return tokens_of(self._reading.characters) if self._reading is not None else 0

    @property
    def share(self) -> float:
        """How much of the longest possible answer is there, from 0 to 1; 0 where no length is known."""
        most: Any = next((self._body[name] for name in _LIMITS if self._body.get(name)), None)
        if most is None and self.record is not None and self.record.model is not None:
            most = self.record.model.capabilities.max_output_tokens
        return min(1.0, self.tokens / most) if isinstance(most, int) and most > 0 else 0.0

    def used(self) -> Usage | None:
        """What was used so far, estimated; None before the provider was asked."""
        record = self.record
        if record is None or not record.attempts:
            return None
        reported = self._reading.usage() if self._reading is not None else None
        if reported is not None:
            return record.request.complete(reported)
        return dataclasses.replace(record.request.estimated(), completion=self.tokens)

    async def attempt(self, provider: Provider, call: Call, limits: Deadlines) -> Answer:
        """One try at one deployment."""
        self._reading, self._body = None, call.body
        if not self._streams(call):
            self._on_step("sent")
            return await provider.send(call)
        streamed = dataclasses.replace(call, streamed=True, body={**call.body, "stream": True})
        try:
            return await self._gather(provider, streamed, limits)
        except ProviderRefusal as error:
            # Some deployments refuse to stream what they answer plainly.
            if error.status != 400 or not (error.param or "").startswith("stream"):
                raise
        except AnsweredWhole as whole:
            # Others do not know of streams.
            return whole.answer
        return await provider.send(call)

    def _streams(self, call: Call) -> bool:
        operation = self._operation
        # Sound comes in other formats when it is streamed.
        sound = "audio" in (call.body.get("modalities") or ()) or "audio" in call.body
        able = call.model.capabilities.streaming is not False
        return operation.reading is not None and operation.assembly is not None and able and not sound

    async def _gather(self, provider: Provider, call: Call, limits: Deadlines) -> Answer:
        assert self._operation.reading is not None
        assert self._operation.assembly is not None
        assembly = self._operation.assembly()
        opened: Opened | None = None
        try:
            try:
                async with asyncio.timeout(limits.first_token):
                    events = await provider.open(call)
                    self._reading = self._operation.reading(call.body)
                    opened = Opened(events, self._reading, limits)
                    self._on_step("sent")
                    await opened.begin()
            except TimeoutError:
                raise ProviderTimeout(
                    f"The provider sent nothing for {limits.first_token:g} seconds."
                ) from None
            for event in opened.held:
                assembly.note(event)
            try:
                await self._rest(opened, assembly.note)
            except (ProviderUnreachable, ProviderTimeout):
                if not opened.complete:
                    raise
            if not opened.complete:
                raise ProviderUnreachable("The provider ended its answer before it was complete.")
            content = assembly.content
            return Answer(
                orjson.dumps(content),
                content,
                dict(events.headers),
                self._reading.usage(),
                events.dropped,
            )
        finally:
            if opened is not None:
                await opened.close()

    async def _rest(self, opened: Opened, note: Callable[[Any], None]) -> None:
        async with Silence(opened.limits.idle) as silence:
            async for event in opened.iterator:
                opened.reading.note(event)
                note(event)
                self._on_step("event")
                silence.heard()
