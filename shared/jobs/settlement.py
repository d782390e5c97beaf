"""What follows from the end of a job: its charge, its webhooks, its last lifetimes. docs/jobs.md, 8 to 11."""

from shared.errors import StoreUnavailable
from shared.jobs.charges import recorded_figures, usage_record
from shared.jobs.job import Job
from shared.jobs.outbox import Outbox, Tried, after_tries
from shared.jobs.payloads import Payloads
from shared.jobs.store import Held, JobMoved, JobStore, lifetime
from shared.jobs.transitions import Figures, charge_open_until, charged, settled
from shared.ports import Clock
from shared.usage.recorder import UsageRecorder

PATIENCE = 5.0
"""Seconds that the last write is tried for: what is known to be delivered should not be sent again."""
_RACES = 10


class Settlement:
    """Safe to repeat, and to run twice at once: each step finds what was done of it before.

    All that came of it goes into one write of the head; one that lost its race is made again on what is there.
    """

    def __init__(
        self, jobs: JobStore, payloads: Payloads, usage: UsageRecorder, outbox: Outbox, clock: Clock
    ) -> None:
        self._jobs = jobs
        self._payloads = payloads
        self._usage = usage
        self._outbox = outbox
        self._clock = clock

    async def settle(self, held: Held, figures: Figures | None = None, *, send: bool = True) -> Held | None:
        """Does what is to be done now for an ended job, and sends the due webhooks of one that has not ended.

        `figures` are the holder's, of a job that was cancelled while it ran; without them its charge waits until its
        lease has run out. Without `send` the webhooks are left to the sweeper. Returns the head as it is then, or None
        if it is gone. Raises `StoreUnavailable` when it could not be finished: the sweeper will.
        """
        charge = await self._charge(held.job, figures)
        tried = await self._outbox.send_due(held.job) if send else ()
        if held.job.status.final:
            return await self._write_end(held, charge, tried)
        return await self._write_tries(held, tried)

    async def _charge(self, job: Job, figures: Figures | None) -> Figures | None:
        """What the usage record holds that is there now; None where there is none to be made yet, or no more."""
        if not job.status.final or job.charged:
            return None
        open_until = charge_open_until(job)
        if open_until is not None and figures is None and self._clock.time() < open_until:
            return None
        return recorded_figures(await self._usage.record_once(usage_record(job, figures)))

    async def _write_end(self, held: Held, charge: Figures | None, tried: tuple[Tried, ...]) -> Held | None:
        done: tuple[bool, float | None] | None = None
        for _ in range(_RACES):
            job = held.job
            if job.settled:
                return held
            now = self._clock.time()
            if charge is not None and not job.charged:
                job = charged(job, charge)
            job = settled(after_tries(job, tried), now)
            if job.settled and done != (job.deleted, job.expires_at):
                await self._last_lifetimes(job, now)
                done = (job.deleted, job.expires_at)
            time_to_live = lifetime(job, now) if job.settled else None
            try:
                return await self._jobs.rewrite(held, job, PATIENCE, time_to_live=time_to_live)
            except JobMoved as moved:
                if moved.held is None:
                    return None
                held = moved.held
        raise StoreUnavailable("a job is changed by others all the time")

    async def _write_tries(self, held: Held, tried: tuple[Tried, ...]) -> Held | None:
        """As for an ended one, but that others go on with the job meanwhile."""
        for _ in range(_RACES):
            job = after_tries(held.job, tried)
            if job.notices == held.job.notices:
                return held
            try:
                return await self._jobs.rewrite(held, job, PATIENCE)
            except JobMoved as moved:
                if moved.held is None:
                    return None
                held = moved.held
        raise StoreUnavailable("a job is changed by others all the time")

    async def _last_lifetimes(self, job: Job, now: float) -> None:
        if job.deleted:
            await self._payloads.remove(job)
        else:
            await self._payloads.settle(job, max(1, int((job.expires_at or now) - now) + 1))
