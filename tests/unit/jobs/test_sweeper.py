"""What the timer does for jobs that others have left, at each moment at which they may have."""

import asyncio
import logging
from dataclasses import replace

import pytest

from shared import Json
from shared.containers import USAGE, Container
from shared.errors import DocumentTooLarge, StoreThrottled
from shared.jobs import transitions
from shared.jobs.job import Status
from shared.jobs.payloads import KEPT
from shared.jobs.store import Held
from shared.jobs.sweeper import KEEP_AGAIN, MOST_THROTTLED, Turn
from shared.jobs.transitions import FIRST_WAKE, LEASE, LONGEST_WAKE, SETTLING
from shared.ports import Stored
from shared.webhooks.pauses import PAUSES
from tests.crash.faults import FaultyStore
from tests.unit.access.worlds import Outages
from tests.unit.jobs.aftermath import USED, Aftermath, Killed, Mortal
from tests.upstreams.behaviours import Hang, Reply

DAY = 86_400.0


async def test_a_job_whose_worker_died_is_taken_back_and_its_event_published_at_once(
    aftermath: Aftermath, caplog: pytest.LogCaptureFixture
) -> None:
    await aftermath.running()
    aftermath.clock.advance(LEASE)
    await aftermath.here.sweeper.tick()
    assert (await aftermath.found()).status is Status.PROCESSING
    aftermath.clock.advance(0.01)
    with caplog.at_level(logging.WARNING, logger="llmproxy"):
        await aftermath.here.sweeper.tick()
    job = await aftermath.found()
    assert (job.status, job.lost_leases, job.lease_id) == (Status.QUEUED, 1, None)
    assert job.next_attempt_at <= aftermath.clock.time()
    assert aftermath.hub.published == [("normal", "job-1")]
    assert '"job_taken_back"' in caplog.text


async def test_after_three_lost_workers_a_job_fails_and_is_charged_what_they_used(
    aftermath: Aftermath,
) -> None:
    held = await aftermath.queued(timeout_seconds=3600.0)
    for number in range(1, 4):
        await aftermath.beat(await aftermath.claim(held, f"lease-{number}"))
        aftermath.clock.advance(LEASE + 0.01)
        await aftermath.here.sweeper.tick()
        found = await aftermath.here.jobs.get("job-1")
        assert found is not None
        held = found
    job = held.job
    assert job.failure is not None
    assert (job.status, job.failure.code, job.failure.status) == (Status.FAILED, "worker_lost", 500)
    assert job.settled
    [record] = await aftermath.records()
    assert (record["status"], record["error_code"]) == (500, "worker_lost")
    assert record["usage"] == {**USED, "estimated": True}


async def test_one_that_died_between_taking_back_and_giving_up_is_given_up_by_the_next(
    aftermath: Aftermath,
) -> None:
    held = await aftermath.running(timeout_seconds=3600.0)
    aftermath.clock.advance(LEASE + 0.01)
    lost = transitions.taken_back(replace(held.job, lost_leases=2), aftermath.clock.time())
    await aftermath.write(held, lost)
    await aftermath.here.sweeper.tick()
    job = await aftermath.found()
    assert (job.status, job.failure and job.failure.code) == (Status.FAILED, "worker_lost")
    assert aftermath.hub.published == []


async def test_a_job_that_waits_for_its_next_try_beyond_its_deadline_fails(aftermath: Aftermath) -> None:
    held = await aftermath.running(timeout_seconds=30.0)
    again = transitions.put_back(held.job, aftermath.clock.time(), "lease-1", 60.0)
    await aftermath.write(held, again)
    aftermath.clock.advance(29.9)
    await aftermath.here.sweeper.tick()
    assert (await aftermath.found()).status is Status.QUEUED
    aftermath.clock.advance(0.1)
    await aftermath.here.sweeper.tick()
    job = await aftermath.found()
    assert job.failure is not None
    assert (job.failure.code, job.failure.status, job.settled) == ("job_timeout", 504, True)
    assert [type for _, type in aftermath.received()] == ["chat.completion.failed"]


