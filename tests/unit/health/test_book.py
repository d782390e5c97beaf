"""Marks of real calls: taken in memory, written in the background."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.clock import ManualClock
from shared.containers import HEALTH
from shared.errors import ClientGone, ProviderRefusal, ProviderServerError, ProviderUnavailable
from shared.health.book import HealthBook
from shared.health.marks import mark_of_probe
from shared.health.stored import read_marks, write_mark
from tests.unit.access.worlds import Outages
from tests.unit.health.worlds import model, store_of, stored, until


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path, clock: ManualClock) -> AsyncIterator[Outages]:
    async with store_of(tmp_path, clock) as running:
        yield running


@pytest.fixture
async def book(store: Outages, clock: ManualClock) -> AsyncIterator[HealthBook]:
    made = HealthBook(store, clock, settle=0.0)
    yield made
    store.down = False
    await made.close()


async def test_a_call_is_marked_in_the_background(store: Outages, book: HealthBook) -> None:
    book.mark("m", True, 120.0)
    assert store.calls["upsert"] == 0
    await until(lambda: store.calls["upsert"] == 1)
    mark = await stored(store, "m")
    assert mark is not None
    assert (mark.status, mark.latency_ms, mark.source) == ("healthy", 120.0, "traffic")


async def test_a_model_is_written_at_most_once_a_minute(
    store: Outages, book: HealthBook, clock: ManualClock
) -> None:
    for _ in range(50):
        book.mark("m", True, 1.0)
        await book.flush()
    assert store.calls["upsert"] == 1
    clock.advance(60)
    await book.flush()
    assert store.calls["upsert"] == 2


async def test_nothing_new_is_not_written_again(store: Outages, book: HealthBook, clock: ManualClock) -> None:
    book.mark("m", True, 1.0)
    await book.flush()
    clock.advance(3600)
    await book.flush()
    assert store.calls["upsert"] == 1


async def test_only_the_last_five_minutes_count(book: HealthBook, clock: ManualClock) -> None:
    for _ in range(5):
        book.mark("m", False, None, "provider_error")
    assert book.observed("m").status == "unhealthy"
    clock.advance(301)
    assert book.observed("m").status == "unknown"
    book.mark("m", True, 1.0)
    assert book.observed("m").status == "healthy"


async def test_only_the_last_hundred_calls_count(book: HealthBook) -> None:
    for _ in range(1_000):
        book.mark("m", False, None, "provider_error")
    for _ in range(100):
        book.mark("m", True, 1.0)
    assert book.observed("m").error_rate == 0.0


async def test_errors_are_marked_by_what_they_say_about_the_model(book: HealthBook) -> None:
    book.mark_error("gone", ClientGone(), 5.0)
    assert book.observed("gone").status == "unknown"
    book.mark_error("refusing", ProviderRefusal("no", 400), 5.0)
    assert book.observed("refusing").status == "healthy"
    book.mark_error("busy", ProviderRefusal("later", 429), 5.0)
    assert book.observed("busy").status == "rate_limited"
    book.mark_error("keyless", ProviderUnavailable("no secret"), 5.0)
    assert book.observed("keyless").status == "unavailable"
    for _ in range(3):
        book.mark_error("broken", ProviderServerError("oops"), 5.0)
    assert book.observed("broken").status == "unhealthy"


async def test_an_outage_of_the_store_is_logged_once_and_made_up_for(
    store: Outages, book: HealthBook, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    store.down = True
    for id in ("a", "b"):
        book.mark(id, True, 1.0)
    await book.flush()
    clock.advance(60)
    await book.flush()
    assert len([record for record in caplog.records if record.name == "llmproxy.health"]) == 1
    store.down = False
    clock.advance(60)
    await book.flush()
    assert set(await read_marks(store)) == {"a", "b"}


async def test_closing_writes_what_is_left(store: Outages, clock: ManualClock) -> None:
    book = HealthBook(store, clock, settle=3600.0)
    book.mark("m", True, 1.0)
    await book.close()
    assert await stored(store, "m") is not None


async def test_closing_while_the_store_is_down_ends(store: Outages, clock: ManualClock) -> None:
    book = HealthBook(store, clock, settle=3600.0)
    book.mark("m", True, 1.0)
    store.down = True
    await book.close()


def test_a_mark_outside_of_the_loop_does_no_harm(clock: ManualClock, tmp_path: Path) -> None:
    async def marked_before() -> None:
        async with store_of(tmp_path, clock) as store:
            book = HealthBook(store, clock)
            await asyncio.to_thread(book.mark, "m", True, 1.0)
            await book.flush()
            assert await stored(store, "m") is not None
            await book.close()

    asyncio.run(marked_before())


async def test_marks_are_read_at_most_once_in_ten_seconds(
    store: Outages, book: HealthBook, clock: ManualClock
) -> None:
    await asyncio.gather(*(book.stored() for _ in range(20)))
    clock.advance(9)
    await book.stored()
    assert store.calls["query"] == 1
    clock.advance(1)
    await book.stored()
    assert store.calls["query"] == 2


async def test_the_last_marks_go_on_while_the_store_is_down(
    store: Outages, book: HealthBook, clock: ManualClock
) -> None:
    await write_mark(store, mark_of_probe("m", 5.0, None, clock.time(), None))
    assert (await book.status(model("m")))["status"] == "healthy"
    store.down = True
    clock.advance(60)
    assert (await book.status(model("m")))["status"] == "healthy"
    clock.advance(300)
    assert (await book.status(model("m")))["status"] == "unknown"


async def test_a_document_of_another_kind_is_passed_over(store: Outages, book: HealthBook) -> None:
    await store.upsert(HEALTH, {"id": "odd", "status": 5})
    assert await book.stored() == {}


async def test_more_marks_than_a_page_are_read(store: Outages, clock: ManualClock) -> None:
    for index in range(501):
        await write_mark(store, mark_of_probe(f"m/{index}", 5.0, None, clock.time(), None))
    assert len(await read_marks(store)) == 501
