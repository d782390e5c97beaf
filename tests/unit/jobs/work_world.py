"""Workers on one database, an upstream that speaks OpenAI's format, and a store where something can happen."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from shared import Json
from shared.access.caller import Caller
from shared.adapters.sqlite import SqliteStore
from shared.bootstrap import build_services
from shared.clock import ManualClock
from shared.containers import MODELS, PROJECTS, USAGE
from shared.inference.operations import CHAT_COMPLETIONS
from shared.jobs.consumer import LONG, Consumer
from shared.jobs.job import Job
from shared.jobs.messages import Received
from shared.jobs.store import Held
from shared.jobs.wakeups import wakeup
from shared.jobs.worker import Worker
from shared.ports import Query
from shared.services import Services
from shared.settings import Settings
from tests.crash.faults import FaultyStore
from tests.upstreams.openai import OpenAIUpstream

CALLER = Caller("team", "key")
PROMPT = [{"role": "user", "content": "Hello"}]


@dataclass
class Faults:
    """What happens at writes: called with the write's name and the id, before and after it is applied."""

    before: Any = None
    after: Any = None
    seen: list[str] = field(default_factory=list)

    async def is_about_to(self, name: str, id: str) -> None:
        if self.before is not None:
            await self.before(name, id)

    async def has(self, name: str, id: str) -> None:
        self.seen.append(name)
        if self.after is not None:
            await self.after(name, id)


@dataclass
class World:
    services: Services
    upstream: OpenAIUpstream
    clock: ManualClock
    faults: Faults
    sequence: int = 0

    def worker(self, name: str = "worker") -> Worker:
        """One more worker, as another process would be."""
        services = self.services
        return Worker(
            services.store,
            services.job_store,
            services.payloads,
            services.inference,
            services.background,
            services.settlement,
            self.clock,
            name,
        )

    def consumer(self, concurrency: int = 8, long: float = LONG) -> Consumer:
        services = self.services
        return Consumer(
            self.worker(),
            services.job_store,
            services.intake,
            self.clock,
            namespace="local",
            concurrency=concurrency,
            poll=0.02,
            long=long,
        )

    async def submit(self, id: str, **fields: Any) -> Held:
        content = {"model": "chat", "messages": PROMPT, "async_retry_delay": 0.1, **fields}
        submission = self.services.submissions.read(CALLER, CHAT_COMPLETIONS, content, {})
        return await self.services.submissions.create(submission, id)

    def event(self, job: Job) -> Received:
        """The wake-up of a job, at the next place of a partition."""
        self.sequence += 1
        event = wakeup(job)
        return Received("chat-jobs", "0", self.sequence, self.clock.now, event.body, event.properties)

    async def job(self, id: str) -> Job:
        held = await self.services.job_store.get(id)
        assert held is not None
        return held.job

    async def result(self, id: str) -> Json:
        content: Json = orjson.loads(await self.services.payloads.result(await self.job(id)))
        return content

    async def records(self) -> dict[str, Json]:
        """The usage records by id."""
        found = await self.services.store.query(USAGE, Query(order_by="sort_key", limit=1000))
        return {stored.body["id"]: stored.body for stored in found}


@asynccontextmanager
async def working(directory: Path) -> AsyncIterator[World]:
    faults, clock = Faults(), ManualClock()
    database = SqliteStore(directory / "data.sqlite3", clock=clock)
    store = FaultyStore(database, before=faults.is_about_to, after=faults.has)
    services = build_services(Settings(mode="local", local_dir=directory), store=store, clock=clock)
    async with OpenAIUpstream(require_key=False) as upstream:
        model = {
            "id": "chat",
            "code": "chat",
            "provider": "OpenAICompatible",
            "model_type": "OpenAICompatible",
            "operations": ["ChatCompletion"],
            "parameters": {"endpoint": f"{upstream.url}/v1"},
            "costs": {"input": 1.0, "output": 1.0},
        }
        await store.create(MODELS, model)
        await store.create(PROJECTS, {"id": "team"})
        faults.seen.clear()
        yield World(services, upstream, clock, faults)
    await services.close()