async def test_a_job_never_claimed_waits_and_its_event_comes_again_with_growing_pauses(
    aftermath: Aftermath,
) -> None:
    await aftermath.queued("urgent", priority=1)
    await aftermath.queued("normal", priority=9)
    times: list[float] = []
    start = aftermath.clock.time()
    while aftermath.clock.time() < start + 4 * 3600:
        aftermath.clock.advance(15.0)
        before = len(aftermath.hub.published)
        await aftermath.here.sweeper.tick()
        if len(aftermath.hub.published) > before:
            assert aftermath.hub.published[before:] == [("urgent", "urgent"), ("normal", "normal")]
            times.append(aftermath.clock.time() - start)
    pauses = [after - before for before, after in zip([0.0, *times], times, strict=False)]
    assert pauses[:7] == [60.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0]
    assert set(pauses[7:]) == {LONGEST_WAKE}
    assert (await aftermath.found("normal")).status is Status.QUEUED


async def test_while_a_hub_is_down_nothing_is_noted_and_it_is_said_once(
    aftermath: Aftermath, caplog: pytest.LogCaptureFixture
) -> None:
    before = await aftermath.queued()
    aftermath.hub.down = True
    aftermath.clock.advance(FIRST_WAKE)
    with caplog.at_level(logging.WARNING, logger="llmproxy"):
        for _ in range(3):
            await aftermath.here.sweeper.tick()
            aftermath.clock.advance(15.0)
        assert await aftermath.found() == before.job
        assert caplog.text.count('"hub_unavailable"') == 1
        aftermath.hub.down = False
        await aftermath.here.sweeper.tick()
    assert aftermath.hub.published == [("normal", "job-1")]
    assert (await aftermath.found()).woken == 1


async def test_a_tick_publishes_so_many_events_and_the_next_one_goes_on(aftermath: Aftermath) -> None:
    count = Turn().wakeups + 20
    for number in range(count):
        await aftermath.queued(f"job-{number}", webhook_url=None)
    aftermath.clock.advance(FIRST_WAKE)
    await aftermath.here.sweeper.tick()
    assert (len(aftermath.hub.published), aftermath.hub.calls) == (Turn().wakeups, 1)
    await aftermath.here.sweeper.tick()
    assert len({id for _, id in aftermath.hub.published}) == len(aftermath.hub.published) == count


async def test_what_was_submitted_is_kept_for_as_long_as_its_job_waits(aftermath: Aftermath) -> None:
    await aftermath.queued()
    for _ in range(90):
        aftermath.clock.advance(DAY)
        await aftermath.here.sweeper.tick()
        assert len(await aftermath.parts()) == 1
    job = await aftermath.found()
    assert job.request_kept_until - aftermath.clock.time() >= KEEP_AGAIN - DAY
    assert job.request_kept_until <= aftermath.clock.time() + KEPT


async def test_it_is_kept_while_the_hub_is_down_too(aftermath: Aftermath) -> None:
    await aftermath.queued()
    aftermath.hub.down = True
    for _ in range(40):
        aftermath.clock.advance(DAY)
        await aftermath.here.sweeper.tick()
    assert len(await aftermath.parts()) == 1


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
async def test_what_a_worker_left_after_its_last_write_is_done_a_minute_later(
    aftermath: Aftermath, end: str
) -> None:
    if end == "completed":
        await aftermath.completed()
    elif end == "failed":
        await aftermath.failed()
    else:
        await aftermath.cancelled(await aftermath.running())
    aftermath.clock.advance(SETTLING - 1)
    await aftermath.here.sweeper.tick()
    assert not (await aftermath.found()).charged
    aftermath.clock.advance(1)
    await aftermath.here.sweeper.tick()
    assert (await aftermath.found()).settled
    assert len(await aftermath.records()) == 1
    assert [type for _, type in aftermath.received()] == [f"chat.completion.{end}"]


async def test_a_receiver_that_was_down_gets_its_webhook_when_it_is_up(aftermath: Aftermath) -> None:
    aftermath.receiver.always(Reply(status=503))
    await aftermath.here.settlement.settle(await aftermath.completed())
    for pause in PAUSES[:3]:
        aftermath.clock.advance(1.2 * pause)
        await aftermath.here.sweeper.tick()
    assert len(aftermath.receiver.requests) == 4
    aftermath.receiver.always(None)
    await aftermath.here.sweeper.tick()  # not before its time
    assert len(aftermath.receiver.requests) == 4
    aftermath.clock.advance(1.2 * PAUSES[3])
    await aftermath.here.sweeper.tick()
    assert (await aftermath.found()).settled
    assert len({id for id, _ in aftermath.received()}) == 1


