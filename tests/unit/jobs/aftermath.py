"""Jobs that have ended or were left, what finishes them, and a database that can be killed between two writes."""

from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import orjson

from shared import Json
from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from shared.containers import COUNTERS, JOB_PAYLOADS, USAGE
from shared.errors import EventsUnavailable
from shared.jobs import transitions
from shared.jobs.job import Job, JobFailure, JobOptions, Queue
from shared.jobs.outbox import Outbox
from shared.jobs.payloads import KEPT, Payloads
from shared.jobs.settlement import Settlement
from shared.jobs.store import Held, JobStore
from shared.jobs.sweeper import Sweeper
from shared.jobs.transitions import Figures, Result
from shared.jobs.wakeups import Wakeups
from shared.ports import DocumentStore, Event, Query
from shared.usage.recorder import UsageRecorder
from shared.webhooks.delivery import Webhooks
from tests.crash.faults import FaultyStore
from tests.unit.webhooks.receiver import Masters, Receiver

T = TypeVar("T")

USED: Json = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "cached_tokens": 0,
    "reasoning_tokens": 0,
    "estimated": False,
}
FIGURES = Figures("gpt", "OpenAI", 1, False, USED, 0.002)
ANSWER: Json = {"id": "chatcmpl-1", "choices": [{"message": {"content": "Grüße"}}]}
PROVIDER_FAILED = JobFailure("provider_error", "The provider failed.", 502, "upstream_error")


class Killed(BaseException):
    """The process is no more."""


class Mortal(FaultyStore):
    """A `DocumentStore` whose process dies at its n-th write from now: before it is applied, or right after."""

    def __init__(self, store: DocumentStore) -> None:
        super().__init__(store)
        self.writes = 0
        self.dies_at: int | None = None
        self.applied = False

    def kill_at(self, number: int, *, applied: bool) -> None:
        self.writes, self.dies_at, self.applied = 0, number, applied

    async def _told(self, name: str, body: Json, write: Coroutine[Any, Any, T]) -> T:
        self.writes += 1
        due = self.dies_at is not None and self.writes >= self.dies_at
        if due and (self.writes != self.dies_at or not self.applied):
            # Whatever the dead process would have written after that does not happen either.
            write.close()
            raise Killed
        done = await write
        if due:
            raise Killed
        return done

    async def close(self) -> None:
        return None


@dataclass
class Hub:
    """An `EventPublisher` that keeps what it is given, or is down."""

    down: bool = False
    published: list[tuple[str, str]] = field(default_factory=list)
    calls: int = 0

    async def publish(self, hub: str, events: Sequence[Event]) -> None:
        self.calls += 1
        if self.down:
            raise EventsUnavailable("the hub is away")
        self.published.extend((hub, orjson.loads(event.body)["execution_id"]) for event in events)

    async def close(self) -> None:
        return None


class Instance:
    """What one process has of it, on `store`."""

    def __init__(self, world: "Aftermath", store: DocumentStore) -> None:
        clock = world.clock
        self.usage = UsageRecorder(store, clock, days=30, flush_interval=3600.0)
        self.jobs = JobStore(store)
        self.payloads = Payloads(store)
        self.webhooks = Webhooks(world.masters, clock, local=True, timeout=world.patience)
        outbox = Outbox(self.webhooks, self.payloads, clock, "https://proxy.example.com")
        self.settlement = Settlement(self.jobs, self.payloads, self.usage, outbox, clock)
        self.wakeups = Wakeups(world.hub, {Queue.PRIORITY: "urgent", Queue.NORMAL: "normal"})
        self.sweeper = self.new_sweeper(world)

    def new_sweeper(self, world: "Aftermath", **more: Any) -> Sweeper:
        return Sweeper(self.jobs, self.payloads, self.settlement, self.wakeups, world.clock, **more)

    async def close(self) -> None:
        await self.webhooks.close()
        await self.usage.close()


