"""The catalog in memory: how old it may be, and what happens while the store is away."""

import asyncio
import logging
from collections.abc import AsyncIterator

import pytest

from shared.catalog.cache import PAGE, CatalogCache
from shared.catalog.catalog import Catalog
from shared.clock import ManualClock
from shared.containers import MODELS
from shared.errors import CatalogUnavailable
from tests.unit.catalog.worlds import OPENAI, GatedStore, changed


@pytest.fixture
async def cache(store: GatedStore, clock: ManualClock) -> AsyncIterator[CatalogCache]:
    cache = CatalogCache(store, clock, patience=0.02, first_patience=0.02)
    yield cache
    store.gate.set()
    await cache.close()


async def put(store: GatedStore, id: str, **fields: object) -> None:
    await store.upsert(MODELS, {**OPENAI, "id": id, **fields})


async def until_reads(store: GatedStore, count: int) -> None:
    """Waits until the store was asked `count` times, and what it answered has been taken in."""
    async with asyncio.timeout(5):
        while store.calls["query"] < count:
            await asyncio.sleep(0.001)


async def test_a_fresh_catalog_answers_without_the_store(
    store: GatedStore, clock: ManualClock, cache: CatalogCache
) -> None:
    await put(store, "a")
    assert cache.fresh() is None
    first = await cache.current()
    clock.advance(19)
    assert cache.fresh() is first
    assert await cache.current() is first
    assert store.calls["query"] == 1


async def test_a_change_is_seen_within_30_seconds_whatever_the_traffic(
    store: GatedStore, clock: ManualClock, cache: CatalogCache
) -> None:
    await put(store, "a")
    assert "b" not in (await cache.current()).models
    await put(store, "b")
    for idle in (30.1, 3600, 86_400):
        clock.advance(idle)
        assert cache.fresh() is None
        assert "b" in (await cache.current()).models
        await store.delete(MODELS, "b")
        clock.advance(30.1)
        assert "b" not in (await cache.current()).models
        await put(store, "b")


async def test_an_ageing_catalog_is_read_again_in_the_background(
    store: GatedStore, clock: ManualClock, cache: CatalogCache
) -> None:
    await put(store, "a")
    old = await cache.current()
    await put(store, "b")
    clock.advance(21)
    store.gate.clear()
    assert [cache.fresh() for _ in range(50)] == [old] * 50
    assert await cache.current() is old
    store.gate.set()
    async with asyncio.timeout(5):
        while cache.fresh() is old:
            await asyncio.sleep(0.001)
    assert "b" in (await cache.current()).models
    assert store.calls["query"] == 2


async def test_many_requests_share_one_reading(
    store: GatedStore, clock: ManualClock, cache: CatalogCache
) -> None:
    await put(store, "a")
    catalogs = await asyncio.gather(*(cache.current() for _ in range(100)))
    assert len(set(map(id, catalogs))) == 1
    clock.advance(31)
    await asyncio.gather(*(cache.current() for _ in range(100)))
    assert store.calls["query"] == 2


async def test_a_cancelled_request_leaves_the_reading_to_the_others(
    store: GatedStore, clock: ManualClock
) -> None:
    cache = CatalogCache(store, clock)
    await put(store, "a")
    store.gate.clear()
    impatient, patient = asyncio.create_task(cache.current()), asyncio.create_task(cache.current())
    async with asyncio.timeout(5):
        while not store.calls["asked"]:
            await asyncio.sleep(0.001)
    impatient.cancel()
    store.gate.set()
    assert "a" in (await patient).models
    assert store.calls["query"] == 1


async def test_while_the_store_is_away_the_older_catalog_serves_and_few_requests_wait(
    store: GatedStore, clock: ManualClock, cache: CatalogCache, caplog: pytest.LogCaptureFixture
) -> None:
    await put(store, "a")
    old = await cache.current()
    store.down = True
    asked = store.calls["query"]
    for _ in range(3600):
        clock.advance(1)
        for _ in range(3):
            assert await cache.current() is old
    # At most one try in ten seconds, the first few sooner.
    assert store.calls["query"] - asked < 3600 / 10 + 10
    assert sum("cannot be read" in record.message for record in caplog.records) == 1
    store.down = False
    await put(store, "b")
    clock.advance(31)
    assert "b" in (await cache.current()).models


async def test_a_store_that_does_not_answer_holds_a_request_only_so_long(
    store: GatedStore, clock: ManualClock, cache: CatalogCache
) -> None:
    await put(store, "a")
    old = await cache.current()
    clock.advance(31)
    store.gate.clear()
    async with asyncio.timeout(2):
        assert await cache.current() is old
    # While the pause lasts, nobody waits at all.
    assert cache.fresh() is old
    await put(store, "b")
    store.gate.set()
    await until_reads(store, 2)
    clock.advance(31)
    assert "b" in (await cache.current()).models


