"""What callers do with jobs: submit, look, list, cancel."""

import asyncio
import logging
from collections.abc import Mapping

import orjson

from shared import Json
from shared.access.caller import Caller
from shared.access.paging import known_only, page_limit
from shared.access.writes import store_errors
from shared.clock import iso
from shared.errors import AdminRequired, Conflict, InvalidValue, NotFound, ProxyError
from shared.inference.operations import CHAT_COMPLETIONS
from shared.jobs import transitions
from shared.jobs.fields import without_job_fields
from shared.jobs.figures import Figures
from shared.jobs.ids import JOB_ID, id_of_key, new_id
from shared.jobs.job import Job, JobFailure, Status
from shared.jobs.payloads import PayloadMissing, Payloads
from shared.jobs.store import Held, JobMoved, JobStore
from shared.jobs.submission import Submissions
from shared.jobs.views import job_data
from shared.jobs.worker import Worker
from shared.ports import Clock

LARGEST_PAGE, PAGE = 100, 20
_TRIES = 10
_PATIENCE = 2.0
"""Seconds for which a write of a cancellation is tried while the store does not answer."""
_CLOSING = 2.0
_CHAT = CHAT_COMPLETIONS.name

_logger = logging.getLogger("llmproxy.jobs")


class Jobs:
    """Every method raises children of `ProxyError` only. A job of another project is as one that is not there."""

    def __init__(
        self,
        submissions: Submissions,
        jobs: JobStore,
        payloads: Payloads,
        clock: Clock,
        *,
        figures: Figures,
        worker: Worker,
    ) -> None:
        self._submissions = submissions
        self._jobs = jobs
        self._payloads = payloads
        self._clock = clock
        self._figures = figures
        self._worker = worker
        self._settling: set[asyncio.Task[None]] = set()

    async def submit(
        self, caller: Caller, content: Json, headers: Mapping[str, str], idempotency_key: str | None = None
    ) -> Job:
        """A new chat completion in the queue, or the one that the same key and body made before.

        Raises `IdempotencyConflict` where the key came with another body.
        """
        id = new_id() if idempotency_key is None else id_of_key(caller.project, checked_key(idempotency_key))
        submission = self._submissions.read(caller, CHAT_COMPLETIONS, content, headers)
        with store_errors():
            if idempotency_key is not None:
                known = await self._submissions.known(submission, id)
                if known is not None:
                    return known.job
            await self._submissions.admit(submission)
            return (await self._submissions.create(submission, id)).job

    async def status(self, project: str, id: str) -> Job:
        return (await self._found(project, id, _CHAT)).job

    async def get(self, project: str, id: str) -> Json:
        """The whole job: its messages, the other fields of its request, and its result, null before there is one."""
        job = (await self._found(project, id, _CHAT)).job
        with store_errors():
            try:
                result = await self._payloads.result(job) if job.status is Status.COMPLETED else None
            except PayloadMissing:
                # It lives as long as the job does, which is at its end.
                raise _no_job(id) from None
            request = without_job_fields(await self._request(job))
        messages = request.pop("messages", None)
        shown = None if result is None else orjson.Fragment(result)
        return {**job_data(job), "messages": messages, "request": request, "result": shown}

    async def result(self, project: str, id: str) -> tuple[Job, bytes | None]:
        """The job and its completion's JSON, or None while it is queued or runs.

        Raises the recorded error of a failed job, with its own status, and `Conflict` for a cancelled one.
        """
        job = (await self._found(project, id, _CHAT)).job
        if job.status is Status.CANCELLED:
            raise Conflict("The job was cancelled: it has no result.")
        if job.failure is not None:
            raise recorded(job.failure)
        if job.status is not Status.COMPLETED:
            return job, None
        with store_errors():
            try:
                return job, await self._payloads.result(job)
            except PayloadMissing:
                raise _no_job(id) from None

    async def list(self, project: str, query: Mapping[str, str]) -> Json:
        """A page of jobs, the newest first: `status`, `limit` (1 to 100), `after` (the id of the last one seen)."""
        known_only(query, ("status", "limit", "after", "project_id", "api-version"))
        limit = page_limit(query, PAGE, LARGEST_PAGE)
        status = _status(query.get("status") or None)
        after = query.get("after") or None
        now = iso(self._clock.time())
        with store_errors():
            cursor = None if after is None else await self._sort_key(project, after)
            found = await self._jobs.of_project(project, _CHAT, now, limit + 1, status, cursor)
        data = [job_data(held.job) for held in found[:limit]]
        return {
            "object": "list",
            "data": data,
            "has_more": len(found) > limit,
            "last_id": data[-1]["id"] if data else None,
        }

    async def cancel(self, project: str, id: str, operation: str | None = None) -> Held:
        """Cancels a job of the project, of any operation unless one is named. Raises `Conflict` if it ended."""
        held = await self._found(project, id, operation)
        for _ in range(_TRIES):
            now = self._clock.time()
            try:
                wanted = transitions.cancelled(held.job, now)
            except transitions.Refused:
                raise Conflict(f"The job has ended already: it is {held.job.status}.") from None
            try:
                with store_errors():
                    cancelled = await self._jobs.rewrite(held, wanted, _PATIENCE)
            except JobMoved as moved:
                if moved.held is None:
                    raise _no_job(id) from None
                held = moved.held
                continue
            self._after_cancel(cancelled, held.job.status)
            return cancelled
        raise Conflict("The job changes too fast to be cancelled; try again.")

    async def metrics(self, caller: Caller, project_id: str | None) -> Json:
        """Counts and averages of the caller's project; for admins of all projects, or of `project_id`."""
        whole = caller.admin and project_id is None
        project = None if whole else scope(caller, project_id)
        with store_errors():
            return await self._figures.metrics(project)

    async def estimate(self, job: Job) -> float | None:
        """When a queued job may be done, in seconds since 1970; None where nothing is known yet."""
        if job.status is not Status.QUEUED:
            return None
        return await self._figures.estimate(job.queue, self._clock.time())

    async def close(self) -> None:
        """Gives what follows from cancellations a last moment; the sweeper does what is left."""
        if self._settling:
            _, left = await asyncio.wait(tuple(self._settling), timeout=_CLOSING)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._submissions.close()

    async def _found(self, project: str, id: str, operation: str | None) -> Held:
        """The job, if it is one of the project's. Raises `NotFound`."""
        if JOB_ID.fullmatch(id) is None:
            raise _no_job(id)
        with store_errors():
            held = await self._jobs.get(id)
        if held is None or held.job.project != project or held.job.gone(self._clock.time()):
            raise _no_job(id)
        if operation is not None and held.job.operation != operation:
            raise _no_job(id)
        return held

    async def _request(self, job: Job) -> Json:
        """The body that was submitted. It may be missing: what became of the job is to be seen all the same."""
        try:
            body: Json = (await self._payloads.request(job))["body"]
        except PayloadMissing:
            return {}
        return body

    async def _sort_key(self, project: str, after: str) -> str:
        held = await self._jobs.get(after) if JOB_ID.fullmatch(after) else None
        if held is None or held.job.project != project or held.job.operation != _CHAT:
            raise InvalidValue("'after' must be the id of a job.", param="after")
        return held.job.sort_key

    def _after_cancel(self, held: Held, before: Status) -> None:
        self._worker.notice_cancel(held.job.id)
        # Who holds a job that runs knows best what it used, and settles it.
        if before is Status.QUEUED:
            task = asyncio.create_task(self._worker.settle(held))
            self._settling.add(task)
            task.add_done_callback(self._settling.discard)


