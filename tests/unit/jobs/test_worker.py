"""Workers: one job, one end, whatever the provider, the store and the other workers do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.containers import MODELS, PROJECTS
from shared.errors import DocumentChanged, StoreThrottled, StoreUnavailable
from shared.jobs import lease, transitions
from shared.jobs.job import Job, Status
from tests.unit.jobs.work_world import CALLER, World, working
from tests.unit.webhooks.receiver import Receiver
from tests.upstreams.behaviours import Hang, HangUp, Reply, StreamReply
from tests.upstreams.openai import openai_error
from tests.upstreams.samples import TEXT


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with working(tmp_path) as found:
        yield found


async def until(condition: Any, timeout: float = 5.0) -> None:
    async with asyncio.timeout(timeout):
        while not await condition():
            await asyncio.sleep(0.01)


async def test_a_job_runs_to_its_end_with_one_result_and_one_charge(world: World) -> None:
    await world.worker("first").run(await world.submit("j"))
    job = await world.job("j")
    assert job.status is Status.COMPLETED
    assert job.settled
    assert (job.progress, job.processed_by, job.attempts) == (100, "first", 1)
    result = await world.result("j")
    assert result["choices"][0]["message"]["content"] == TEXT
    assert result["object"] == "chat.completion"
    records = await world.records()
    assert list(records) == ["j"]
    assert records["j"]["usage"] == job.usage
    assert records["j"]["cost_usd"] == job.cost_usd is not None


async def test_the_writes_come_in_the_order_that_the_page_about_jobs_says(world: World) -> None:
    await world.worker().run(await world.submit("j"))
    expected = "request job claim result final charge lifetime lifetime settled".split()
    assert [name for name in world.faults.seen if name != "sums"] == expected


async def test_the_call_is_streamed_inside(world: World) -> None:
    await world.worker().run(await world.submit("j"))
    [request] = world.upstream.requests
    assert request.body["stream"] is True
    assert request.body["stream_options"] == {"include_usage": True}
    assert not {"priority", "async_retry_delay"} & request.body.keys()


async def test_a_deployment_that_refuses_to_stream_is_asked_plainly(world: World) -> None:
    world.upstream.script(openai_error(400, "You may not stream this model.", param="stream"))
    await world.worker().run(await world.submit("j"))
    assert (await world.result("j"))["choices"][0]["message"]["content"] == TEXT
    assert ["stream" in request.body for request in world.upstream.requests] == [True, False]


@pytest.mark.parametrize(
    "fields", [{"modalities": ["text", "audio"]}, {"audio": {"format": "mp3", "voice": "a"}}]
)
async def test_sound_is_asked_for_plainly_for_it_is_other_sound_in_a_stream(
    world: World, fields: dict[str, Any]
) -> None:
    await world.worker().run(await world.submit("j", **fields))
    [request] = world.upstream.requests
    assert "stream" not in request.body
    assert (await world.job("j")).status is Status.COMPLETED


async def test_a_try_that_could_not_begin_in_time_is_not_waited_for(world: World) -> None:
    world.upstream.script(openai_error(503, "Later.", headers={"retry-after": "31"}))
    await world.worker().run(await world.submit("j", timeout_seconds=30))
    job = await world.job("j")
    assert job.failure is not None
    assert (job.status, job.failure.code, job.retry_count) == (Status.FAILED, "provider_error", 0)


async def test_what_broke_off_in_the_middle_is_charged_by_what_had_come(world: World) -> None:
    world.upstream.script(StreamReply(stop_after=6, ending="cut"))
    await world.worker().run(await world.submit("j", async_max_retries=0))
    job, record = await world.job("j"), (await world.records())["j"]
    assert job.status is Status.FAILED
    assert job.usage is not None
    assert job.usage["completion_tokens"] > 0
    assert (record["usage"]["estimated"], record["status"]) == (True, 502)
    assert record["cost_usd"] == job.cost_usd
    assert record["cost_usd"] > 0


async def test_a_deployment_that_knows_of_no_streams_is_taken_at_its_whole_answer(world: World) -> None:
    message = {"role": "assistant", "content": "Whole."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}
    world.upstream.script(
        Reply({"id": "c", "object": "chat.completion", "choices": [choice], "usage": usage})
    )
    await world.worker().run(await world.submit("j"))
    assert (await world.result("j"))["choices"] == [choice]
    assert ((await world.job("j")).usage or {})["total_tokens"] == 5
    assert len(world.upstream.requests) == 1


async def test_of_two_workers_one_wins(world: World) -> None:
    held = await world.submit("j")
    await asyncio.gather(world.worker("a").run(held), world.worker("b").run(held))
    assert len(world.upstream.requests) == 1
    assert (await world.job("j")).status is Status.COMPLETED


async def test_a_claim_that_loses_to_the_sweepers_note_is_made_again(world: World) -> None:
    held = await world.submit("j")
    jobs = world.services.job_store
    await jobs.write(held, transitions.woken(held.job, world.clock.now))
    await world.worker().run(held)
    assert (await world.job("j")).status is Status.COMPLETED


async def test_who_loses_its_lease_drops_its_call_and_its_result_does_not_count(world: World) -> None:
    world.upstream.script(Hang())
    held = await world.submit("j")
    loser, winner = world.worker("loser"), world.worker("winner")
    losing = asyncio.create_task(loser.run(held))
    await world.upstream.wait_requests(1)
    world.clock.advance(transitions.LEASE + 1)
    taken = await world.services.job_store.get("j")
    assert taken is not None
    back = transitions.taken_back(taken.job, world.clock.now)
    await winner.run(await world.services.job_store.write(taken, back))
    loser.notice_cancel("j")
    await losing
    await world.upstream.wait_disconnected(request=world.upstream.requests[0])
    job = await world.job("j")
    assert (job.status, job.processed_by) == (Status.COMPLETED, "winner")
    assert list(await world.records()) == ["j"]


@pytest.mark.parametrize("name", ["job", "claim", "result", "final", "charge", "lifetime", "settled"])
@pytest.mark.parametrize("error", [StoreUnavailable("lost"), StoreThrottled("later", 0.01)])
async def test_a_write_whose_answer_is_lost_is_known_again(
    world: World, name: str, error: StoreUnavailable
) -> None:
    async def lose_first(written: str, id: str) -> None:
        if written == name and world.faults.seen.count(name) == 1:
            raise error

    world.faults.after = lose_first
    await world.worker().run(await world.submit("j"))
    world.faults.after = None
    held = await world.services.job_store.get("j")
    assert held is not None
    await world.services.settlement.settle(held)
    job = await world.job("j")
    assert (job.status, job.retry_count, job.settled) == (Status.COMPLETED, 0, True)
    assert len(world.upstream.requests) == 1
    assert list(await world.records()) == ["j"]


@pytest.mark.parametrize("name", ["claim", "final"])
async def test_a_write_that_looks_like_a_lost_race_is_read_again(world: World, name: str) -> None:
    async def change(written: str, id: str) -> None:
        if written == name and world.faults.seen.count(name) == 1:
            raise DocumentChanged("it moved on")

    world.faults.after = change
    await world.worker().run(await world.submit("j"))
    assert (await world.job("j")).status is Status.COMPLETED
    assert len(world.upstream.requests) == 1


@pytest.mark.parametrize("name", ["result", "final"])
async def test_a_result_waits_for_a_store_that_is_down(world: World, name: str) -> None:
    refused = 0

    async def fail(written: str, id: str) -> None:
        nonlocal refused
        if written == name and refused < 2:
            refused += 1
            raise StoreThrottled("down", 0.01)

    world.faults.before = fail
    await world.worker().run(await world.submit("j"))
    assert refused == 2
    assert (await world.job("j")).status is Status.COMPLETED
    assert len(world.upstream.requests) == 1


async def test_a_cancelled_job_drops_its_call_within_two_seconds_and_is_charged_by_its_holder(
    world: World,
) -> None:
    assert lease.BEAT < 2
    world.upstream.script(StreamReply(hold_after=3, released=asyncio.Event()))
    running = asyncio.create_task(world.worker().run(await world.submit("j")))
    await world.upstream.wait_requests(1)
    await world.services.jobs.cancel("team", "j")
    async with asyncio.timeout(2.0):
        await running
    await world.upstream.wait_disconnected()
    job = await world.job("j")
    assert (job.status, job.charged, job.settled) == (Status.CANCELLED, True, True)
    record = (await world.records())["j"]
    assert record["status"] == 499
    assert record["usage"]["estimated"] is True
    assert record["usage"]["prompt_tokens"] > 0


async def test_a_job_cancelled_before_it_ran_costs_nothing(world: World) -> None:
    held = await world.submit("j")
    await world.services.jobs.cancel("team", "j")
    await world.worker().run(held)
    assert world.upstream.requests == []

    async def charged() -> bool:
        return (await world.job("j")).settled

    await until(charged)
    assert (await world.records())["j"]["usage"] is None


async def failed_try(world: World, *behaviours: Any, **fields: Any) -> Job:
    world.upstream.script(*behaviours)
    await world.worker().run(await world.submit("j", **fields))
    return await world.job("j")


@pytest.mark.parametrize(
    "behaviour",
    [
        openai_error(500, "broken"),
        openai_error(503, "overloaded"),
        openai_error(429, "slow down"),
        StreamReply(stop_after=3, ending="cut"),
        StreamReply(stop_after=3, ending="complete"),
        HangUp(),
    ],
    ids=["500", "503", "429", "cut", "incomplete", "hang up"],
)
async def test_what_may_pass_is_tried_again_later(world: World, behaviour: Any) -> None:
    job = await failed_try(world, behaviour)
    assert (job.status, job.retry_count, job.lease_id) == (Status.QUEUED, 1, None)
    assert job.next_attempt_at > world.clock.now
    held = await world.services.job_store.get("j")
    assert held is not None
    await world.worker().run(held)
    assert len(world.upstream.requests) == 1, "not before it is due"
    world.clock.advance(1)
    await world.worker().run(held)
    job = await world.job("j")
    assert (job.status, job.retry_count) == (Status.COMPLETED, 1)
    assert (await world.result("j"))["choices"][0]["message"]["content"] == TEXT


@pytest.mark.parametrize(
    ("behaviour", "code", "status"),
    [
        (openai_error(400, "too long", code="context_length_exceeded"), "context_length_exceeded", 400),
        (openai_error(401, "wrong key"), "provider_error", 502),
        (openai_error(429, "no money", code="insufficient_quota"), "insufficient_quota", 429),
    ],
)
async def test_what_does_not_pass_fails_at_once(world: World, behaviour: Any, code: str, status: int) -> None:
    job = await failed_try(world, behaviour)
    assert job.status is Status.FAILED
    assert job.failure is not None
    assert (job.failure.code, job.failure.status) == (code, status)
    record = (await world.records())["j"]
    assert (record["status"], record["error_code"], record["usage"]) == (status, code, None)


async def test_the_last_try_fails_with_the_providers_error(world: World) -> None:
    job = await failed_try(world, openai_error(500, "broken"), async_max_retries=0)
    assert job.failure is not None
    assert (job.status, job.failure.status) == (Status.FAILED, 502)


async def test_pauses_grow_and_never_undercut_what_the_provider_asks_for(world: World) -> None:
    refusal = openai_error(429, "slow down", headers={"retry-after": "40"})
    world.upstream.script(openai_error(500, "x"), openai_error(500, "x"), refusal)
    held, pauses = await world.submit("j", async_retry_delay=2), []
    for _ in range(3):
        await world.worker().run(held)
        job = await world.job("j")
        pauses.append(job.next_attempt_at - world.clock.now)
        world.clock.now = job.next_attempt_at
        found = await world.services.job_store.get("j")
        assert found is not None
        held = found
    assert pauses == [2, 4, 40]


async def test_a_job_out_of_time_ends_with_job_timeout(world: World) -> None:
    held = await world.submit("j", timeout_seconds=30)
    worker = world.worker()

    async def late(name: str, id: str) -> None:
        if name == "claim":
            world.clock.advance(29.9)

    world.faults.after = late
    world.upstream.script(Hang())
    await worker.run(held)
    job = await world.job("j")
    assert job.failure is not None
    assert (job.status, job.failure.code, job.failure.status) == (Status.FAILED, "job_timeout", 504)


async def test_a_model_or_project_that_is_gone_fails_the_job_with_its_own_code(world: World) -> None:
    held = await world.submit("j")
    other = await world.submit("k")
    await world.services.models.delete(CALLER, "chat")
    await world.worker().run(held)
    job = await world.job("j")
    assert job.failure is not None
    assert (job.failure.code, job.failure.status) == ("model_not_found", 404)
    await world.services.store.delete(PROJECTS, "team")
    await world.worker().run(other)
    job = await world.job("k")
    assert job.failure is not None
    assert (job.failure.code, job.failure.status) == ("not_found", 404)


async def test_progress_is_written_while_the_answer_comes(world: World) -> None:
    released = asyncio.Event()
    world.upstream.script(StreamReply(hold_after=4, released=released))
    running = asyncio.create_task(world.worker().run(await world.submit("j", max_tokens=40)))

    async def beaten() -> bool:
        return (await world.job("j")).progress >= 50

    await until(beaten)
    job = await world.job("j")
    assert 50 < job.progress < 100
    assert job.step == "receiving the answer"
    assert job.usage is not None
    assert job.usage["estimated"] is True
    released.set()
    await running
    assert (await world.job("j")).progress == 100


async def test_progress_does_not_go_back_when_another_model_is_asked(world: World) -> None:
    model = await world.services.store.get(MODELS, "chat")
    assert model is not None
    await world.services.store.create(MODELS, {**model.body, "id": "other"})
    released = asyncio.Event()
    world.upstream.script(
        StreamReply(stop_after=6, ending="cut"), StreamReply(hold_after=1, released=released)
    )
    held = await world.submit("j", max_tokens=10, fallbacks=["other"])
    running = asyncio.create_task(world.worker().run(held))
    await world.upstream.wait_requests(2)

    async def beaten() -> bool:
        return (await world.job("j")).progress > 0

    await until(beaten)
    assert (await world.job("j")).progress > 50
    released.set()
    await running
    assert (await world.job("j")).model_used == "other"


async def test_a_lease_is_renewed_while_the_call_runs(world: World) -> None:
    released = asyncio.Event()
    world.upstream.script(StreamReply(hold_after=1, released=released))
    running = asyncio.create_task(world.worker().run(await world.submit("j")))
    await world.upstream.wait_requests(1)
    world.clock.advance(lease.RENEWAL + 1)

    async def renewed() -> bool:
        return (await world.job("j")).lease_until == world.clock.now + transitions.LEASE

    await until(renewed)
    released.set()
    await running


async def test_a_start_and_progress_are_told_at_once_and_once(world: World) -> None:
    released = asyncio.Event()
    world.upstream.script(StreamReply(hold_after=4, released=released))
    async with Receiver() as receiver:
        events = ["started", "progress", "completed"]
        url = f"{receiver.url}/hook"
        held = await world.submit("j", webhook_url=url, webhook_events=events, max_tokens=40)
        running = asyncio.create_task(world.worker().run(held))
        await receiver.wait_requests(2)
        assert not running.done()
        released.set()
        await running
        told = [request.body["type"].removeprefix("chat.completion.") for request in receiver.requests]
        assert told[0] == "started"
        assert told[-1] == "completed"
        assert set(told[1:-1]) == {"progress"}
        ids = [request.headers["webhook-id"] for request in receiver.requests]
        assert len(ids) == len(set(ids))
    job = await world.job("j")
    assert (job.notices, job.settled) == ((), True)


async def test_a_receiver_that_hangs_does_not_hold_up_the_call(world: World) -> None:
    async with Receiver() as receiver:
        receiver.always(Hang())
        url = f"{receiver.url}/hook"
        held = await world.submit("j", webhook_url=url, webhook_events=["started"])
        running = asyncio.create_task(world.worker().run(held))

        async def ended() -> bool:
            return (await world.job("j")).status is Status.COMPLETED

        await until(ended)
        assert not running.done(), "its slot waits for the ten seconds of one try at most"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
