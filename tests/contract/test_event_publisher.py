"""What every EventPublisher promises: the local log, and Event Hubs through Azure's own client over a socket."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from shared.errors import EventError, EventsUnavailable, EventTooLarge
from shared.ports import Event
from tests.contract.publishers import HUB, OPENINGS, Arrived, Subject

# Azure's client leaves the socket of a broken connection to the garbage collector, which warns.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(params=OPENINGS)
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    async with OPENINGS[request.param](tmp_path) as opened:
        yield opened
    gc.collect()


def numbered(count: int, first: int = 0) -> list[Event]:
    return [Event(f"e{n}", b"%d" % n) for n in range(first, first + count)]


def in_each_partition(arrived: Sequence[Arrived]) -> list[list[Arrived]]:
    numbers = sorted({each.partition for each in arrived})
    return [[each for each in arrived if each.partition == number] for number in numbers]


async def test_an_event_arrives_with_its_id_body_and_properties_as_they_were(subject: Subject) -> None:
    body = bytes(range(256)) + "ß漢字🙂".encode()
    properties: dict[str, str | int | float | bool] = {
        "priority": 3,
        "project": "größe",
        "share": 0.5,
        "again": True,
        "far": 1 - 2**31,
    }
    await subject.publisher.publish(HUB, [Event("id-1", body, properties)])
    (arrived,) = await subject.read(1)
    assert arrived.event == Event("id-1", body, properties)
    assert arrived.sequence == 0


async def test_an_empty_body_and_no_properties_arrive(subject: Subject) -> None:
    await subject.publisher.publish(HUB, [Event("empty", b"")])
    assert [each.event for each in await subject.read(1)] == [Event("empty", b"")]


async def test_nothing_to_publish_is_no_trouble(subject: Subject) -> None:
    await subject.fail()
    await subject.publisher.publish(HUB, [])
    await subject.recover()


async def test_five_hundred_at_once_arrive_all_in_order_within_a_partition(subject: Subject) -> None:
    await subject.publisher.publish(HUB, numbered(500))
    arrived = await subject.read(500)
    assert sorted(int(each.event.body) for each in arrived) == list(range(500))
    for events in in_each_partition(arrived):
        assert [each.sequence for each in events] == list(range(len(events)))
        assert [int(each.event.body) for each in events] == sorted(int(each.event.body) for each in events)


async def test_many_events_are_spread_over_the_partitions(subject: Subject) -> None:
    await subject.publisher.publish(HUB, numbered(200))
    shares = [len(events) for events in in_each_partition(await subject.read(200))]
    assert shares == [50, 50, 50, 50]


async def test_those_who_publish_at_the_same_time_all_arrive_once(subject: Subject) -> None:
    await asyncio.gather(*(subject.publisher.publish(HUB, numbered(3, first=3 * n)) for n in range(40)))
    arrived = await subject.read(120)
    assert sorted(int(each.event.body) for each in arrived) == list(range(120))


async def test_one_who_leaves_does_not_take_the_others_along(subject: Subject) -> None:
    publishing = [
        asyncio.ensure_future(subject.publisher.publish(HUB, numbered(1, first=n))) for n in range(9)
    ]
    await asyncio.sleep(0)
    publishing[0].cancel()
    publishing[4].cancel()
    await asyncio.wait(publishing)
    assert [n for n, task in enumerate(publishing) if not task.cancelled() and task.exception()] == []
    arrived = {int(each.event.body) for each in await subject.read(7)}
    assert arrived >= {1, 2, 3, 5, 6, 7, 8}


async def test_the_largest_event_arrives_and_a_larger_one_is_refused_with_all_beside_it(
    subject: Subject,
) -> None:
    largest = Event("large", b"x" * 1_000_000, {"note": "y" * 16_000})
    with pytest.raises(EventTooLarge):
        await subject.publisher.publish(HUB, [*numbered(2), Event("larger", b"x" * 1_000_001)])
    with pytest.raises(EventTooLarge):
        await subject.publisher.publish(HUB, [Event("noted", b"", {"note": "y" * 17_000})])
    await subject.publisher.publish(HUB, [largest, largest])
    assert [each.event for each in await subject.read(2)] == [largest, largest]


async def test_a_number_that_the_protocol_client_cannot_send_is_refused(subject: Subject) -> None:
    with pytest.raises(EventError, match="at of an event is beyond 32 bits"):
        await subject.publisher.publish(HUB, [Event("late", b"", {"at": 2**31})])


async def test_a_log_that_is_down_is_unavailable_in_bounded_time_and_serves_again_afterwards(
    subject: Subject,
) -> None:
    await subject.fail()
    begun = time.monotonic()
    with pytest.raises(EventsUnavailable):
        await subject.publisher.publish(HUB, numbered(2))
    assert time.monotonic() - begun < 8
    await subject.recover()
    await subject.publisher.publish(HUB, numbered(3, first=2))
    assert [int(each.event.body) for each in await subject.read(3)] == [2, 3, 4]


async def test_a_closed_publisher_is_unavailable_and_may_be_closed_again(subject: Subject) -> None:
    await subject.publisher.publish(HUB, numbered(1))
    await subject.publisher.close()
    await subject.publisher.close()
    with pytest.raises(EventsUnavailable):
        await subject.publisher.publish(HUB, numbered(1))
