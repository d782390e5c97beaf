"""What follows from the end of a job, whatever dies in between and whoever else does it at the same time."""

import asyncio
import logging
import time
from dataclasses import replace

import orjson
import pytest

from shared import Json
from shared.clock import iso
from shared.containers import Container
from shared.errors import StoreThrottled, StoreUnavailable
from shared.jobs import transitions
from shared.jobs.charges import usage_record
from shared.jobs.job import Status
from shared.jobs.store import REDELIVERY, Held
from shared.jobs.transitions import LEASE, SETTLING
from shared.ports import Stored
from shared.secrets import WEBHOOK_MASTER
from shared.webhooks.pauses import PAUSES
from shared.webhooks.signing import project_secret
from tests.unit.access.worlds import Outages
from tests.unit.jobs.aftermath import ANSWER, FIGURES, PROVIDER_FAILED, USED, Aftermath, Killed, Mortal
from tests.unit.webhooks.receiver import MASTER, verified
from tests.upstreams.behaviours import Hang, Reply

HOUR = 3600.0


async def test_a_completed_job_is_charged_told_about_and_gets_its_lifetime(aftermath: Aftermath) -> None:
    ended = await aftermath.completed(ttl_seconds=48 * HOUR)
    settled = await aftermath.here.settlement.settle(ended)
    assert settled is not None
    assert settled.job.settled
    assert settled.job == await aftermath.found()
    [record] = await aftermath.records()
    assert record["id"] == record["request_id"] == "job-1"
    assert (record["status"], record["error_code"], record["operation"]) == (200, None, "ChatCompletion")
    assert (record["project"], record["key_id"], record["user"]) == ("team", "k1", "u1")
    assert (record["model_requested"], record["model"], record["provider"]) == ("fast", "gpt", "OpenAI")
    assert (record["usage"], record["cost_usd"], record["attempts"]) == (USED, 0.002, 1)
    assert record["duration_ms"] == 2000.0
    assert record["time"] == iso(ended.job.completed_at or 0)
    assert await aftermath.counted() == 1
    assert [type for _, type in aftermath.received()] == ["chat.completion.completed"]
    aftermath.clock.advance(48 * HOUR - 1)
    assert len(await aftermath.parts()) == 2
    assert (await aftermath.found()).status is Status.COMPLETED
    aftermath.clock.advance(3)
    assert await aftermath.parts() == []
    assert await aftermath.here.jobs.get("job-1") is None


@pytest.mark.parametrize("end", ["failed", "cancelled", "given up", "refused"])
async def test_every_end_has_one_record_with_its_status(aftermath: Aftermath, end: str) -> None:
    if end == "failed":
        ended = await aftermath.failed()
    elif end == "cancelled":
        ended = await aftermath.cancelled(await aftermath.queued())
    elif end == "given up":
        held = await aftermath.running(timeout_seconds=30.0)
        aftermath.clock.advance(LEASE + 1)
        held = await aftermath.write(held, transitions.taken_back(held.job, aftermath.clock.time()))
        ended = await aftermath.write(held, transitions.given_up(held.job, aftermath.clock.time()))
    else:
        held = await aftermath.queued()
        now = aftermath.clock.time()
        ended = await aftermath.write(held, transitions.refused(held.job, now, PROVIDER_FAILED))
    settled = await aftermath.here.settlement.settle(ended)
    assert settled is not None
    assert settled.job.settled
    [record] = await aftermath.records()
    assert {"failed": 502, "cancelled": 499, "given up": 504, "refused": 502}[end] == record["status"]
    assert record["error_code"] == (ended.job.failure.code if ended.job.failure else None)
    assert record["usage"] == (USED if end == "failed" else None)
    assert len(aftermath.received()) == 1


async def test_settling_again_changes_and_sends_nothing(aftermath: Aftermath) -> None:
    ended = await aftermath.completed()
    settled = await aftermath.here.settlement.settle(ended)
    assert settled is not None
    assert await aftermath.here.settlement.settle(settled) == settled
    assert await aftermath.here.settlement.settle(ended) == settled  # by one who has not heard of it
    assert len(await aftermath.records()) == 1
    assert await aftermath.counted() == 1
    assert len({id for id, _ in aftermath.received()}) == 1


