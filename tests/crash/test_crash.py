"""200 jobs, and workers that are killed: at random, and right after each write that docs/jobs.md names."""

import asyncio
import itertools
import json
import multiprocessing
import random
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from shared import Json
from shared.access.caller import Caller
from shared.adapters.local_events import LocalEvents
from shared.containers import JOBS, USAGE
from shared.errors import Conflict
from shared.jobs.ids import id_of_key
from shared.jobs.job import Job, Status
from shared.jobs.wakeups import wakeup
from shared.ports import Event, Query
from shared.services import Services
from tests.crash import member
from tests.crash.faults import RUNNING, SUBMITTING
from tests.crash.member import PROJECT, Fate

SUBMITTED, PUBLISHED = 150, 50
PATIENCE = 180.0
WORKERS = 3
SEEDS = (1, 4)
PRELOADED = [
    "tests.crash.member",
    "aiohttp",
    "standardwebhooks",
    "shared.adapters.local_secrets",
    "shared.devhost.first_start",
]
"""What a process would otherwise spend most of its first second on."""
KILLED_AT = ("request", "job", *RUNNING, "retry", "take_back")
"""Writes of workers. The two first come from messages without HTTP; the rest of the table has tests of its own."""


@dataclass
class Outside:
    """What lies outside the processes: a receiver of webhooks, and an upstream that fails every first call."""

    url: str
    messages: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    asked: Counter[str] = field(default_factory=Counter)

    async def hook(self, request: web.Request) -> web.Response:
        self.messages.append(({k.lower(): v for k, v in request.headers.items()}, await request.read()))
        return web.Response(status=204)

    async def chat(self, request: web.Request) -> web.StreamResponse:
        prompt = (await request.json())["messages"][0]["content"]
        self.asked[prompt] += 1
        if self.asked[prompt] == 1:
            return web.json_response({"error": {"message": "not now"}}, status=500)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for delta, finish in (({"content": prompt}, None), ({}, "stop")):
            choice = {"index": 0, "delta": delta, "finish_reason": finish}
            chunk = {"id": "c", "object": "chat.completion.chunk", "model": "m", "choices": [choice]}
            await response.write(b"data: " + orjson.dumps(chunk) + b"\n\n")
        await response.write(b"data: [DONE]\n\n")
        return response


@asynccontextmanager
async def outside() -> AsyncIterator[Outside]:
    world = Outside("")
    app = web.Application()
    app.router.add_post("/hook", world.hook)
    app.router.add_post("/v1/chat/completions", world.chat)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    world.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield world
    finally:
        await runner.cleanup()


class Crew:
    """Keeps `WORKERS` processes at work. As long as there are fates, each new one meets the next of them."""

    def __init__(self, directory: Path, base: float, fates: list[Fate]) -> None:
        self._start = (str(directory), base)
        self._fates = fates
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(PRELOADED)
        self._members: list[tuple[BaseProcess, Fate]] = []
        self.met: list[Fate] = []

    def submit(self, fate: Fate, receiver: str, numbers: list[int]) -> BaseProcess:
        process = self._context.Process(target=member.submit, args=(*self._start, fate, receiver, numbers))
        process.start()
        return process

    def tend(self) -> None:
        """Replaces the dead."""
        for process, fate in list(self._members):
            if not process.is_alive():
                self._members.remove((process, fate))
                assert process.exitcode == -9, f"a worker ended by itself: {fate}"
                self.met.append(fate)
        while len(self._members) < WORKERS:
            # One of them is not doomed, so that hardly a job loses three of its workers.
            doomed = sum(fate.mortal for _, fate in self._members)
            fate = Fate(lost=0.02, seed=len(self.met))
            if self._fates and doomed < WORKERS - 1:
                fate = self._fates.pop(0)
            process = self._context.Process(target=member.work, args=(*self._start, fate))
            process.start()
            self._members.append((process, fate))

    def end(self) -> None:
        for process, _ in self._members:
            process.kill()
            process.join()


async def everything(services: Services) -> list[Job]:
    jobs: list[Job] = []
    after = None
    while True:
        query = Query(order_by="sort_key", limit=100, after=after)
        found = await services.store.query(JOBS, query)
        jobs += [Job.read(stored.body) for stored in found]
        if len(found) < 100:
            return jobs
        after = str(found[-1].body["sort_key"])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
async def test_every_job_ends_once_whoever_is_killed_and_whenever(tmp_path: Path, seed: int) -> None:
    print(f"seed {seed}")
    chance = random.Random(seed)
    base = time.time()
    async with outside() as world:
        receiver = f"{world.url}/hook"
        services, events = member.services_of(tmp_path, base, Fate())
        await services.prepare()
        await add_flaky(services, world.url)
        fates = [Fate(name, chance.randint(1, 4), lost=0.02, seed=seed) for name in KILLED_AT]
        fates += [Fate(seconds=chance.uniform(0.2, 2.5), lost=0.05, seed=seed) for _ in range(4)]
        chance.shuffle(fates)
        crew = Crew(tmp_path, base, fates)
        try:
            await submit_all(crew, receiver, chance)
            await publish_directly(services, events, receiver, chance)
            crew.tend()
            cancelled = await disturb(services, events, chance)
            await until_settled(services, crew)
        finally:
            crew.end()
        deaths = sorted(fate.name or "any moment" for fate in crew.met)
        print("killed after", deaths)
        assert len(deaths) > 3
        jobs = await everything(services)
        check_ends(jobs, cancelled)
        await check_results(services, jobs)
        await check_charges(services, jobs)
        check_webhooks(jobs, world)
        await services.close()


