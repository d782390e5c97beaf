"""The heads of jobs in the document store, and the one way to change them: a conditional write that knows itself."""

import asyncio
import secrets
from dataclasses import dataclass

from shared.containers import DAY_SECONDS, JOBS
from shared.errors import DocumentAbsent, DocumentChanged, DocumentExists, StoreUnavailable
from shared.jobs.job import Job, Queue, Status, moment_key, replace
from shared.jobs.patience import FIRST_PAUSE, patiently
from shared.ports import DocumentStore, Query, Stored, Where

REDELIVERY = DAY_SECONDS + 3600.0
"""Seconds after its last publication in which an event may still come: the hubs keep events for a day."""
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Held:
    """A job and the version of its document that this is."""

    job: Job
    etag: str


class JobTaken(Exception):
    """The id is there already. `held` is what it belongs to."""

    def __init__(self, held: Held) -> None:
        super().__init__(held.job.id)
        self.held = held


class JobMoved(Exception):
    """Someone else has changed the job. `held` is as it is now; None if it is gone."""

    def __init__(self, held: Held | None) -> None:
        super().__init__("the job moved on")
        self.held = held


class JobStore:
    """Every method raises `StoreUnavailable` when the store cannot serve it.

    Each write carries a mark of its own (`revision`). A write that the store took for a lost race, or whose answer
    was lost, reads again: if the mark is there, it was ours.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    async def get(self, id: str) -> Held | None:
        stored = await self._store.get(JOBS, id)
        return None if stored is None else _held(stored)

    async def create(self, job: Job) -> Held:
        """Adds it. Raises `JobTaken` for an id that is there, unless this very write put it there."""
        job = _marked(job)
        body = job.document()
        for left in reversed(range(_TRIES)):
            try:
                return Held(job, (await self._store.create(JOBS, body)).etag)
            except DocumentExists:
                held = await self.get(job.id)
                if held is None:
                    continue
                if held.job.revision == job.revision:
                    return held
                raise JobTaken(held) from None
            except StoreUnavailable as error:
                if not left:
                    raise
                await asyncio.sleep(max(FIRST_PAUSE, min(error.retry_after, 1.0)))
        raise StoreUnavailable("a job comes and goes")

    async def write(self, held: Held, job: Job, *, time_to_live: int | None = None) -> Held:
        """Replaces the version that is held. Raises `JobMoved`, or `StoreUnavailable`: then it may be written.

        To write the same again after that is safe: pass what was passed before.
        """
        return await self._replace(held, _marked(job), time_to_live)

    async def rewrite(
        self, held: Held, job: Job, patience: float, *, time_to_live: int | None = None
    ) -> Held:
        """As `write`, but goes on trying for `patience` seconds while the store cannot be reached."""
        job = _marked(job)
        return await patiently(lambda: self._replace(held, job, time_to_live), patience)

    async def _replace(self, held: Held, job: Job, time_to_live: int | None) -> Held:
        try:
            stored = await self._store.replace(JOBS, job.document(), held.etag, time_to_live=time_to_live)
        except DocumentAbsent:
            raise JobMoved(None) from None
        except DocumentChanged:
            found = await self.get(job.id)
            if found is not None and found.job.revision == job.revision:
                return found
            raise JobMoved(found) from None
        return Held(job, stored.etag)

    async def due(self, queue: Queue, now: float, limit: int) -> list[Held]:
        """Queued jobs that may be tried now, those that have waited longest first."""
        where = (Where("queue", "=", str(queue)), Where("ready_key", "<=", _until(now)))
        return await self._query(Query(where, order_by="ready_key", limit=limit))

    async def to_sweep(self, now: float, limit: int, after: str | None = None) -> list[Held]:
        """Jobs whose state or charge the sweeper must see to, the longest overdue first.

        `after` is the `sweep_key` of the last one seen.
        """
        return await self._up_to("sweep_key", _until(now), limit, after)

    async def to_wake(self, now: float, limit: int) -> list[Held]:
        """Queued jobs whose event is to be published again, the longest overdue first."""
        return await self._up_to("wake_key", _until(now), limit)

    async def to_notify(self, now: float, limit: int, after: str | None = None) -> list[Held]:
        """Jobs that have a webhook to be sent, the longest overdue first.

        `after` is the `notice_key` of the last one seen.
        """
        return await self._up_to("notice_key", _until(now), limit, after)

    async def created(self, until: float, limit: int, after: str | None) -> list[Held]:
        """Jobs made up to a moment, the oldest first. `after` is the `sort_key` of the last one seen."""
        return await self._up_to("sort_key", _until(until), limit, after)

    async def ended(self, until: float, limit: int, after: str | None) -> list[Held]:
        """Jobs that ended up to a moment, the oldest first. `after` is the `ended_key` of the last one seen."""
        return await self._up_to("ended_key", _until(until), limit, after)

    async def in_state(self, status: Status, limit: int) -> list[Held]:
        """Some of the jobs that are in this state now."""
        return await self._query(Query((Where("status", "=", str(status)),), limit=limit))

    async def of_project(
        self, project: str, operation: str, now: str, limit: int, status: Status | None, after: str | None
    ) -> list[Held]:
        """A page of a project's jobs that can be seen at `now` (ISO 8601), the newest first.

        `after` is the `sort_key` of the last one seen.
        """
        where = [Where("project", "=", project), Where("operation", "=", operation)]
        where.append(Where("listed_until", ">", now))
        if status is not None:
            where.append(Where("status", "=", str(status)))
        query = Query(tuple(where), order_by="sort_key", descending=True, limit=limit, after=after)
        return await self._query(query)

    async def _up_to(self, key: str, until: str, limit: int, after: str | None = None) -> list[Held]:
        return await self._query(Query((Where(key, "<=", until),), order_by=key, limit=limit, after=after))

    async def _query(self, query: Query) -> list[Held]:
        return [_held(stored) for stored in await self._store.query(JOBS, query)]


def lifetime(job: Job, now: float) -> int:
    """Seconds that the document of a settled job has to stay from now on."""
    until = max(job.expires_at or now, job.published_at + REDELIVERY)
    return max(1, int(until - now) + 1)


def _until(now: float) -> str:
    # Every id sorts before this one.
    return moment_key(now, "~")


def _held(stored: Stored) -> Held:
    return Held(Job.read(stored.body), stored.etag)


def _marked(job: Job) -> Job:
    return replace(job, revision=secrets.token_hex(8))
