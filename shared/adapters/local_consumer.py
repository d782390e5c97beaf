"""Reading the local event log as Azure's host reads Event Hubs: in batches, each partition by one reader at a time."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Protocol

from shared.adapters.event_log_sql import Reader
from shared.errors import EventsUnavailable
from shared.ports import LoggedEvent
from shared.telemetry.logging import log_event, log_failure

_logger = logging.getLogger("llmproxy.events")


class Log(Protocol):
    """What a reader needs of `LocalEvents`."""

    def listen(self, hub: str) -> asyncio.Event: ...

    def unlisten(self, hub: str, news: asyncio.Event) -> None: ...

    async def share(
        self, reader: Reader, held: Sequence[int], busy: Sequence[int], lease: float
    ) -> list[int]: ...

    async def read(
        self, reader: Reader, partitions: Sequence[int], limit: int
    ) -> list[list[LoggedEvent]]: ...

    async def advance(self, reader: Reader, partition: int, next: int) -> bool: ...

    async def leave(self, reader: Reader) -> None: ...


class EventBatch:
    """Up to `batch_size` events of one partition, in order. The partition waits until it is committed or handed
    back; neither happens by itself."""

    def __init__(self, consumer: "LocalConsumer", events: Sequence[LoggedEvent]) -> None:
        self.events = events
        self.partition = events[0].partition
        self._consumer = consumer

    @property
    def lost(self) -> bool:
        """Whether another reader has the partition by now, and will get these events again."""
        return not self._consumer.holds(self)

    async def commit(self) -> bool:
        """Moves the checkpoint behind the batch. False when it was lost. Raises `EventsUnavailable`."""
        return await self._consumer.commit(self)

    def hand_back(self) -> None:
        """Leaves the checkpoint where it is: these events come again."""
        self._consumer.hand_back(self)


class LocalConsumer:
    """One reader. `async with` opens it; `async for` gives batches until it is stopped.

    Partitions are shared out evenly among the readers of a group, in this process and in others. Those of a
    reader that dies go to the others when its leases run out, with all events that were not committed.
    """

    def __init__(self, log: Log, reader: Reader, *, batch_size: int, lease: float, poll: float) -> None:
        self._log = log
        self._reader = reader
        self._batch_size = batch_size
        self._lease = lease
        self._poll = poll
        self._held: list[int] = []
        self._under_way: dict[int, EventBatch] = {}
        self._being_read: list[int] = []
        self._balancing = asyncio.Lock()
        self._news = asyncio.Event()
        self._renewing: asyncio.Task[None] | None = None
        self._stopped = False
        self._troubled = False

    @property
    def partitions(self) -> tuple[int, ...]:
        """Those that it holds."""
        return tuple(self._held)

    async def __aenter__(self) -> "LocalConsumer":
        self._news = self._log.listen(self._reader.hub)
        self._renewing = asyncio.create_task(self._renew())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._log.unlisten(self._reader.hub, self._news)
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        self._held.clear()
        self._under_way.clear()
        try:
            await self._log.leave(self._reader)
        except EventsUnavailable:
            return  # the leases run out by themselves

    async def __aiter__(self) -> AsyncIterator[EventBatch]:
        while not self._stopped:
            self._news.clear()
            found = await self._read()
            for events in found:
                # Asked again: while the file was read, the partition may have gone to another reader.
                if not self._stopped and events[0].partition in self._held:
                    batch = EventBatch(self, events)
                    self._under_way[batch.partition] = batch
                    yield batch
            if not found and not self._stopped:
                await self._wait()

    def stop(self) -> None:
        """No further batches. Those under way keep their partitions, and can be committed, until it is closed."""
        self._stopped = True
        self._news.set()

    async def balance(self) -> None:
        """Renews the leases and evens out the partitions. Done by itself three times in each lease's time."""
        async with self._balancing:
            busy = [*self._under_way, *self._being_read]
            held = await self._log.share(self._reader, self._held, busy, self._lease)
            for number in set(self._under_way) - set(held):
                del self._under_way[number]
            if set(held) - set(self._held):
                self._news.set()
            self._held = held

    def holds(self, batch: EventBatch) -> bool:
        return self._under_way.get(batch.partition) is batch

    async def commit(self, batch: EventBatch) -> bool:
        if not self.holds(batch):
            return False
        kept = await self._log.advance(self._reader, batch.partition, batch.events[-1].sequence + 1)
        if not kept and batch.partition in self._held:
            self._held.remove(batch.partition)
        self.hand_back(batch)
        return kept

    def hand_back(self, batch: EventBatch) -> None:
        if self._under_way.get(batch.partition) is batch:
            del self._under_way[batch.partition]
            self._news.set()

    async def _read(self) -> list[list[LoggedEvent]]:
        self._being_read = [number for number in self._held if number not in self._under_way]
        if not self._being_read:
            return []
        try:
            found = await self._log.read(self._reader, self._being_read, self._batch_size)
        except EventsUnavailable as error:
            self._log_trouble(error)
            return []
        finally:
            self._being_read = []
        self._troubled = False
        return found

    async def _renew(self) -> None:
        while True:
            try:
                await self.balance()
            except EventsUnavailable as error:
                self._log_trouble(error)
            await asyncio.sleep(self._lease / 3)

    def _log_trouble(self, error: EventsUnavailable) -> None:
        if not self._troubled:
            log_event(_logger, logging.WARNING, "events_unavailable", message=f"{self._reader.hub}: {error}")
        self._troubled = True

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(self._poll):
                await self._news.wait()
        except TimeoutError:
            return


async def deliver(
    consumer: LocalConsumer,
    handler: Callable[[EventBatch], Awaitable[None]],
    *,
    hold: type[Exception] | tuple[type[Exception], ...] = (),
    pause: float = 1.0,
) -> None:
    """Gives every batch to `handler`, those of different partitions at the same time, until the consumer is stopped.

    As in Azure the checkpoint moves on when the handler fails too. Only an error of `hold` gives it the same
    batch again, after `pause` seconds and without end: what a function's retry policy is for. A handler that is
    cancelled commits nothing.
    """
    async with asyncio.TaskGroup() as tasks:
        async for batch in consumer:
            tasks.create_task(_handle(batch, handler, hold, pause))


async def _handle(
    batch: EventBatch,
    handler: Callable[[EventBatch], Awaitable[None]],
    hold: type[Exception] | tuple[type[Exception], ...],
    pause: float,
) -> None:
    held = False
    try:
        while not batch.lost:
            try:
                await handler(batch)
            except hold as error:
                if not held:
                    log_failure(_logger, "event_batch_held", error)
                held = True
                await asyncio.sleep(pause)
                continue
            except Exception as error:
                log_failure(_logger, "event_batch_failed", error)
            await _commit(batch)
            return
    finally:
        batch.hand_back()


async def _commit(batch: EventBatch) -> None:
    try:
        await batch.commit()
    except EventsUnavailable as error:
        # The batch comes again, which every handler must bear.
        log_failure(_logger, "event_batch_failed", error)
