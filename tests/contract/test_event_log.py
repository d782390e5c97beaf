"""What the local event log promises a reader: what Event Hubs and its host promise, on one file."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.local_consumer import EventBatch, LocalConsumer, deliver
from shared.adapters.local_events import RETENTION, LocalEvents
from shared.clock import ManualClock
from shared.errors import EventsUnavailable
from shared.ports import Event

HUB = "jobs"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def events(tmp_path: Path, clock: ManualClock) -> AsyncIterator[LocalEvents]:
    log = LocalEvents(tmp_path / "events.sqlite3", clock=clock)
    yield log
    await log.close()


def numbered(count: int, first: int = 0) -> list[Event]:
    return [Event(f"e{n}", b"%d" % n) for n in range(first, first + count)]


def bodies(batch: EventBatch) -> list[int]:
    return [int(logged.event.body) for logged in batch.events]


async def take(consumer: LocalConsumer, count: int) -> list[EventBatch]:
    """The next batches, which stay uncommitted."""
    taken: list[EventBatch] = []
    async with asyncio.timeout(10):
        async for batch in consumer:
            taken.append(batch)
            if len(taken) == count:
                break
    return taken


async def read_all(consumer: LocalConsumer, count: int) -> list[int]:
    """Commits batches until `count` events were seen."""
    seen: list[int] = []
    async with asyncio.timeout(10):
        async for batch in consumer:
            seen.extend(bodies(batch))
            assert await batch.commit()
            if len(seen) >= count:
                break
    return seen


# Partitions and batches


async def test_events_go_to_the_partitions_by_turns_and_are_numbered_there(
    events: LocalEvents, clock: ManualClock
) -> None:
    await events.publish(HUB, numbered(3))
    await events.publish(HUB, numbered(6, first=3))
    async with events.consumer(HUB) as consumer:
        batches = sorted(await take(consumer, 4), key=lambda batch: batch.partition)
    assert [bodies(batch) for batch in batches] == [[0, 4, 8], [1, 5], [2, 6], [3, 7]]
    assert [logged.sequence for logged in batches[0].events] == [0, 1, 2]
    assert {logged.enqueued_at for logged in batches[0].events} == {clock.time()}


async def test_a_batch_holds_eight_events_at_most_and_the_next_comes_after_the_commit(
    tmp_path: Path,
) -> None:
    events = LocalEvents(tmp_path / "events.sqlite3", partitions=1)
    await events.publish(HUB, numbered(10))
    async with events.consumer(HUB) as consumer:
        (first,) = await take(consumer, 1)
        assert bodies(first) == list(range(8))
        assert await first.commit()
        (second,) = await take(consumer, 1)
        assert bodies(second) == [8, 9]
    await events.close()


async def test_a_partition_with_a_batch_under_way_waits_and_the_others_go_on(events: LocalEvents) -> None:
    await events.publish(HUB, numbered(4))
    async with events.consumer(HUB) as consumer:
        first, *others = await take(consumer, 4)
        for batch in others:
            assert await batch.commit()
        await events.publish(HUB, numbered(4, first=4))
        later = await take(consumer, 3)
        assert first.partition not in {batch.partition for batch in later}


async def test_what_is_handed_back_comes_again(events: LocalEvents) -> None:
    await events.publish(HUB, numbered(1))
    async with events.consumer(HUB) as consumer:
        (first,) = await take(consumer, 1)
        first.hand_back()
        (again,) = await take(consumer, 1)
        assert bodies(again) == [0]
        assert await again.commit()
        assert not await first.commit()


async def test_each_group_of_readers_gets_every_event(events: LocalEvents) -> None:
    await events.publish(HUB, numbered(8))
    async with events.consumer(HUB, "one") as one, events.consumer(HUB, "two") as two:
        assert sorted(await read_all(one, 8)) == list(range(8))
        assert sorted(await read_all(two, 8)) == list(range(8))


async def test_hubs_are_apart(events: LocalEvents) -> None:
    await events.publish("urgent", numbered(1))
    await events.publish(HUB, numbered(1, first=1))
    async with events.consumer("urgent") as consumer:
        assert await read_all(consumer, 1) == [0]


async def test_a_waiting_reader_is_woken_by_what_its_process_publishes(events: LocalEvents) -> None:
    async with events.consumer(HUB, poll=60) as consumer:
        reading = asyncio.create_task(take(consumer, 1))
        while not consumer.partitions:
            await asyncio.sleep(0)
        await events.publish(HUB, numbered(1))
        assert bodies((await reading)[0]) == [0]


async def test_what_another_process_publishes_is_found_within_the_poll(
    events: LocalEvents, tmp_path: Path
) -> None:
    other = LocalEvents(tmp_path / "events.sqlite3", clock=ManualClock())
    async with events.consumer(HUB, poll=0.01) as consumer:
        reading = asyncio.create_task(take(consumer, 1))
        while not consumer.partitions:
            await asyncio.sleep(0)
        await other.publish(HUB, numbered(1))
        assert bodies((await reading)[0]) == [0]
    await other.close()


async def test_the_number_of_partitions_is_fixed_when_the_hub_is_made(
    events: LocalEvents, tmp_path: Path
) -> None:
    await events.publish(HUB, numbered(4))
    more = LocalEvents(tmp_path / "events.sqlite3", clock=ManualClock(), partitions=9)
    async with more.consumer(HUB) as consumer:
        assert sorted(await read_all(consumer, 4)) == list(range(4))
        assert len(consumer.partitions) == 4
    await more.close()


async def test_an_event_is_not_delivered_after_its_retention(events: LocalEvents, clock: ManualClock) -> None:
    await events.publish(HUB, numbered(4))
    clock.advance(RETENTION / 2)
    await events.publish(HUB, numbered(4, first=4))
    clock.advance(RETENTION / 2 + 1)
    async with events.consumer(HUB) as consumer:
        assert sorted(await read_all(consumer, 4)) == [4, 5, 6, 7]


async def test_numbers_go_on_where_old_events_are_gone(events: LocalEvents, clock: ManualClock) -> None:
    await events.publish(HUB, numbered(4))
    clock.advance(RETENTION + 1)
    await events.publish(HUB, numbered(4, first=4))
    async with events.consumer(HUB) as consumer:
        batches = await take(consumer, 4)
    assert {logged.sequence for batch in batches for logged in batch.events} == {1}


# Several readers


async def test_readers_share_the_partitions_evenly_and_no_event_comes_to_two(events: LocalEvents) -> None:
    async with events.consumer(HUB) as one, events.consumer(HUB) as two, events.consumer(HUB) as three:
        readers = [one, two, three]
        for _ in range(2):
            for reader in readers:
                await reader.balance()
        assert sorted(len(reader.partitions) for reader in readers) == [1, 1, 2]
        assert sorted(number for reader in readers for number in reader.partitions) == [0, 1, 2, 3]
        await events.publish(HUB, numbered(40))
        seen: list[int] = []

        async def collect(batch: EventBatch) -> None:
            seen.extend(bodies(batch))
            if len(seen) >= 40:
                for reader in readers:
                    reader.stop()

        async with asyncio.timeout(10):
            await asyncio.gather(*(deliver(reader, collect) for reader in readers))
        assert sorted(seen) == list(range(40))


async def test_a_reader_that_leaves_gives_its_partitions_to_the_others_at_once(events: LocalEvents) -> None:
    async with events.consumer(HUB) as stays:
        async with events.consumer(HUB) as leaves:
            for reader in (stays, leaves, stays, leaves):
                await reader.balance()
            assert len(stays.partitions) == 2
        await stays.balance()
        assert len(stays.partitions) == 4


async def test_a_busy_partition_is_given_up_only_after_its_batch(events: LocalEvents) -> None:
    await events.publish(HUB, numbered(4))
    async with events.consumer(HUB) as old:
        batches = await take(old, 4)
        async with events.consumer(HUB) as new:
            for reader in (old, new, old, new):
                await reader.balance()
            assert (len(old.partitions), len(new.partitions)) == (4, 0)
            for batch in batches:
                assert await batch.commit()
            for reader in (old, new):
                await reader.balance()
            assert (len(old.partitions), len(new.partitions)) == (2, 2)


async def test_a_reader_that_is_late_loses_its_batch_to_the_next(
    events: LocalEvents, clock: ManualClock
) -> None:
    await events.publish(HUB, numbered(1))
    async with events.consumer(HUB, lease=15) as slow:
        (batch,) = await take(slow, 1)
        clock.advance(16)
        async with events.consumer(HUB, lease=15) as next_one:
            (again,) = await take(next_one, 1)
            assert bodies(again) == [0]
            assert not await batch.commit()
            assert batch.lost
            assert await again.commit()


async def test_a_lease_that_ran_out_and_that_no_one_took_still_commits(
    events: LocalEvents, clock: ManualClock
) -> None:
    await events.publish(HUB, numbered(1))
    async with events.consumer(HUB) as consumer:
        (batch,) = await take(consumer, 1)
        clock.advance(3600)
        assert await batch.commit()


# Handlers


async def test_the_checkpoint_moves_on_after_a_handler_that_failed(events: LocalEvents) -> None:
    await events.publish(HUB, numbered(1))
    async with events.consumer(HUB) as consumer:

        async def fail_once(batch: EventBatch) -> None:
            seen.append(bodies(batch))
            if len(seen) == 1:
                await events.publish(HUB, numbered(4, first=1))
                raise RuntimeError("a failure of the handler")
            if len(seen) == 5:
                consumer.stop()

        seen: list[list[int]] = []
        async with asyncio.timeout(10):
            await deliver(consumer, fail_once)
    assert sorted(seen) == [[0], [1], [2], [3], [4]]


async def test_one_class_of_errors_holds_the_checkpoint_and_the_same_batch_comes_again(
    events: LocalEvents,
) -> None:
    await events.publish(HUB, numbered(1))
    tries: list[int] = []
    async with events.consumer(HUB) as consumer:

        async def held_twice(batch: EventBatch) -> None:
            tries.append(batch.events[0].sequence)
            if len(tries) < 3:
                raise ConnectionError("could not be recorded")
            consumer.stop()

        async with asyncio.timeout(10):
            await deliver(consumer, held_twice, hold=ConnectionError, pause=0)
    assert tries == [0, 0, 0]


async def test_a_held_batch_does_not_hold_the_other_partitions(events: LocalEvents) -> None:
    await events.publish(HUB, numbered(8))
    held = 0
    done: list[int] = []
    async with events.consumer(HUB) as consumer:

        async def hold_the_first(batch: EventBatch) -> None:
            nonlocal held
            if batch.partition == 0 and len(done) < 6:
                held += 1
                raise ConnectionError("could not be recorded")
            done.extend(bodies(batch))
            if len(done) == 8:
                consumer.stop()

        async with asyncio.timeout(10):
            await deliver(consumer, hold_the_first, hold=ConnectionError, pause=0)
    assert held
    assert sorted(done[-2:]) == [0, 4]


async def test_a_handler_that_is_cancelled_commits_nothing(events: LocalEvents) -> None:
    await events.publish(HUB, numbered(1))
    begun = asyncio.Event()

    async def hang(_: EventBatch) -> None:
        begun.set()
        await asyncio.Event().wait()

    async with events.consumer(HUB) as consumer:
        delivering = asyncio.create_task(deliver(consumer, hang))
        await begun.wait()
        delivering.cancel()
        await asyncio.gather(delivering, return_exceptions=True)
    async with events.consumer(HUB) as consumer:
        assert await read_all(consumer, 1) == [0]


# Restarts, and a file in trouble

READER = """
import asyncio, sys
from pathlib import Path
from shared.adapters.local_events import LocalEvents

