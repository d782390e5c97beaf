"""What real calls say about the health of models."""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping

from shared import Json
from shared.catalog.documents import Model
from shared.errors import ProxyError, StoreError
from shared.health.marks import (
    Mark,
    Outcome,
    failure_code,
    mark_of_traffic,
    says_nothing,
    unknown_mark,
)
from shared.health.stored import StoredMarks, write_mark
from shared.ports import Clock, DocumentStore
from shared.telemetry.logging import log_event

WINDOW = 100
"""Outcomes of a model that are remembered."""
WINDOW_SECONDS = 300.0

_log = logging.getLogger("llmproxy.health")


class HealthBook:
    """Takes marks of calls in memory and writes them, at most once in `interval` seconds per model.

    Each instance writes what it saw itself; the latest one stands. Nothing here waits for the store or raises
    into a call. A process that ends abruptly loses the marks of the last minute.
    """

    def __init__(
        self, store: DocumentStore, clock: Clock, *, interval: float = 60.0, settle: float = 1.0
    ) -> None:
        self._store = store
        self._clock = clock
        self._interval = interval
        self._settle = settle
        self._stored = StoredMarks(store, clock)
        self._windows: dict[str, deque[Outcome]] = {}
        self._unwritten: set[str] = set()
        self._due: dict[str, float] = {}
        self._writer: asyncio.Task[None] | None = None
        self._failing = False

    def mark(self, model_id: str, ok: bool, latency_ms: float | None, error_code: str | None = None) -> None:
        """Notes one call, in constant time. `error_code` is that of the failure where `ok` is False."""
        window = self._windows.get(model_id)
        if window is None:
            window = self._windows[model_id] = deque(maxlen=WINDOW)
        window.append(Outcome(self._clock.time(), ok, latency_ms, error_code))
        self._unwritten.add(model_id)
        if self._writer is None or self._writer.done():
            self._begin()

    def mark_error(self, model_id: str, error: ProxyError, latency_ms: float | None) -> None:
        """Notes what an error says about the model, if anything: a refused request shows a provider alive."""
        if says_nothing(error):
            return
        code = failure_code(error)
        self.mark(model_id, code is None, latency_ms, code)

    def observed(self, model_id: str) -> Mark:
        """What this instance saw itself in the last minutes."""
        now = self._clock.time()
        window = self._windows.get(model_id, ())
        return mark_of_traffic(model_id, (call for call in window if now - call.time <= WINDOW_SECONDS), now)

    async def stored(self) -> Mapping[str, Mark]:
        """The marks of all instances and probes, by model id, at most some seconds old."""
        return await self._stored.current()

    async def status(self, model: Model) -> Json:
        """A model's mark as it is shown; `unknown` where there is none that still says something."""
        now = self._clock.time()
        mark = (await self.stored()).get(model.id)
        if mark is None or not mark.current(now, model.parameters.health_interval):
            mark = unknown_mark(model.id, now)
        return mark.document()

    async def flush(self, *, all: bool = False) -> None:
        """Writes the marks that are due, or all that are unwritten. What the store does not take stays."""
        now = self._clock.monotonic()
        for model_id in [id for id in self._unwritten if all or self._due.get(id, now) <= now]:
            self._due[model_id] = now + self._interval
            self._unwritten.discard(model_id)
            try:
                await write_mark(self._store, self.observed(model_id))
            except StoreError as error:
                self._unwritten.add(model_id)
                self._failed(error)
            else:
                self._failing = False
        self._forget(now)

    async def close(self) -> None:
        """Writes what is left, once, and ends."""
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.gather(self._writer, return_exceptions=True)
        await self.flush(all=True)
        await self._stored.close()

    def _begin(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # Marked outside of the loop: the next call's mark brings it along.
        self._writer = loop.create_task(self._write_on(), name="health-marks")

    async def _write_on(self) -> None:
        """Runs while there is something to write, and ends then: there is no shutdown to end it."""
        while self._unwritten:
            now = self._clock.monotonic()
            earliest = min(self._due.get(model_id, now) for model_id in self._unwritten)
            await asyncio.sleep(max(self._settle, earliest - now))
            await self.flush()

    def _failed(self, error: StoreError) -> None:
        if not self._failing:
            log_event(_log, logging.WARNING, "health_store_failed", error=type(error).__name__)
        self._failing = True

    def _forget(self, now: float) -> None:
        """Drops windows in which nothing happened for long, of models that are perhaps gone."""
        oldest = self._clock.time() - 2 * WINDOW_SECONDS
        for model_id in [id for id, window in self._windows.items() if window[-1].time < oldest]:
            if model_id not in self._unwritten:
                del self._windows[model_id]
                self._due.pop(model_id, None)