async def test_two_at_once_charge_once_and_agree(aftermath: Aftermath) -> None:
    ended = await aftermath.completed()
    other = aftermath.instance()
    first, second = await asyncio.gather(
        aftermath.here.settlement.settle(ended), other.settlement.settle(ended)
    )
    assert first == second
    assert (await aftermath.found()).settled
    assert len(await aftermath.records()) == 1
    assert await aftermath.counted() == 1
    assert len({id for id, _ in aftermath.received()}) == 1


@pytest.mark.parametrize("applied", [True, False], ids=["after", "before"])
async def test_whichever_write_is_the_last_of_a_process_the_next_one_finishes(
    aftermath: Aftermath, applied: bool
) -> None:
    for number in range(1, 20):
        id = f"job-{number}"
        held = await aftermath.running(id)
        # A lost lease and a retry leave a result of theirs behind.
        await aftermath.here.payloads.put_result(id, "lease-0", b"{}")
        held = await aftermath.write(held, replace(held.job, lost_leases=1))
        lease = held.job.lease_id or ""
        parts = await aftermath.here.payloads.put_result(id, lease, orjson.dumps(ANSWER))
        now = aftermath.clock.time()
        done = transitions.completed(held.job, now, lease, transitions.Result(lease, parts), FIGURES)
        ended = await aftermath.write(held, done)
        mortal = Mortal(aftermath.base)
        mortal.kill_at(number, applied=applied)
        victim = aftermath.instance(mortal)
        died = False
        try:
            await victim.settlement.settle(ended)
        except Killed:
            died = True
        aftermath.instances.remove(victim)  # its memory is gone, and with it the sums that it owed
        await victim.webhooks.close()
        found = await aftermath.here.jobs.get(id)
        assert found is not None
        if died:
            assert await aftermath.here.settlement.settle(found) is not None
        assert (await aftermath.found(id)).settled
        assert [record["id"] for record in await aftermath.records()].count(id) == 1
        assert len({received for received, _ in aftermath.received()}) == number
        assert len(await aftermath.parts(id)) == 2
        if not died:
            break
    assert 5 <= number < 20  # charge, two parts kept, one removed, the head
    aftermath.clock.advance(REDELIVERY + 2)
    for done_id in range(1, number + 1):
        assert await aftermath.here.jobs.get(f"job-{done_id}") is None
        assert await aftermath.parts(f"job-{done_id}") == []


async def test_a_charge_whose_answer_was_lost_is_not_made_twice(aftermath: Aftermath) -> None:
    ended = await aftermath.completed()

    class LosesAnswers(Mortal):
        async def create(
            self, container: Container, body: Json, *, time_to_live: int | None = None
        ) -> Stored:
            await super().create(container, body, time_to_live=time_to_live)
            raise StoreUnavailable("the answer is lost")

    unlucky = aftermath.instance(LosesAnswers(aftermath.base))
    with pytest.raises(StoreUnavailable):
        await unlucky.settlement.settle(ended)
    assert aftermath.received() == []
    settled = await aftermath.here.settlement.settle(ended)
    assert settled is not None
    assert settled.job.settled
    assert len(await aftermath.records()) == 1


async def test_a_charge_that_looks_like_a_lost_race_is_known_as_ours_and_summed(
    aftermath: Aftermath,
) -> None:
    outages = Outages(aftermath.base)
    outages.lost_races = 2  # the record's, and the head's
    unsure = aftermath.instance(outages)
    settled = await unsure.settlement.settle(await aftermath.completed())
    assert settled is not None
    assert settled.job.settled
    assert (len(await aftermath.records()), await aftermath.counted()) == (1, 1)


async def test_the_day_of_a_charge_is_that_of_the_end_however_late_it_is_made(aftermath: Aftermath) -> None:
    ended = await aftermath.completed()
    aftermath.clock.advance(3 * 24 * HOUR)
    await aftermath.here.settlement.settle(ended)
    [record] = await aftermath.records()
    assert record["day"] == iso(ended.job.completed_at or 0)[:10]


async def test_the_holder_charges_what_a_cancelled_job_has_used(aftermath: Aftermath) -> None:
    held = await aftermath.beat(await aftermath.running())
    ended = await aftermath.cancelled(held)
    more = replace(FIGURES, usage={**USED, "completion_tokens": 7, "total_tokens": 17}, cost_usd=0.003)
    settled = await aftermath.here.settlement.settle(ended, more)
    assert settled is not None
    assert (settled.job.usage, settled.job.cost_usd) == (more.usage, 0.003)
    [record] = await aftermath.records()
    assert (record["status"], record["usage"], record["cost_usd"]) == (499, more.usage, 0.003)


