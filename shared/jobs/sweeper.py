"""The timer's work on jobs: finishes what others have left, publishes events again, and sends webhooks again."""

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.containers import DAY_SECONDS
from shared.errors import EventError, StoreThrottled, StoreUnavailable
from shared.jobs import transitions
from shared.jobs.job import Job, Queue, Status
from shared.jobs.payloads import KEPT, PayloadMissing, Payloads
from shared.jobs.settlement import Settlement
from shared.jobs.store import Held, JobMoved, JobStore
from shared.jobs.wakeups import Wakeups
from shared.ports import Clock
from shared.telemetry.logging import log_event, log_failure

MOST_THROTTLED = 8
"""Jobs of one turn that the store may put off before the turn is ended."""
KEEP_AGAIN = 23 * DAY_SECONDS
"""What was submitted is kept anew when it has less than that to live, in seconds."""

_logger = logging.getLogger("llmproxy.jobs")


@dataclass(frozen=True, slots=True)
class Turn:
    """How much one tick does at most. Times are in seconds.

    It looks through `pages` of `heads` jobs, publishes `wakeups` events, sees to the state of `sweeping` jobs at once,
    and sends the webhooks of `sending` jobs at once: most of that time is the receivers'. `per_receiver` is the share
    of one receiver, so that one that does not answer leaves the others theirs. It begins nothing more after
    `beginning`, and is cut off after `longest`: what was not written by then is done again by the next one.
    """

    heads: int = 200
    pages: int = 3
    wakeups: int = 100
    sweeping: int = 16
    sending: int = 64
    per_receiver: int = 50
    beginning: float = 12.0
    longest: float = 28.0


