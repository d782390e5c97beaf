"""Runs jobs: claims each, lets it run to its end, and settles it. docs/jobs.md says what each write is for."""

import logging
import os
import secrets
import socket

from shared.errors import StoreUnavailable
from shared.inference.pipeline import Inference
from shared.jobs import transitions
from shared.jobs.call import Calls
from shared.jobs.ids import new_lease
from shared.jobs.job import Job
from shared.jobs.lease import Lease
from shared.jobs.payloads import Payloads
from shared.jobs.run import Run
from shared.jobs.settlement import Settlement
from shared.jobs.store import Held, JobMoved, JobStore
from shared.jobs.transitions import Figures
from shared.ports import Clock, DocumentStore
from shared.responses.background import BackgroundResponses
from shared.telemetry.logging import log_event, log_failure

CLAIMING = 5.0
"""Seconds for which a claim is tried while the store does not answer: it may have been written the first time."""

_RACES = 5
"""Times that a claim is made again on a job that others have changed meanwhile."""

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
        self._calls = Calls(store, payloads, inference, background, clock)
        self._jobs = jobs
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

    async def carry_out(self, held: Held) -> Run | None:
        """Claims the job and runs it once; the caller lets follow what follows. Receivers of webhooks may be slow.

        None for another's job, or one that may not run now: it is left alone. Raises `StoreUnavailable` when it could
        not be claimed, or its end not be written.
        """
        claim = await self._claimed(held)
        if claim is None:
            return None
        run = Run(self._calls, self._jobs, self.settle, claim)
        self._leases[held.job.id] = run.lease
        try:
            await run.to_its_end()
        finally:
            if self._leases.get(held.job.id) is run.lease:
                del self._leases[held.job.id]
        return run

    async def _claimed(self, held: Held) -> Held | None:
        """The job under a lease of ours; None where it is another's, or not to be run now."""
        lease = new_lease()
        for _ in range(_RACES):
            try:
                claim = transitions.claimed(held.job, self._clock.time(), lease, self.name)
                return await self._jobs.rewrite(held, claim, CLAIMING)
            except transitions.Refused:
                return None
            except JobMoved as moved:
                # The sweeper writes into jobs that wait, too: then it is still there to be taken.
                if moved.held is None:
                    return None
                held = moved.held
        return None

    async def settle(self, held: Held, figures: Figures | None = None, *, send: bool = True) -> None:
        """Does what follows from an end, and sends what is due. The sweeper does what fails here."""
        try:
            await self._settlement.settle(held, figures, send=send)
        except StoreUnavailable:
            log_event(_logger, logging.WARNING, "job_unsettled", document=held.job.id)
        except Exception as error:
            log_failure(_logger, "job_failed", error, document=held.job.id)
