"""What a job is made of stays with its project: nothing of it is in the log, in figures, or in what anyone may read."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from shared.ports import Event
from tests.http.jobs import JOBS, chat, submitted
from tests.proxy import Proxy, running_proxy
from tests.unit.webhooks.receiver import Receiver
from tests.upstreams.behaviours import HangUp, Reply, StreamReply
from tests.upstreams.openai import OpenAIUpstream, openai_error
from tests.upstreams.samples import TEXT

KEY = "sk-upstream-secret-0123456789"
HOOK = "/hooks/path-that-is-a-secret?token=hidden-in-the-query"
PROMPT, LABEL, BURIED = "what-was-asked", "what-it-was-labelled", "what-was-buried"
WITHIN = 30.0
"""Seconds."""


async def until_settled(proxy: Proxy, ids: list[str]) -> None:
    async with asyncio.timeout(WITHIN):
        for id in ids:
            while (held := await proxy.services.job_store.get(id)) is None or not held.job.charged:
                await asyncio.sleep(0.01)


async def until_buried(proxy: Proxy) -> bytes:
    async with asyncio.timeout(WITHIN):
        while not (reply := await proxy.call("GET", "/manage/dead-letters")).json()["data"]:
            await asyncio.sleep(0.01)
    return reply.body


async def test_neither_the_log_nor_what_others_may_read_tells_what_a_job_holds(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with (
        OpenAIUpstream() as upstream,
        Receiver() as receiver,
        running_proxy(tmp_path, events=True, log_level="debug") as proxy,
    ):
        proxy.add_secret("up", KEY)
        await proxy.add_model("small", f"{upstream.url}/v1", parameters={"secret_name": "up"})
        team = await proxy.add_key(project="team")
        upstream.script(
            openai_error(401, f"Incorrect API key provided: {KEY}"),
            openai_error(400, f"Bearer {KEY} may not ask that."),
            StreamReply(stop_after=3, ending="cut"),
            HangUp(),
        )
        receiver.script(Reply(status=500, body={"said": PROMPT}), HangUp(), Reply(status=404))
        asked = {
            "messages": [{"role": "user", "content": PROMPT}],
            "webhook_url": receiver.url + HOOK,
            "webhook_events": ["started", "progress", "completed", "failed"],
            "async_max_retries": 0,
            "metadata": {"label": LABEL},
        }
        ids = []
        for number in range(5):
            ids.append(await submitted(proxy, chat(**asked), key=team))
            await upstream.wait_requests(number + 1)
        await until_settled(proxy, ids)
        await proxy.services.publisher.publish("chat-jobs", [Event("e", f"no JSON: {BURIED}".encode())])
        listed = await until_buried(proxy)
        refused = await proxy.call("POST", JOBS, chat(webhook_url="http://10.0.0.1" + HOOK), key=team)
        assert refused.status == 400

        own = [
            (await proxy.call("GET", f"{JOBS}/{id}/{what}", key=team)).body
            for id in ids
            for what in ("status", "result")
        ]
        open_to_others = [
            listed,
            refused.body,
            *[
                (await proxy.call("GET", path)).body
                for path in ("/v1/async/metrics", "/v1/openapi.json", "/health/ready", "/health", JOBS)
            ],
        ]
        keys = [KEY, team, *json.loads((tmp_path / "secrets.json").read_bytes()).values()]

    assert {json.loads(body).get("status") for body in own[::2]} == {"completed", "failed"}
    addresses = ["path-that-is-a-secret", "hidden-in-the-query"]
    logged = "".join(
        record.getMessage() + repr(record.args) + repr(record.exc_info)
        for record in caplog.records
        if record.name != "aiohttp.access"  # the receiver's and the upstream's own
    )
    for event in ('"event":"job"', '"event":"webhook"', '"event":"dead_letter"', '"event":"http"'):
        assert event in logged
    for secret in (*keys, *addresses, PROMPT, LABEL, BURIED, TEXT):
        assert secret not in logged
    for secret in (*keys, *addresses, PROMPT, LABEL, BURIED):
        assert secret.encode() not in b"".join(open_to_others)
    for secret in (*keys, *addresses):
        assert secret.encode() not in b"".join(own)
