"""What becomes of messages that publishers send without HTTP: jobs, cancellations and dead letters."""

import hashlib
import logging
from dataclasses import replace

from shared import Json
from shared.access.caller import Caller
from shared.access.projects import require_project
from shared.errors import (
    CatalogUnavailable,
    Conflict,
    IdempotencyConflict,
    InvalidJson,
    NotFound,
    ProxyError,
    RequestTooLarge,
    StoreUnavailable,
)
from shared.inference.operations import CHAT_COMPLETIONS
from shared.jobs.dead_letters import DeadLetters
from shared.jobs.fields import read_options, without_job_fields
from shared.jobs.ids import canonical, fingerprint
from shared.jobs.job import Job, JobFailure, JobOptions
from shared.jobs.messages import Cancel, Direct, Malformed, Reason
from shared.jobs.payloads import KEPT, Payloads
from shared.jobs.service import Jobs
from shared.jobs.store import Held, JobStore, JobTaken
from shared.jobs.submission import Submissions
from shared.jobs.transitions import refused
from shared.ports import Clock, DocumentStore
from shared.telemetry.logging import log_failure

PUBLISHER = "event-hub"
"""The `key_id` of jobs that came without a key: their publisher may send to the hub."""
_OPERATION = CHAT_COMPLETIONS

_logger = logging.getLogger("llmproxy.jobs")


class Intake:
    """Every method is safe to repeat, and raises `StoreUnavailable` when it could not record what it was given.

    `local` allows webhooks to this machine.
    """

    def __init__(
        self,
        submissions: Submissions,
        service: Jobs,
        letters: DeadLetters,
        store: DocumentStore,
        jobs: JobStore,
        payloads: Payloads,
        clock: Clock,
        local: bool,
    ) -> None:
        self._submissions = submissions
        self._service = service
        self._letters = letters
        self._store = store
        self._jobs = jobs
        self._payloads = payloads
        self._clock = clock
        self._local = local

    async def accept(self, message: Direct) -> Held | None:
        """The job of the message, new or known, in whatever state it is; None for a dead letter.

        What cannot run becomes a job that has failed. What exists wins: another message with its id is a dead letter.
        """
        message, mark = _marked(message)
        try:
            known = await self._jobs.get(message.id)
            if known is None:
                return await self._create(message, mark)
            if known.job.fingerprint == mark:
                return known
        except (IdempotencyConflict, JobTaken):
            pass
        except StoreUnavailable:
            raise
        except Exception as error:
            # Nobody waits for an answer that could say so, and the event would be gone.
            log_failure(_logger, "job_failed", error, document=message.id, project=message.project)
            detail = "The proxy failed to handle this event."
            await self.bury(Malformed(message.received, Reason.FAILED, detail))
            return None
        detail = "There is a job with this id already, from another body or project."
        await self.bury(Malformed(message.received, Reason.ID_TAKEN, detail))
        return None

    async def cancel(self, message: Cancel) -> None:
        """Cancels the job; one that has ended already stays as it is."""
        try:
            await self._service.cancel(message.project, message.id)
        except Conflict:
            held = await self._jobs.get(message.id)
            if held is not None and not held.job.status.final:
                raise StoreUnavailable("a job is being changed by others") from None
        except NotFound:
            detail = "There is no job with this id in this project."
            await self.bury(Malformed(message.received, Reason.UNKNOWN_JOB, detail))
        except CatalogUnavailable:
            raise StoreUnavailable("a job cannot be cancelled") from None

    async def bury(self, letter: Malformed) -> None:
        """Keeps it as a dead letter."""
        await self._letters.bury(letter)

    async def _create(self, message: Direct, mark: str) -> Held:
        caller = Caller(message.project, PUBLISHER)
        try:
            if message.fault is not None:
                raise message.fault
            await require_project(self._store, message.project, "project_id")
            submission = self._submissions.read(caller, _OPERATION, message.body, {})
            await self._submissions.admit(submission)
            return await self._submissions.create(submission, message.id, publish=False)
        except IdempotencyConflict:
            raise
        except CatalogUnavailable:
            raise StoreUnavailable("the catalog cannot be read") from None
        except ProxyError as error:
            return await self._refuse(message, mark, error)

    async def _refuse(self, message: Direct, mark: str, error: ProxyError) -> Held:
        """A job that failed before it could run. Raises `JobTaken` where the id was taken meanwhile by another."""
        now = self._clock.time()
        unwritable = isinstance(error, RequestTooLarge | InvalidJson)
        content: Json = {"body": {} if unwritable else without_job_fields(message.body), "headers": {}}
        model, user = (message.body.get(name) for name in ("model", "user"))
        job = Job(
            id=message.id,
            project=message.project,
            key_id=PUBLISHER,
            operation=_OPERATION.name,
            model=model[:256] if isinstance(model, str) else None,
            fingerprint=mark,
            options=self._options(message.body),
            created_at=now,
            request_parts=await self._payloads.put_request(message.id, mark, content),
            request_kept_until=now + KEPT,
            user=user[:256] if isinstance(user, str) else None,
        )
        failure = JobFailure(error.code, error.message, error.status, error.type, error.param)
        try:
            return await self._jobs.create(refused(job, now, failure))
        except JobTaken as taken:
            if taken.held.job.fingerprint != mark:
                raise
            return taken.held

    def _options(self, body: Json) -> JobOptions:
        """What the body says of the job, whom to tell above all, if that much of it can be read."""
        try:
            return read_options(body, self._local)
        except ProxyError:
            return JobOptions()


def _marked(message: Direct) -> tuple[Direct, str]:
    """The message and its fingerprint; with a fault where it cannot be written as JSON again."""
    try:
        return message, fingerprint(message.project, _OPERATION.name, canonical(message.body))
    except TypeError:
        mark = hashlib.sha256(message.project.encode() + b"\0" + message.received.body).hexdigest()
        return replace(message, fault=InvalidJson("The body is nested too deep.")), mark
