"""The services that take in messages, on a database that can go away."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import Json
from shared.adapters.local_events import LocalEvents
from shared.adapters.sqlite import SqliteStore
from shared.bootstrap import build_services
from shared.clock import ManualClock
from shared.containers import JOBS, MODELS, PROJECTS
from shared.errors import EventsUnavailable
from shared.jobs.job import Job
from shared.jobs.messages import Cancel, Direct, Malformed, Received, read_message
from shared.ports import Event, LoggedEvent, Query
from shared.services import Services
from shared.settings import Settings
from tests.unit.access.worlds import Outages

QUESTION: Json = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}


class Hubs:
    """An `EventPublisher` in front of a log that can be read. `down` fails every call, as a hub does."""

    def __init__(self, log: LocalEvents) -> None:
        self.log = log
        self.down = False

    async def publish(self, hub: str, events: Sequence[Event]) -> None:
        if self.down:
            raise EventsUnavailable(f"{hub} cannot be reached.")
        await self.log.publish(hub, events)

    async def read(self, hub: str) -> list[LoggedEvent]:
        """What waits in the hub, of one partition."""
        async with self.log.consumer(hub, "looking", poll=0.01) as consumer:
            async for batch in consumer:
                return list(batch.events)
        return []

    async def close(self) -> None:
        await self.log.close()


@dataclass
class World:
    services: Services
    hubs: Hubs
    outages: Outages
    clock: ManualClock
    sequence: int = 0

    def received(self, body: Any, **more: Any) -> Received:
        """An event at the next place of a hub."""
        self.sequence += 1
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        place: dict[str, Any] = {"hub": "chat-jobs", "partition": "0", "sequence": self.sequence}
        return Received(**{**place, "enqueued_at": self.clock.now - 0.2, "body": data, **more})

    async def take(self, event: Received) -> Job | None:
        """Does what a consumer does with an event that is no wake-up. Gives the job of a direct message."""
        message = read_message(event, "")
        intake = self.services.intake
        if isinstance(message, Malformed):
            await intake.bury(message)
        elif isinstance(message, Cancel):
            await intake.cancel(message)
        else:
            assert isinstance(message, Direct)
            held = await intake.accept(message)
            return None if held is None else held.job
        return None

    async def send(self, body: Any, **more: Any) -> Job | None:
        return await self.take(self.received(body, **more))

    async def jobs(self) -> int:
        """How many there are."""
        return len(await self.outages.query(JOBS, Query()))

    async def letters(self) -> list[Json]:
        data: list[Json] = (await self.services.dead_letters.list({}))["data"]
        return data


async def build_world(directory: Path) -> World:
    outages, clock = Outages(SqliteStore(directory / "data.sqlite3")), ManualClock()
    settings = Settings(mode="local", local_dir=directory)
    hubs = Hubs(LocalEvents(directory / "events.sqlite3", clock=clock))
    services = build_services(settings, store=outages, clock=clock, publisher=hubs)
    for document in (model("chat"), model("hidden", projects=["other"], private=True)):
        await outages.create(MODELS, document)
    for project in ("team", "other"):
        await outages.create(PROJECTS, {"id": project})
    return World(services, hubs, outages, clock)


def model(id: str, **more: Any) -> Json:
    return {
        "id": id,
        "code": id,
        "provider": "Demo",
        "model_type": "Demo",
        "operations": ["ChatCompletion"],
        **more,
    }