class Aftermath:
    """One database and one receiver, and any number of instances. `store` is that of `here`, the first one."""

    def __init__(self, base: SqliteStore, clock: ManualClock, receiver: Receiver) -> None:
        self.base = base
        self.clock = clock
        self.receiver = receiver
        self.masters = Masters()
        self.hub = Hub()
        self.patience = 2.0
        self.instances: list[Instance] = []
        self.here = self.instance()

    def instance(self, store: DocumentStore | None = None) -> Instance:
        made = Instance(self, store or self.base)
        self.instances.append(made)
        return made

    async def queued(self, id: str = "job-1", *, project: str = "team", **options: Any) -> Held:
        now = self.clock.time()
        chosen = JobOptions(webhook_url=options.pop("webhook_url", self.receiver.url + "/hooks"), **options)
        parts = await self.here.payloads.put_request(id, "f" * 64, {"body": {"model": "m"}, "headers": {}})
        job = Job(id, project, "k1", "ChatCompletion", "fast", "f" * 64, chosen, now, user="u1")
        job = transitions.submitted(job, now)
        job = replace(job, request_parts=parts, request_kept_until=now + KEPT)
        return await self.here.jobs.create(job)

    async def running(self, id: str = "job-1", *, lease: str = "lease-1", **options: Any) -> Held:
        held = await self.queued(id, **options)
        return await self.claim(held, lease)

    async def claim(self, held: Held, lease: str = "lease-1") -> Held:
        return await self.write(held, transitions.claimed(held.job, self.clock.time(), lease, "worker"))

    async def beat(self, held: Held) -> Held:
        """The holder's sign of life, with what it has used."""
        now = self.clock.time()
        return await self.write(
            held, transitions.held(held.job, now, held.job.lease_id or "", FIGURES, 50, "sent")
        )

    async def completed(self, id: str = "job-1", *, result: Json | None = None, **options: Any) -> Held:
        """A job that ran for two seconds and completed."""
        held = await self.running(id, **options)
        self.clock.advance(2.0)
        lease = held.job.lease_id or ""
        parts = await self.here.payloads.put_result(id, lease, orjson.dumps(result or ANSWER))
        done = transitions.completed(held.job, self.clock.time(), lease, Result(lease, parts), FIGURES)
        return await self.write(held, done)

    async def failed(self, id: str = "job-1", **options: Any) -> Held:
        held = await self.running(id, **options)
        now, lease = self.clock.time(), held.job.lease_id or ""
        return await self.write(held, transitions.failed(held.job, now, lease, PROVIDER_FAILED, FIGURES))

    async def cancelled(self, held: Held) -> Held:
        return await self.write(held, transitions.cancelled(held.job, self.clock.time()))

    async def write(self, held: Held, job: Job) -> Held:
        return await self.here.jobs.write(held, job)

    async def found(self, id: str = "job-1") -> Job:
        held = await self.here.jobs.get(id)
        assert held is not None
        return held.job

    async def records(self) -> list[Json]:
        found = await self.base.query(USAGE, Query(order_by="sort_key", limit=1000))
        return [stored.body for stored in found]

    async def counted(self) -> int:
        """How many requests the daily sums have."""
        for instance in self.instances:
            await instance.usage.flush()
        found = await self.base.query(COUNTERS, Query(limit=1000))
        return sum(stored.body["requests"] for stored in found if stored.body["kind"] == "usage")

    async def parts(self, id: str = "job-1") -> list[str]:
        """The payloads that are there, by name."""
        found = await self.base.query(JOB_PAYLOADS, Query(partition=id))
        return [stored.body["id"] for stored in found]

    def received(self) -> list[tuple[str, str]]:
        """Of each webhook that arrived: its id and its type."""
        return [
            (request.headers["webhook-id"], orjson.loads(request.raw)["type"])
            for request in self.receiver.requests
        ]

    async def close(self) -> None:
        for instance in self.instances:
            await instance.close()
        await self.base.close()
