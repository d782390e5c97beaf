"""A streamed call from its first try to its end: when the 200 is committed, what is relayed, how it closes.

One task, the producer, asks the providers and fills a small buffer with encoded events; the answer empties it. So a
slow client holds the provider back, silence is filled with comments, and the end is accounted whether or not
anyone still reads.
"""

import asyncio
import dataclasses
import logging
from collections.abc import AsyncGenerator, Callable

import anyio

from shared import Json
from shared.errors import InternalError, ProviderTimeout, ProviderUnreachable, ProxyError
from shared.inference.deadlines import Deadlines
from shared.inference.dispatch import Dispatcher
from shared.inference.record import CallRecord, Ledger
from shared.inference.routing import Plan
from shared.inference.silence import Silence
from shared.ports import Clock
from shared.providers.calls import Call, Events, Provider
from shared.settings import Settings
from shared.wire.estimate import tokens_of
from shared.wire.events import Event, Reading
from shared.wire.sse import HEARTBEAT
from shared.wire.usage import Usage

_logger = logging.getLogger("llmproxy.inference")

BUFFER_BYTES = 256 * 1024
"""How much is held for a client that reads slower than the provider writes."""
GRACE = 5.0
"""Seconds after the deadline that a reader has for the last error before the connection is given up."""


class Opened:
    """A provider's stream that has begun: the events up to the first that carries something, and the rest."""

    def __init__(self, events: Events, reading: Reading, limits: Deadlines) -> None:
        self.events = events
        self.iterator = events.__aiter__()
        self.reading = reading
        self.limits = limits
        self.held: list[Event] = []

    async def begin(self) -> None:
        """Reads to the first event that commits the stream."""
        async for event in self.iterator:
            self.reading.note(event)
            self.held.append(event)
            if self.reading.carries(event):
                return
        raise ProviderUnreachable("The provider ended the stream before it began.")

    @property
    def complete(self) -> bool:
        return self.reading.complete(self.events.done)

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.iterator.aclose()
            await self.events.aclose()


