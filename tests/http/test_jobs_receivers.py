"""Receivers of webhooks that are down, redirect or hang, while workers and the timer go on."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.webhooks.pauses import PAUSES
from tests.http.jobs import JOBS, chat, submitted
from tests.http.outages import WITHIN, Site
from tests.proxy import running_proxy
from tests.unit.webhooks.receiver import Receiver, verified
from tests.upstreams.behaviours import Hang, HangUp, Reply, StreamReply
from tests.upstreams.openai import OpenAIUpstream


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


async def test_a_receiver_that_was_down_gets_every_event_with_one_id_and_the_same_bytes(
    site: Site, receiver: Receiver
) -> None:
    key = await site.proxy.add_key(project="team")
    receiver.always(HangUp())
    released = asyncio.Event()
    site.upstream.always(StreamReply(hold_after=4, released=released))
    events = ["started", "progress", "completed"]
    body = chat(webhook_url=f"{receiver.url}/hook", webhook_events=events, max_tokens=8)
    id = await submitted(site.proxy, body, key=key)
    async with asyncio.timeout(WITHIN):
        while not any(notice.event == "progress" for notice in (await site.job(id)).notices):
            await asyncio.sleep(0.01)
    released.set()
    job = await site.until(id, "completed")
    async with asyncio.timeout(WITHIN):
        # Each was tried once, and is left to the timer.
        while not job.charged or not all(notice.tries for notice in job.notices):
            await asyncio.sleep(0.01)
            job = await site.job(id)
    await site.tick(1.2 * PAUSES[0])
    down = list(receiver.requests)
    assert len(down) == 2 * len(job.notices)
    receiver.always(None)
    await site.tick(1.2 * PAUSES[1])
    await site.until_settled(id)
    await site.tick(3 * 3600)
    arrived = receiver.requests[len(down) :]
    bodies = {request.headers["webhook-id"]: request.raw for request in arrived}
    assert len(arrived) == len(bodies) == len(job.notices)
    assert {request.raw == bodies[request.headers["webhook-id"]] for request in down} == {True}
    reply = await site.proxy.call("GET", "/manage/projects/team/webhook-secret")
    told = [verified(request, reply.json()["secret"]) for request in arrived]
    assert {message["type"].rpartition(".")[2] for message in told} == set(events)
    [end] = [message for message in told if message["type"] == "chat.completion.completed"]
    result = await site.proxy.call("GET", f"{JOBS}/{id}/result", key=key)
    assert (end["data"]["status"], end["data"]["result"]) == ("completed", result.json())
    progress = [message["data"]["progress_percentage"] for message in told if "progress" in message["type"]]
    assert all(0 < percent < 100 for percent in progress)


@pytest.mark.parametrize("address", ["http://169.254.169.254/latest", "http://10.0.0.1/", ""])
async def test_a_receiver_that_redirects_is_not_followed(
    site: Site, receiver: Receiver, address: str
) -> None:
    async with Receiver() as other:
        location = {"Location": address or other.url}
        receiver.always(Reply(status=307, headers=location))
        id = await submitted(site.proxy, chat(webhook_url=receiver.url))
        [job] = await site.until_settled(id)
        await site.tick(3600)
        assert (job.status, len(receiver.requests), other.requests) == ("completed", 1, [])


async def test_receivers_that_hang_take_no_slot_from_the_jobs_of_others(
    tmp_path: Path, upstream: OpenAIUpstream, receiver: Receiver
) -> None:
    receiver.always(Hang())
    async with running_proxy(tmp_path, events=True, job_concurrency=2) as proxy:
        proxy.add_secret("up", "sk-upstream-secret-000000")
        await proxy.add_model("small", f"{upstream.url}/v1", parameters={"secret_name": "up"})
        key = await proxy.add_key(project="team")
        every = ["started", "progress", "completed"]
        for _ in range(20):
            await submitted(proxy, chat(webhook_url=receiver.url, webhook_events=every))
        await receiver.wait_requests(2)
        began = time.monotonic()
        id = await submitted(proxy, key=key)
        async with asyncio.timeout(WITHIN):
            while (await proxy.call("GET", f"{JOBS}/{id}/result", key=key)).status != 200:
                await asyncio.sleep(0.01)
        # A receiver has ten seconds for each of them.
        assert time.monotonic() - began < 8
