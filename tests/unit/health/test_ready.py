"""The readiness report: whether the app can serve, and how its models are."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from shared.access.caller import Caller
from shared.clock import ManualClock
from shared.health.book import HealthBook
from shared.health.marks import Mark, Status
from shared.health.ready import ProviderState, ReadyReport, health_score, provider_state
from shared.health.stored import write_mark
from tests.unit.access.worlds import Outages
from tests.unit.health.worlds import FixedCatalog, NamedSecrets, model, store_of

ADMIN = Caller("default", "k", "admin")
USER = Caller("team", "k")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Outages]:
    async with store_of(tmp_path, clock) as running:
        yield running


@pytest.fixture
def secrets() -> NamedSecrets:
    return NamedSecrets("one", "two")


@pytest.fixture
def catalog() -> FixedCatalog:
    return FixedCatalog(
        model("a"),
        model("b"),
        model("off", enabled=False),
        model("o", "OpenAI"),
        model("hidden", "OpenAI", private=True, projects=["other"]),
    )


@pytest.fixture
async def report(
    catalog: FixedCatalog, secrets: NamedSecrets, store: Outages, clock: ManualClock
) -> AsyncIterator[ReadyReport]:
    book = HealthBook(store, clock)
    made = ReadyReport(catalog, book, secrets, store, clock, secret_names=("one", "two"))
    yield made
    await made.close()
    store.down = False
    await book.close()


async def marked(store: Outages, clock: ManualClock, **statuses: Status) -> None:
    for id, status in statuses.items():
        await write_mark(store, Mark(id, status, 10.0, 0.0, None, clock.time(), "probe"))


async def test_all_is_well(report: ReadyReport, store: Outages, clock: ManualClock) -> None:
    await marked(store, clock, a="healthy", b="healthy", o="healthy", hidden="healthy")
    readiness = await report.report(ADMIN)
    body = readiness.body
    assert readiness.serving
    assert body["status"] == "ready"
    assert body["catalog"] == {"status": "ok"}
    assert body["database"]["status"] == "ok"
    assert body["database"]["latency_ms"] >= 0
    assert body["secrets"] == {"status": "ok", "missing": []}
    assert body["models"] == {"total": 5, "enabled": 4, "by_provider": {"Demo": 3, "OpenAI": 2}}
    assert body["providers"] == {"total": 2, "healthy": 2, "degraded": 0, "unhealthy": 0, "unknown": 0}
    assert body["health_score"] == 100


async def test_a_private_model_is_not_even_counted(report: ReadyReport) -> None:
    assert (await report.report(USER)).body["models"]["by_provider"] == {"Demo": 3, "OpenAI": 1}
    assert (await report.report(Caller("other", "k"))).body["models"]["by_provider"]["OpenAI"] == 2


async def test_the_providers_are_counted_by_state(
    report: ReadyReport, store: Outages, clock: ManualClock
) -> None:
    await marked(store, clock, a="rate_limited", b="healthy", o="unavailable", off="unhealthy")
    body = (await report.report(USER)).body
    assert body["providers"] == {"total": 2, "healthy": 0, "degraded": 1, "unhealthy": 1, "unknown": 0}
    assert body["health_score"] == 50


async def test_old_marks_say_nothing(report: ReadyReport, store: Outages, clock: ManualClock) -> None:
    await marked(store, clock, a="unhealthy", b="unhealthy", o="unhealthy")
    clock.advance(301)
    body = (await report.report(USER)).body
    assert body["providers"]["unknown"] == 2
    assert body["health_score"] == 100


async def test_a_missing_secret_is_named_and_serving_goes_on(
    report: ReadyReport, secrets: NamedSecrets
) -> None:
    secrets.names.remove("two")
    readiness = await report.report(USER)
    assert readiness.serving
    assert readiness.body["status"] == "degraded"
    assert readiness.body["secrets"] == {"status": "ok", "missing": ["two"]}


async def test_a_vault_that_is_away_is_reported(report: ReadyReport, secrets: NamedSecrets) -> None:
    secrets.down = True
    readiness = await report.report(USER)
    assert readiness.serving
    assert readiness.body["secrets"] == {"status": "unavailable", "missing": []}


async def test_without_a_catalog_it_cannot_serve(report: ReadyReport, catalog: FixedCatalog) -> None:
    catalog.documents = None
    readiness = await report.report(USER)
    assert not readiness.serving
    assert readiness.body["status"] == "unavailable"
    assert readiness.body["catalog"] == {"status": "unavailable"}
    assert readiness.body["health_score"] == 0


async def test_a_cached_catalog_serves_without_the_database(report: ReadyReport, store: Outages) -> None:
    store.down = True
    readiness = await report.report(USER)
    assert readiness.serving
    assert readiness.body["status"] == "degraded"
    assert readiness.body["database"] == {"status": "unavailable", "latency_ms": None}
    assert readiness.body["health_score"] == 50


async def test_many_questions_make_few_round_trips(
    report: ReadyReport, store: Outages, clock: ManualClock
) -> None:
    await asyncio.gather(*(report.report(USER) for _ in range(20)))
    clock.advance(9)
    await report.report(USER)
    assert (store.calls["ping"], store.calls["query"]) == (1, 1)
    clock.advance(1)
    await report.report(USER)
    assert (store.calls["ping"], store.calls["query"]) == (2, 2)


@pytest.mark.parametrize(
    ("states", "state", "score"),
    [
        ([], "unknown", 100),
        (["unknown"], "unknown", 100),
        (["healthy", "unknown"], "healthy", 100),
        (["healthy", "unhealthy"], "degraded", 50),
        (["unhealthy", "unhealthy"], "unhealthy", 0),
        (["degraded", "unknown"], "degraded", 50),
        (["healthy", "healthy", "unhealthy"], "degraded", 67),
    ],
)
def test_a_providers_state_is_that_of_its_models(
    states: Sequence[ProviderState], state: ProviderState, score: int
) -> None:
    assert provider_state(states) == state
    assert health_score(states) == score
