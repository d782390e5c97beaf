"""One claim of one job, from the claim to what follows from its end."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from shared.errors import (
    CatalogUnavailable,
    InternalError,
    ProviderCredentialRefused,
    ProviderRefusal,
    ProviderUnavailable,
    ProxyError,
    StoreUnavailable,
    UpstreamError,
)
from shared.jobs import transitions
from shared.jobs.call import Calls, JobCall
from shared.jobs.job import Job, JobFailure, Status
from shared.jobs.lease import LAST_WRITE, Lease, LeaseLost
from shared.jobs.patience import patiently
from shared.jobs.store import Held, JobStore
from shared.jobs.telling import Telling
from shared.jobs.transitions import Figures
from shared.providers.calls import Answer
from shared.telemetry.logging import log_event, log_failure

LONGEST_PAUSE = 300.0
"""Seconds before a job's next try at most."""
_SLACK = 0.1
"""Seconds that a call may end before its job's deadline and still count as out of time."""

_logger = logging.getLogger("llmproxy.jobs")


class Settle(Protocol):
    """Does what follows from an end, or sends what is due. Raises nothing."""

    async def __call__(self, held: Held, figures: Figures | None = None, *, send: bool = True) -> None: ...


class Run:
    """`held` is the job as this run's claim wrote it."""

    def __init__(self, calls: Calls, jobs: JobStore, settle: Settle, held: Held) -> None:
        self._calls = calls
        self._clock = calls.clock
        self._settle = settle
        self._job = held.job
        self._telling = Telling(jobs, held.job.id, settle)
        self._call = JobCall(calls, held.job, self._report)
        self.lease = Lease(
            jobs, calls.clock, held, lambda: self._call.figures, self._call.cancel, self._telling.tell
        )
        self._stored = 0
        """Parts of the result that lie under our lease."""
        self._ended: tuple[Held, Figures | None] | None = None
        """The job as it ended, or as it went back; None where someone else has it."""

    async def to_its_end(self) -> None:
        """Makes the call and writes what came of it. Raises `StoreUnavailable` when that cannot be written."""
        self.lease.begin()
        if self._job.notices:
            self._telling.tell()
        try:
            change = await self._outcome()
            held = await self.lease.end(change)
            self._log(held.job)
            self._ended = held, None
        except LeaseLost as lost:
            self._ended = await self._dropped(lost)
        finally:
            await self.lease.stop()
            if self._ended is None:
                await self._telling.stop()

    async def follow(self, *, send: bool = True) -> None:
        """Does what follows from the end, if it is ours. Without `send` the webhooks are left to the sweeper."""
        if self._ended is None:
            return
        held, figures = self._ended
        try:
            if send:
                held = await self._telling.told(held)
        finally:
            await self._telling.stop()
        if held.job.status.final:
            await self._settle(held, figures, send=send)

    def _report(self, progress: int, step: str) -> None:
        self.lease.report(progress, step)

    async def _outcome(self) -> Callable[[Job], Job]:
        """What the call came to, as the change that it makes. Raises `LeaseLost`."""
        call = self._call.begin()
        try:
            await asyncio.wait({call})
        except asyncio.CancelledError:
            # The process ends: the lease runs out, and another worker takes the job.
            await self._call.drop()
            raise
        if self.lease.lost is not None:
            raise self.lease.lost
        try:
            return await self._completed(call.result())
        except ProxyError as error:
            return self._failed(error)
        except StoreUnavailable:
            # The request could not be read, or the result not be stored: another try may do better.
            return self._failed(CatalogUnavailable("The store could not be reached."))
        except Exception as error:
            log_failure(_logger, "job_failed", error, document=self._job.id)
            return self._failed(InternalError())

    async def _completed(self, answer: Answer) -> Callable[[Job], Job]:
        lease = self.lease.id
        self._stored = await self._put_result(answer.body)
        result, figures = self._call.result(answer, lease, self._stored), self._call.figures

        def completed(job: Job) -> Job:
            return transitions.completed(job, self._clock.time(), lease, result, figures)

        return completed

    async def _put_result(self, body: bytes) -> int:
        """Stores what was paid for, whatever the store does for the next minutes."""
        return await patiently(
            lambda: self._calls.payloads.put_result(self._job.id, self.lease.id, body),
            LAST_WRITE,
            lambda: self.lease.lost is None,
        )

    def _failed(self, error: ProxyError) -> Callable[[Job], Job]:
        job, lease, figures = self._job, self.lease.id, self._call.failed_figures
        now, delay = self._clock.time(), self._delay(error)
        if job.deadline is not None and now + _SLACK >= job.deadline:
            failure, again = transitions.out_of_time(job), False
        else:
            failure = JobFailure(error.code, error.message, error.status, error.type, error.param)
            again = worth_another(error) and job.retry_count < job.options.max_retries
            again = again and (job.deadline is None or now + delay < job.deadline)

        def changed(job: Job) -> Job:
            at = self._clock.time()
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
        await self._call.drop()
        held, lease = lost.held, self.lease.id
        if self._stored:
            with suppress(StoreUnavailable):
                await self._calls.payloads.drop_result(self._job.id, lease, self._stored)
        log_event(_logger, logging.INFO, "job_dropped", document=self._job.id, project=self._job.project)
        if held is not None and held.job.status is Status.CANCELLED and held.job.lease_id == lease:
            return held, self._call.figures
        return None

    def _log(self, job: Job) -> None:
        figures = self._call.figures
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


def worth_another(error: ProxyError) -> bool:
    """Whether a later try may end better: not for what is wrong with the request or with our credential."""
    if isinstance(error, ProviderCredentialRefused):
        return False
    if isinstance(error, ProviderRefusal):
        return error.worth_retrying and error.code != "insufficient_quota"
    if isinstance(error, ProviderUnavailable | CatalogUnavailable):
        return True
    return isinstance(error, UpstreamError) and (error.retryable or error.status == 504)
