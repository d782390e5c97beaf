"""The timer's work: asks each enabled model for a sign of life, and stores what came of it."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Protocol

from shared.catalog.catalog import Catalog
from shared.catalog.documents import Model
from shared.errors import CatalogUnavailable, ProviderRefusal, ProviderTimeout, ProxyError, StoreError
from shared.health.marks import Mark, failure_code, mark_of_probe, says_nothing, unknown_mark
from shared.health.stored import read_marks, write_mark
from shared.ports import Clock, DocumentStore
from shared.providers.calls import Call, Provider
from shared.telemetry.logging import log_event, log_failure

CONCURRENCY = 8
TIMEOUT = 10.0
EARLY = 10.0
"""Seconds before its time that a model is probed: the timer comes each minute, give or take some."""

_CHAT = "ChatCompletion"
_INTERNAL = "internal_error"

_log = logging.getLogger("llmproxy.health")


class CatalogSource(Protocol):
    async def current(self) -> Catalog:
        """Raises `CatalogUnavailable`."""
        ...


class Prober:
    """Probes the models that are due. Safe to run on several instances, and twice at once on one.

    `provider_of` gives the provider that serves a model. `timeout` is in seconds, for each probe.
    """

    def __init__(
        self,
        catalog: CatalogSource,
        provider_of: Callable[[Model], Provider],
        store: DocumentStore,
        clock: Clock,
        *,
        concurrency: int = CONCURRENCY,
        timeout: float = TIMEOUT,
    ) -> None:
        self._catalog = catalog
        self._provider_of = provider_of
        self._store = store
        self._clock = clock
        self._concurrency = concurrency
        self._timeout = timeout
        self._running = False
        self._store_failing = False

    async def run(self) -> None:
        """Probes what is due. Raises nothing but cancellation: the next minute brings another try."""
        if self._running:
            return
        self._running = True
        try:
            await self._probe_due()
        except (StoreError, CatalogUnavailable) as error:
            self._store_failed(error)
        except Exception as error:
            log_failure(_log, "probes_failed", error)
        finally:
            self._running = False

    async def _probe_due(self) -> None:
        catalog = await self._catalog.current()
        marks = await read_marks(self._store)
        due = [model for model in catalog.models.values() if model.enabled and self._due(model, marks)]
        places = asyncio.Semaphore(self._concurrency)

        async def probe(model: Model) -> bool:
            async with places:
                return await self._probe(model, marks.get(model.id))

        if all(await asyncio.gather(*(probe(model) for model in due))):
            self._store_failing = False

    def _due(self, model: Model, marks: Mapping[str, Mark]) -> bool:
        mark = marks.get(model.id)
        age = None if mark is None else self._clock.time() - mark.checked_at
        # A mark from the future is another instance's clock: it must not keep a model from being probed.
        return age is None or age >= model.parameters.health_interval - EARLY or age < -EARLY

    async def _probe(self, model: Model, previous: Mark | None) -> bool:
        """Whether the store took what came of it."""
        mark = await self._examine(model, previous)
        if mark is None:
            return True
        if previous is not None and previous.status != mark.status:
            log_event(
                _log,
                logging.INFO if mark.status in ("healthy", "unknown") else logging.WARNING,
                "health_changed",
                model=model.id,
                provider=model.provider,
                message=f"{previous.status} -> {mark.status}",
                error_code=mark.error_code,
            )
        try:
            await write_mark(self._store, mark)
        except StoreError as error:
            self._store_failed(error)
            return False
        return True

    async def _examine(self, model: Model, previous: Mark | None) -> Mark | None:
        """The new mark; None where there is nothing new to say."""
        started = self._clock.monotonic()
        code: str | None = None
        try:
            async with asyncio.timeout(self._timeout):
                answered = await self._ask(model)
        except TimeoutError:
            answered, code = True, ProviderTimeout.code
        except ProxyError as error:
            answered, code = not says_nothing(error), _probe_code(error)
        except Exception as error:
            log_failure(_log, "probe_failed", error, model=model.id, provider=model.provider)
            answered, code = True, _INTERNAL
        now = self._clock.time()
        if answered:
            latency = (self._clock.monotonic() - started) * 1000
            return mark_of_probe(model.id, latency, code, now, previous)
        if previous is not None and previous.current(now, model.parameters.health_interval):
            return None  # Traffic knew better, not long ago.
        if previous is not None and previous.status == "unknown":
            return None
        return unknown_mark(model.id, now)

    async def _ask(self, model: Model) -> bool:
        """False where there is no free way to ask and none that costs was allowed."""
        provider = self._provider_of(model)
        if await provider.probe(model):
            return True
        if not (model.parameters.health_probe and model.supports(_CHAT)):
            return False
        body = {"model": model.id, "messages": [{"role": "user", "content": "ping"}], "max_tokens": 1}
        try:
            await provider.send(Call(_CHAT, "chat/completions", model, body, connect_timeout=self._timeout))
        except ProviderRefusal as refusal:
            # A model that refuses the question, as reasoning ones do a single token, is there to do so.
            if refusal.status not in (400, 422):
                raise
        return True

    def _store_failed(self, error: Exception) -> None:
        if not self._store_failing:
            log_event(_log, logging.WARNING, "health_store_failed", error=type(error).__name__)
        self._store_failing = True


def _probe_code(error: ProxyError) -> str | None:
    """As for a call; but a probe is well-formed, so a refusal (no such model) counts against it too."""
    code = failure_code(error)
    if code is None and isinstance(error, ProviderRefusal):
        return error.code or "provider_error"
    return code
