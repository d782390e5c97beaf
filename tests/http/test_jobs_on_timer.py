"""Jobs where no Event Hub trigger runs, as with Azure's own tools on a laptop: the timer's function starts them."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import azure.functions as func
import pytest
from azure.functions.timer import TimerRequest

from functions.maintenance import blueprint
from shared.devhost.functions import read_functions
from tests.http.jobs import JOBS, chat, submitted
from tests.proxy import Proxy, running_proxy
from tests.upstreams.openai import OpenAIUpstream, openai_error

WITHIN = 10.0
"""Seconds."""


def timer_of(proxy: Proxy) -> Callable[[], Awaitable[None]]:
    app = func.FunctionApp()
    app.register_functions(blueprint(proxy.services))
    [timer] = read_functions(app, "").timers

    async def run() -> None:
        await timer.function(**{timer.argument: TimerRequest(past_due=False)})

    return run


async def status(proxy: Proxy, id: str) -> str:
    return str((await proxy.call("GET", f"{JOBS}/{id}/status")).json()["status"])


async def test_the_timer_runs_what_waits_the_urgent_first_and_tries_again(tmp_path: Path) -> None:
    async with (
        OpenAIUpstream(require_key=False) as upstream,
        running_proxy(tmp_path, jobs_on_timer=True, job_concurrency=1) as proxy,
    ):
        await proxy.add_model("small", f"{upstream.url}/v1", parameters={"max_retries": 0})
        upstream.script(openai_error(503, "Busy."))
        usual = await submitted(proxy, chat(user="usual", async_retry_delay=0.1))
        urgent = await submitted(proxy, chat(user="urgent", priority=1, async_retry_delay=0.1))
        run = timer_of(proxy)
        async with asyncio.timeout(WITHIN):
            while {await status(proxy, id) for id in (usual, urgent)} != {"completed"}:
                await run()
                await asyncio.sleep(0.02)
        asked = [request.body["user"] for request in upstream.requests]
        assert (asked[0], sorted(asked)) == ("urgent", ["urgent", "urgent", "usual"])
        async with asyncio.timeout(WITHIN):
            while len(records := [one["id"] for one in await proxy.requests()]) < 2:
                await asyncio.sleep(0.02)
        assert sorted(records) == sorted([usual, urgent])


@pytest.mark.parametrize("on_timer", [True, False])
async def test_only_where_it_is_told_to_does_the_timer_start_jobs(tmp_path: Path, on_timer: bool) -> None:
    async with running_proxy(tmp_path, jobs_on_timer=on_timer) as proxy:
        id = await submitted(proxy, chat(model="demo-chat"))
        await timer_of(proxy)()
        if on_timer:
            async with asyncio.timeout(WITHIN):
                while await status(proxy, id) != "completed":
                    await asyncio.sleep(0.02)
        else:
            assert await status(proxy, id) == "queued"
