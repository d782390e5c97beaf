"""Several processes of the local host on one folder: whichever is killed, and whenever, the jobs are finished."""

import asyncio
import signal
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from shared import Json
from tests.e2e.hurried_host import SINCE
from tests.e2e.local_host import LocalHost, local_host
from tests.upstreams.behaviours import StreamReply
from tests.upstreams.openai import OpenAIUpstream

JOBS = "/v1/async/chat/completions"
WITHIN = 60.0
"""Seconds, for a machine that does other things too; it takes a few."""


class Town:
    """Processes on one folder, and the provider that they call."""

    def __init__(self, directory: Path, stack: ExitStack, upstream: OpenAIUpstream) -> None:
        self._directory = directory
        self._stack = stack
        self._since = str(time.time())
        self._upstream = upstream

    async def start(self) -> LocalHost:
        made = local_host(self._directory, module="tests.e2e.hurried_host", **{SINCE: self._since})
        return await asyncio.to_thread(self._stack.enter_context, made)

    async def add_model(self, host: LocalHost) -> None:
        model = {
            "id": "held",
            "code": "held",
            "provider": "OpenAICompatible",
            "model_type": "OpenAICompatible",
            "operations": ["ChatCompletion"],
            "parameters": {"endpoint": f"{self._upstream.url}/v1"},
        }
        status, body = await call(host, "POST", "/manage/models", model)
        assert status == 201, body

    def hold(self) -> asyncio.Event:
        """From now on the provider waits in the middle of each answer, until the event is set."""
        released = asyncio.Event()
        self._upstream.always(StreamReply(hold_after=2, released=released))
        return released


async def call(host: LocalHost, method: str, path: str, body: object = None) -> tuple[int, Any]:
    return await asyncio.to_thread(host.call, method, path, body)


async def submit(host: LocalHost, name: str) -> str:
    body = {
        "model": "held",
        "messages": [{"role": "user", "content": name}],
        # Its time is that of the clock that hurries.
        "timeout_seconds": 3600,
    }
    status, job = await call(host, "POST", JOBS, body)
    assert status == 202, job
    return str(job["id"])


async def statuses(host: LocalHost) -> list[Json]:
    status, page = await call(host, "GET", f"{JOBS}?limit=100")
    assert status == 200, page
    return list(page["data"])


async def run_by(host: LocalHost, asked: LocalHost) -> set[str]:
    """The jobs that the process runs now."""
    mark = f"-{host.process.pid}-"
    return {
        job["id"]
        for job in await statuses(asked)
        if job["status"] == "processing" and mark in job["processed_by"]
    }


async def until_completed(host: LocalHost, ids: set[str]) -> list[Json]:
    async with asyncio.timeout(WITHIN):
        while True:
            jobs = [job for job in await statuses(host) if job["id"] in ids]
            if len(jobs) == len(ids) and all(job["status"] == "completed" for job in jobs):
                return jobs
            assert not [job for job in jobs if job["status"] in ("failed", "cancelled")], jobs
            await asyncio.sleep(0.2)


async def records(host: LocalHost) -> Counter[str]:
    status, page = await call(host, "GET", "/manage/requests?limit=100")
    assert status == 200, page
    return Counter(record["id"] for record in page["data"])


async def test_jobs_of_killed_processes_are_finished_by_others_and_after_a_restart(tmp_path: Path) -> None:
    async with OpenAIUpstream(require_key=False) as upstream:
        with ExitStack() as stack:
            town = Town(tmp_path / "shared", stack, upstream)
            first = await town.start()
            await town.add_model(first)
            released = town.hold()
            ids = {await submit(first, f"first {number}") for number in range(4)}
            await upstream.wait_requests(4, WITHIN)
            second = await town.start()
            ids |= {
                await submit(host, f"{at} {number}")
                for number in range(4)
                for at, host in (("one", first), ("two", second))
            }
            await upstream.wait_requests(12, WITHIN)

            lost = await run_by(first, second)
            assert lost
            assert first.end(signal.SIGKILL)[0] == -9
            released.set()
            jobs = await until_completed(second, ids)
            assert {
                f"-{second.process.pid}-" in job["processed_by"] for job in jobs if job["id"] in lost
            } == {True}
            # Nothing else counts as a try of the job's own.
            assert {job["retry_count"] for job in jobs} == {0}

            # No one is left, and one comes back.
            released = town.hold()
            more = {await submit(second, f"more {number}") for number in range(4)}
            async with asyncio.timeout(WITHIN):
                while await run_by(second, second) != more:
                    await asyncio.sleep(0.1)
            assert second.end(signal.SIGKILL)[0] == -9
            released.set()
            third = await town.start()
            await until_completed(third, more)
            for id in ids | more:
                status, result = await call(third, "GET", f"{JOBS}/{id}/result")
                assert (status, result["choices"][0]["message"]["content"]) == (200, upstream.text)
            async with asyncio.timeout(WITHIN):
                while set(found := await records(third)) != ids | more:
                    await asyncio.sleep(0.1)
            assert set(found.values()) == {1}
