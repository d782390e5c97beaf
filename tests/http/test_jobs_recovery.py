"""A hub or a store that goes away while there are jobs: what a client sees meanwhile, and that all is made up for."""

import asyncio
import logging
from typing import Any

import openai
import pytest

from shared.ports import Event
from tests.http.jobs import JOBS, chat, claim, submitted
from tests.http.outages import BOTH, WITHIN, Site, message
from tests.upstreams.behaviours import StreamReply
from tests.upstreams.openai import openai_error


async def test_while_the_hub_is_down_jobs_are_taken_and_run_when_it_is_back(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.hubs.down = BOTH
    with caplog.at_level(logging.INFO, "llmproxy.jobs"):
        ids = [await submitted(site.proxy, chat(user=str(number))) for number in range(5)]
        before, heads = len(asyncio.all_tasks()), [await site.job(id) for id in ids]
        for _ in range(30):
            await site.tick(3600)
        assert [await site.job(id) for id in ids] == heads
        assert len(asyncio.all_tasks()) <= before
        assert caplog.text.count("hub_unavailable") == 1
        assert caplog.text.count("job_not_published") == 1
    assert site.upstream.requests == []
    site.hubs.down = frozenset()
    await site.tick()
    jobs = await site.until_settled(*ids)
    assert {job.status for job in jobs} == {"completed"}
    assert sorted(request.body["user"] for request in site.upstream.requests) == ["0", "1", "2", "3", "4"]


async def test_while_one_hub_is_down_the_others_jobs_go_on_and_it_is_said_once(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    site.hubs.down = frozenset({"chat-jobs"})
    with caplog.at_level(logging.WARNING, "llmproxy.jobs"):
        waiting = [await submitted(site.proxy) for _ in range(2)]
        for _ in range(5):
            # One that the other hub takes before the timer runs does not make the outage new.
            site.hubs.down |= {"chat-jobs-priority"}
            urgent = await submitted(site.proxy, chat(priority=1))
            site.hubs.down -= {"chat-jobs-priority"}
            await site.tick(60)
            await site.until_settled(urgent)
        assert caplog.text.count("hub_unavailable") == 1
    assert {(await site.shown(id))["status"] for id in waiting} == {"queued"}


@pytest.mark.parametrize(
    "write", ["request", "job", "claim", "beat", "result", "retry", "final", "charge", "lifetime", "settled"]
)
async def test_a_store_that_throttles_a_write_delays_a_job_and_changes_nothing_else(
    site: Site, write: str
) -> None:
    site.throttle.left[write] = 2
    if write == "retry":
        site.upstream.script(openai_error(500, "Broken.", type="server_error"))
    released = asyncio.Event()
    site.upstream.always(StreamReply(hold_after=4, released=released))
    async with openai.AsyncOpenAI(base_url=f"{site.proxy.url}/v1", api_key=site.proxy.key) as client:
        job = await client.post(
            "/async/chat/completions",
            body=chat(async_retry_delay=1, user="one"),
            cast_to=dict[str, Any],
            options={"headers": {"Idempotency-Key": "k"}},
        )
    id = job["id"]
    async with asyncio.timeout(WITHIN):
        if write == "retry":
            while (await site.job(id)).retry_count == 0:
                await asyncio.sleep(0.01)
            await site.tick(1)
        await site.upstream.wait_requests(2 if write == "retry" else 1)
        while write == "beat" and site.throttle.left[write]:
            await asyncio.sleep(0.01)
        released.set()
        await site.until(id, "completed")
        while not (await site.job(id)).settled:
            # What the worker could not do the timer does, a minute later.
            await site.tick(61)
            await asyncio.sleep(0.01)
    assert site.throttle.refused == {write: 2}
    assert (await site.result(id)).json()["choices"][0]["message"]["content"] == site.upstream.text
    [record] = (await site.records())[id]
    assert (record["status"], record["usage"]) == (200, (await site.job(id)).usage)
    assert [held["id"] for held in (await site.proxy.call("GET", JOBS)).json()["data"]] == [id]


async def test_a_store_that_throttles_a_cancellation_delays_it(site: Site) -> None:
    site.upstream.always(StreamReply(stop_after=2, ending="stall"))
    id = await submitted(site.proxy)
    call = await site.upstream.wait_requests(1)
    site.throttle.left["cancel"] = 2
    reply = await site.proxy.call("DELETE", f"{JOBS}/{id}")
    assert (reply.status, reply.json()["status"]) == (200, "cancelled")
    await site.upstream.wait_disconnected(2.0, call)
    await site.until_settled(id)
    [record] = (await site.records())[id]
    assert record["status"] == 499


@pytest.mark.parametrize("write", ["take_back", "wake"])
async def test_a_store_that_throttles_the_timer_is_asked_again_by_the_next_run(
    site: Site, write: str
) -> None:
    site.hubs.down = BOTH
    id = await submitted(site.proxy)
    if write == "take_back":
        held = await claim(site.proxy, id)
        assert held.job.lease_until is not None
    site.hubs.down = frozenset()
    site.throttle.left[write] = 1
    await site.tick(61)
    assert site.throttle.refused == {write: 1}
    await site.tick()
    [job] = await site.until_settled(id)
    assert (job.status, job.lost_leases) == ("completed", int(write == "take_back"))
    assert len(site.upstream.requests) == 1


async def test_a_store_that_is_away_while_jobs_run_and_messages_come_loses_nothing(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    released = asyncio.Event()
    site.upstream.always(StreamReply(hold_after=4, released=released))
    running = [await submitted(site.proxy, chat(user=f"running-{number}")) for number in range(3)]
    await site.upstream.wait_requests(3)
    site.store.down = True
    direct = [f"direct-{number}" for number in range(6)]
    with caplog.at_level(logging.WARNING, "llmproxy"):
        await site.hubs.publish("chat-jobs", [message(id, user=id) for id in direct])
        await site.hubs.publish("chat-jobs-priority", [Event("e", b"not json")])
        released.set()
        for method, path in (
            ("POST", ""),
            ("GET", ""),
            ("GET", f"/{running[0]}"),
            ("GET", f"/{running[0]}/status"),
            ("GET", f"/{running[0]}/result"),
            ("DELETE", f"/{running[0]}"),
            ("POST", f"/{running[0]}/cancel"),
        ):
            reply = await site.proxy.call(method, JOBS + path, chat() if path == "" else None)
            assert (reply.status, reply.error["code"]) == (503, "catalog_unavailable"), (method, path)
            assert int(reply.headers["retry-after"]) >= 1
        async with asyncio.timeout(WITHIN):
            # The batch of what is no job is handed back, and comes again.
            before = site.store.calls["create"]
            while site.store.calls["create"] < before + 3:
                await asyncio.sleep(0.01)
        await site.tick()
        assert caplog.text.count("run_priority_jobs") == 1
    site.store.down = False
    async with asyncio.timeout(WITHIN):
        for id in direct:
            while await site.proxy.services.job_store.get(id) is None:
                await asyncio.sleep(0.01)
    jobs = await site.until_settled(*running, *direct)
    assert {(job.status, job.retry_count, job.lost_leases) for job in jobs} == {("completed", 0, 0)}
    asked = sorted(request.body["user"] for request in site.upstream.requests)
    assert asked == sorted([*direct, *(f"running-{number}" for number in range(3))])
    records = await site.records()
    assert {id: len(found) for id, found in records.items()} == dict.fromkeys((*running, *direct), 1)
    letters = (await site.proxy.call("GET", "/manage/dead-letters")).json()["data"]
    assert [letter["reason"] for letter in letters] == ["not_json"]
