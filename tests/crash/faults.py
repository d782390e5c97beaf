"""A store and a publisher that know which write of docs/jobs.md they are asked for, and let something happen at it."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from shared import Json
from shared.containers import COUNTERS, JOB_PAYLOADS, JOBS, USAGE, Container
from shared.jobs.payloads import KEPT
from shared.ports import DocumentStore, Event, EventPublisher, Query, Stored

T = TypeVar("T")

SUBMITTING = ("request", "job", "event")
RUNNING = ("claim", "beat", "result", "final", "charge", "sums", "lifetime", "settled")
OTHERS = ("retry", "cancel", "take_back", "give_up", "wake")
"""Every write that docs/jobs.md names."""

After = Callable[[str, str], Awaitable[None]]
"""Called after a write was applied, with its name and the id of what was written. What it raises is the answer."""
Before = Callable[[str, str], Awaitable[None]]


async def nothing(name: str, id: str) -> None:
    return None


class FaultyStore:
    """A `DocumentStore` on another one."""

    def __init__(self, store: DocumentStore, *, after: After = nothing, before: Before = nothing) -> None:
        self._store = store
        self._after = after
        self._before = before

    async def get(self, container: Container, id: str, partition: str | None = None) -> Stored | None:
        await self._before("get", id)
        return await self._store.get(container, id, partition)

    async def create(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        name = name_of(container, body, time_to_live, created=True)
        return await self._told(name, body, self._store.create(container, body, time_to_live=time_to_live))

    async def create_many(
        self, container: Container, bodies: Sequence[Json], *, time_to_live: int | None = None
    ) -> None:
        name = name_of(container, bodies[0], time_to_live, created=True)
        await self._told(
            name, bodies[0], self._store.create_many(container, bodies, time_to_live=time_to_live)
        )

    async def replace(
        self, container: Container, body: Json, etag: str, *, time_to_live: int | None = None
    ) -> Stored:
        name = name_of(container, body, time_to_live)
        return await self._told(
            name, body, self._store.replace(container, body, etag, time_to_live=time_to_live)
        )

    async def upsert(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        name = name_of(container, body, time_to_live)
        return await self._told(name, body, self._store.upsert(container, body, time_to_live=time_to_live))

    async def keep(
        self, container: Container, id: str, partition: str | None = None, *, time_to_live: int
    ) -> bool:
        body: Json = {"id": id}
        kept = self._store.keep(container, id, partition, time_to_live=time_to_live)
        return await self._told(name_of(container, body, time_to_live), body, kept)

    async def delete(
        self, container: Container, id: str, partition: str | None = None, *, etag: str | None = None
    ) -> bool:
        return await self._told("delete", {"id": id}, self._store.delete(container, id, partition, etag=etag))

    async def increment(
        self,
        container: Container,
        initial: Json,
        amounts: Mapping[str, int | float],
        *,
        time_to_live: int | None = None,
    ) -> None:
        done = self._store.increment(container, initial, amounts, time_to_live=time_to_live)
        await self._told("sums" if container is COUNTERS else "other", initial, done)

    async def query(self, container: Container, query: Query) -> list[Stored]:
        await self._before("query", container.name)
        return await self._store.query(container, query)

    async def ping(self) -> None:
        await self._store.ping()

    async def close(self) -> None:
        await self._store.close()

    async def _told(self, name: str, body: Json, write: Coroutine[Any, Any, T]) -> T:
        try:
            await self._before(name, str(body["id"]))
        except BaseException:
            write.close()
            raise
        result = await write
        await self._after(name, str(body["id"]))
        return result


class FaultyPublisher:
    """An `EventPublisher` on another one."""

    def __init__(
        self, publisher: EventPublisher, *, after: After = nothing, before: Before = nothing
    ) -> None:
        self._publisher = publisher
        self._after = after
        self._before = before

    async def publish(self, hub: str, events: Sequence[Event]) -> None:
        await self._before("event", hub)
        await self._publisher.publish(hub, events)
        await self._after("event", hub)

    async def close(self) -> None:
        await self._publisher.close()


def name_of(container: Container, body: Json, time_to_live: int | None, *, created: bool = False) -> str:
    """The name that docs/jobs.md gives a write; `other` for what is none of a job's."""
    if container is JOB_PAYLOADS:
        if time_to_live != KEPT:
            return "lifetime"
        return "request" if str(body["id"]).startswith("request-") else "result"
    if container is USAGE:
        return "charge"
    if container is not JOBS:
        return "other"
    if created:
        return "job"
    return _name_of_head(body)


def _name_of_head(body: Json) -> str:
    status = body["status"]
    if status == "processing":
        return "claim" if body.get("step") == "claimed" else "beat"
    if status == "queued":
        if body.get("woken"):
            return "wake"
        return "take_back" if "another worker" in body.get("step", "") else "retry"
    if body.get("charged") or body.get("settled"):
        return "settled"
    if status == "cancelled":
        return "cancel"
    lost = status == "failed" and body["failure"]["code"] in ("worker_lost", "job_timeout")
    return "give_up" if lost and "lease_id" not in body else "final"
