"""From the body of a submission to a job in the store: checked, admitted, written, and its event published."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from shared import Json
from shared.access.caller import Caller
from shared.errors import (
    EventError,
    IdempotencyConflict,
    InvalidJson,
    RequestTooLarge,
    UnsupportedParameter,
)
from shared.inference.operations import CHAT_COMPLETIONS, Operation
from shared.inference.pipeline import Inference
from shared.inference.request import InferenceRequest, read_request
from shared.jobs.fields import JOB_FIELDS, read_options, without_job_fields
from shared.jobs.ids import canonical, fingerprint
from shared.jobs.job import Job, JobOptions, Queue
from shared.jobs.payloads import KEPT, Payloads
from shared.jobs.store import Held, JobStore, JobTaken
from shared.jobs.transitions import submitted
from shared.jobs.wakeups import Wakeups
from shared.ports import Clock
from shared.telemetry.logging import log_event, log_failure
from shared.wire.parameters import body_headers, check_names

MAX_BODY = 1_572_864
"""Bytes of a submission's JSON."""
PATIENCE = 2.0
"""Seconds that a submission waits for the hub to take its event. It goes on without it."""
MAX_PUBLISHING = 500
"""Events that one instance publishes at once. The sweeper publishes what is beyond."""
_MAX_USER = 256

_logger = logging.getLogger("llmproxy.jobs")


@dataclass(frozen=True, slots=True)
class Submission:
    """A checked submission. `body` is what is asked of the provider, steering fields included, without the job's own.

    `fingerprint` stands for project, operation and the whole body. `request` is the call as the pipeline sees it.
    """

    caller: Caller
    operation: Operation
    body: Json
    headers: Mapping[str, str]
    options: JobOptions
    model: str | None
    user: str | None
    fingerprint: str
    request: InferenceRequest


class Submissions:
    """Makes jobs. `local` allows webhooks to this machine.

    `read` does no I/O. `known` and `create` raise `StoreUnavailable` when the store cannot serve them.
    """

    def __init__(
        self,
        inference: Inference,
        jobs: JobStore,
        payloads: Payloads,
        wakeups: Wakeups,
        clock: Clock,
        local: bool,
        *,
        most_publishing: int = MAX_PUBLISHING,
    ) -> None:
        self._inference = inference
        self._jobs = jobs
        self._payloads = payloads
        self._wakeups = wakeups
        self._clock = clock
        self._local = local
        self._most_publishing = most_publishing
        self._publishing: set[asyncio.Task[None]] = set()
        self._failing_hubs: set[Queue] = set()

    def read(
        self, caller: Caller, operation: Operation, content: Json, headers: Mapping[str, str]
    ) -> Submission:
        """Checks all that can be checked without I/O. `headers` are the client's that travel on.

        Raises a child of `ProxyError` that names the field.
        """
        try:
            written = canonical(content)
        except TypeError:
            raise InvalidJson("The body is nested too deep.") from None
        if len(written) > MAX_BODY:
            raise RequestTooLarge(f"A job's body must not be larger than {MAX_BODY} bytes.")
        mark = fingerprint(caller.project, operation.name, written)
        check_names(content, JOB_FIELDS)
        if content.get("stream") is True:
            raise UnsupportedParameter("A job cannot be streamed: leave 'stream' out.", param="stream")
        options = read_options(content, self._local)
        body = without_job_fields(content)
        # OpenAI takes metadata of chat completions only for those that it stores.
        if operation.name == CHAT_COMPLETIONS.name and body.get("store") is not True:
            body.pop("metadata", None)
        sent = {**body_headers(body), **headers}
        request = read_request(operation, caller, "", body, sent)
        user = request.user[:_MAX_USER] if request.user is not None else None
        return Submission(caller, operation, body, sent, options, request.model, user, mark, request)

    async def admit(self, submission: Submission) -> None:
        """Raises a `ProxyError` where the model is none, is not for this caller, or cannot do it."""
        await self._inference.check(submission.request)

    async def known(self, submission: Submission, id: str) -> Held | None:
        """The job of this id, if this very submission made it; None if there is none.

        Raises `IdempotencyConflict` where it is another's. To ask first keeps the payload of a job that is there
        untouched.
        """
        held = await self._jobs.get(id)
        return None if held is None else _same(held, submission)

    async def create(
        self, submission: Submission, id: str, *, public_id: str | None = None, publish: bool = True
    ) -> Held:
        """Writes the request, then the head; then the event is published, or that it was not is logged.

        Gives the job that is there where the same was submitted at the same time under the same id. Raises
        `IdempotencyConflict` where it was something else, and `RequestTooLarge`.
        """
        content: Json = {"body": submission.body, "headers": dict(submission.headers)}
        parts = await self._payloads.put_request(id, submission.fingerprint, content)
        now = self._clock.time()
        caller = submission.caller
        job = Job(
            id=id,
            project=caller.project,
            key_id=caller.key_id,
            operation=submission.operation.name,
            model=submission.model,
            fingerprint=submission.fingerprint,
            options=submission.options,
            created_at=now,
            request_parts=parts,
            request_kept_until=now + KEPT,
            key_models=None if caller.models is None else tuple(sorted(caller.models)),
            user=submission.user,
            public_id=public_id,
        )
        try:
            held = await self._jobs.create(submitted(job, now))
        except JobTaken as taken:
            return _same(taken.held, submission)
        if publish:
            await self.publish(held.job)
        return held

    async def publish(self, job: Job) -> None:
        """Publishes the job's event, and waits for that, but not for long: the sweeper would do it later."""
        if len(self._publishing) >= self._most_publishing:
            self._not_published(job, "Too many events wait for the hub.")
            return
        task = asyncio.create_task(self._publish(job))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)
        await asyncio.wait((task,), timeout=PATIENCE)

    async def close(self) -> None:
        """Gives what is being published a last moment."""
        if not self._publishing:
            return
        _, left = await asyncio.wait(tuple(self._publishing), timeout=PATIENCE)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _publish(self, job: Job) -> None:
        try:
            await self._wakeups.publish([job])
            self._failing_hubs.discard(job.queue)
        except EventError as error:
            self._not_published(job, str(error))
        except Exception as error:
            log_failure(_logger, "job_not_published", error, document=job.id, project=job.project)

    def _not_published(self, job: Job, why: str) -> None:
        # Said once: while a hub is down there would be a line for each submission, and the sweeper finds them all.
        if job.queue not in self._failing_hubs:
            log_event(
                _logger,
                logging.WARNING,
                "job_not_published",
                project=job.project,
                document=job.id,
                message=why,
            )
        self._failing_hubs.add(job.queue)


def _same(held: Held, submission: Submission) -> Held:
    if held.job.fingerprint != submission.fingerprint:
        raise IdempotencyConflict(
            "There is a job under this key or id already, and it was submitted with another body."
        )
    return held
