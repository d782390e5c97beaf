"""The probes: what is due is asked, in the cheapest way, and one bad model harms no other."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.clock import ManualClock
from shared.errors import (
    ProviderCredentialRefused,
    ProviderRefusal,
    ProviderServerError,
    ProviderUnavailable,
)
from shared.health.marks import Mark
from shared.health.prober import Prober
from shared.health.stored import read_marks, write_mark
from tests.unit.access.worlds import Outages
from tests.unit.health.worlds import FixedCatalog, ScriptedProvider, model, store_of, stored, until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Outages]:
    async with store_of(tmp_path, clock) as running:
        yield running


@pytest.fixture
def provider(clock: ManualClock) -> ScriptedProvider:
    return ScriptedProvider(clock)


@pytest.fixture
def catalog() -> FixedCatalog:
    return FixedCatalog(model("a"), model("b"), model("off", enabled=False))


@pytest.fixture
def prober(catalog: FixedCatalog, provider: ScriptedProvider, store: Outages, clock: ManualClock) -> Prober:
    return Prober(catalog, lambda _: provider, store, clock)


def traffic(id: str, clock: ManualClock, age: float = 0.0) -> Mark:
    return Mark(id, "degraded", 10.0, 0.2, "provider_error", clock.time() - age, "traffic")


async def test_each_enabled_model_is_probed(
    prober: Prober, store: Outages, provider: ScriptedProvider
) -> None:
    await prober.run()
    assert provider.probed == ["a", "b"]
    mark = await stored(store, "a")
    assert mark is not None
    assert (mark.status, mark.source, mark.error_rate) == ("healthy", "probe", 0.0)
    assert mark.latency_ms is not None
    assert mark.latency_ms >= 50
    assert provider.sent == []


async def test_one_bad_model_harms_no_other(
    prober: Prober, store: Outages, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    provider.probes["a"] = RuntimeError("a fault of ours, with sk-secret in it")
    await prober.run()
    marks = await read_marks(store)
    assert marks["a"].status == "unhealthy"
    assert marks["a"].error_code == "internal_error"
    assert marks["b"].status == "healthy"
    assert "sk-secret" not in caplog.text


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (ProviderUnavailable("no secret"), "unavailable", "provider_unavailable"),
        (ProviderCredentialRefused("refused"), "unavailable", "credential_refused"),
        (ProviderRefusal("later", 429), "rate_limited", "rate_limit_exceeded"),
        (ProviderRefusal("no such model", 404, code="model_not_found"), "unhealthy", "model_not_found"),
        (ProviderServerError("oops"), "unhealthy", "provider_error"),
    ],
)
async def test_a_failed_probe_is_told_apart(
    prober: Prober, store: Outages, provider: ScriptedProvider, error: Exception, status: str, code: str
) -> None:
    provider.probes["a"] = error
    await prober.run()
    mark = await stored(store, "a")
    assert mark is not None
    assert (mark.status, mark.error_code) == (status, code)


async def test_a_silent_provider_is_given_up(
    catalog: FixedCatalog, provider: ScriptedProvider, store: Outages, clock: ManualClock
) -> None:
    provider.gate.clear()
    await Prober(catalog, lambda _: provider, store, clock, timeout=0.01).run()
    mark = await stored(store, "a")
    assert mark is not None
    assert (mark.status, mark.error_code) == ("unhealthy", "provider_timeout")
    assert provider.running == 0


async def test_a_model_is_probed_again_after_its_interval(
    provider: ScriptedProvider, store: Outages, clock: ManualClock
) -> None:
    catalog = FixedCatalog(model("a"), model("slow", parameters={"health_interval": 600}))
    prober = Prober(catalog, lambda _: provider, store, clock)
    await prober.run()
    for _ in range(3):
        clock.advance(59.5)
        await prober.run()
    assert provider.probed == ["a", "slow", "a", "a", "a"]
    clock.advance(600)
    await prober.run()
    assert provider.probed[-1] == "slow"


async def test_a_fresh_mark_of_traffic_saves_the_probe(
    prober: Prober, provider: ScriptedProvider, store: Outages, clock: ManualClock
) -> None:
    await write_mark(store, traffic("a", clock, age=30))
    await prober.run()
    assert provider.probed == ["b"]


async def test_a_mark_from_the_future_does_not_stop_probes(
    prober: Prober, provider: ScriptedProvider, store: Outages, clock: ManualClock
) -> None:
    await write_mark(store, traffic("a", clock, age=-86_400))
    await prober.run()
    assert provider.probed == ["a", "b"]


async def test_without_a_free_way_a_model_is_unknown(
    prober: Prober, provider: ScriptedProvider, store: Outages, clock: ManualClock
) -> None:
    provider.probes["a"] = False
    await prober.run()
    mark = await stored(store, "a")
    assert mark is not None
    assert (mark.status, mark.latency_ms, mark.error_rate) == ("unknown", None, None)
    assert provider.sent == []


async def test_without_a_free_way_traffic_is_believed_while_it_is_recent(
    prober: Prober, provider: ScriptedProvider, store: Outages, clock: ManualClock
) -> None:
    provider.probes["a"] = False
    await write_mark(store, traffic("a", clock, age=200))
    await prober.run()
    mark = await stored(store, "a")
    assert mark is not None
    assert mark.status == "degraded"
    clock.advance(120)
    await prober.run()
    mark = await stored(store, "a")
    assert mark is not None
    assert mark.status == "unknown"


async def test_one_token_is_asked_for_only_where_that_is_allowed(
    provider: ScriptedProvider, store: Outages, clock: ManualClock
) -> None:
    catalog = FixedCatalog(model("a", parameters={"health_probe": True}), model("b"))
    provider.probes = {"a": False, "b": False}
    await Prober(catalog, lambda _: provider, store, clock).run()
    [call] = provider.sent
    assert call.model.id == "a"
    assert call.body["max_tokens"] == 1
    marks = await read_marks(store)
    assert (marks["a"].status, marks["b"].status) == ("healthy", "unknown")


@pytest.mark.parametrize(
    ("error", "status"),
    [(ProviderRefusal("too few tokens", 400), "healthy"), (ProviderServerError("oops"), "unhealthy")],
)
async def test_a_refusal_of_the_one_token_is_a_sign_of_life(
    provider: ScriptedProvider, store: Outages, clock: ManualClock, error: Exception, status: str
) -> None:
    provider.probes["a"] = False
    provider.answers["a"] = error
    catalog = FixedCatalog(model("a", parameters={"health_probe": True}))
    await Prober(catalog, lambda _: provider, store, clock).run()
    mark = await stored(store, "a")
    assert mark is not None
    assert mark.status == status


async def test_few_probes_run_at_once(provider: ScriptedProvider, store: Outages, clock: ManualClock) -> None:
    catalog = FixedCatalog(*(model(f"m{index}") for index in range(30)))
    provider.gate.clear()
    running = asyncio.create_task(Prober(catalog, lambda _: provider, store, clock).run())
    await until(lambda: provider.running == 8)
    provider.gate.set()
    await running
    assert provider.most == 8
    assert len(await read_marks(store)) == 30


async def test_two_timers_at_once_do_no_harm(
    catalog: FixedCatalog, provider: ScriptedProvider, store: Outages, clock: ManualClock
) -> None:
    one, two = (Prober(catalog, lambda _: provider, store, clock) for _ in range(2))
    await asyncio.gather(one.run(), one.run(), two.run())
    assert sorted(provider.probed) in (["a", "a", "b", "b"], ["a", "b"])
    assert {mark.status for mark in (await read_marks(store)).values()} == {"healthy"}


async def test_an_outage_of_the_store_is_logged_once(
    prober: Prober, store: Outages, provider: ScriptedProvider, caplog: pytest.LogCaptureFixture
) -> None:
    store.down = True
    await prober.run()
    await prober.run()
    assert provider.probed == []
    assert len([record for record in caplog.records if record.name == "llmproxy.health"]) == 1
    store.down = False
    await prober.run()
    assert len(await read_marks(store)) == 2


async def test_marks_that_cannot_be_written_are_logged_once(
    prober: Prober, store: Outages, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    from shared.containers import HEALTH

    store.refused = {HEALTH}
    await prober.run()
    clock.advance(60)
    await prober.run()
    assert len([record for record in caplog.records if record.name == "llmproxy.health"]) == 1


async def test_without_a_catalog_nothing_is_probed(
    prober: Prober, catalog: FixedCatalog, provider: ScriptedProvider
) -> None:
    catalog.documents = None
    await prober.run()
    assert provider.probed == []


async def test_a_provider_that_cannot_be_made_is_no_reason_to_fail(
    catalog: FixedCatalog, store: Outages, clock: ManualClock
) -> None:
    def provider_of(_: object) -> ScriptedProvider:
        raise ProviderUnavailable("The library cannot be loaded.")

    await Prober(catalog, provider_of, store, clock).run()
    assert {mark.status for mark in (await read_marks(store)).values()} == {"unavailable"}


async def test_a_change_of_status_is_logged(
    prober: Prober, provider: ScriptedProvider, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llmproxy.health")
    await prober.run()
    assert not caplog.records
    provider.probes["a"] = ProviderServerError("oops")
    clock.advance(60)
    await prober.run()
    [record] = caplog.records
    assert '"model":"a"' in record.getMessage()
    assert "healthy -> unhealthy" in record.getMessage()