async def test_webhooks_of_a_running_job_are_sent_while_it_runs(aftermath: Aftermath) -> None:
    held = await aftermath.running(webhook_events=("started", "progress"))
    await aftermath.beat(held)
    await aftermath.here.sweeper.tick()
    assert sorted(type for _, type in aftermath.received()) == [
        "chat.completion.progress",
        "chat.completion.started",
    ]
    job = await aftermath.found()
    assert (job.status, job.lease_id, job.progress, job.notices) == (Status.PROCESSING, "lease-1", 50, ())


async def test_a_silent_receiver_keeps_neither_lost_jobs_nor_other_receivers_waiting(
    aftermath: Aftermath,
) -> None:
    aftermath.patience = 0.4
    here = aftermath.instance()
    aftermath.receiver.always(Reply(status=503))
    for number in range(8):
        await here.settlement.settle(await aftermath.completed(f"silent-{number}"))
    aftermath.receiver.always(lambda request: Hang() if request.path == "/hooks" else Reply())
    other = aftermath.receiver.url.replace("127.0.0.1", "localhost") + "/other"
    held = await aftermath.completed("other", webhook_url=other)
    await aftermath.here.settlement.settle(held, send=False)
    await aftermath.running("lost", webhook_url=None)
    aftermath.clock.advance(LEASE + 30)
    aftermath.receiver.requests.clear()
    await here.new_sweeper(aftermath, turn=Turn(per_receiver=3)).tick()
    assert (await aftermath.found("lost")).status is Status.QUEUED
    assert (await aftermath.found("other")).settled
    assert [request.path for request in aftermath.receiver.requests].count("/hooks") == 3


async def test_a_job_that_cannot_be_settled_does_not_keep_others_from_it(
    aftermath: Aftermath, caplog: pytest.LogCaptureFixture
) -> None:
    class Refuses(Outages):
        async def create(
            self, container: Container, body: Json, *, time_to_live: int | None = None
        ) -> Stored:
            if container is USAGE and body["id"].startswith("bad"):
                raise DocumentTooLarge("no")
            return await super().create(container, body, time_to_live=time_to_live)

    here = aftermath.instance(Refuses(aftermath.base))
    for number in range(4):
        await aftermath.completed(f"bad-{number}", webhook_url=None)
    await aftermath.completed("good", webhook_url=None)
    aftermath.clock.advance(SETTLING)
    with caplog.at_level(logging.ERROR, logger="llmproxy"):
        await here.new_sweeper(aftermath, turn=Turn(heads=3)).tick()
    assert (await aftermath.found("good")).settled
    assert '"job_failed"' in caplog.text


async def test_two_sweepers_at_once_do_no_harm(aftermath: Aftermath) -> None:
    for number in range(6):
        await aftermath.running(f"lost-{number}")
        await aftermath.completed(f"done-{number}")
    aftermath.clock.advance(LEASE + 15)
    others = [aftermath.instance() for _ in range(3)]
    await asyncio.gather(*(one.sweeper.tick() for one in others))
    for number in range(6):
        lost = await aftermath.found(f"lost-{number}")
        assert (lost.status, lost.lost_leases) == (Status.QUEUED, 1)
        assert (await aftermath.found(f"done-{number}")).settled
    assert len(await aftermath.records()) == await aftermath.counted() == 6
    assert len({id for id, _ in aftermath.received()}) == 6


async def test_a_second_tick_of_the_same_process_leaves_the_first_alone(aftermath: Aftermath) -> None:
    released = asyncio.Event()
    aftermath.receiver.script(Hang(released))
    await aftermath.here.settlement.settle(await aftermath.completed(), send=False)
    first = asyncio.create_task(aftermath.here.sweeper.tick())
    await aftermath.receiver.wait_requests(1)
    await aftermath.here.sweeper.tick()
    released.set()
    await first
    assert len(aftermath.receiver.requests) == 1
    assert (await aftermath.found()).settled


