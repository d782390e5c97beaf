"""Holding a job: its lease is renewed, its progress written, and it is noticed when it is no longer ours."""

import asyncio
import logging
from collections.abc import Callable

from shared.errors import StoreUnavailable
from shared.jobs import transitions
from shared.jobs.job import Job, Status
from shared.jobs.store import Held, JobMoved, JobStore
from shared.jobs.transitions import Figures
from shared.ports import Clock
from shared.telemetry.logging import log_failure

BEAT = 1.0
"""Seconds between looks at the head: a cancellation is noticed within two."""
RENEWAL = 15.0
"""Seconds after which a lease is renewed, a quarter of its time."""
LAST_WRITE = 300.0
"""Seconds for which the end of a job is tried to be written while the store cannot be reached."""
ONE_WRITE = 5.0
"""Seconds of that for one try, with its own time."""

_logger = logging.getLogger("llmproxy.jobs")


class LeaseLost(Exception):
    """The job is not ours any more. `held` is as it is now; None if it is gone."""

    def __init__(self, held: Held | None) -> None:
        super().__init__("the lease is lost")
        self.held = held


class Lease:
    """The lease that `claim` wrote. `begin` renewing it, then `end` it with the last change.

    `on_lost` is called once, as soon as someone else has the job or has cancelled it; `on_told` whenever a beat calls
    for a webhook.
    """

    def __init__(
        self,
        store: JobStore,
        clock: Clock,
        held: Held,
        figures: Callable[[], Figures],
        on_lost: Callable[[], None],
        on_told: Callable[[], None],
    ) -> None:
        self.held = held
        self.id = held.job.lease_id or ""
        self.progress = held.job.progress
        self.step = held.job.step
        self.lost: LeaseLost | None = None
        self._store = store
        self._clock = clock
        self._figures = figures
        self._on_lost = on_lost
        self._on_told = on_told
        self._look = asyncio.Event()
        self._renewed_at = clock.time()
        self._keeping: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._keeping = asyncio.create_task(self._keep())

    def hint(self) -> None:
        """Says that someone in this process has changed the head."""
        self._look.set()

    def report(self, progress: int, step: str) -> None:
        """How far the call is; it is written with the next beat."""
        if progress > self.progress:
            self.progress, self.step = progress, step

    async def stop(self) -> None:
        """No further beats."""
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def end(self, change: Callable[[Job], Job]) -> Held:
        """Writes the last change of this lease. Raises `LeaseLost`, or `StoreUnavailable` after minutes.

        A beat that was under way may or may not be written: the change is made on whatever is there. It is made anew
        for each try, so that its time is that of the write.
        """
        await self.stop()
        loop = asyncio.get_running_loop()
        give_up = loop.time() + LAST_WRITE
        while True:
            if self.lost is not None:
                raise self.lost
            try:
                return await self._store.rewrite(self.held, change(self.held.job), ONE_WRITE)
            except JobMoved as moved:
                if moved.held is not None and self._is_our_end(moved.held.job):
                    return moved.held
                self._adopt(moved.held)
            except transitions.Refused:
                raise LeaseLost(self.held) from None
            except StoreUnavailable:
                if loop.time() > give_up:
                    raise

    async def _keep(self) -> None:
        while self.lost is None:
            try:
                async with asyncio.timeout(BEAT):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()
            try:
                await self._beat()
            except StoreUnavailable:
                # The call goes on: whoever writes first has the job, and without a store no one does.
                continue
            except Exception as error:
                log_failure(_logger, "job_failed", error, document=self.held.job.id)
        self._on_lost()

    async def _beat(self) -> None:
        job, now = self.held.job, self._clock.time()
        if self.progress == job.progress and now - self._renewed_at < RENEWAL:
            self._adopt(await self._store.get(job.id))
            return
        after = transitions.held(job, now, self.id, self._figures(), self.progress, self.step)
        try:
            self.held = await self._store.write(self.held, after)
            self._renewed_at = now
            if after.notified > job.notified:
                self._on_told()
        except JobMoved as moved:
            self._adopt(moved.held)

    def _is_our_end(self, found: Job) -> bool:
        """Whether an earlier try of the last change was written after all: no one else ends a job under our lease."""
        if found.status.final:
            return found.lease_id == self.id and found.status is not Status.CANCELLED
        return found.status is Status.QUEUED and found.retry_count > self.held.job.retry_count

    def _adopt(self, found: Held | None) -> None:
        """Goes on from what is there, if it is still ours."""
        if found is None or found.job.status is not Status.PROCESSING or found.job.lease_id != self.id:
            self.lost = LeaseLost(found)
        else:
            self.held = found
