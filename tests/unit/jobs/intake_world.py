"""The services that take in messages, on a database that can go away."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared import Json
from shared.adapters.sqlite import SqliteStore
from shared.bootstrap import build_services
from shared.clock import ManualClock
from shared.containers import JOBS, MODELS, PROJECTS
from shared.jobs.job import Job
from shared.jobs.messages import Cancel, Direct, Malformed, Received, read_message
from shared.ports import Query
from shared.services import Services
from shared.settings import Settings
from tests.unit.access.worlds import Outages

QUESTION: Json = {"model": "chat", "messages": [{"role": "user", "content": "Hello"}]}


@dataclass
class World:
    services: Services
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
    services = build_services(settings, store=outages, clock=clock)
    for document in (model("chat"), model("hidden", projects=["other"], private=True)):
        await outages.create(MODELS, document)
    for project in ("team", "other"):
        await outages.create(PROJECTS, {"id": project})
    return World(services, outages, clock)


def model(id: str, **more: Any) -> Json:
    return {
        "id": id,
        "code": id,
        "provider": "Demo",
        "model_type": "Demo",
        "operations": ["ChatCompletion"],
        **more,
    }
