"""Runs a job: claims it, makes its call, and writes its end. docs/jobs.md says what each write is for."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from shared import Json
from shared.access.caller import Caller
from shared.catalog.documents import Model
from shared.containers import PROJECTS
from shared.errors import (
    CatalogUnavailable,
    InternalError,
    NotFound,
    ProviderCredentialRefused,
    ProviderRefusal,
    ProviderUnavailable,
    ProxyError,
    StoreUnavailable,
    UpstreamError,
)
from shared.inference.collecting import Collecting
from shared.inference.headers import shown_names
from shared.inference.operations import CHAT_COMPLETIONS, RESPONSES
from shared.inference.pipeline import Inference
from shared.inference.request import InferenceRequest, read_request
from shared.jobs import transitions
from shared.jobs.ids import new_lease
from shared.jobs.job import Job, JobFailure, Status
from shared.jobs.lease import Lease, LeaseLost
from shared.jobs.payloads import PayloadMissing, Payloads
from shared.jobs.settlement import Settlement
from shared.jobs.store import Held, JobMoved, JobStore
from shared.jobs.transitions import Figures, Result
from shared.ports import Clock, DocumentStore
from shared.providers.calls import Answer
from shared.responses.background import BackgroundResponses
from shared.telemetry.logging import log_event, log_failure

CLAIMING = 5.0
"""Seconds for which a claim is tried while the store does not answer: it may have been written the first time."""
LONGEST_PAUSE = 300.0
"""Seconds before a job's next try at most."""
_SLACK = 0.1
"""Seconds that a call may end before its job's deadline and still count as out of time."""
_OPERATIONS = {operation.name: operation for operation in (CHAT_COMPLETIONS, RESPONSES)}
_STEPS = {"planned": (25, "model loaded"), "sent": (50, "sent to the provider")}

_logger = logging.getLogger("llmproxy.jobs")


class Worker:
    """Runs jobs, any number at once. `name` tells workers apart (`processed_by`)."""

    def __init__(
        self,
        store: DocumentStore,
        jobs: JobStore,
        payloads: Payloads,
        inference: Inference,
        background: BackgroundResponses,
        settlement: Settlement,
        clock: Clock,
        name: str | None = None,
    ) -> None:
        self.name = name or f"{socket.gethostname()[:64]}-{os.getpid()}-{secrets.token_hex(2)}"
        self._store = store
        self._jobs = jobs
        self._payloads = payloads
        self._inference = inference
        self._background = background
        self._settlement = settlement
        self._clock = clock
        self._leases: dict[str, Lease] = {}

    def takes(self, job: Job, end_by: float) -> bool:
        """Whether it may be claimed now, and is over by `end_by` (seconds since 1970) at the latest."""
        now = self._clock.time()
        left = job.options.timeout_seconds if job.deadline is None else job.deadline - now
        return transitions.claimable(job, now) and now + left <= end_by

    def notice_cancel(self, id: str) -> None:
        """Makes the holder look at once, if it is this process."""
        lease = self._leases.get(id)
        if lease is not None:
            lease.hint()

    async def run(self, held: Held) -> None:
        """Claims the job, runs it once, and does what follows. Raises as `carry_out`."""
        run = await self.carry_out(held)
        if run is not None:
            await run.follow()

    async def carry_out(self, held: Held) -> "Run | None":
        """Claims the job and runs it once; the caller lets follow what follows. Receivers of webhooks may be slow.

        None for another's job, or one that may not run now: it is left alone. Raises `StoreUnavailable` when it could
        not be claimed, or its end not be written.
        """
        now, lease_id = self._clock.time(), new_lease()
        try:
            claimed = transitions.claimed(held.job, now, lease_id, self.name)
            held = await self._jobs.rewrite(held, claimed, CLAIMING)
        except (JobMoved, transitions.Refused):
            return None
        run = Run(self, held)
        await run.to_its_end()
        return run

    async def settle(self, held: Held, figures: Figures | None = None, *, send: bool = True) -> None:
        """Does what follows from an end, and sends what is due. The sweeper does what fails here."""
        try:
            await self._settlement.settle(held, figures, send=send)
        except StoreUnavailable:
            log_event(_logger, logging.WARNING, "job_unsettled", document=held.job.id)
        except Exception as error:
            log_failure(_logger, "job_failed", error, document=held.job.id)


