"""Batches of events: each on its own, the urgent first, and no long job holds up those behind it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from shared.containers import DEAD_LETTERS
from shared.errors import StoreUnavailable
from shared.jobs.consumer import FOLLOWING, Consumer, NotRecorded
from shared.jobs.job import Queue, Status
from shared.jobs.messages import Received
from shared.jobs.transitions import SETTLING
from shared.ports import Query
from tests.unit.jobs.work_world import World, working
from tests.unit.webhooks.receiver import Receiver
from tests.upstreams.behaviours import Hang, StreamReply


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with working(tmp_path) as found:
        yield found


async def submitted(world: World, *ids: str, **fields: Any) -> list[Received]:
    return [world.event((await world.submit(id, **fields)).job) for id in ids]


async def until(condition: Callable[[], Any], timeout: float = 5.0) -> None:
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.01)


async def statuses(world: World, ids: list[str]) -> list[Status]:
    return [(await world.job(id)).status for id in ids]


async def test_every_event_of_a_batch_is_handled(world: World) -> None:
    ids = [f"j{number}" for number in range(8)]
    await world.consumer().consume(Queue.NORMAL, await submitted(world, *ids))
    assert await statuses(world, ids) == [Status.COMPLETED] * 8


async def test_an_event_that_comes_twice_runs_its_job_once(world: World) -> None:
    events = await submitted(world, "j")
    consumer = world.consumer()
    await asyncio.gather(*(consumer.consume(Queue.NORMAL, events * 2) for _ in range(3)))
    assert len(world.upstream.requests) == 1


async def test_the_urgent_come_first(world: World) -> None:
    priorities = [8, 1, 10, 3, 5]
    events = []
    for priority in priorities:
        events += await submitted(world, f"p{priority}", priority=priority, user=str(priority))
    await world.consumer(concurrency=1).consume(Queue.NORMAL, events)
    asked = [int(request.body["user"]) for request in world.upstream.requests]
    assert asked == sorted(priorities)


async def test_no_more_run_at_once_than_there_are_slots(world: World) -> None:
    released = asyncio.Event()
    world.upstream.always(StreamReply(hold_after=1, released=released))
    events = await submitted(world, *(f"j{number}" for number in range(10)))
    consumer = world.consumer(concurrency=3)
    batches = [asyncio.create_task(consumer.consume(Queue.NORMAL, events[at::2])) for at in (0, 1)]
    await world.upstream.wait_requests(3)
    for _ in range(20):
        await asyncio.sleep(0.005)
    assert len(world.upstream.requests) == 3
    released.set()
    await asyncio.gather(*batches)
    assert len(world.upstream.requests) == 10


async def test_one_bad_event_does_not_hold_up_the_others(world: World) -> None:
    [good] = await submitted(world, "j")
    bad = [
        Received("chat-jobs", "0", 100 + number, world.clock.now, body, {})
        for number, body in enumerate(
            [b"", b"\xff\xfe", b"{", b"[]", b"null", b'{"project_id": 7}', b"x" * 1_000_000]
        )
    ]
    await world.consumer().consume(Queue.NORMAL, [*bad, good])
    assert (await world.job("j")).status is Status.COMPLETED
    letters = await world.services.store.query(DEAD_LETTERS, Query(order_by="sort_key", limit=100))
    assert len(letters) == len(bad)


async def test_an_event_with_another_projects_name_does_not_run_a_job(world: World) -> None:
    await world.submit("j")
    body = b'{"action": "run", "execution_id": "j", "project_id": "other", "priority": 5}'
    await world.consumer().consume(Queue.NORMAL, [Received("chat-jobs", "0", 1, world.clock.now, body, {})])
    assert (await world.job("j")).status is Status.QUEUED


async def test_a_ten_minute_job_does_not_hold_up_the_short_ones_of_its_partition(world: World) -> None:
    released = asyncio.Event()
    [long] = await submitted(world, "long", timeout_seconds=600)
    world.upstream.script(StreamReply(hold_after=2, released=released))
    consumer = world.consumer(concurrency=4)
    batch = asyncio.create_task(consumer.consume(Queue.NORMAL, [long]))
    await world.upstream.wait_requests(1)
    # Their events wait behind the batch, on the same partition: the store is where they are found.
    shorts = [f"short{number}" for number in range(10)]
    await submitted(world, *shorts, timeout_seconds=60)

    async def done() -> bool:
        return set(await statuses(world, shorts)) == {Status.COMPLETED}

    await until(done)
    assert not batch.done()
    assert (await world.job("long")).status is Status.PROCESSING
    waited = [(job.started_at or 0) - job.created_at for job in [await world.job(id) for id in shorts]]
    assert max(waited) == 0, "no time of the clock has passed for them"
    released.set()
    await batch
    assert (await world.job("long")).status is Status.COMPLETED


async def test_a_long_job_taken_from_the_store_does_not_hold_up_others_either(
    world: World,
) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    world.upstream.script(
        StreamReply(hold_after=1, released=first), StreamReply(hold_after=1, released=second)
    )
    consumer = world.consumer(concurrency=2, long=0.05)
    batch = asyncio.create_task(consumer.consume(Queue.NORMAL, await submitted(world, "own")))
    await world.upstream.wait_requests(1)
    await world.submit("found")
    await world.upstream.wait_requests(2)
    first.set()
    await world.submit("late")

    async def done() -> bool:
        return (await world.job("late")).status is Status.COMPLETED

    await until(done)
    assert not batch.done()
    second.set()
    await batch


async def test_a_batch_whose_events_are_done_leaves_what_it_took_to_the_last_one_under_way(
    world: World,
) -> None:
    own, found, others = asyncio.Event(), asyncio.Event(), asyncio.Event()
    for released in (own, found, others):
        world.upstream.script(StreamReply(hold_after=1, released=released))
    consumer = world.consumer(concurrency=3)
    first = asyncio.create_task(consumer.consume(Queue.NORMAL, await submitted(world, "own")))
    await world.upstream.wait_requests(1)
    await world.submit("found")
    await world.upstream.wait_requests(2)
    # Of the other queue, so that the first batch does not find it in the store.
    urgent = await submitted(world, "other", priority=1)
    second = asyncio.create_task(consumer.consume(Queue.PRIORITY, urgent))
    await world.upstream.wait_requests(3)
    own.set()
    await first
    assert (await world.job("found")).status is Status.PROCESSING
    others.set()

    async def done() -> bool:
        return (await world.job("other")).settled

    await until(done)
    assert not second.done()
    found.set()
    await second
    assert (await world.job("found")).status is Status.COMPLETED


async def test_what_an_earlier_batch_cannot_outlast_is_not_left_to_it(world: World) -> None:
    early, own, found = asyncio.Event(), asyncio.Event(), asyncio.Event()
    for released in (early, own, found):
        world.upstream.script(StreamReply(hold_after=1, released=released))
    consumer = world.consumer(concurrency=3)
    earlier = asyncio.create_task(consumer.consume(Queue.NORMAL, await submitted(world, "early")))
    await world.upstream.wait_requests(1)
    world.clock.advance(1)
    # Of the other queue, so that the earlier batch does not find them in the store.
    urgent = await submitted(world, "own", priority=1)
    later = asyncio.create_task(consumer.consume(Queue.PRIORITY, urgent))
    await world.upstream.wait_requests(2)
    await world.submit("found", priority=1)
    await world.upstream.wait_requests(3)
    own.set()

    async def done() -> bool:
        return (await world.job("own")).settled

    await until(done)
    assert not later.done()
    early.set()
    await earlier
    assert not later.done()
    found.set()
    await later
    assert (await world.job("found")).status is Status.COMPLETED


async def test_a_job_of_the_other_queue_is_left_to_the_other_hub(world: World) -> None:
    released = asyncio.Event()
    world.upstream.script(StreamReply(hold_after=1, released=released))
    batch = asyncio.create_task(world.consumer().consume(Queue.NORMAL, await submitted(world, "own")))
    await world.upstream.wait_requests(1)
    await world.submit("urgent", priority=1)
    await world.submit("usual")

    async def done() -> bool:
        return (await world.job("usual")).status is Status.COMPLETED

    await until(done)
    assert (await world.job("urgent")).status is Status.QUEUED
    released.set()
    await batch


async def test_a_job_that_waited_so_long_for_a_slot_that_it_would_outlast_it_stays_queued(
    world: World,
) -> None:
    released = asyncio.Event()
    world.upstream.script(StreamReply(hold_after=1, released=released))
    events = [*await submitted(world, "first"), *await submitted(world, "hour", timeout_seconds=3600)]
    batch = asyncio.create_task(world.consumer(concurrency=1).consume(Queue.NORMAL, events))
    await world.upstream.wait_requests(1)
    world.clock.advance(10 * 60)
    released.set()
    await batch
    assert await statuses(world, ["first", "hour"]) == [Status.COMPLETED, Status.QUEUED]


async def test_a_job_that_would_outlast_the_invocation_stays_queued(world: World) -> None:
    released = asyncio.Event()
    world.upstream.script(StreamReply(hold_after=1, released=released))
    batch = asyncio.create_task(world.consumer().consume(Queue.NORMAL, await submitted(world, "own")))
    await world.upstream.wait_requests(1)
    world.clock.advance(10 * 60)
    await world.submit("hour", timeout_seconds=3600)
    await world.submit("minutes", timeout_seconds=300)

    async def done() -> bool:
        return (await world.job("minutes")).status is Status.COMPLETED

    await until(done)
    assert (await world.job("hour")).status is Status.QUEUED
    released.set()
    await batch
    await world.consumer().consume(Queue.NORMAL, [world.event(await world.job("hour"))])
    assert (await world.job("hour")).status is Status.COMPLETED


async def test_a_batch_goes_back_to_the_host_only_when_the_store_is_away(world: World) -> None:
    events = await submitted(world, "a", "b")
    away = True

    async def refuse(name: str, id: str) -> None:
        if away and id == "b" and name == "get":
            raise StoreUnavailable("away")

    world.faults.before = refuse
    consumer = world.consumer()
    with pytest.raises(NotRecorded):
        await consumer.consume(Queue.NORMAL, events)
    assert (await world.job("a")).status is Status.COMPLETED, "each event on its own"
    away = False
    await consumer.consume(Queue.NORMAL, events)
    assert (await world.job("b")).status is Status.COMPLETED
    assert len(world.upstream.requests) == 2


async def test_direct_messages_wait_in_the_hub_while_the_store_is_away(world: World) -> None:
    body = (
        b'{"project_id": "team", "execution_id": "direct", "model": "chat",'
        b' "messages": [{"role": "user", "content": "Hello"}]}'
    )
    event = Received("chat-jobs", "0", 1, world.clock.now, body, {})

    async def refuse(name: str, id: str) -> None:
        raise StoreUnavailable("away")

    consumer = world.consumer()
    world.faults.before = refuse
    with pytest.raises(NotRecorded):
        await consumer.consume(Queue.NORMAL, [event])
    world.faults.before = None
    await consumer.consume(Queue.NORMAL, [event])
    assert (await world.job("direct")).status is Status.COMPLETED


async def test_where_no_events_come_due_jobs_are_run_from_the_store(world: World) -> None:
    ids = [f"j{number}" for number in range(5)]
    for number, id in enumerate(ids):
        await world.submit(id, priority=1 + 2 * number)
    consumer = world.consumer()
    await consumer.run_due()

    async def done() -> bool:
        return set(await statuses(world, ids)) == {Status.COMPLETED}

    await until(done)
    await consumer.close()


async def test_slow_receivers_hold_neither_slots_nor_batches_and_the_timer_has_the_rest(world: World) -> None:
    async with Receiver() as receiver:
        receiver.always(Hang())
        services = world.services
        consumer = Consumer(
            world.worker(),
            services.job_store,
            services.intake,
            world.clock,
            namespace="local",
            concurrency=1,
            poll=0.02,
            followed=0.05,
        )
        ids = [f"j{number}" for number in range(FOLLOWING + 2)]
        await consumer.consume(Queue.NORMAL, await submitted(world, *ids, webhook_url=receiver.url))
        assert await statuses(world, ids) == [Status.COMPLETED] * len(ids)
        assert len(receiver.requests) == FOLLOWING
        left = [job for job in [await world.job(id) for id in ids] if job.charged]
        assert [len(job.notices) for job in left] == [1, 1]
        receiver.always(None)
        await services.sweeper.tick()
        assert len(receiver.requests) == FOLLOWING + 2
        await consumer.close()
        # Those that were broken off are seen to a minute later.
        world.clock.advance(SETTLING)
        await services.sweeper.tick()
        await services.sweeper.tick()
        assert all([(await world.job(id)).settled for id in ids])
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == len(ids)
    assert set(await world.records()) == set(ids)