async def add_flaky(services: Services, upstream: str) -> None:
    model = {
        "id": "flaky",
        "code": "flaky",
        "provider": "OpenAICompatible",
        "model_type": "OpenAICompatible",
        "operations": ["ChatCompletion"],
        "parameters": {"endpoint": f"{upstream}/v1"},
    }
    await services.models.create(Caller(PROJECT, "key", "admin"), model)


async def submit_all(crew: Crew, receiver: str, chance: random.Random) -> None:
    """Submits by processes that die after each write of a submission; those that follow go on under the same keys."""
    numbers = list(range(SUBMITTED))
    fates = [Fate(name, chance.randint(5, 40)) for name in SUBMITTING]
    for fate in [*fates, Fate()]:
        process = crew.submit(fate, receiver, numbers)
        await asyncio.to_thread(process.join)
        assert process.exitcode == (0 if fate.name is None else -9)


async def publish_directly(
    services: Services, events: LocalEvents, receiver: str, chance: random.Random
) -> None:
    """Messages without HTTP; some of them twice, some with a model that there is not."""
    messages = []
    for number in range(SUBMITTED, SUBMITTED + PUBLISHED):
        content: Json = {**member.body(number, receiver), "project_id": PROJECT}
        content["execution_id"] = f"direct-{number}"
        if number % 10 == 3:
            content["model"] = "no-such-model"
        messages.append(Event(f"direct-{number}", json.dumps(content).encode()))
    messages += chance.sample(messages, 20)
    chance.shuffle(messages)
    await events.publish(services.settings.jobs_hub, messages)


async def disturb(services: Services, events: LocalEvents, chance: random.Random) -> set[str]:
    """Wakes jobs once more and out of order, and cancels some; returns the ids of those."""
    ids = [id_of_key(PROJECT, f"key-{number}") for number in range(SUBMITTED)]
    chance.shuffle(ids)
    found = [held.job for id in ids[:60] if (held := await services.job_store.get(id)) is not None]
    await events.publish(services.settings.jobs_hub, [wakeup(job) for job in found])
    cancelled = set()
    for id in ids[60:70]:
        try:
            await services.jobs.cancel(PROJECT, id)
            cancelled.add(id)
        except Conflict:
            continue
    return cancelled


async def until_settled(services: Services, crew: Crew) -> None:
    deadline = time.monotonic() + PATIENCE
    for turn in itertools.count():
        crew.tend()
        jobs = await everything(services) if turn % 5 == 4 else []
        if len(jobs) == SUBMITTED + PUBLISHED and all(job.settled for job in jobs):
            return
        if time.monotonic() > deadline:
            left = Counter((str(job.status), job.step) for job in jobs if not job.settled)
            pytest.fail(f"not settled: {left}, {len(jobs)} jobs")
        await asyncio.sleep(0.1)


def check_ends(jobs: list[Job], cancelled: set[str]) -> None:
    assert len(jobs) == len({job.id for job in jobs}) == SUBMITTED + PUBLISHED
    assert all(job.status.final and job.charged for job in jobs)
    by_status = Counter(job.status for job in jobs)
    print(by_status, Counter(job.failure.code for job in jobs if job.failure))
    assert {job.id for job in jobs if job.status is Status.CANCELLED} == cancelled
    missing = [job for job in jobs if job.model == "no-such-model"]
    assert all(job.failure is not None and job.failure.code == "model_not_found" for job in missing)
    others = [job for job in jobs if job.model != "no-such-model" and job.id not in cancelled]
    lost = [job for job in others if job.status is not Status.COMPLETED]
    # Whoever loses three workers has an end too, and says so.
    assert all(job.failure and job.failure.code == "worker_lost" and job.lost_leases == 3 for job in lost)
    assert len(lost) < len(others) / 10


async def check_results(services: Services, jobs: list[Job]) -> None:
    for job in jobs:
        if job.status is not Status.COMPLETED:
            assert job.result_parts == 0
            continue
        result = orjson.loads(await services.payloads.result(job))
        request = await services.payloads.request(job)
        number = request["body"]["messages"][0]["content"].split()[3].rstrip(".")
        assert f"number {number}." in result["choices"][0]["message"]["content"]


async def check_charges(services: Services, jobs: list[Job]) -> None:
    records: dict[str, Json] = {}
    after = None
    while True:
        found = await services.store.query(USAGE, Query(order_by="sort_key", limit=100, after=after))
        for stored in found:
            assert stored.body["id"] not in records
            records[stored.body["id"]] = stored.body
        if len(found) < 100:
            break
        after = str(found[-1].body["sort_key"])
    assert set(records) == {job.id for job in jobs}
    for job in jobs:
        assert records[job.id]["usage"] == job.usage
        assert records[job.id]["cost_usd"] == job.cost_usd


def check_webhooks(jobs: list[Job], world: Outside) -> None:
    told: dict[str, set[str]] = {}
    bodies: dict[str, set[bytes]] = {}
    for headers, content in world.messages:
        data = json.loads(content)["data"]
        told.setdefault(data["id"], set()).add(headers["webhook-id"])
        bodies.setdefault(headers["webhook-id"], set()).add(content)
    assert set(told) == {job.id for job in jobs}
    assert all(len(ids) == 1 for ids in told.values())
    assert all(len(contents) == 1 for contents in bodies.values())