class Run:
    """One claim of one job."""

    def __init__(self, worker: Worker, held: Held) -> None:
        self._worker = worker
        self._job = held.job
        self._earlier = held.job.attempts
        """Calls of providers that earlier runs of this job have made."""
        self._collecting = Collecting(_OPERATIONS[held.job.operation], self._step)
        self._lease = Lease(worker._jobs, worker._clock, held, self._figures, self._cancel, self._tell)
        self._call: asyncio.Task[Answer] | None = None
        self._stored: int = 0
        self._ended: tuple[Held, Figures | None] | None = None
        """The job as it ended, or as it went back; None where someone else has it."""
        self._telling: asyncio.Task[None] | None = None
        self._untold = False

    async def to_its_end(self) -> None:
        worker, lease = self._worker, self._lease
        worker._leases[self._job.id] = lease
        lease.begin()
        if self._job.notices:
            self._tell()
        try:
            change = await self._outcome()
            if change is None and lease.lost is not None:
                raise lease.lost
            assert change is not None
            held = await lease.end(change)
            self._log(held.job)
            self._ended = held, None
        except LeaseLost as lost:
            self._ended = await self._dropped(lost)
        finally:
            await lease.stop()
            del worker._leases[self._job.id]
            if self._ended is None:
                await self._hush()

    async def follow(self, *, send: bool = True) -> None:
        """Does what follows from the end, if it is ours. Without `send` the webhooks are left to the sweeper."""
        if self._ended is None:
            return
        held, figures = self._ended
        try:
            if send:
                held = await self._told(held)
        finally:
            await self._hush()
        if held.job.status.final:
            await self._worker.settle(held, figures, send=send)

    def _tell(self) -> None:
        """Sends the webhooks of a job that runs, without waiting for their receiver, and none twice at once."""
        self._untold = True
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_all())

    async def _tell_all(self) -> None:
        while self._untold:
            self._untold = False
            with suppress(StoreUnavailable):
                held = await self._worker._jobs.get(self._job.id)
                # What ended meanwhile is told with its end.
                if held is not None and not held.job.status.final:
                    await self._worker.settle(held)

    async def _told(self, held: Held) -> Held:
        """The job once what was on its way has arrived, so that it is not sent again with the last one."""
        if self._telling is None:
            return held
        await asyncio.wait({self._telling})
        try:
            return await self._worker._jobs.get(self._job.id) or held
        except StoreUnavailable:
            return held

    async def _hush(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _outcome(self) -> Callable[[Job], Job] | None:
        """What the call came to, as the change that it makes; None where it was dropped."""
        self._call = asyncio.create_task(self._answer())
        try:
            await asyncio.wait({self._call})
        except asyncio.CancelledError:
            # The process ends: the lease runs out, and another worker takes the job.
            self._call.cancel()
            await asyncio.gather(self._call, return_exceptions=True)
            raise
        if self._lease.lost is not None:
            return None
        try:
            answer = self._call.result()
            return await self._completed(answer)
        except ProxyError as error:
            return self._failed(error)
        except StoreUnavailable:
            # The request could not be read, or the result not be stored: another try may do better.
            return self._failed(CatalogUnavailable("The store could not be reached."))
        except Exception as error:
            log_failure(_logger, "job_failed", error, document=self._job.id)
            return self._failed(InternalError())

    async def _answer(self) -> Answer:
        worker, job = self._worker, self._job
        try:
            content = await worker._payloads.request(job)
        except PayloadMissing as error:
            log_failure(_logger, "job_failed", error, document=job.id)
            raise InternalError from None
        if job.project != "default" and await worker._store.get(PROJECTS, job.project) is None:
            raise NotFound(f"There is no project '{job.project}'.")
        request = await self._request(content)
        return await worker._inference.collect(request, self._collecting)

    async def _request(self, content: Json) -> InferenceRequest:
        job, operation = self._job, _OPERATIONS[self._job.operation]
        models = None if job.key_models is None else frozenset(job.key_models)
        caller = Caller(job.project, job.key_id, models=models)
        read = read_request(operation, caller, job.id, content["body"], content["headers"])
        left = (job.deadline or 0.0) - self._worker._clock.time()
        request = replace(read, streamed=False, allowance=max(0.001, left))
        return await self._worker._background.prepare(job, request)

    async def _completed(self, answer: Answer) -> Callable[[Job], Job]:
        worker, job, lease = self._worker, self._job, self._lease.id
        parts = self._stored = await self._put_result(answer.body)
        model = self._model()
        response = None
        if job.operation == RESPONSES.name and model is not None:
            response = worker._background.response_of(answer, model)
        dropped = shown_names(record.dropped) if (record := self._collecting.record) else ()
        result = Result(lease, parts, response, dropped)
        figures = self._figures()

        def completed(now_held: Job) -> Job:
            return transitions.completed(now_held, worker._clock.time(), lease, result, figures)

        return completed

    async def _put_result(self, body: bytes) -> int:
        """Stores what was paid for, whatever the store does for the next minutes."""
        end = asyncio.get_running_loop().time() + 300.0
        pause = 0.2
        while True:
            try:
                return await self._worker._payloads.put_result(self._job.id, self._lease.id, body)
            except StoreUnavailable as error:
                if self._lease.lost is not None or asyncio.get_running_loop().time() + pause > end:
                    raise
                await asyncio.sleep(max(pause, min(error.retry_after, 5.0)))
                pause = min(pause * 2, 5.0)

    def _failed(self, error: ProxyError) -> Callable[[Job], Job]:
        worker, lease = self._worker, self._lease.id
        # What a provider refused costs nothing; what broke off in the middle does.
        figures = self._figures()
        if not self._collecting.tokens:
            figures = replace(figures, usage=None, cost_usd=None)
        now = worker._clock.time()
        delay = self._delay(error)
        if self._job.deadline is not None and now + _SLACK >= self._job.deadline:
            failure, again = transitions.out_of_time(self._job), False
        else:
            failure = JobFailure(error.code, error.message, error.status, error.type, error.param)
            again = _worth_another(error) and self._job.retry_count < self._job.options.max_retries
            again = again and (self._job.deadline is None or now + delay < self._job.deadline)

        def changed(job: Job) -> Job:
            at = worker._clock.time()
            if again:
                return transitions.put_back(job, at, lease, delay, figures.attempts)
            return transitions.failed(job, at, lease, failure, figures)

        return changed

    def _delay(self, error: ProxyError) -> float:
        grown = min(self._job.options.retry_delay * 2.0**self._job.retry_count, LONGEST_PAUSE)
        asked = error.retry_after if isinstance(error, UpstreamError) else None
        return max(grown, min(asked or 0.0, LONGEST_PAUSE))

    async def _dropped(self, lost: LeaseLost) -> tuple[Held, Figures | None] | None:
        """Someone else has the job: our call ends. The charge of a job that was cancelled is ours."""
        if self._call is not None and not self._call.done():
            self._call.cancel()
            await asyncio.gather(self._call, return_exceptions=True)
        held, lease = lost.held, self._lease.id
        if self._stored:
            with suppress(StoreUnavailable):
                await self._worker._payloads.drop_result(self._job.id, lease, self._stored)
        log_event(_logger, logging.INFO, "job_dropped", document=self._job.id, project=self._job.project)
        if held is not None and held.job.status is Status.CANCELLED and held.job.lease_id == lease:
            return held, self._figures()
        return None

    def _cancel(self) -> None:
        if self._call is not None:
            self._call.cancel()

    def _step(self, name: str) -> None:
        progress, text = _STEPS.get(name, (0, ""))
        if not text:
            progress, text = 50 + int(45 * self._collecting.share), "receiving the answer"
        self._lease.report(progress, text)

    def _model(self) -> Model | None:
        record = self._collecting.record
        return record.model if record is not None else None

    def _figures(self) -> Figures:
        """What the call has used: as it was reported, or so far by the stated rule."""
        record = self._collecting.record
        if record is None or record.model is None:
            return Figures()
        if not self._answered():
            used = self._collecting.used()
            if used is not None:
                self._worker._inference.price(record, used)
        return Figures(
            record.model.id,
            record.model.provider,
            self._earlier + record.attempts,
            record.fallback,
            record.usage.record() if record.usage is not None else None,
            record.cost,
        )

    def _answered(self) -> bool:
        """Whether the call came to an answer, and so to its own count of what it used."""
        call = self._call
        return call is not None and call.done() and not call.cancelled() and call.exception() is None

    def _log(self, job: Job) -> None:
        figures = self._figures()
        log_event(
            _logger,
            logging.INFO,
            "job",
            request_id=job.id,
            project=job.project,
            key_id=job.key_id,
            operation=job.operation,
            model=figures.model_used or job.model,
            provider=figures.provider,
            attempts=figures.attempts,
            usage=figures.usage,
            cost_usd=figures.cost_usd,
            error_code=job.failure.code if job.failure else None,
            message=str(job.status),
        )


def _worth_another(error: ProxyError) -> bool:
    """Whether a later try may end better: not for what is wrong with the request or with our credential."""
    if isinstance(error, ProviderCredentialRefused):
        return False
    if isinstance(error, ProviderRefusal):
        return error.worth_retrying and error.code != "insufficient_quota"
    if isinstance(error, ProviderUnavailable | CatalogUnavailable):
        return True
    return isinstance(error, UpstreamError) and (error.retryable or error.status == 504)
