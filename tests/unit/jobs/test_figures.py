"""Figures of jobs: each counted once, whoever counts, whenever one dies."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from shared import Json
from shared.clock import iso
from shared.errors import StoreUnavailable
from shared.jobs.figures import EVERY, FEW, FRESH, LAG, OLDEST, REFRESH, Figures
from shared.jobs.job import Queue
from shared.jobs.store import JobStore
from shared.jobs.tally import HALF_LIFE
from shared.ports import DocumentStore
from tests.unit.access.worlds import Outages
from tests.unit.jobs.aftermath import Aftermath, Killed, Mortal


class Counting:
    """Figures on a database that counts what is read, and can go away."""

    def __init__(self, aftermath: Aftermath) -> None:
        self.aftermath = aftermath
        self.outages = Outages(aftermath.base)
        self.figures = self.on(self.outages)

    def on(self, store: DocumentStore) -> Figures:
        """Those of another process."""
        return Figures(store, JobStore(store), self.aftermath.clock)

    async def later(self, seconds: float = EVERY + LAG) -> None:
        """Lets time pass, and the timer come."""
        self.aftermath.clock.advance(seconds)
        await self.figures.keep()

    async def shown(self, project: str | None = None) -> Json:
        return await self.figures.metrics(project)

    async def counts(self, project: str | None = None) -> tuple[int, ...]:
        """total, queued, processing, completed, failed, cancelled"""
        shown = await self.shown(project)
        names = ("total", "queued", "processing", "completed", "failed", "cancelled")
        return tuple(shown[f"{name}_jobs"] for name in names)


@pytest.fixture
async def counting(aftermath: Aftermath) -> AsyncIterator[Counting]:
    made = Counting(aftermath)
    yield made
    await made.figures.close()


async def test_before_there_are_jobs_all_is_nothing(counting: Counting) -> None:
    await counting.later()
    shown = await counting.shown()
    assert {name: value for name, value in shown.items() if name != "as_of"} == {
        "total_jobs": 0,
        "queued_jobs": 0,
        "processing_jobs": 0,
        "completed_jobs": 0,
        "failed_jobs": 0,
        "cancelled_jobs": 0,
        "average_queue_time_seconds": None,
        "average_processing_time_seconds": None,
    }
    assert shown["as_of"] == iso(counting.aftermath.clock.time() - LAG)


async def test_jobs_are_counted_where_they_are_by_project_and_in_all(counting: Counting) -> None:
    aftermath = counting.aftermath
    await aftermath.queued("q-1")
    await aftermath.queued("q-2", project="other", priority=1)
    await aftermath.running("p-1")
    await aftermath.completed("c-1")
    await aftermath.completed("c-2", project="other")
    await aftermath.failed("f-1")
    await aftermath.cancelled(await aftermath.queued("x-1"))
    await counting.later()
    assert await counting.counts() == (7, 2, 1, 2, 1, 1)
    assert await counting.counts("team") == (5, 1, 1, 1, 1, 1)
    assert await counting.counts("other") == (2, 1, 0, 1, 0, 0)
    assert await counting.counts("nobody") == (0, 0, 0, 0, 0, 0)


async def test_each_job_is_read_twice_at_most_however_often_it_is_counted(counting: Counting) -> None:
    for number in range(10):
        await counting.aftermath.completed(f"c-{number}")
    for _ in range(20):
        await counting.later()
    assert counting.outages.documents_read == 20
    assert await counting.counts() == (10, 0, 0, 10, 0, 0)


async def test_what_happened_in_the_last_moments_is_counted_next_time(counting: Counting) -> None:
    await counting.later()
    await counting.aftermath.completed("c-1")
    await counting.later(EVERY)
    await counting.aftermath.completed("c-2")
    await counting.later(LAG - 1)
    assert (await counting.counts())[3] == 1
    await counting.later()
    assert (await counting.counts())[3] == 2


async def test_two_tallies_at_once_count_once(counting: Counting) -> None:
    for number in range(5):
        await counting.aftermath.completed(f"c-{number}")
    others = [counting.on(counting.aftermath.base) for _ in range(4)]
    for _ in range(3):
        counting.aftermath.clock.advance(EVERY + LAG)
        await asyncio.gather(*(one.keep() for one in others))
    assert await counting.counts() == (5, 0, 0, 5, 0, 0)


@pytest.mark.parametrize("applied", [True, False], ids=["after", "before"])
async def test_a_tally_that_died_at_its_write_is_counted_once_or_made_again(
    counting: Counting, applied: bool
) -> None:
    for number in range(1, 4):
        await counting.aftermath.completed(f"c-{number}")
        counting.aftermath.clock.advance(EVERY + LAG)
        mortal = Mortal(counting.aftermath.base)
        mortal.kill_at(1, applied=applied)
        with pytest.raises(Killed):
            await counting.on(mortal).keep()
        await counting.later()
        assert (await counting.counts())[3] == number


async def test_a_write_that_looks_like_a_lost_race_counts_once(counting: Counting) -> None:
    for number in range(1, 4):
        await counting.aftermath.completed(f"c-{number}")
        counting.outages.lost_races = 1
        await counting.later()
        assert (await counting.counts())[3] == number


async def test_averages_follow_what_happened_lately(counting: Counting) -> None:
    aftermath = counting.aftermath
    held = await aftermath.queued("slow")
    aftermath.clock.advance(100.0)
    await aftermath.claim(held)
    found = await aftermath.here.jobs.get("slow")
    assert found is not None
    aftermath.clock.advance(40.0)
    await aftermath.cancelled(found)  # how long it would have run is not known
    await counting.later()
    shown = await counting.shown()
    assert shown["average_queue_time_seconds"] == 100.0
    assert shown["average_processing_time_seconds"] is None
    aftermath.clock.advance(3 * HALF_LIFE)
    await aftermath.completed("quick")
    await counting.later()
    shown = await counting.shown("team")
    assert 0 < shown["average_queue_time_seconds"] < 12.0
    assert shown["average_processing_time_seconds"] == 2.0
    for _ in range(60):
        await counting.later(24 * HALF_LIFE)
    assert (await counting.counts("team"))[0] == 2


async def test_many_queued_jobs_are_counted_without_reading_them_again(counting: Counting) -> None:
    count = FEW + 30
    for number in range(count):
        await counting.aftermath.queued(f"q-{number}", webhook_url=None)
    await counting.later()
    await counting.aftermath.completed("c")
    before = counting.outages.documents_read
    await counting.later()
    assert await counting.counts() == (count + 1, count, 0, 1, 0, 0)
    assert await counting.counts("team") == (count + 1, count, 0, 1, 0, 0)
    assert counting.outages.documents_read - before == 2 + FEW + 1


async def test_who_asks_counts_if_the_timer_does_not(counting: Counting) -> None:
    await counting.aftermath.completed()
    counting.aftermath.clock.advance(OLDEST)
    assert (await counting.counts())[3] == 1
    counting.aftermath.clock.advance(OLDEST)
    shown = await counting.shown()
    assert shown["as_of"] == iso(counting.aftermath.clock.time() - LAG)


async def test_figures_are_at_most_a_minute_old_with_the_timer_or_without(counting: Counting) -> None:
    await counting.later()
    for seconds in (1, 14, FRESH, EVERY, 40, OLDEST, 90, 3600, 3, 55):
        counting.aftermath.clock.advance(seconds)
        shown = await counting.shown()
        assert shown["as_of"] >= iso(counting.aftermath.clock.time() - 60)


async def test_without_the_store_the_timer_says_nothing_and_who_asks_hears_of_it(counting: Counting) -> None:
    counting.outages.down = True
    await counting.later()
    with pytest.raises(StoreUnavailable):
        await counting.shown()
    counting.outages.down = False
    await counting.aftermath.completed()
    await counting.later()
    assert (await counting.counts())[3] == 1


async def test_an_estimate_is_what_is_ahead_and_how_long_a_job_takes(counting: Counting) -> None:
    aftermath, figures = counting.aftermath, counting.figures
    now = aftermath.clock.time()
    assert await figures.estimate(Queue.NORMAL, now) is None
    await aftermath.completed()
    await counting.later()
    now = aftermath.clock.time()
    assert await figures.estimate(Queue.NORMAL, now) == now + 2.0
    assert await figures.estimate(Queue.PRIORITY, now) is None
    for number in range(6):
        await aftermath.queued(f"q-{number}", webhook_url=None)
    await counting.later()
    # Nothing runs at the moment, but one at a time it goes at least.
    now = aftermath.clock.time()
    assert await figures.estimate(Queue.NORMAL, now) == pytest.approx(now + 6 * 2.0 + 2.0)
    for number in range(4):
        await aftermath.running(f"p-{number}", webhook_url=None)
    await counting.later()
    now = aftermath.clock.time()
    assert await figures.estimate(Queue.NORMAL, now) == pytest.approx(now + 6 * 2.0 / 4 + 2.0)


async def test_an_estimate_goes_by_the_measured_throughput_where_that_is_higher(counting: Counting) -> None:
    aftermath = counting.aftermath
    for number in range(50):
        await aftermath.completed(f"c-{number}", webhook_url=None)
        aftermath.clock.advance(-1.9)  # ten in a second, of two seconds each
    for number in range(20):
        await aftermath.queued(f"q-{number}", webhook_url=None)
    await counting.later()
    now = aftermath.clock.time()
    estimate = await counting.figures.estimate(Queue.NORMAL, now)
    assert estimate is not None
    # Fifty in less than a minute are more than one after the other could have been.
    assert 2.0 < estimate - now < 20 * 2.0


async def test_an_estimate_waits_for_no_store_and_is_refreshed_behind_the_callers_back(
    counting: Counting,
) -> None:
    aftermath, reader = counting.aftermath, counting.on(counting.outages)
    await aftermath.completed()
    await counting.later()
    counting.outages.calls.clear()
    now = aftermath.clock.time()
    assert await reader.estimate(Queue.NORMAL, now) is None
    assert counting.outages.calls["get"] == 0  # not yet: it is asked in the background
    async with asyncio.timeout(5):
        while await reader.estimate(Queue.NORMAL, now) is None:
            await asyncio.sleep(0.001)
    assert counting.outages.calls["get"] == 1
    counting.outages.down = True
    aftermath.clock.advance(REFRESH)
    for _ in range(3):
        assert await reader.estimate(Queue.NORMAL, now) == now + 2.0
        await asyncio.sleep(0.01)
    assert counting.outages.calls["get"] == 2
    await reader.close()
