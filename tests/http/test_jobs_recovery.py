"""Outages around jobs, over the whole path: what a client sees while something is away, and that all is made up for."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest

from shared import Json
from shared.adapters.local_events import LocalEvents
from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from shared.errors import EventsUnavailable, StoreThrottled
from shared.jobs.job import Job
from shared.ports import Event
from shared.webhooks.pauses import PAUSES
from tests.crash.faults import FaultyStore
from tests.http.jobs import JOBS, chat, claim, submitted
from tests.proxy import Proxy, Reply, running_proxy
from tests.unit.access.worlds import Outages
from tests.unit.webhooks.receiver import Receiver, verified
from tests.upstreams.behaviours import Behaviour, Hang, HangUp, StreamReply
from tests.upstreams.behaviours import Reply as Answer
from tests.upstreams.openai import OpenAIUpstream, openai_error

WITHIN = 20.0
"""Seconds, for a machine that does other things too."""


BOTH = frozenset({"chat-jobs", "chat-jobs-priority"})


class Hubs(LocalEvents):
    """The local hubs, each of which can be `down`."""

    down: frozenset[str] = frozenset()

    async def publish(self, hub: str, events: Sequence[Event]) -> None:
        if hub in self.down:
            raise EventsUnavailable("the hub cannot be reached")
        await super().publish(hub, events)


@dataclass
class Throttle:
    """Lets a store refuse a write so many times, by the write's name in the page about jobs."""

    left: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)

    async def __call__(self, name: str, id: str) -> None:
        if self.left[name]:
            self.left[name] -= 1
            self.refused[name] += 1
            raise StoreThrottled("too many requests", 0.05)


@dataclass
class Site:
    """A proxy that runs jobs, and all that it depends on. Its clock stands still until it is moved."""

    proxy: Proxy
    upstream: OpenAIUpstream
    store: Outages
    throttle: Throttle
    hubs: Hubs
    clock: ManualClock

    async def job(self, id: str) -> Job:
        held = await self.proxy.services.job_store.get(id)
        assert held is not None
        return held.job

    async def status(self, id: str) -> str:
        return str((await self.proxy.call("GET", f"{JOBS}/{id}/status")).json()["status"])

    async def until(self, id: str, *statuses: str) -> Job:
        async with asyncio.timeout(WITHIN):
            while (job := await self.job(id)).status not in statuses:
                await asyncio.sleep(0.01)
        return job

    async def until_settled(self, *ids: str) -> list[Job]:
        """The jobs, once nothing is left to be done for them."""
        async with asyncio.timeout(WITHIN):
            while True:
                jobs = [await self.job(id) for id in ids]
                if all(job.settled for job in jobs):
                    return jobs
                await asyncio.sleep(0.01)

    async def tick(self, seconds: float = 0.0) -> None:
        """Lets time pass, then the timer run."""
        self.clock.advance(seconds)
        await self.proxy.services.sweeper.tick()

    async def result(self, id: str) -> Reply:
        return await self.proxy.call("GET", f"{JOBS}/{id}/result")

    async def records(self) -> dict[str, list[Json]]:
        """Usage records by the id of their job."""
        found: dict[str, list[Json]] = {}
        for record in await self.proxy.requests():
            found.setdefault(record["request_id"], []).append(record)
        return found


