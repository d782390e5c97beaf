"""The event publishers that the contract suite runs against, each with a way to read what arrived."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.adapters.event_hubs import EventHubs
from shared.adapters.local_events import LocalEvents
from shared.ports import Event, EventPublisher
from tests.emulators.event_hubs_codec import APPLICATION_PROPERTIES, DATA, PROPERTIES, sections
from tests.emulators.event_hubs_log import StoredEvent
from tests.emulators.event_hubs_server import EventHubsServer, event_hubs_server

HUB = "jobs"


@dataclass(frozen=True)
class Arrived:
    """An event as a reader gets it. `sequence` counts within its partition."""

    partition: int
    sequence: int
    event: Event


class Subject(Protocol):
    publisher: EventPublisher

    async def read(self, count: int) -> list[Arrived]:
        """From the beginning until at least `count` events are there, in order within each partition."""
        ...

    async def fail(self) -> None:
        """The log does not serve any more."""
        ...

    async def recover(self) -> None: ...


class LocalSubject:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._log = LocalEvents(path)
        self.publisher: EventPublisher = self._log

    async def read(self, count: int) -> list[Arrived]:
        arrived: list[Arrived] = []
        reading = LocalEvents(self._path)
        async with asyncio.timeout(10), reading.consumer(HUB, poll=0.01) as consumer:
            async for batch in consumer:
                arrived += [Arrived(each.partition, each.sequence, each.event) for each in batch.events]
                await batch.commit()
                if len(arrived) >= count:
                    break
        await reading.close()
        return arrived

    async def fail(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        self._path.mkdir()

    async def recover(self) -> None:
        self._path.rmdir()


class RemoteSubject:
    def __init__(self, server: EventHubsServer) -> None:
        self._server = server
        self.publisher: EventPublisher = EventHubs(server.connection_string, deadline=5.0)

    async def read(self, count: int) -> list[Arrived]:
        partitions = enumerate(self._server.hubs[HUB].partitions)
        return [arrived(number, each) for number, partition in partitions for each in partition.events]

    async def fail(self) -> None:
        await self._server.stop()

    async def recover(self) -> None:
        await self._server.start()


def arrived(partition: int, stored: StoredEvent) -> Arrived:
    parts = {part.code: part.value for part in sections(stored.message)}
    event = Event(str(parts[PROPERTIES][0]), parts[DATA], parts.get(APPLICATION_PROPERTIES) or {})
    return Arrived(partition, stored.sequence, event)


@asynccontextmanager
async def local(directory: Path) -> AsyncIterator[Subject]:
    subject = LocalSubject(directory / "log" / "events.sqlite3")
    yield subject
    await subject.publisher.close()


@asynccontextmanager
async def remote(_: Path) -> AsyncIterator[Subject]:
    async with event_hubs_server({HUB: 4}) as server:
        subject = RemoteSubject(server)
        yield subject
        await subject.publisher.close()


Opening = Callable[[Path], AbstractAsyncContextManager[Subject]]
OPENINGS: dict[str, Opening] = {"sqlite": local, "event hubs": remote}