@pytest.mark.parametrize("applied", [True, False], ids=["after", "before"])
async def test_whichever_write_is_the_last_of_a_tick_the_next_one_finishes(
    aftermath: Aftermath, applied: bool
) -> None:
    number, finished = 0, False
    while not finished:
        number += 1
        assert number < 60
        await _left_behind(aftermath, str(number))
        mortal = Mortal(aftermath.base)
        mortal.kill_at(number, applied=applied)
        victim = aftermath.instance(mortal)
        try:
            await victim.sweeper.tick()
            finished = True
        except (Killed, BaseExceptionGroup):
            pass
        aftermath.instances.remove(victim)
        await victim.webhooks.close()
        aftermath.hub.published.clear()
        await aftermath.here.sweeper.tick()
        aftermath.clock.advance(SETTLING)
        await aftermath.here.sweeper.tick()
        lost = await aftermath.found(f"lost-{number}")
        assert (lost.status, lost.lost_leases) == (Status.QUEUED, 1)
        assert ("normal", lost.id) in aftermath.hub.published or lost.woken
        for id, status in (("late", Status.FAILED), ("done", Status.COMPLETED), ("told", Status.COMPLETED)):
            job = await aftermath.found(f"{id}-{number}")
            assert (job.status, job.settled) == (status, True)
            assert [record["id"] for record in await aftermath.records()].count(job.id) == 1
        # The lost one is nobody's business in the next round.
        held = await aftermath.here.jobs.get(lost.id)
        assert held is not None
        await aftermath.here.settlement.settle(await aftermath.cancelled(held))
    assert number > 10


async def _left_behind(aftermath: Aftermath, mark: str) -> list[Held]:
    """One lost worker, one job beyond its time, one that is not settled, one whose webhook is due."""
    lost = await aftermath.running(f"lost-{mark}", timeout_seconds=3600.0, webhook_url=None)
    late = await aftermath.running(f"late-{mark}", timeout_seconds=30.0)
    late = await aftermath.write(
        late, transitions.put_back(late.job, aftermath.clock.time(), "lease-1", 50.0)
    )
    done = await aftermath.completed(f"done-{mark}")
    told = await aftermath.completed(f"told-{mark}")
    await aftermath.here.settlement.settle(told, send=False)
    aftermath.clock.advance(LEASE + 1)
    return [lost, late, done, told]


async def test_a_store_that_is_away_is_said_once_and_the_tick_raises_nothing(
    aftermath: Aftermath, caplog: pytest.LogCaptureFixture
) -> None:
    outages = Outages(aftermath.base)
    outages.down = True
    here = aftermath.instance(outages)
    await aftermath.completed()
    aftermath.clock.advance(SETTLING)
    with caplog.at_level(logging.WARNING, logger="llmproxy"):
        await here.sweeper.tick()
        await here.sweeper.tick()
        assert caplog.text.count('"store_unavailable"') == 1
        outages.down = False
        await here.sweeper.tick()
    assert (await aftermath.found()).settled


async def test_one_job_that_the_store_puts_off_keeps_no_others_waiting(aftermath: Aftermath) -> None:
    asked = []

    async def hot(name: str, id: str) -> None:
        if id.startswith("hot"):
            asked.append(id)
            raise StoreThrottled("too many requests", 0.01)

    here = aftermath.instance(FaultyStore(aftermath.base, before=hot))
    for id in ("hot", "cold"):
        await aftermath.completed(id)
        await aftermath.queued(f"{id}-waiting")
        aftermath.clock.advance(1)
    aftermath.clock.advance(SETTLING)
    await here.sweeper.tick()
    assert (await aftermath.found("cold")).settled
    assert (await aftermath.found("cold-waiting")).woken == 1
    assert not (await aftermath.found("hot")).settled
    # All of them put off is a store that is busy: it is left alone until the next tick.
    for number in range(3 * MOST_THROTTLED):
        await aftermath.completed(f"hot-{number}")
    aftermath.clock.advance(SETTLING)
    asked.clear()
    await here.sweeper.tick()
    assert len(set(asked)) < 3 * MOST_THROTTLED
    await aftermath.here.sweeper.tick()
    assert (await aftermath.found("hot")).settled


async def test_a_tick_that_is_cut_off_says_so(aftermath: Aftermath, caplog: pytest.LogCaptureFixture) -> None:
    aftermath.receiver.script(Hang())
    await aftermath.here.settlement.settle(await aftermath.completed(), send=False)
    with caplog.at_level(logging.WARNING, logger="llmproxy"):
        await aftermath.here.new_sweeper(aftermath, turn=Turn(longest=0.2)).tick()
    assert '"sweep_cut_off"' in caplog.text
    await aftermath.here.sweeper.tick()
    assert (await aftermath.found()).settled


async def test_where_no_event_runs_jobs_the_tick_starts_them(aftermath: Aftermath) -> None:
    started: list[str] = []

    async def run_due() -> None:
        started.append("")

    await aftermath.here.new_sweeper(aftermath, run_due=run_due).tick()
    assert len(started) == 1