class Sweeper:
    """Two at once do no harm: every change is a conditional write, and one that loses is left alone.

    `run_due` starts queued jobs where no event does.
    """

    def __init__(
        self,
        jobs: JobStore,
        payloads: Payloads,
        settlement: Settlement,
        wakeups: Wakeups,
        clock: Clock,
        *,
        run_due: Callable[[], Awaitable[None]] | None = None,
        turn: Turn = Turn(),
    ) -> None:
        self._jobs = jobs
        self._payloads = payloads
        self._settlement = settlement
        self._wakeups = wakeups
        self._clock = clock
        self._run_due = run_due
        self._turn = turn
        self._running = False
        self._store_failing = False
        self._failing_hubs: set[Queue] = set()

    async def tick(self) -> None:
        """Does what is due, within half a minute. Raises nothing but cancellation: the next tick goes on."""
        if self._running:
            return
        self._running = True
        try:
            async with asyncio.timeout(self._turn.longest):
                begin_by = asyncio.get_running_loop().time() + self._turn.beginning
                await self._see_to_states(begin_by)
                # Together, for both wait for others; each goes to its end, whatever becomes of the other.
                for failure in await asyncio.gather(
                    self._wake(begin_by), self._send(begin_by), return_exceptions=True
                ):
                    if failure is not None:
                        raise failure
                if self._run_due is not None:
                    await self._run_due()
            self._store_failing = False
        except StoreUnavailable as error:
            if not self._store_failing:
                log_event(_logger, logging.WARNING, "store_unavailable", error=type(error).__name__)
            self._store_failing = True
        except TimeoutError:
            log_event(_logger, logging.WARNING, "sweep_cut_off")
        except Exception as error:
            log_failure(_logger, "sweep_failed", error)
        finally:
            self._running = False

    async def _see_to_states(self, begin_by: float) -> None:
        """Takes back, gives up, and charges. Jobs that fail do not keep those after them from being seen to."""
        after: str | None = None
        for _ in range(self._turn.pages):
            page = await self._jobs.to_sweep(self._clock.time(), self._turn.heads, after)
            failed = await self._each(page, self._see_to, self._turn.sweeping, begin_by)
            if len(page) < self._turn.heads or not failed:
                return
            after = page[-1].job.sweep_key

    async def _see_to(self, held: Held) -> None:
        now = self._clock.time()
        if held.job.status is Status.PROCESSING:
            held = await self._jobs.write(held, transitions.taken_back(held.job, now))
            log_event(
                _logger, logging.WARNING, "job_taken_back", document=held.job.id, project=held.job.project
            )
        if transitions.hopeless(held.job, now) is not None:
            held = await self._jobs.write(held, transitions.given_up(held.job, now))
            log_event(
                _logger, logging.WARNING, "job_given_up", document=held.job.id, project=held.job.project
            )
        if held.job.status.final:
            # Their webhooks have a turn of their own: no receiver keeps other jobs waiting here.
            await self._settlement.settle(held, send=False)

    async def _wake(self, begin_by: float) -> None:
        """Publishes the events of queued jobs again, and keeps what was submitted while they wait."""
        page = await self._jobs.to_wake(self._clock.time(), self._turn.wakeups)
        waiting: list[Held] = []

        async def prepare(held: Held) -> None:
            if transitions.hopeless(held.job, self._clock.time()) is not None:
                await self._see_to(held)
            else:
                waiting.append(await self._keep(held))

        await self._each(page, prepare, self._turn.sweeping, begin_by)
        for queue in Queue:
            of_queue = [held for held in waiting if held.job.queue is queue]
            if of_queue and await self._publish(queue, [held.job for held in of_queue]):
                # However long the hub took: what is not noted would be published at every tick.
                await self._each(of_queue, self._note_wakeup, self._turn.sweeping, math.inf)

    async def _keep(self, held: Held) -> Held:
        now = self._clock.time()
        if held.job.request_kept_until - now >= KEEP_AGAIN:
            return held
        try:
            await self._payloads.keep_request(held.job, KEPT)
        except PayloadMissing:
            # Who claims the job finds that out, and fails it.
            return held
        return await self._jobs.write(held, transitions.kept(held.job, now + KEPT))

    async def _publish(self, queue: Queue, jobs: Sequence[Job]) -> bool:
        """Whether the queue's hub has them all. If not, nothing is noted, and the next tick tries again."""
        try:
            await self._wakeups.publish(jobs)
        except EventError as error:
            if queue not in self._failing_hubs:
                log_event(
                    _logger, logging.WARNING, "hub_unavailable", error=type(error).__name__, count=len(jobs)
                )
            self._failing_hubs.add(queue)
            return False
        self._failing_hubs.discard(queue)
        return True

    async def _note_wakeup(self, held: Held) -> None:
        await self._jobs.write(held, transitions.woken(held.job, self._clock.time()))

    async def _send(self, begin_by: float) -> None:
        """Sends the webhooks that are due, of jobs that ended and of those that have not."""
        shares: Counter[str] = Counter()
        chosen: list[Held] = []
        after: str | None = None
        for _ in range(self._turn.pages):
            page = await self._jobs.to_notify(self._clock.time(), self._turn.heads, after)
            for held in page:
                receiver = _receiver(held.job)
                shares[receiver] += 1
                if shares[receiver] <= self._turn.per_receiver:
                    chosen.append(held)
            if len(page) < self._turn.heads or len(chosen) >= self._turn.heads:
                break
            after = page[-1].job.notice_key
        await self._each(chosen, self._notify, self._turn.sending, begin_by)

    async def _notify(self, held: Held) -> None:
        # It may have waited here for seconds, in which others have sent: read, rather than send twice.
        found = await self._jobs.get(held.job.id)
        if found is not None:
            await self._settlement.settle(found)

    async def _each(
        self, items: Sequence[Held], work: Callable[[Held], Awaitable[None]], at_once: int, begin_by: float
    ) -> int:
        """Does it for each; returns for how many it failed. Raises `StoreUnavailable`, once all begun have ended."""
        places = asyncio.Semaphore(at_once)
        loop = asyncio.get_running_loop()
        store_failure: StoreUnavailable | None = None
        throttled = 0

        async def one(held: Held) -> bool:
            nonlocal store_failure, throttled
            async with places:
                if store_failure is not None or loop.time() > begin_by:
                    return True
                try:
                    await work(held)
                except (JobMoved, transitions.Refused):
                    pass  # others were faster
                except StoreThrottled as error:
                    # One place of the store that is hot keeps no others waiting; a store that is busy does.
                    throttled += 1
                    if throttled >= MOST_THROTTLED:
                        store_failure = error
                    return False
                except StoreUnavailable as error:
                    store_failure = error
                except Exception as error:
                    log_failure(_logger, "job_failed", error, document=held.job.id)
                    return False
                return True

        done = await asyncio.gather(*map(one, items))
        if store_failure is not None:
            raise store_failure
        return done.count(False)


def _receiver(job: Job) -> str:
    return urlsplit(job.options.webhook_url or "").netloc
