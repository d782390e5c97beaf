"""Jobs through Azure's runtime library: from real batches of the hubs' events to their end."""

import asyncio
import base64
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from shared import Json
from tests.upstreams.openai import OpenAIUpstream
from tests.worker.conftest import Client
from tests.worker.hosted import HostedApp, example_settings

JOBS = "/v1/async/chat/completions"
LETTERS = "/manage/dead-letters"
NUMBERS = count(1)
WITHIN = 15
"""Seconds."""


def event(body: Any, **properties: Any) -> Json:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    # .NET writes seven digits of a second.
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "1Z"
    return {
        "body": base64.b64encode(data).decode(),
        "properties": properties,
        "sequence": next(NUMBERS),
        "enqueued_at": now,
    }


def question(id: str, model: str = "demo-chat", **more: Any) -> Json:
    messages = [{"role": "user", "content": f"Hello from {id}"}]
    return {"project_id": "default", "execution_id": id, "model": model, "messages": messages, **more}


async def test_a_submitted_job_runs_to_its_end_when_its_event_comes(client: Client) -> None:
    status, job = await client.post(JOBS, {"model": "demo-chat", "messages": question("x")["messages"]})
    assert (status, job["status"]) == (202, "queued")
    id = job["execution_id"]
    wake = {"action": "run", "execution_id": id, "project_id": "default", "priority": 5}
    assert await client.hand_over("run_jobs", [event(wake, priority=5)]) is None
    assert (await client.get(f"{JOBS}/{id}/status"))[1]["status"] == "completed"
    status, result = await client.get(f"{JOBS}/{id}/result")
    assert (status, result["object"]) == (200, "chat.completion")


async def test_a_batch_of_messages_is_handled_each_on_its_own(client: Client) -> None:
    before = (await client.get(LETTERS))[1]["data"]
    good, unknown = question("worker-good"), question("worker-unknown", "nowhere")
    bad: list[Any] = [b"", b"\xff\xfe", b"[]", {"model": "demo-chat"}, question("not an id")]
    batch = [event(body) for body in (*bad, unknown, good)]
    assert await client.hand_over("run_jobs", batch) is None
    assert (await client.get(f"{JOBS}/worker-good/status"))[1]["status"] == "completed"
    failed = (await client.get(f"{JOBS}/worker-unknown/status"))[1]
    assert (failed["status"], failed["error"]["code"]) == ("failed", "model_not_found")
    after = (await client.get(LETTERS))[1]["data"]
    assert len(after) == len(before) + len(bad)
    # Delivered once more, it changes nothing.
    assert await client.hand_over("run_jobs", batch) is None
    assert (await client.get(LETTERS))[1]["data"] == after
    assert after[0]["partition"] == "3"


async def test_a_cancellation_ends_a_job_that_waits(client: Client) -> None:
    _, job = await client.post(JOBS, {"model": "demo-chat", "messages": question("x")["messages"]})
    id = job["execution_id"]
    cancel = {"action": "cancel", "execution_id": id, "project_id": "default"}
    wake = {"action": "run", "execution_id": id, "project_id": "default", "priority": 5}
    assert await client.hand_over("run_jobs", [event(cancel)]) is None
    assert await client.hand_over("run_jobs", [event(wake)]) is None
    assert (await client.get(f"{JOBS}/{id}/status"))[1]["status"] == "cancelled"


async def test_a_queued_job_runs_on_the_timer_where_no_hub_is_read(client: Client) -> None:
    _, job = await client.post(JOBS, {"model": "demo-chat", "messages": question("x")["messages"]})
    assert await client.run_timer("maintenance") is None
    async with asyncio.timeout(WITHIN):
        while (await client.get(f"{JOBS}/{job['execution_id']}/status"))[1]["status"] != "completed":
            await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


@pytest.fixture(scope="module")
def hosted(folder: Path) -> Iterator[HostedApp]:
    """An app that runs one job at a time, and may fail."""
    own = {"LLMPROXY_LOCAL_DIR": str(folder), "LLMPROXY_JOB_CONCURRENCY": "1"}
    with HostedApp({**example_settings(), **own}) as running:
        yield running


@pytest.fixture
async def own(hosted: HostedApp, folder: Path) -> AsyncIterator[Client]:
    key = json.loads((folder / "secrets.json").read_bytes())["llmproxy-admin-key"]
    async with ClientSession(headers={"authorization": f"Bearer {key}"}) as session:
        yield Client(hosted, session)


async def test_the_urgent_come_first_by_their_properties(own: Client, upstream: OpenAIUpstream) -> None:
    priorities = [9, 2, 5, 1, 3]
    async with own.model(upstream, "ordered") as model:
        batch = [
            event(question(f"worker-urgent-{priority}", model, priority=priority), priority=priority)
            for priority in priorities
        ]
        assert await own.hand_over("run_priority_jobs", batch) is None
        asked = [await upstream.wait_requests(number) for number in range(1, len(priorities) + 1)]
    order = [request.body["messages"][0]["content"][-1] for request in asked]
    assert order == sorted(order)


async def test_a_batch_is_handed_back_while_the_store_cannot_be_written(own: Client, folder: Path) -> None:
    batch = [event(question("worker-held"))]
    # The first request prepares it.
    assert (await own.get(JOBS))[0] == 200
    blocking = sqlite3.connect(folder / "data.sqlite3", isolation_level=None)
    blocking.execute("BEGIN IMMEDIATE")
    failure = await own.hand_over("run_jobs", batch)
    assert "NotRecorded" in failure["message"]
    blocking.execute("ROLLBACK")
    blocking.close()
    assert (await own.get(f"{JOBS}/worker-held"))[0] == 404
    # The host gives it again, and now it can be recorded.
    assert await own.hand_over("run_jobs", batch) is None
    assert (await own.get(f"{JOBS}/worker-held/status"))[1]["status"] == "completed"
