"""Figures of all jobs: kept by the timer in one document, and read by whoever asks."""

import asyncio
import logging

from shared import Json
from shared.containers import COUNTERS
from shared.errors import DocumentAbsent, DocumentChanged, DocumentExists, StoreError, StoreUnavailable
from shared.jobs.job import Queue, Status
from shared.jobs.store import JobStore
from shared.jobs.tally import Tally
from shared.ports import Clock, DocumentStore, Stored
from shared.telemetry.logging import log_failure

DOCUMENT = "jobs-figures"
LAG = 10.0
"""Seconds back from now up to which jobs are counted: one may show a moment after the time that it carries."""
EVERY = 25.0
"""Seconds from one tally to the next."""
OLDEST = 55.0
"""Seconds after which who asks counts for itself: the timer does not run."""
FRESH = 5.0
"""Seconds that who asks for figures gets those that were read before."""
REFRESH = 15.0
"""Seconds between two reads for estimates."""
PAGE = 500
PAGES = 40
"""Pages of new and of ended jobs that one tally takes in at most; the next one goes on."""
MOST_RUNNING = 5000
"""Running jobs that are looked at at most."""
FEW = 100
"""Queued jobs up to which they are looked at one by one."""

_logger = logging.getLogger("llmproxy.jobs")


class Figures:
    """Counts each job once when it was made and once when it ended, whoever else counts at the same time.

    The document says which jobs were counted, and is written on the condition that no one else has written it: of two
    tallies at once, or of one that died, only what was written has happened.
    """

    def __init__(self, store: DocumentStore, jobs: JobStore, clock: Clock) -> None:
        self._store = store
        self._jobs = jobs
        self._clock = clock
        self._known = Tally()
        self._read_at: float | None = None
        self._refreshing: asyncio.Task[None] | None = None

    async def keep(self) -> None:
        """The timer's turn: tallies if it is time. Raises nothing but cancellation."""
        try:
            stored, tally = await self._read()
            if self._clock.time() - LAG - tally.as_of >= EVERY:
                await self._tally(stored, tally)
        except StoreUnavailable:
            pass  # the next turn counts what this one did not
        except Exception as error:
            log_failure(_logger, "figures_failed", error)

    async def metrics(self, project: str | None) -> Json:
        """Counts and averages of a project or, with None, of all; at most a minute old. Raises `StoreUnavailable`."""
        if self._read_at is None or self._clock.monotonic() - self._read_at >= FRESH:
            stored, tally = await self._read()
            if self._clock.time() - tally.as_of >= OLDEST:
                await self._tally(stored, tally)
        return self._known.metrics(project)

    async def estimate(self, queue: Queue, now: float) -> float | None:
        """When a job added at `now` may be done; None before anything was measured. From memory, without a wait."""
        if self._read_at is None or self._clock.monotonic() - self._read_at >= REFRESH:
            self._refresh()
        wait = self._known.wait(str(queue))
        return None if wait is None else now + wait

    async def close(self) -> None:
        if self._refreshing is not None:
            self._refreshing.cancel()
            await asyncio.gather(self._refreshing, return_exceptions=True)

    def _refresh(self) -> None:
        async def read() -> None:
            try:
                await self._read()
            except StoreError:
                # What is known goes on; asked again not before the next time is due.
                self._read_at = self._clock.monotonic()

        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.get_running_loop().create_task(read())

    async def _read(self) -> tuple[Stored | None, Tally]:
        stored = await self._store.get(COUNTERS, DOCUMENT)
        self._known = Tally() if stored is None else Tally.read(stored.body)
        self._read_at = self._clock.monotonic()
        return stored, Tally() if stored is None else Tally.read(stored.body)

    async def _tally(self, stored: Stored | None, tally: Tally) -> None:
        """Counts what is new and writes it, unless someone else has."""
        until = self._clock.time() - LAG
        tally.advance(until)
        await self._add_all(tally, until)
        running = await self._jobs.in_state(Status.PROCESSING, MOST_RUNNING)
        queued = await self._jobs.in_state(Status.QUEUED, FEW + 1)
        tally.look(
            (held.job for held in running), (held.job for held in queued) if len(queued) <= FEW else None
        )
        document = tally.document(DOCUMENT)
        try:
            if stored is None:
                await self._store.create(COUNTERS, document)
            else:
                await self._store.replace(COUNTERS, document, stored.etag)
        except (DocumentExists, DocumentChanged, DocumentAbsent):
            await self._read()  # another's, or our own whose answer was lost: either is right
        else:
            self._known = tally

    async def _add_all(self, tally: Tally, until: float) -> None:
        """Takes in the jobs made and ended up to then, or as many as a turn has time for."""
        for _ in range(PAGES):
            page = await self._jobs.created(until, PAGE, tally.created_key)
            tally.add_created(held.job for held in page)
            if len(page) < PAGE:
                break
        else:
            tally.cut_off(tally.created_key)
        for _ in range(PAGES):
            page = await self._jobs.ended(until, PAGE, tally.ended_key)
            tally.add_ended(held.job for held in page)
            if len(page) < PAGE:
                break
        else:
            tally.cut_off(tally.ended_key)
