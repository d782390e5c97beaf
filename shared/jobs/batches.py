"""The invocations of one process, and the jobs that they took from the store: one of them waits for those, too."""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress

from shared.errors import StoreUnavailable
from shared.telemetry.logging import log_event, log_failure

_logger = logging.getLogger("llmproxy.jobs")


class Batch:
    """One invocation and the tasks of its own events. It ends by `end_by` (seconds since 1970)."""

    def __init__(self, end_by: float) -> None:
        self.end_by = end_by
        self.unrecorded = False
        self._own: set[asyncio.Task[None]] = set()
        self._news = asyncio.Event()

    @property
    def own(self) -> frozenset[asyncio.Task[None]]:
        """Those that still run."""
        return frozenset(self._own)

    def add(self, work: Awaitable[None]) -> None:
        task = asyncio.ensure_future(self._noting(work))
        self._own.add(task)
        task.add_done_callback(self._forget)

    def stir(self) -> None:
        self._news.set()

    async def wait(self, timeout: float) -> None:
        """Until something has ended or begun, or so many seconds have passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._news.wait()
        self._news.clear()

    async def _noting(self, work: Awaitable[None]) -> None:
        try:
            await work
        except StoreUnavailable:
            self.unrecorded = True
        except Exception as error:
            # No event may hold up the others of its partition.
            log_failure(_logger, "job_failed", error)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._own.discard(task)
        self.stir()


class Batches:
    """Those under way. A job from the store is any batch's to wait for that may take as long as the one that took it:
    so one whose own events are done makes room for the next of its partition. `long` is in seconds.
    """

    def __init__(self, long: float) -> None:
        self._long = long
        self._open: list[Batch] = []
        self._taken: dict[asyncio.Task[None], float] = {}

    def open(self, end_by: float) -> Batch:
        batch = Batch(end_by)
        self._stir()
        self._open.append(batch)
        return batch

    def take(self, work: Awaitable[None]) -> None:
        """Runs what was taken from the store."""
        task = asyncio.ensure_future(quietly(work))
        self._taken[task] = asyncio.get_running_loop().time()
        task.add_done_callback(self._forget)

    def over(self, batch: Batch) -> bool:
        """Whether nothing is left that no other batch waits for."""
        if batch.own:
            return False
        later = (other for other in self._open if other is not batch and other.end_by >= batch.end_by)
        return not self._taken or next(later, None) is not None

    def goes_on(self, batch: Batch) -> bool:
        """Whether more may be taken: while the batch's own run, or a long one keeps the partition waiting."""
        if batch.own:
            return True
        now = asyncio.get_running_loop().time()
        return any(now - started > self._long for started in self._taken.values())

    async def leave(self, batch: Batch) -> None:
        """Ends what still runs, when the host ends the invocation."""
        self._open.remove(batch)
        tasks = [*batch.own, *(() if self._open else self._taken)]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._taken[task]
        self._stir()

    def _stir(self) -> None:
        for batch in self._open:
            batch.stir()


async def quietly(work: Awaitable[None]) -> None:
    """For jobs taken from the store: they lie there, so nothing is lost with them."""
    try:
        await work
    except StoreUnavailable:
        log_event(_logger, logging.WARNING, "store_unavailable")
    except Exception as error:
        log_failure(_logger, "job_failed", error)