async def main():
    events = LocalEvents(Path(sys.argv[1]), partitions=1)
    async with events.consumer("jobs", batch_size=3, lease=0.5) as consumer:
        async for batch in consumer:
            if batch.events[0].sequence == 0:
                await batch.commit()
            else:
                print("holding", flush=True)

asyncio.run(main())
"""


async def test_what_a_killed_reader_had_not_committed_comes_again_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "events.sqlite3"
    events = LocalEvents(path, partitions=1)
    await events.publish(HUB, numbered(10))
    with subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdout=subprocess.PIPE, text=True
    ) as reader:
        assert reader.stdout is not None
        assert await asyncio.to_thread(reader.stdout.readline) == "holding\n"
        reader.kill()
    async with events.consumer(HUB, lease=0.2, poll=0.01) as consumer:
        assert await read_all(consumer, 7) == list(range(3, 10))
    await events.close()


async def test_events_and_checkpoints_last_over_a_restart(tmp_path: Path) -> None:
    first = LocalEvents(tmp_path / "deep" / "events.sqlite3")
    await first.publish(HUB, numbered(8))
    async with first.consumer(HUB) as consumer:
        (batch,) = await take(consumer, 1)
        assert await batch.commit()
    await first.close()
    second = LocalEvents(tmp_path / "deep" / "events.sqlite3")
    async with second.consumer(HUB) as consumer:
        assert sorted([*await read_all(consumer, 6), *bodies(batch)]) == list(range(8))
    await second.close()


async def test_only_the_owner_may_read_the_file(events: LocalEvents, tmp_path: Path) -> None:
    await events.publish(HUB, numbered(1))
    assert {oct(file.stat().st_mode & 0o777) for file in tmp_path.iterdir()} == {"0o600"}


async def test_nothing_is_opened_before_the_first_call(events: LocalEvents, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == []


async def test_a_reader_outlasts_a_file_that_does_not_serve_for_a_while(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("a file where a folder is needed")
    events = LocalEvents(tmp_path / "blocked" / "events.sqlite3")
    with pytest.raises(EventsUnavailable):
        await events.publish(HUB, numbered(1))
    async with events.consumer(HUB, lease=0.06, poll=0.01) as consumer:
        reading = asyncio.create_task(take(consumer, 1))
        (tmp_path / "blocked").unlink()
        await events.publish(HUB, numbered(1))
        assert bodies((await reading)[0]) == [0]
    await events.close()
