"""Outages around jobs, over the whole path: what a client sees while something is away, and that all is made up for."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared import Json
from shared.adapters.local_events import LocalEvents
from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from shared.errors import EventsUnavailable
from shared.jobs.job import Job
from shared.ports import Event
from tests.http.jobs import JOBS, chat, submitted
from tests.proxy import Proxy, Reply, running_proxy
from tests.unit.access.worlds import Outages
from tests.upstreams.behaviours import Behaviour, Hang, HangUp, StreamReply
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
class Site:
    """A proxy that runs jobs, and all that it depends on. Its clock stands still until it is moved."""

    proxy: Proxy
    upstream: OpenAIUpstream
    store: Outages
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
    store = Outages(SqliteStore(tmp_path / "data.sqlite3", clock=clock))
    hubs = Hubs(tmp_path / "events.sqlite3")
    async with running_proxy(tmp_path, store=store, publisher=hubs, clock=clock, events=True) as proxy:
        proxy.add_secret("up", "sk-upstream-secret-000000")
        parameters = {"secret_name": "up", "first_token_timeout": 0.3, "idle_timeout": 0.3}
        await proxy.add_model("small", f"{upstream.url}/v1", parameters=parameters)
        yield Site(proxy, upstream, store, hubs, clock)


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
    id = await submitted(site.proxy, chat(async_max_retries=2, async_retry_delay=10))
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


def message(id: str, **more: Any) -> Json:
    return {"project_id": "default", "execution_id": id, **chat(**more)}
