"""A proxy that runs jobs, all that it depends on, and the ways in which that can be away."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from shared import Json
from shared.adapters.local_events import LocalEvents
from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from shared.errors import EventsUnavailable, StoreThrottled
from shared.jobs.job import Job
from shared.ports import Event
from tests.crash.faults import FaultyStore
from tests.http.jobs import JOBS, chat
from tests.proxy import Proxy, Reply, running_proxy
from tests.unit.access.worlds import Outages
from tests.upstreams.openai import OpenAIUpstream

WITHIN = 20.0
"""Seconds, for a machine that does other things too."""
BOTH = frozenset({"chat-jobs", "chat-jobs-priority"})


class Hubs(LocalEvents):
    """The local hubs, each of which can be `down`."""

    down: frozenset[str] = frozenset()

    async def publish(self, hub: str, events: Sequence[Event]) -> None:
        if hub in self.down:
            raise EventsUnavailable("the hub cannot be reached")
        await super().publish(hub, events)


@dataclass
class Throttle:
    """Lets a store refuse a write so many times, by the write's name in the page about jobs."""

    left: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    async def __call__(self, name: str, id: str) -> None:
        if self.left[name]:
            self.left[name] -= 1
            self.refused[name] += 1
            raise StoreThrottled("too many requests", 0.05)


@dataclass
class Site:
    """A proxy that runs jobs, and all that it depends on. Its clock stands still until it is moved."""

    proxy: Proxy
    upstream: OpenAIUpstream
    store: Outages
    throttle: Throttle
    hubs: Hubs
    clock: ManualClock

    async def job(self, id: str) -> Job:
        held = await self.proxy.services.job_store.get(id)
        assert held is not None
        return held.job

    async def shown(self, id: str) -> Json:
        """The job as its client sees it."""
        return dict((await self.proxy.call("GET", f"{JOBS}/{id}/status")).json())

    async def until(self, id: str, *statuses: str) -> Job:
        async with asyncio.timeout(WITHIN):
            while (job := await self.job(id)).status not in statuses:
                await asyncio.sleep(0.01)
        return job

    async def until_settled(self, *ids: str) -> list[Job]:
        """The jobs, once nothing is left to be done for them."""
        async with asyncio.timeout(WITHIN):
            while True:
                jobs = [await self.job(id) for id in ids]
                if all(job.settled for job in jobs):
                    return jobs
                await asyncio.sleep(0.01)

    async def tick(self, seconds: float = 0.0) -> None:
        """Lets time pass, then the timer run."""
        self.clock.advance(seconds)
        await self.proxy.services.sweeper.tick()

    async def result(self, id: str) -> Reply:
        return await self.proxy.call("GET", f"{JOBS}/{id}/result")

    async def records(self) -> dict[str, list[Json]]:
        """Usage records by the id of their job."""
        found: dict[str, list[Json]] = {}
        for record in await self.proxy.requests():
            found.setdefault(record["request_id"], []).append(record)
        return found


@asynccontextmanager
async def running_site(directory: Path, upstream: OpenAIUpstream) -> AsyncIterator[Site]:
    """`small` is a model of the upstream that waits for it, `hasty` one that does not."""
    clock = ManualClock(float(int(time.time())))
    throttle = Throttle()
    database = FaultyStore(SqliteStore(directory / "data.sqlite3", clock=clock), before=throttle)
    store = Outages(database)
    hubs = Hubs(directory / "events.sqlite3")
    async with running_proxy(directory, store=store, publisher=hubs, clock=clock, events=True) as proxy:
        proxy.add_secret("up", "sk-upstream-secret-000000")
        await proxy.add_model("small", f"{upstream.url}/v1", parameters={"secret_name": "up"})
        hasty = {"secret_name": "up", "first_token_timeout": 0.3, "idle_timeout": 0.3}
        await proxy.add_model("hasty", f"{upstream.url}/v1", parameters=hasty)
        yield Site(proxy, upstream, store, throttle, hubs, clock)


def message(id: str, **more: Any) -> Event:
    """One that asks for a job without HTTP."""
    return Event(id, orjson.dumps({"project_id": "default", "execution_id": id, **chat(**more)}))