async def test_the_charge_of_a_cancelled_job_waits_for_its_holder_and_is_then_estimated(
    aftermath: Aftermath,
) -> None:
    ended = await aftermath.cancelled(await aftermath.beat(await aftermath.running()))
    aftermath.clock.advance(LEASE - 1)
    waiting = await aftermath.here.settlement.settle(ended)
    assert waiting is not None
    assert not waiting.job.settled
    assert [type for _, type in aftermath.received()] == ["chat.completion.cancelled"]
    assert await aftermath.records() == []
    aftermath.clock.advance(1)
    settled = await aftermath.here.settlement.settle(waiting)
    assert settled is not None
    assert settled.job.settled
    [record] = await aftermath.records()
    assert record["usage"] == {**USED, "estimated": True} == settled.job.usage
    assert len(aftermath.received()) == 1


async def test_a_holder_that_comes_late_takes_what_was_charged_without_it(aftermath: Aftermath) -> None:
    ended = await aftermath.cancelled(await aftermath.beat(await aftermath.running()))
    aftermath.clock.advance(LEASE)
    await aftermath.here.usage.record_once(usage_record(ended.job))
    late = await aftermath.here.settlement.settle(ended, replace(FIGURES, cost_usd=9.0))
    assert late is not None
    [record] = await aftermath.records()
    assert (late.job.cost_usd, late.job.usage) == (record["cost_usd"], record["usage"])
    assert record["cost_usd"] == 0.002


async def test_a_webhook_that_fails_is_tried_again_with_the_same_id_and_bytes(aftermath: Aftermath) -> None:
    aftermath.receiver.script(Reply(status=503), Reply(status=500))
    held = await aftermath.here.settlement.settle(await aftermath.completed())
    for tries in (1, 2):
        assert held is not None
        assert not held.job.settled
        [notice] = held.job.notices
        assert notice.tries == tries
        pause = notice.next_at - aftermath.clock.time()
        assert PAUSES[tries - 1] <= pause <= 1.2 * PAUSES[tries - 1]
        aftermath.clock.advance(pause)
        held = await aftermath.here.settlement.settle(held)
    assert held is not None
    assert held.job.settled
    assert len({id for id, _ in aftermath.received()}) == 1
    assert len({request.raw for request in aftermath.receiver.requests}) == 1
    assert len(aftermath.receiver.requests) == 3
    assert len(await aftermath.records()) == 1


async def test_after_six_tries_it_is_given_up(aftermath: Aftermath) -> None:
    aftermath.receiver.always(Reply(status=500))
    held: Held | None = await aftermath.completed()
    for _ in range(6):
        assert held is not None
        assert not held.job.settled
        held = await aftermath.here.settlement.settle(held)
        aftermath.clock.advance(1.2 * PAUSES[-1])
    assert held is not None
    assert held.job.settled
    assert len(aftermath.receiver.requests) == 6


async def test_a_redirect_to_an_inner_address_is_not_followed(aftermath: Aftermath) -> None:
    for place in ("http://169.254.169.254/metadata", f"{aftermath.receiver.url}/elsewhere"):
        aftermath.receiver.script(Reply(status=307, headers={"Location": place}))
    for id in ("job-1", "job-2"):
        held = await aftermath.here.settlement.settle(await aftermath.completed(id))
        assert held is not None
        assert held.job.settled
    assert [request.path for request in aftermath.receiver.requests] == ["/hooks", "/hooks"]


async def test_tries_of_two_at_once_are_both_counted(aftermath: Aftermath) -> None:
    aftermath.receiver.always(Reply(status=503))
    ended = await aftermath.completed()
    other = aftermath.instance()
    await asyncio.gather(aftermath.here.settlement.settle(ended), other.settlement.settle(ended))
    [notice] = (await aftermath.found()).notices
    assert notice.tries == len(aftermath.receiver.requests) == 2


