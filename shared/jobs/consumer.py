"""Handles batches of events: each on its own, the urgent first, and free slots take what waits in the store."""

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from shared.errors import StoreUnavailable
from shared.jobs.batches import Batches, quietly
from shared.jobs.job import Queue
from shared.jobs.messages import Cancel, Direct, Malformed, Message, Received, Wake, read_message
from shared.jobs.store import Held, JobStore
from shared.jobs.worker import Worker
from shared.ports import Clock
from shared.telemetry.logging import log_event

LONGEST_INVOCATION = 65 * 60.0
"""Seconds in which a batch ends: a host kills a function, and all that it does, some minutes later."""
POLL = 0.5
"""Seconds between looks into the store for what free slots could take."""
SOON = 0.05
"""Seconds between two looks while few slots are free, so that not every job that ends costs a query."""
LONG = 10.0
"""Seconds after which a job that runs counts as long: while one holds its partition, others go on being taken."""

FOLLOWED = 2.0
"""Seconds that a batch waits for what follows from a job's end. Receivers of webhooks may take longer."""
FOLLOWING = 4
"""Ends for each slot that may be followed at once; of those beyond, the sweeper sends the webhooks."""

_logger = logging.getLogger("llmproxy.jobs")


class NotRecorded(Exception):
    """The store could not be reached: the whole batch is to be delivered again. What was done of it stands."""


class MessageHandler(Protocol):
    """What becomes of messages that are no wake-ups. Each method raises `StoreUnavailable`."""

    async def accept(self, message: Direct) -> Held | None: ...

    async def cancel(self, message: Cancel) -> object: ...

    async def bury(self, message: Malformed) -> object: ...


class Consumer:
    """The batches of one process share its slots. `concurrency` is how many jobs run at once."""

    def __init__(
        self,
        worker: Worker,
        jobs: JobStore,
        intake: MessageHandler,
        clock: Clock,
        *,
        namespace: str,
        concurrency: int,
        poll: float = POLL,
        long: float = LONG,
        followed: float = FOLLOWED,
    ) -> None:
        self._worker = worker
        self._jobs = jobs
        self._intake = intake
        self._clock = clock
        self._namespace = namespace
        self._poll = poll
        self._batches = Batches(long)
        self._followed_for = followed
        self._concurrency = concurrency
        self._slots = asyncio.Semaphore(concurrency)
        self._free = concurrency
        self._looked: dict[Queue, float] = {}
        self._running: set[str] = set()
        self._looking: set[Queue] = set()
        self._loose: set[asyncio.Task[None]] = set()
        self._following = 0

    async def consume(self, queue: Queue, events: Sequence[Received]) -> None:
        """Handles one batch. Raises `NotRecorded` once all are handled, if the store failed for one."""
        batch = self._batches.open(self._clock.time() + LONGEST_INVOCATION)
        messages = [read_message(event, self._namespace) for event in events]
        for message in sorted(messages, key=lambda message: message.priority):
            batch.add(self._handle(message, batch.end_by))
        pause = self._poll
        try:
            while not self._batches.over(batch):
                await batch.wait(pause)
                if self._batches.goes_on(batch):
                    pause = await self._fill(queue, batch.end_by, self._batches.take)
        finally:
            await self._batches.leave(batch)
        if batch.unrecorded:
            raise NotRecorded("The store could not be reached.")

    async def run_due(self) -> None:
        """Starts due jobs of both queues in free slots, and does not wait for them: where no events come."""
        end_by = self._clock.time() + LONGEST_INVOCATION

        for queue in (Queue.PRIORITY, Queue.NORMAL):
            await self._fill(queue, end_by, self._let_go)

    async def close(self) -> None:
        """Ends what no batch waits for. Jobs are taken back when their leases run out, ends are followed later."""
        for task in self._loose:
            task.cancel()
        await asyncio.gather(*self._loose, return_exceptions=True)

    async def _handle(self, message: Message, end_by: float) -> None:
        if isinstance(message, Malformed):
            await self._intake.bury(message)
        elif isinstance(message, Cancel):
            await self._intake.cancel(message)
        elif isinstance(message, Direct):
            held = await self._intake.accept(message)
            if held is None:
                return
            if held.job.status.final and not held.job.settled:
                # It could not run at all.
                await self._follow(functools.partial(self._worker.settle, held))
            await self._run(held, end_by)
        else:
            await self._wake(message, end_by)

    async def _wake(self, message: Wake, end_by: float) -> None:
        held = await self._jobs.get(message.id)
        if held is None or held.job.project != message.project:
            # Its document is gone by now, or someone who may send to the hub made the event up.
            log_event(_logger, logging.INFO, "job_unknown", document=message.id, project=message.project)
        else:
            await self._run(held, end_by)

    async def _fill(self, queue: Queue, end_by: float, add: Callable[[Awaitable[None]], object]) -> float:
        """Takes the oldest due jobs into free slots; gives the seconds until the next look at the latest.

        One look at a time for each queue is enough.
        """
        now = asyncio.get_running_loop().time()
        if self._free <= 0 or queue in self._looking:
            return self._poll
        if self._free < self._concurrency // 4 and now - self._looked.get(queue, 0.0) < SOON:
            return SOON
        self._looking.add(queue)
        try:
            found = await self._jobs.due(queue, self._clock.time(), 2 * self._free)
        except StoreUnavailable:
            return self._poll
        finally:
            self._looking.discard(queue)
            self._looked[queue] = asyncio.get_running_loop().time()
        waiting = [held for held in found if held.job.id not in self._running]
        for held in waiting[: max(0, self._free)]:
            add(self._run(held, end_by))
        return self._poll

    async def _run(self, held: Held, end_by: float) -> None:
        """Runs the job in a slot, if it still waits when there is one."""
        id = held.job.id
        if id in self._running or not self._worker.takes(held.job, end_by):
            return
        self._running.add(id)
        self._free -= 1
        try:
            waits = self._slots.locked()
            async with self._slots:
                found = await self._jobs.get(id) if waits else held
                if found is None or not self._worker.takes(found.job, end_by):
                    return
                run = await self._worker.carry_out(found)
        finally:
            self._running.discard(id)
            self._free += 1
        if run is not None:
            await self._follow(run.follow)

    async def _follow(self, follow: Callable[..., Awaitable[None]]) -> None:
        """Does what follows from an end, in no slot: a receiver that is slow takes none from other jobs."""
        self._following += 1
        task = self._let_go(follow(send=self._following <= FOLLOWING * self._concurrency))
        task.add_done_callback(self._followed)
        await asyncio.wait({task}, timeout=self._followed_for)

    def _followed(self, _: asyncio.Task[None]) -> None:
        self._following -= 1

    def _let_go(self, work: Awaitable[None]) -> asyncio.Task[None]:
        """Work that no batch ends with. The process does."""
        task = asyncio.ensure_future(quietly(work))
        self._loose.add(task)
        task.add_done_callback(self._loose.discard)
        return task
