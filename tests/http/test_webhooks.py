"""Webhooks of jobs, from the submission to what a receiver verifies."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from shared.clock import ManualClock
from shared.jobs.job import Status
from shared.jobs.transitions import SETTLING
from shared.webhooks.pauses import PAUSES
from tests.http.jobs import JOBS, chat, complete, submitted
from tests.proxy import Proxy, running_proxy
from tests.unit.webhooks.receiver import Receiver, verified
from tests.upstreams.behaviours import Hang, Reply, StreamReply
from tests.upstreams.openai import OpenAIUpstream


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


@pytest.fixture
async def working(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[Proxy]:
    """A proxy that runs jobs."""
    async with running_proxy(tmp_path, events=True) as running:
        running.add_secret("up", "sk-upstream-secret-000000")
        await running.add_model("small", upstream.url, parameters={"secret_name": "up"})
        yield running


async def secret_of(proxy: Proxy, project: str) -> str:
    reply = await proxy.call("GET", f"/manage/projects/{project}/webhook-secret")
    assert reply.status == 200, reply.body
    return str(reply.json()["secret"])


async def settled(proxy: Proxy, id: str) -> Any:
    """The job, once nothing is left to do for it."""
    async with asyncio.timeout(10):
        while True:
            held = await proxy.services.job_store.get(id)
            assert held is not None
            if held.job.settled:
                return held.job
            await asyncio.sleep(0.01)


async def test_a_receiver_verifies_what_became_of_a_job(working: Proxy, receiver: Receiver) -> None:
    key = await working.add_key(project="team")
    address = receiver.url + "/hooks?to=me"
    id = await submitted(working, chat(webhook_url=address, metadata={"ticket": "7"}), key=key)
    received = await receiver.wait_requests(1)
    event = verified(received, await secret_of(working, "team"))
    assert (received.path, received.query) == ("/hooks", {"to": "me"})
    assert event["type"] == "chat.completion.completed"
    data = event["data"]
    assert (data["id"], data["status"], data["metadata"]) == (id, "completed", {"ticket": "7"})
    assert event["timestamp"] == data["completed_at"]
    assert data["result"]["choices"][0]["message"]["content"]
    assert "messages" not in data
    result = await working.call("GET", f"{JOBS}/{id}/result", key=key)
    assert result.json() == data["result"]
    job = await settled(working, id)
    assert job.charged
    [record] = [record for record in await working.requests() if record["id"] == id]
    assert (record["status"], record["usage"]) == (200, job.usage)


async def test_a_failed_job_is_told_with_its_error(
    working: Proxy, receiver: Receiver, upstream: OpenAIUpstream
) -> None:
    refusal = {"error": {"message": "no such thing", "type": "invalid_request_error", "code": "bad_thing"}}
    upstream.always(Reply(refusal, status=400))
    id = await submitted(working, chat(webhook_url=receiver.url))
    received = await receiver.wait_requests(1)
    event = orjson.loads(received.raw)
    assert event["type"] == "chat.completion.failed"
    assert (event["data"]["error"]["code"], event["data"]["error"]["status"]) == ("bad_thing", 400)
    assert "result" not in event["data"]
    await settled(working, id)


async def test_a_job_that_is_cancelled_while_it_runs_is_told_and_charged_once(
    working: Proxy, receiver: Receiver, upstream: OpenAIUpstream
) -> None:
    upstream.always(StreamReply(stop_after=3, ending="stall"))
    id = await submitted(working, chat(webhook_url=receiver.url))
    await upstream.wait_requests(1)
    async with asyncio.timeout(10):
        while (await working.call("GET", f"{JOBS}/{id}/status")).json()["status"] != "processing":
            await asyncio.sleep(0.01)
    assert (await working.call("DELETE", f"{JOBS}/{id}")).status == 200
    received = await receiver.wait_requests(1)
    assert orjson.loads(received.raw)["type"] == "chat.completion.cancelled"
    await settled(working, id)
    [record] = [record for record in await working.requests() if record["id"] == id]
    assert record["status"] == 499


async def test_one_that_is_cancelled_in_the_queue_is_told_at_once(proxy: Proxy, receiver: Receiver) -> None:
    await proxy.add_model("small", "http://127.0.0.1:9")
    id = await submitted(proxy, chat(webhook_url=receiver.url))
    assert (await proxy.call("POST", f"{JOBS}/{id}/cancel")).status == 200
    received = await receiver.wait_requests(1)
    assert orjson.loads(received.raw)["data"]["status"] == "cancelled"
    await settled(proxy, id)
    [record] = [record for record in await proxy.requests() if record["id"] == id]
    assert (record["status"], record["attempts"], record["cost_usd"]) == (499, 0, None)


async def test_only_the_events_that_were_asked_for_are_sent(working: Proxy, receiver: Receiver) -> None:
    id = await submitted(working, chat(webhook_url=receiver.url, webhook_events=["started", "failed"]))
    async with asyncio.timeout(10):
        while (await working.call("GET", f"{JOBS}/{id}/status")).json()["status"] != "completed":
            await asyncio.sleep(0.01)
    await settled(working, id)
    assert [orjson.loads(request.raw)["type"] for request in receiver.requests] == ["chat.completion.started"]


async def test_a_silent_receiver_holds_up_neither_the_job_nor_its_result(
    working: Proxy, receiver: Receiver
) -> None:
    released = asyncio.Event()
    receiver.always(Hang(released))
    id = await submitted(working, chat(webhook_url=receiver.url))
    await receiver.wait_requests(1)
    assert (await working.call("GET", f"{JOBS}/{id}/result")).status == 200
    released.set()
    await settled(working, id)


async def test_an_address_of_an_inner_network_is_refused_at_submit(working: Proxy) -> None:
    for address in ("http://169.254.169.254/", "http://10.0.0.1/hooks", "https://[fd00::1]/", "ftp://x/"):
        reply = await working.call("POST", JOBS, chat(webhook_url=address))
        assert (reply.status, reply.error["param"]) == (400, "webhook_url")


async def test_what_the_worker_could_not_deliver_the_timer_sends_when_the_receiver_is_back(
    tmp_path: Path, receiver: Receiver
) -> None:
    clock = ManualClock(float(int(time.time())))
    async with running_proxy(tmp_path, clock=clock) as proxy:
        await proxy.add_model("small", "http://127.0.0.1:9")
        id = await submitted(proxy, chat(webhook_url=receiver.url))
        await complete(proxy, id)  # and the worker dies there
        receiver.script(Reply(status=503), Reply(status=429, headers={"Retry-After": "100"}))
        clock.advance(SETTLING)
        for pause in (1.2 * PAUSES[0], 90, 31):
            await proxy.services.sweeper.tick()
            clock.advance(pause)
        assert len(receiver.requests) == 2  # the receiver asked for more time
        await proxy.services.sweeper.tick()
        assert len(receiver.requests) == 3
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
        assert len({request.raw for request in receiver.requests}) == 1
        held = await proxy.services.job_store.get(id)
        assert held is not None
        assert held.job.settled
        assert held.job.status is Status.COMPLETED


async def test_figures_of_jobs_are_shown_by_project(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running_proxy(tmp_path, clock=clock) as proxy:
        await proxy.add_model("small", "http://127.0.0.1:9")
        key = await proxy.add_key(project="team")
        await complete(proxy, await submitted(proxy, key=key))
        await submitted(proxy)
        clock.advance(60)
        shown = (await proxy.call("GET", "/v1/async/metrics", key=key)).json()
        assert (shown["total_jobs"], shown["completed_jobs"], shown["queued_jobs"]) == (1, 1, 0)
        shown = (await proxy.call("GET", "/v1/async/metrics")).json()
        assert (shown["total_jobs"], shown["completed_jobs"], shown["queued_jobs"]) == (2, 1, 1)
        reply = await proxy.call("POST", JOBS, chat(), key=key)
        assert reply.json()["estimated_completion_time"] >= reply.json()["created_at"]