def scope(caller: Caller, project_id: str | None) -> str:
    """The project whose jobs are meant: the caller's own, or any for admins. Raises `AdminRequired`."""
    if project_id is None or project_id == caller.project:
        return caller.project
    if not caller.admin:
        raise AdminRequired("Only admins may use 'project_id'.", param="project_id")
    return project_id


def checked_key(text: str) -> str:
    """An `Idempotency-Key`. Raises `InvalidValue` unless it is 1 to 255 visible characters of ASCII."""
    if not 1 <= len(text) <= 255 or not all("!" <= letter <= "~" for letter in text):
        raise InvalidValue(
            "'Idempotency-Key' must be 1 to 255 visible characters of ASCII.", param="Idempotency-Key"
        )
    return text


def recorded(failure: JobFailure) -> ProxyError:
    """The error that a job ended with. To ask for it again changes nothing."""
    error = ProxyError(failure.message, param=failure.param, headers={"x-should-retry": "false"})
    error.status, error.type, error.code = failure.status, failure.type, failure.code
    return error


def _status(text: str | None) -> Status | None:
    if text is None:
        return None
    try:
        return Status(text)
    except ValueError:
        known = ", ".join(f"'{status}'" for status in Status)
        raise InvalidValue(f"'status' must be one of {known}.", param="status") from None


def _no_job(id: str) -> NotFound:
    return NotFound(f"There is no job '{id[:128]}'.")