async def test_a_catalog_that_was_never_read_is_unavailable(
    store: GatedStore, clock: ManualClock, cache: CatalogCache
) -> None:
    store.down = True
    for _ in range(20):
        with pytest.raises(CatalogUnavailable) as caught:
            await cache.current()
        assert caught.value.status == 503
        assert caught.value.retry_after
    assert store.calls["query"] == 1
    with pytest.raises(CatalogUnavailable):
        await cache.refresh()
    store.down = False
    clock.advance(10)
    assert (await cache.current()).models == {}


async def test_a_store_that_hangs_at_the_first_reading_is_unavailable_too(
    store: GatedStore, cache: CatalogCache
) -> None:
    store.gate.clear()
    async with asyncio.timeout(2):
        with pytest.raises(CatalogUnavailable):
            await cache.current()


async def test_a_forced_refresh_sees_what_was_written_before_it(
    store: GatedStore, cache: CatalogCache
) -> None:
    await put(store, "a")
    await cache.current()
    await put(store, "b")
    assert "b" in (await cache.refresh()).models
    # One that is under way may have begun before the write: it does not count.
    store.gate.clear()
    under_way = asyncio.create_task(cache.refresh())
    async with asyncio.timeout(5):
        while store.calls["asked"] < 3:
            await asyncio.sleep(0.001)
    forced = asyncio.create_task(cache.refresh())
    await put(store, "c")
    store.gate.set()
    assert "c" in (await forced).models
    await under_way
    assert store.calls["query"] == 4


async def test_one_broken_document_is_skipped_with_one_warning_and_the_others_serve(
    store: GatedStore, clock: ManualClock, cache: CatalogCache, caplog: pytest.LogCaptureFixture
) -> None:
    await put(store, "good")
    await store.upsert(MODELS, changed({**OPENAI, "id": "bad"}, {"parameters.secret_name": "llmproxy-x"}))
    await put(store, "odd", colour="red")
    caplog.set_level(logging.INFO, "llmproxy.catalog")
    for _ in range(5):
        assert list((await cache.current()).models) == ["good", "odd"]
        clock.advance(31)
    said = [record.getMessage() for record in caplog.records if record.name == "llmproxy.catalog"]
    assert len(said) == 2
    assert "'bad'" in said[0]
    assert "parameters.secret_name" in said[0]
    assert "'odd'" in said[1]
    assert "colour" in said[1]
    await put(store, "bad", model_type="Nothing")
    await cache.current()
    assert "model_type" in caplog.records[-1].getMessage()
    await put(store, "bad")
    clock.advance(31)
    assert "bad" in (await cache.current()).models


async def test_an_endpoint_outside_the_listed_hosts_does_not_serve(
    store: GatedStore, clock: ManualClock
) -> None:
    await put(store, "outside", parameters={"secret_name": "a", "endpoint": "https://relay.example.com"})
    await put(store, "inside", parameters={"secret_name": "a", "endpoint": "https://relay.example.org"})
    cache = CatalogCache(store, clock, endpoint_hosts=("relay.example.org",))
    assert list((await cache.current()).models) == ["inside"]


async def test_unchanged_documents_are_not_parsed_again(store: GatedStore, cache: CatalogCache) -> None:
    await put(store, "a")
    await put(store, "b")
    before = await cache.refresh()
    assert await cache.refresh() is before
    await put(store, "b", name="changed")
    after = await cache.refresh()
    assert after is not before
    assert after.models["a"] is before.models["a"]
    assert after.models["b"] is not before.models["b"]


async def test_all_pages_are_read(store: GatedStore, cache: CatalogCache) -> None:
    ids = [f"m{number:04d}/ä" for number in range(2 * PAGE + 1)]
    for id in ids:
        await put(store, id)
    assert list((await cache.refresh()).models) == ids


async def test_listeners_hear_of_each_catalog_that_differs_and_cannot_harm(
    store: GatedStore, cache: CatalogCache
) -> None:
    heard: list[Catalog] = []

    def fails(catalog: Catalog) -> None:
        raise RuntimeError("a fault of the listener")

    cache.on_load(fails)
    cache.on_load(heard.append)
    first = await cache.refresh()
    await cache.refresh()
    await put(store, "a")
    second = await cache.refresh()
    assert heard == [first, second]
    late: list[Catalog] = []
    cache.on_load(late.append)
    assert late == [second]
