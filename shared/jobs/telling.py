"""Tells of a job while it runs: one webhook sender for each run, so that none is sent twice at once."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from shared.errors import StoreUnavailable
from shared.jobs.store import Held, JobStore


class Telling:
    """`send` sends the due webhooks of a job that has not ended, and raises nothing."""

    def __init__(self, jobs: JobStore, id: str, send: Callable[[Held], Awaitable[None]]) -> None:
        self._jobs = jobs
        self._id = id
        self._send = send
        self._task: asyncio.Task[None] | None = None
        self._untold = False

    def tell(self) -> None:
        """There is something to tell of. Does not wait for the receiver."""
        self._untold = True
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._tell_all())

    async def told(self, held: Held) -> Held:
        """The job once what was on its way has arrived, so that it is not sent again with the last one."""
        if self._task is None:
            return held
        await asyncio.wait({self._task})
        with suppress(StoreUnavailable):
            return await self._jobs.get(self._id) or held
        return held

    async def stop(self) -> None:
        """What is not told by then is the sweeper's."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _tell_all(self) -> None:
        while self._untold:
            self._untold = False
            with suppress(StoreUnavailable):
                held = await self._jobs.get(self._id)
                # What ended meanwhile is told with its end.
                if held is not None and not held.job.status.final:
                    await self._send(held)