async def test_what_one_has_delivered_does_not_come_back_when_another_failed(aftermath: Aftermath) -> None:
    released = asyncio.Event()
    ended = await aftermath.completed()
    other = aftermath.instance()
    aftermath.receiver.script(Hang(released))
    slow = asyncio.create_task(other.settlement.settle(ended))
    await aftermath.receiver.wait_requests(1)
    delivered = await aftermath.here.settlement.settle(ended)
    aftermath.receiver.always(Reply(status=503))
    released.set()
    assert delivered is not None
    assert delivered.job.settled
    assert await slow == delivered


async def test_without_the_key_for_signing_nothing_is_sent_and_no_try_is_counted(
    aftermath: Aftermath,
) -> None:
    aftermath.masters.unreachable.add(WEBHOOK_MASTER)
    held = await aftermath.here.settlement.settle(await aftermath.completed())
    assert held is not None
    assert held.job.charged
    [notice] = held.job.notices
    assert (notice.tries, notice.next_at) == (0, aftermath.clock.time() + 60)
    assert aftermath.received() == []
    aftermath.masters.unreachable.clear()
    aftermath.clock.advance(60)
    held = await aftermath.here.settlement.settle(held)
    assert held is not None
    assert held.job.settled
    assert len(aftermath.received()) == 1


async def test_a_webhook_brings_the_result_or_a_link_to_a_large_one(aftermath: Aftermath) -> None:
    await aftermath.here.settlement.settle(await aftermath.completed())
    await aftermath.here.settlement.settle(
        await aftermath.completed("job-2", result={"text": "x" * 1_100_000})
    )
    small, large = aftermath.receiver.requests
    data = orjson.loads(small.raw)["data"]
    assert (data["id"], data["status"], data["result"]) == ("job-1", "completed", ANSWER)
    assert "messages" not in data
    data = orjson.loads(large.raw)["data"]
    assert "result" not in data
    assert data["result_url"] == ("https://proxy.example.com/v1/async/chat/completions/job-2/result")


async def test_a_response_in_the_background_is_told_under_its_own_name_and_id(aftermath: Aftermath) -> None:
    held = await aftermath.completed(result={"output": "x" * 1_100_000})
    background = replace(held.job, operation="Responses", public_id="resp_ours")
    await aftermath.here.settlement.settle(await aftermath.write(held, background))
    event = orjson.loads(aftermath.receiver.requests[0].raw)
    assert event["type"] == "response.completed"
    assert event["data"]["result_url"] == "https://proxy.example.com/v1/responses/resp_ours"
    [record] = await aftermath.records()
    assert (record["operation"], record["id"], record["request_id"]) == ("Responses", "job-1", "resp_ours")


async def test_payloads_stay_until_the_last_webhook_is_sent_and_not_longer(aftermath: Aftermath) -> None:
    aftermath.receiver.always(Reply(status=503))
    held = await aftermath.here.settlement.settle(await aftermath.completed(ttl_seconds=HOUR))
    assert held is not None
    aftermath.clock.advance(1.5 * HOUR)
    assert len(await aftermath.parts()) == 2
    aftermath.receiver.always(None)
    held = await aftermath.here.settlement.settle(held)
    assert held is not None
    assert held.job.settled
    assert orjson.loads(aftermath.receiver.requests[-1].raw)["data"]["result"] == ANSWER
    aftermath.clock.advance(2)
    assert await aftermath.parts() == []
    # The head stays for as long as its event could be delivered again.
    aftermath.clock.advance(REDELIVERY - 1.5 * HOUR - 10)
    assert (await aftermath.found()).gone(aftermath.clock.time())
    aftermath.clock.advance(20)
    assert await aftermath.here.jobs.get("job-1") is None


async def test_of_a_deleted_job_nothing_is_kept_and_its_webhook_still_comes(aftermath: Aftermath) -> None:
    ended = await aftermath.completed()
    ended = await aftermath.write(ended, transitions.deleted(ended.job))
    await aftermath.here.payloads.remove(ended.job)
    held = await aftermath.here.settlement.settle(ended)
    assert held is not None
    assert held.job.settled
    assert await aftermath.parts() == []
    data = orjson.loads(aftermath.receiver.requests[0].raw)["data"]
    assert data["status"] == "completed"
    assert "result" not in data


