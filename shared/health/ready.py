"""What `/health/ready` reports: whether this instance can serve, and how its models and providers are."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from shared import Json
from shared.access.caller import Caller
from shared.catalog.documents import Model
from shared.clock import iso
from shared.errors import CatalogUnavailable, SecretNotFound, SecretsUnavailable, StoreError
from shared.health.book import HealthBook
from shared.health.marks import Mark, Status
from shared.health.prober import CatalogSource
from shared.ports import Clock, DocumentStore, SecretStore
from shared.secrets import PROXY_SECRETS
from shared.single_flight import SingleFlight

ProviderState = Literal["healthy", "degraded", "unhealthy", "unknown"]

PATIENCE = 3.0
"""Seconds that the database and each secret may take to answer."""
PING_AGE = 10.0
"""Seconds for which one round trip to the database stands for the next questions too."""

_STATES: Mapping[Status, ProviderState] = {
    "healthy": "healthy",
    "degraded": "degraded",
    "rate_limited": "degraded",
    "unhealthy": "unhealthy",
    "unavailable": "unhealthy",
    "unknown": "unknown",
}
_SCORES: Mapping[ProviderState, int] = {"healthy": 100, "degraded": 50, "unhealthy": 0}
_SCORE_WITHOUT_DATABASE = 50


@dataclass(frozen=True, slots=True)
class Readiness:
    """`serving` False is a 503. `body` is the JSON of the answer."""

    serving: bool
    body: Json


class ReadyReport:
    """Looks at the catalog, the database, the proxy's own secrets and the stored health marks.

    `secret_names` are those that must exist: a missing one is reported, for only what needs it fails.
    """

    def __init__(
        self,
        catalog: CatalogSource,
        health: HealthBook,
        secrets: SecretStore,
        store: DocumentStore,
        clock: Clock,
        *,
        secret_names: Sequence[str] = PROXY_SECRETS,
    ) -> None:
        self._catalog = catalog
        self._health = health
        self._secrets = secrets
        self._secret_names = tuple(secret_names)
        self._store = store
        self._clock = clock
        self._ping: SingleFlight[float | None] = SingleFlight()
        self._pinged_at: float | None = None
        self._latency: float | None = None

    async def report(self, caller: Caller) -> Readiness:
        """The report, with the models that the caller may know of. Never raises."""
        latency, (secrets_reachable, missing) = await asyncio.gather(self._database(), self._own_secrets())
        database: Json = {"status": "ok", "latency_ms": latency}
        if latency is None:
            database["status"] = "unavailable"
        secrets: Json = {"status": "ok" if secrets_reachable else "unavailable", "missing": missing}
        body: Json = {
            "status": "unavailable",
            "timestamp": iso(self._clock.time()),
            "catalog": {"status": "unavailable"},
            "database": database,
            "secrets": secrets,
            "models": {"total": 0, "enabled": 0, "by_provider": {}},
            "providers": {"total": 0, "healthy": 0, "degraded": 0, "unhealthy": 0, "unknown": 0},
            "health_score": 0,
        }
        try:
            catalog = await self._catalog.current()
        except CatalogUnavailable:
            return Readiness(False, body)
        known = [model for model in catalog.models.values() if _may_know(caller, model)]
        states = model_states(known, await self._health.stored(), self._clock.time())
        score = health_score(state for state in states.values())
        well = latency is not None and secrets_reachable and not missing
        body["status"] = "ready" if well else "degraded"
        body["catalog"] = {"status": "ok"}
        body["models"] = _model_counts(known)
        body["providers"] = _provider_counts(states)
        body["health_score"] = score if latency is not None else min(score, _SCORE_WITHOUT_DATABASE)
        return Readiness(True, body)

    async def close(self) -> None:
        await self._ping.close()

    async def _database(self) -> float | None:
        """Milliseconds of one round trip; None if there was no answer in time."""
        now = self._clock.monotonic()
        if self._pinged_at is None or now - self._pinged_at >= PING_AGE:
            self._latency = await self._ping.join("", self._measure)
            self._pinged_at = self._clock.monotonic()
        return self._latency

    async def _measure(self) -> float | None:
        started = self._clock.monotonic()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._store.ping()
        except (StoreError, TimeoutError):
            return None
        return round((self._clock.monotonic() - started) * 1000, 2)

    async def _own_secrets(self) -> tuple[bool, list[str]]:
        """Whether the store of secrets answers, and the names that it does not have."""
        results = await asyncio.gather(*(self._secret_state(name) for name in self._secret_names))
        missing = [
            name for name, state in zip(self._secret_names, results, strict=True) if state == "missing"
        ]
        return "unreachable" not in results, missing

    async def _secret_state(self, name: str) -> Literal["there", "missing", "unreachable"]:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._secrets.get(name)
        except SecretNotFound:
            return "missing"
        except (SecretsUnavailable, TimeoutError):
            return "unreachable"
        return "there"


def model_states(
    models: Iterable[Model], marks: Mapping[str, Mark], now: float
) -> dict[Model, ProviderState]:
    """The state of each enabled model; `unknown` where its mark is missing or old."""
    states: dict[Model, ProviderState] = {}
    for model in models:
        if model.enabled:
            mark = marks.get(model.id)
            current = mark is not None and mark.current(now, model.parameters.health_interval)
            states[model] = _STATES[mark.status] if mark is not None and current else "unknown"
    return states


def provider_state(states: Iterable[ProviderState]) -> ProviderState:
    """A provider's state out of its models': `healthy` or `unhealthy` where all that are known agree.

    Else `degraded`; `unknown` where nothing is known of any.
    """
    known = set(states) - {"unknown"}
    if not known:
        return "unknown"
    return known.pop() if len(known) == 1 else "degraded"


def health_score(states: Iterable[ProviderState]) -> int:
    """0 to 100: the mean over models, healthy 100, degraded 50, unhealthy 0. Unknown ones are left out.

    100 where nothing is known: there is no sign of trouble.
    """
    scores = [_SCORES[state] for state in states if state != "unknown"]
    return round(sum(scores) / len(scores)) if scores else 100


def _may_know(caller: Caller, model: Model) -> bool:
    """A private model is not even counted for those who must not learn of it."""
    return caller.admin or not model.private or caller.project in model.project_set


def _model_counts(models: Sequence[Model]) -> Json:
    return {
        "total": len(models),
        "enabled": sum(1 for model in models if model.enabled),
        "by_provider": dict(sorted(Counter(model.provider for model in models).items())),
    }


def _provider_counts(states: Mapping[Model, ProviderState]) -> Json:
    by_provider: dict[str, list[ProviderState]] = {}
    for model, state in states.items():
        by_provider.setdefault(model.provider, []).append(state)
    counts = Counter(provider_state(of_models) for of_models in by_provider.values())
    return {
        "total": len(by_provider),
        **{state: counts[state] for state in ("healthy", "degraded", "unhealthy", "unknown")},
    }
