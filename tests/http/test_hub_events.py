"""Events of the hubs, through the functions that read them: what each comes to, and that none holds up the others."""

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from shared import Json
from shared.adapters.sqlite import SqliteStore
from shared.containers import JOBS
from shared.ports import Event
from tests.proxy import Proxy, running_proxy
from tests.unit.access.worlds import Outages
from tests.upstreams.openai import OpenAIUpstream

JOBS_AT = "/v1/async/chat/completions"
QUESTION: Json = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
WITHIN = 20
"""Seconds."""


async def publish(proxy: Proxy, bodies: Sequence[Any], hub: str = "chat-jobs") -> None:
    data = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
    await proxy.services.publisher.publish(hub, [Event(f"e{n}", body) for n, body in enumerate(data)])


async def ended(proxy: Proxy, id: str, project: str = "default") -> Json:
    """The job once it is over."""
    async with asyncio.timeout(WITHIN):
        while True:
            reply = await proxy.call("GET", f"{JOBS_AT}/{id}?project_id={project}")
            if reply.status == 200 and reply.json()["status"] not in ("queued", "processing"):
                return dict(reply.json())
            await asyncio.sleep(0.02)


async def letters(proxy: Proxy) -> list[str]:
    found = (await proxy.call("GET", "/manage/dead-letters")).json()["data"]
    return sorted(letter["reason"] for letter in found)


def message(id: str, **more: Any) -> Json:
    return {"project_id": "default", "execution_id": id, **QUESTION, **more}


async def test_events_that_are_no_job_do_not_hold_up_those_that_are(
    tmp_path: Path, upstream: OpenAIUpstream
) -> None:
    async with running_proxy(tmp_path, events=True) as proxy:
        await proxy.add_model("theirs", upstream.url, projects=["other"], private=True)
        theirs = message("theirs", project_id="other")
        await publish(proxy, [theirs])
        before = await ended(proxy, "theirs", "other")
        malformed: list[Any] = [
            b"",
            b"\xff\xfe\xfd",
            b"{not json",
            [message("in-a-list")],
            message("wrong-project", project_id=["default"]),
            {**message("x"), "execution_id": 7},
            message("theirs"),
            {"action": "cancel", "execution_id": "theirs", "project_id": "default"},
            b"x" * 1_000_000,
        ]
        failing = {
            "wrong-types": message("wrong-types", messages="Hello", priority=[]),
            "unknown-model": message("unknown-model", model="nowhere"),
            "private-model": message("private-model", model="theirs"),
            "no-project": message("no-project", project_id="nobody"),
            "no-action": message("no-action", action="start"),
        }
        # As many good ones as there are partitions, behind the others of each.
        good = [message(f"good-{number}") for number in range(4)]
        large = message("large", unheard_of="x" * 900_000)
        await publish(proxy, [*malformed, *failing.values(), large, *good])
        for number in range(4):
            assert (await ended(proxy, f"good-{number}"))["result"]["object"] == "chat.completion"
        assert (await ended(proxy, "large"))["error"] is None
        codes = {}
        for id, body in failing.items():
            job = await ended(proxy, id, body["project_id"])
            assert job["status"] == "failed"
            codes[id] = job["error"]["code"]
        assert codes == {
            "wrong-types": "invalid_value",
            "unknown-model": "model_not_found",
            "private-model": "model_not_found",
            "no-project": "not_found",
            "no-action": "invalid_value",
        }
        async with asyncio.timeout(WITHIN):
            while len(await letters(proxy)) < len(malformed):
                await asyncio.sleep(0.02)
        assert await letters(proxy) == sorted(
            ["not_json"] * 5 + ["invalid_project_id", "invalid_execution_id", "id_taken", "unknown_job"]
        )
        assert await ended(proxy, "theirs", "other") == before
        assert upstream.requests == []


@pytest.mark.parametrize("hub", ["chat-jobs", "chat-jobs-priority"])
async def test_both_hubs_take_messages_and_cancellations(tmp_path: Path, hub: str) -> None:
    async with running_proxy(tmp_path) as proxy:
        await publish(proxy, [message("one"), message("two"), message("three", priority=1)], hub)
    async with running_proxy(tmp_path, events=True) as proxy:
        for id in ("one", "two", "three"):
            assert (await ended(proxy, id))["status"] == "completed"
        await publish(proxy, [{"action": "cancel", "execution_id": "one", "project_id": "default"}], hub)
        await publish(proxy, [message("four")], hub)
        await ended(proxy, "four")
        assert (await ended(proxy, "one"))["status"] == "completed"
        assert await letters(proxy) == []


async def test_messages_that_come_while_the_store_is_away_are_handled_when_it_is_back(tmp_path: Path) -> None:
    store = Outages(SqliteStore(tmp_path / "data.sqlite3"))
    async with running_proxy(tmp_path, store=store, events=True) as proxy:
        store.refused = {JOBS}
        before = store.calls["create"]
        await publish(proxy, [message("one"), b"not json"])
        async with asyncio.timeout(WITHIN):
            # Three tries for the job, and two documents of a dead letter: then the batch is handed back.
            while store.calls["create"] - before <= 5:
                await asyncio.sleep(0.02)
        assert (await proxy.call("GET", f"{JOBS_AT}/one")).status == 404
        store.refused = set()
        assert (await ended(proxy, "one"))["status"] == "completed"
        assert await letters(proxy) == ["not_json"]