class StreamSession:
    """One streamed answer. `start` it, then empty it by `batches`, and `close` it whatever happens."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        plan: Plan,
        record: CallRecord,
        reading: Callable[[Json], Reading],
        ledger: Ledger,
        settings: Settings,
        clock: Clock,
    ) -> None:
        self.record = record
        self._dispatcher = dispatcher
        self._plan = plan
        self._reading = reading
        self._ledger = ledger
        self._settings = settings
        self._clock = clock
        loop = asyncio.get_running_loop()
        self._committed: asyncio.Future[None] = loop.create_future()
        self._wake: asyncio.Future[None] | None = None
        self._room: asyncio.Future[None] | None = None
        self._buffer: list[bytes] = []
        self._size = 0
        self._ended = False
        self._opened: Opened | None = None
        self._producer: asyncio.Task[None] | None = None
        self.deadline = loop.time() + dispatcher.overall(record.request, plan.first)

    async def start(self) -> None:
        """Waits until the 200 may be sent. Raises the error of a stream that failed before that."""
        loop = asyncio.get_running_loop()
        self._producer = loop.create_task(self._produce())
        timer = loop.call_later(self._settings.commit_after, self._commit)
        try:
            await self._committed
        except asyncio.CancelledError:
            await self.close()
            raise
        finally:
            timer.cancel()

    async def batches(self) -> AsyncGenerator[bytes, None]:
        """Encoded events as they come, several at once for a slow reader, and comments in silence."""
        loop = asyncio.get_running_loop()
        while True:
            if self._buffer:
                batch = b"".join(self._buffer)
                self._buffer.clear()
                self._size = 0
                _release(self._room)
                yield batch
            elif self._ended:
                return
            else:
                self._wake = loop.create_future()
                timer = loop.call_later(self._settings.heartbeat_interval, _release, self._wake)
                await self._wake
                timer.cancel()
                if not self._buffer and not self._ended:
                    yield HEARTBEAT

    async def close(self) -> None:
        """Ends the provider's call if it still runs, and waits until it is accounted."""
        producer = self._producer
        if producer is None or producer.done():
            return
        producer.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait({producer})

    def _commit(self) -> None:
        if not self._committed.done():
            self._committed.set_result(None)

    def _may_continue(self) -> bool:
        return not self._committed.done()

    async def _produce(self) -> None:
        status, code = 200, None
        try:
            async with asyncio.timeout_at(self.deadline) as whole:
                await self._relay(whole)
        except TimeoutError:
            status, code = self._fail(ProviderTimeout("The stream took longer than it may."))
        except ProxyError as error:
            status, code = self._fail(error)
        except asyncio.CancelledError:
            status, code = 499, "client_closed_request"
        except Exception:
            _logger.exception("a stream failed inside the proxy")
            status, code = self._fail(InternalError())
        finally:
            await self._finish(status, code)

    async def _relay(self, whole: asyncio.Timeout) -> None:
        loop = asyncio.get_running_loop()
        opened = await self._dispatcher.ask(self._plan, self.record, self._open, self._may_continue)
        self.deadline = min(self.deadline, loop.time() + opened.limits.whole)
        whole.reschedule(self.deadline)
        self.record.first_token = self._clock.monotonic()
        self.record.dropped = opened.events.dropped
        self.record.upstream_headers = dict(opened.events.headers)
        for event in opened.held:
            self._emit(opened.reading, event)
        opened.held.clear()
        self._commit()
        try:
            await self._relay_rest(opened)
        except (ProviderUnreachable, ProviderTimeout):
            if not opened.complete:
                raise
        if not opened.complete:
            raise ProviderUnreachable("The provider ended the stream before it was complete.")
        if opened.reading.ending:
            self._put(opened.reading.ending)

    async def _relay_rest(self, opened: Opened) -> None:
        reading = opened.reading
        async with Silence(opened.limits.idle) as silence:
            async for event in opened.iterator:
                reading.note(event)
                self._emit(reading, event)
                if self._size > BUFFER_BYTES:
                    silence.pause()
                    await self._wait_for_room()
                silence.heard()

    async def _open(self, provider: Provider, call: Call, limits: Deadlines) -> Opened:
        try:
            async with asyncio.timeout(limits.first_token):
                opened = self._opened = Opened(await provider.open(call), self._reading(call.body), limits)
                try:
                    await opened.begin()
                except BaseException:
                    self._opened = None
                    await opened.close()
                    raise
        except TimeoutError:
            raise ProviderTimeout(f"The provider sent nothing for {limits.first_token:g} seconds.") from None
        return opened

    def _emit(self, reading: Reading, event: Event) -> None:
        labels, model = self.record.request.labels, self.record.model
        if labels is not None and model is not None:
            event = labels.event(event, model)
        data = reading.shown(event)
        if data is not None:
            self._put(data)

    def _put(self, data: bytes) -> None:
        self._buffer.append(data)
        self._size += len(data)
        _release(self._wake)

    async def _wait_for_room(self) -> None:
        self._room = asyncio.get_running_loop().create_future()
        await self._room

    def _fail(self, error: ProxyError) -> tuple[int, str | None]:
        """Before the commit the error is the answer; after it, it goes in-band and nothing follows."""
        request = self.record.request
        if request.labels is not None:
            request.labels.error(error)
        if not self._committed.done():
            self._committed.set_exception(error)
        else:
            self._put(request.operation.in_band(error, self._opened.reading if self._opened else None))
        return error.status, error.code

    async def _finish(self, status: int, code: str | None) -> None:
        self._ended = True
        _release(self._wake)
        opened = self._opened
        if opened is not None:
            if self.record.request.operation.billed:
                self._ledger.price(self.record, self._usage(opened.reading))
            self.record.dropped = opened.events.dropped
        self._ledger.settle(self.record, status, code)
        if opened is not None:
            await opened.close()

    def _usage(self, reading: Reading) -> Usage:
        reported, request = reading.usage(), self.record.request
        if reported is not None:
            return request.complete(reported)
        prompt = request.estimated()
        return dataclasses.replace(prompt, completion=tokens_of(reading.characters))


def _release(future: "asyncio.Future[None] | None") -> None:
    if future is not None and not future.done():
        future.set_result(None)
