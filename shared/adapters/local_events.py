"""An event log in one SQLite file, for local mode and tests, with the rules that Event Hubs has."""

import asyncio
import secrets
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from shared.adapters import event_log_sql as log
from shared.adapters.event_rules import check_events
from shared.adapters.local_consumer import LocalConsumer
from shared.adapters.local_subscription import LocalSubscription
from shared.adapters.sqlite_file import SqliteFile
from shared.clock import SystemClock
from shared.errors import EventsUnavailable
from shared.ports import Clock, Event, LoggedEvent

T = TypeVar("T")

PARTITIONS = 4
RETENTION = 86_400.0
"""Seconds for which an event is kept and delivered, whether it was read or not."""
PURGE_INTERVAL = 60.0
"""Seconds between sweeps of what is older; until then it is only not seen."""


class LocalEvents:
    """`EventPublisher`, and the `EventLog` behind it. The file is made at first use; several processes may open it.

    Each hub has `partitions` partitions from its first use on. `lock_timeout` is how many seconds a call waits
    for another process's write.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock | None = None,
        partitions: int = PARTITIONS,
        lock_timeout: float = 5.0,
    ) -> None:
        self._file = SqliteFile(path, log.SCHEMA, lock_timeout=lock_timeout, unavailable=EventsUnavailable)
        self._clock = clock or SystemClock()
        self._count = partitions
        self._purged_at = float("-inf")
        self._news: dict[str, set[asyncio.Event]] = {}

    async def publish(self, hub: str, events: Sequence[Event]) -> None:
        check_events(events)
        if not events:
            return
        now = self._clock.time()
        await self._change(lambda connection: log.append(connection, hub, events, self._count, now))
        for news in self._news.get(hub, ()):
            news.set()

    def consumer(
        self,
        hub: str,
        consumers: str = "$Default",
        *,
        batch_size: int = 8,
        lease: float = 15.0,
        poll: float = 0.25,
    ) -> LocalConsumer:
        """A reader that shares the hub's partitions with all others of the group `consumers`.

        A batch holds up to `batch_size` events of one partition. `lease` is how many seconds a reader that died
        keeps its partitions from the others; `poll` is how often one looks for what another process published.
        """
        return LocalConsumer(
            self,
            log.Reader(hub, consumers, secrets.token_hex(8)),
            batch_size=batch_size,
            lease=lease,
            poll=poll,
        )

    def subscribe(
        self,
        hub: str,
        consumers: str,
        handler: Callable[[Sequence[LoggedEvent]], Awaitable[None]],
        *,
        batch_size: int,
        held: bool,
        pause: float,
    ) -> LocalSubscription:
        """As `EventLog` says."""
        consumer = self.consumer(hub, consumers, batch_size=batch_size)
        return LocalSubscription(consumer, handler, held=held, pause=pause)

    async def close(self) -> None:
        await self._file.close()

    # What a consumer asks of the log.

    def listen(self, hub: str) -> asyncio.Event:
        """Set whenever this process publishes to the hub, until `unlisten`."""
        news = asyncio.Event()
        self._news.setdefault(hub, set()).add(news)
        return news

    def unlisten(self, hub: str, news: asyncio.Event) -> None:
        self._news.get(hub, set()).discard(news)

    async def share(
        self, reader: log.Reader, held: Sequence[int], busy: Sequence[int], lease: float
    ) -> list[int]:
        """The partitions that the reader holds from now on."""

        def work(connection: sqlite3.Connection) -> list[int]:
            now = self._clock.time()
            return log.share(connection, reader, held, busy, self._count, now, now + lease)

        return await self._change(work)

    async def read(
        self, reader: log.Reader, partitions: Sequence[int], limit: int
    ) -> list[list[LoggedEvent]]:
        """The next events of each partition that has some."""
        since = self._clock.time() - RETENTION

        def work(connection: sqlite3.Connection) -> list[list[LoggedEvent]]:
            found = (log.read(connection, reader, partition, limit, since) for partition in partitions)
            return [events for events in found if events]

        return await self._file.run(work)

    async def advance(self, reader: log.Reader, partition: int, next: int) -> bool:
        """Moves the group's checkpoint, if the reader still holds the partition."""
        return await self._change(lambda connection: log.advance(connection, reader, partition, next))

    async def leave(self, reader: log.Reader) -> None:
        await self._change(lambda connection: log.leave(connection, reader))

    async def _change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def change(connection: sqlite3.Connection) -> T:
            now = self._clock.time()
            if now - self._purged_at >= PURGE_INTERVAL:
                log.purge(connection, now - RETENTION)
                self._purged_at = now
            return work(connection)

        return await self._file.change(change)