async def test_one_deleted_while_it_is_settled_leaves_nothing_behind(aftermath: Aftermath) -> None:
    released = asyncio.Event()
    aftermath.receiver.script(Hang(released))
    ended = await aftermath.completed()
    settling = asyncio.create_task(aftermath.here.settlement.settle(ended))
    await aftermath.receiver.wait_requests(1)
    await aftermath.write(ended, transitions.deleted(ended.job))
    released.set()
    held = await settling
    assert held is not None
    assert held.job.deleted
    assert held.job.settled
    assert await aftermath.parts() == []


async def test_a_result_that_came_too_late_for_its_job_does_not_stay(aftermath: Aftermath) -> None:
    held = await aftermath.running()
    await aftermath.here.payloads.put_result("job-1", "lease-1", orjson.dumps(ANSWER))
    cancelled = await aftermath.cancelled(held)
    assert len(await aftermath.parts()) == 2
    await aftermath.here.settlement.settle(cancelled, FIGURES)
    assert len(await aftermath.parts()) == 1


async def test_a_store_that_throttles_delays_the_end_and_loses_nothing(aftermath: Aftermath) -> None:
    outages = Outages(aftermath.base)
    outages.failing["replace"] = StoreThrottled("slowly", 0.01)
    throttled = aftermath.instance(outages)
    settling = asyncio.create_task(throttled.settlement.settle(await aftermath.completed()))
    async with asyncio.timeout(10):
        while outages.calls["replace"] < 2:
            await asyncio.sleep(0.005)
    del outages.failing["replace"]
    held = await settling
    assert held is not None
    assert held.job.settled
    assert len(aftermath.received()) == 1


async def test_while_the_store_is_away_nothing_is_sent(aftermath: Aftermath) -> None:
    ended = await aftermath.completed()
    outages = Outages(aftermath.base)
    outages.down = True
    with pytest.raises(StoreUnavailable):
        await aftermath.instance(outages).settlement.settle(ended)
    outages.down = False
    assert aftermath.received() == []


async def test_the_started_webhook_of_a_running_job_leaves_it_to_its_holder(aftermath: Aftermath) -> None:
    held = await aftermath.running(webhook_events=("started", "completed"))
    beaten = await aftermath.beat(held)  # the holder goes on while the webhook is on its way
    after = await aftermath.here.settlement.settle(held)
    assert after is not None
    assert (after.job.status, after.job.notices) == (Status.PROCESSING, ())
    assert (after.job.progress, after.job.lease_until) == (50, beaten.job.lease_until)
    assert [type for _, type in aftermath.received()] == ["chat.completion.started"]
    assert await aftermath.records() == []


async def test_each_project_verifies_with_its_own_secret(aftermath: Aftermath) -> None:
    aftermath.clock.now = time.time()  # the library refuses what is minutes old
    for project in ("team", "other"):
        await aftermath.here.settlement.settle(await aftermath.completed(f"job-{project}", project=project))
    for request, project in zip(aftermath.receiver.requests, ("team", "other"), strict=True):
        assert verified(request, project_secret(MASTER, project))["data"]["id"] == f"job-{project}"


async def test_neither_addresses_nor_contents_reach_the_log(
    aftermath: Aftermath, caplog: pytest.LogCaptureFixture
) -> None:
    aftermath.receiver.script(Reply(status=500), Reply(status=404))
    with caplog.at_level(logging.DEBUG, logger="llmproxy"):
        for number in range(3):
            address = f"{aftermath.receiver.url}/hooks?token=very-secret"
            held = await aftermath.completed(f"job-{number}", webhook_url=address, metadata={"pin": "9876"})
            await aftermath.here.settlement.settle(held)
        aftermath.masters.unreachable.add(WEBHOOK_MASTER)
        await aftermath.here.settlement.settle(await aftermath.completed("job-3"))
    assert "webhook" in caplog.text
    for secret in ("very-secret", "Grüße", "9876", MASTER):
        assert secret not in caplog.text


async def test_who_ended_a_job_has_a_minute_before_the_sweeper_sees_it(aftermath: Aftermath) -> None:
    ended = await aftermath.completed()
    store, now = aftermath.here.jobs, aftermath.clock.time()
    assert await store.to_sweep(now + SETTLING - 0.01, 10) == await store.to_notify(now + HOUR, 10) == []
    assert [held.job.id for held in await store.to_sweep(now + SETTLING, 10)] == [ended.job.id]