@pytest.fixture
async def site(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[Site]:
    clock = ManualClock(float(int(time.time())))
    throttle = Throttle()
    database = FaultyStore(SqliteStore(tmp_path / "data.sqlite3", clock=clock), before=throttle)
    store = Outages(database)
    hubs = Hubs(tmp_path / "events.sqlite3")
    async with running_proxy(tmp_path, store=store, publisher=hubs, clock=clock, events=True) as proxy:
        proxy.add_secret("up", "sk-upstream-secret-000000")
        await proxy.add_model("small", f"{upstream.url}/v1", parameters={"secret_name": "up"})
        hasty = {"secret_name": "up", "first_token_timeout": 0.3, "idle_timeout": 0.3}
        await proxy.add_model("hasty", f"{upstream.url}/v1", parameters=hasty)
        yield Site(proxy, upstream, store, throttle, hubs, clock)


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
    assert {await site.status(id) for id in waiting} == {"queued"}


PROVIDERS_FAULTS: list[tuple[Behaviour, str, int]] = [
    (openai_error(500, "Broken.", type="server_error"), "provider_error", 502),
    (openai_error(429, "Too many.", code="rate_limit_exceeded"), "rate_limit_exceeded", 429),
    (Hang(), "provider_timeout", 504),
    (HangUp(), "provider_error", 502),
    (StreamReply(stop_after=3, ending="cut"), "provider_error", 502),
    (StreamReply(stop_after=3, ending="stall"), "provider_timeout", 504),
]


@pytest.mark.parametrize(
    ("fault", "code", "status"), PROVIDERS_FAULTS, ids=["500", "429", "hangs", "hangs up", "cut", "stalls"]
)
async def test_a_provider_that_stays_down_is_asked_with_growing_pauses_and_then_told(
    site: Site, fault: Behaviour, code: str, status: int
) -> None:
    site.upstream.always(fault)
    id = await submitted(site.proxy, chat(model="hasty", async_max_retries=2, async_retry_delay=10))
    pauses = []
    for number in (1, 2):
        await site.upstream.wait_requests(number)
        job = await site.until(id, "queued")
        assert job.retry_count == number
        waiting = await site.result(id)
        pauses.append(job.next_attempt_at - site.clock.time())
        assert (waiting.status, int(waiting.headers["retry-after"])) == (202, min(30, pauses[-1]))
        await site.tick(pauses[-1] - 1)
        assert len(site.upstream.requests) == number
        await site.tick(1)
    [job] = await site.until_settled(id)
    assert pauses == [10, 20]
    reply = await site.result(id)
    assert (reply.status, reply.error["code"]) == (status, code)
    assert reply.headers["x-should-retry"] == "false"
    assert len(site.upstream.requests) == 3
    [record] = (await site.records())[id]
    assert (record["status"], record["error_code"], record["attempts"]) == (status, code, job.attempts)


async def test_a_provider_that_is_back_in_between_completes_the_job(site: Site) -> None:
    site.upstream.script(HangUp(), StreamReply(stop_after=4, ending="cut"))
    id = await submitted(site.proxy, chat(async_retry_delay=1))
    for number in (1, 2):
        await site.upstream.wait_requests(number)
        await site.until(id, "queued")
        await site.tick(number)
    [job] = await site.until_settled(id)
    assert (job.status, job.retry_count, job.failure) == ("completed", 2, None)
    reply = await site.result(id)
    assert reply.json()["choices"][0]["message"]["content"] == site.upstream.text
    [record] = (await site.records())[id]
    assert (record["status"], record["usage"]) == (200, job.usage)
    # The bodies are the same at each try.
    assert len({request.raw for request in site.upstream.requests}) == 1


async def test_a_provider_that_no_one_listens_at_is_told_after_the_last_try(site: Site) -> None:
    await site.proxy.add_model("nowhere", "http://127.0.0.1:9/v1")
    id = await submitted(site.proxy, chat(model="nowhere", async_max_retries=1, async_retry_delay=1))
    async with asyncio.timeout(WITHIN):
        while (await site.job(id)).retry_count != 1:
            await asyncio.sleep(0.01)
    await site.tick(1)
    await site.until_settled(id)
    reply = await site.result(id)
    assert (reply.status, reply.error["type"]) == (502, "upstream_error")


def message(id: str, **more: Any) -> Event:
    return Event(id, orjson.dumps({"project_id": "default", "execution_id": id, **chat(**more)}))


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
            # Each of the partitions that have a message has handed its batch back.
            while caplog.text.count("event_batch_held") < 5:
                await asyncio.sleep(0.01)
        await site.tick()
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


async def test_a_model_that_is_down_leaves_the_job_to_its_fallback(site: Site) -> None:
    await site.proxy.add_model(
        "first", "http://127.0.0.1:9/v1", fallbacks=["small"], costs={"input": 1.0, "output": 1.0}
    )
    id = await submitted(site.proxy, chat(model="first"))
    [job] = await site.until_settled(id)
    assert (job.status, job.model_used, job.fallback, job.retry_count) == ("completed", "small", True, 0)
    reply = await site.result(id)
    assert (reply.headers["x-llmproxy-model"], reply.headers["x-llmproxy-attempts"]) == ("small", "2")
    [record] = (await site.records())[id]
    assert (record["model_requested"], record["model"], record["cost_usd"]) == ("first", "small", None)


async def test_fallbacks_of_the_body_replace_those_of_the_catalog(site: Site) -> None:
    await site.proxy.add_model("first", "http://127.0.0.1:9/v1", fallbacks=["hasty"])
    id = await submitted(site.proxy, chat(model="first", fallbacks=["small"]))
    [job] = await site.until_settled(id)
    assert (job.status, job.model_used) == ("completed", "small")
    assert "fallbacks" not in site.upstream.requests[-1].body


async def test_a_model_that_cannot_stream_is_asked_plainly(site: Site) -> None:
    await site.proxy.add_model(
        "plain",
        f"{site.upstream.url}/v1",
        parameters={"secret_name": "up"},
        capabilities={"streaming": False},
    )
    id = await submitted(site.proxy, chat(model="plain"))
    [job] = await site.until_settled(id)
    assert (job.status, job.progress) == ("completed", 100)
    [request] = site.upstream.requests
    assert "stream" not in request.body
    assert (await site.result(id)).json()["choices"][0]["message"]["content"] == site.upstream.text


async def waiting(site: Site, body: Json, **more: Any) -> str:
    """A job that no worker has heard of yet."""
    site.hubs.down = BOTH
    return await submitted(site.proxy, body, **more)


async def start(site: Site) -> None:
    site.hubs.down = frozenset()
    await site.tick(61)


async def test_a_job_of_a_key_that_was_revoked_since_runs_all_the_same(site: Site) -> None:
    made = (await site.proxy.call("POST", "/manage/keys", {"project": "team"})).json()
    id = await waiting(site, chat(), key=made["key"])
    assert (await site.proxy.call("DELETE", f"/manage/keys/{made['id']}")).status == 200
    assert (await site.proxy.call("GET", f"{JOBS}/{id}", key=made["key"])).status == 401
    await start(site)
    [job] = await site.until_settled(id)
    assert (job.status, job.key_id) == ("completed", made["id"])
    assert (await site.proxy.call("GET", f"{JOBS}/{id}/result?project_id=team")).status == 200


async def test_a_job_whose_model_was_disabled_before_its_start_fails_with_that(site: Site) -> None:
    await site.proxy.add_model("gone", f"{site.upstream.url}/v1", parameters={"secret_name": "up"})
    id = await waiting(site, chat(model="gone"))
    assert (await site.proxy.call("PATCH", "/manage/models/gone", {"enabled": False})).status == 200
    await start(site)
    await site.until_settled(id)
    reply = await site.result(id)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "model_not_found", "model")
    assert (reply.headers["x-should-retry"], site.upstream.requests) == ("false", [])


async def test_a_job_whose_project_was_removed_before_its_start_fails_with_that(site: Site) -> None:
    key = await site.proxy.add_key(project="brief")
    id = await waiting(site, chat(), key=key)
    keys = (await site.proxy.call("GET", "/manage/keys?project_id=brief")).json()["data"]
    for one in keys:
        assert (await site.proxy.call("DELETE", f"/manage/keys/{one['id']}")).status == 200
    assert (await site.proxy.call("DELETE", "/manage/projects/brief")).status == 200
    await start(site)
    await site.until_settled(id)
    reply = await site.proxy.call("GET", f"{JOBS}/{id}/result?project_id=brief")
    assert (reply.status, reply.error["code"], site.upstream.requests) == (404, "not_found", [])


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
        receiver.always(Answer(status=307, headers=location))
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
