"""Streams of typed events through the whole proxy: the commit, the ways a provider can fail, and how each ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from tests.http.test_responses import BODY, add_model
from tests.proxy import Proxy, running_proxy
from tests.upstreams.behaviours import (
    Frame,
    Hang,
    StreamReply,
    broken_event,
    error_event,
    frame,
)
from tests.upstreams.openai import openai_error
from tests.upstreams.responses import ResponsesUpstream, failed

TOOLS = [{"type": "function", "name": "weather", "parameters": {"type": "object"}}]


class Streamed:
    """A stream as a client saw it: (event name, data) pairs."""

    def __init__(self, status: int, raw: bytes) -> None:
        self.status = status
        self.raw = raw
        self.events: list[tuple[str, Any]] = []
        for block in raw.decode().split("\n\n") if status == 200 else ():
            lines = dict(
                line.split(": ", 1) for line in block.split("\n") if not line.startswith(":") and line
            )
            if "data" in lines and lines["data"] != "[DONE]":
                self.events.append((lines.get("event", ""), json.loads(lines["data"])))

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.events]

    @property
    def last(self) -> Any:
        return self.events[-1][1]


async def stream(proxy: Proxy, **fields: Any) -> Streamed:
    headers = {"Authorization": f"Bearer {proxy.key}"}
    async with proxy.http.post(
        proxy.url + "/v1/responses", json={**BODY, "stream": True, **fields}, headers=headers
    ) as response:
        raw = b""
        try:
            async for part in response.content.iter_any():
                raw += part
        except aiohttp.ClientPayloadError:
            raw += b""
        return Streamed(response.status, raw)


@pytest.fixture
async def upstream() -> AsyncIterator[ResponsesUpstream]:
    async with ResponsesUpstream() as running:
        yield running


@pytest.fixture
async def ready(proxy: Proxy, upstream: ResponsesUpstream) -> Proxy:
    proxy.add_secret("up", "sk-upstream-secret-000000")
    await add_model(proxy, upstream, "m")
    return proxy


async def test_events_keep_their_names_numbers_and_order(ready: Proxy, upstream: ResponsesUpstream) -> None:
    upstream.reasoning = "Let me think."
    seen = await stream(ready, tools=TOOLS)
    assert seen.status == 200
    assert seen.names == [event["type"] for _, event in seen.events]
    assert [event["sequence_number"] for _, event in seen.events] == list(range(len(seen.events)))
    assert seen.names[:2] == ["response.created", "response.in_progress"]
    assert seen.names[-1] == "response.completed"
    assert b"[DONE]" not in seen.raw
    [kept] = upstream.kept
    shown = {event["response"]["id"] for _, event in seen.events if "response" in event}
    assert len(shown) == 1
    assert shown != {kept}
    [record] = await ready.requests()
    assert record["usage"]["prompt_tokens"] > 0
    assert record["usage"]["estimated"] is False


async def test_an_end_mark_is_passed_on_where_the_provider_sends_one(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    upstream.script(StreamReply(change=lambda frames: [*frames, Frame("[DONE]")]))
    assert (await stream(ready)).raw.endswith(b"data: [DONE]\n\n")


@pytest.mark.parametrize(
    "shape", [{"slices": 1}, {"line_end": "\r\n", "slices": 3}, {"comments": True}, {"split_data": True}]
)
async def test_every_way_to_cut_the_bytes_gives_the_same_stream(
    ready: Proxy, upstream: ResponsesUpstream, shape: dict[str, Any]
) -> None:
    upstream.script(StreamReply(**shape))
    seen = await stream(ready)
    assert seen.names[-1] == "response.completed"
    assert (
        "".join(event["delta"] for name, event in seen.events if name.endswith("text.delta")) == upstream.text
    )


def without_the_end(frames: Any) -> Any:
    return frames[:-1]


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (openai_error(400, "bad", code="bad_thing"), 400, "bad_thing"),
        (Hang(), 504, "provider_timeout"),
        (StreamReply(frames=[]), 502, "provider_error"),
        (StreamReply(stop_after=4, ending="cut"), 502, "provider_error"),
        (StreamReply(stop_after=4, ending="stall"), 504, "provider_timeout"),
        (StreamReply(change=broken_event(1)), 502, "invalid_provider_response"),
        (
            StreamReply(
                change=error_event(2, {"type": "error", "code": "server_error", "message": "x"}, "error")
            ),
            502,
            "provider_error",
        ),
        (StreamReply(change=failed), 502, "provider_error"),
        (
            StreamReply(change=lambda frames: failed(frames, "rate_limit_exceeded")),
            429,
            "rate_limit_exceeded",
        ),
        (StreamReply(change=lambda frames: failed(frames, "invalid_prompt")), 400, "invalid_prompt"),
    ],
)
async def test_a_failure_before_the_first_content_is_a_plain_http_error(
    ready: Proxy, upstream: ResponsesUpstream, behaviour: Any, status: int, code: str
) -> None:
    """That a response was created, and that a message begins, does not commit the stream."""
    upstream.script(behaviour)
    seen = await stream(ready)
    assert seen.status == status
    assert json.loads(seen.raw)["error"]["code"] == code
    [record] = await ready.requests()
    assert (record["status"], record["error_code"]) == (status, code)


async def test_a_response_that_fails_at_once_is_asked_for_again(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    await add_model(ready, upstream, "again", parameters={"max_retries": 1})
    upstream.script(StreamReply(change=failed))
    seen = await stream(ready, model="again")
    assert (seen.status, seen.names[-1]) == (200, "response.completed")
    await add_model(ready, upstream, "elsewhere", fallbacks=["m"])
    upstream.script(StreamReply(change=failed))
    assert (await stream(ready, model="elsewhere")).names[-1] == "response.completed"
    asked = len(upstream.requests)
    upstream.script(StreamReply(change=lambda frames: failed(frames, "invalid_prompt")))
    assert (await stream(ready, model="again")).status == 400
    assert len(upstream.requests) == asked + 1


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (StreamReply(stop_after=7, ending="cut"), "provider_error"),
        (StreamReply(stop_after=7, ending="complete"), "provider_error"),
        (StreamReply(stop_after=7, ending="stall"), "provider_timeout"),
        (StreamReply(change=without_the_end), "provider_error"),
        (StreamReply(change=lambda frames: [*frames[:7], Frame("[DONE]")]), "provider_error"),
        (StreamReply(change=broken_event(7)), "invalid_provider_response"),
        (
            StreamReply(
                change=error_event(7, {"type": "error", "code": "server_error", "message": "x"}, "error")
            ),
            "provider_error",
        ),
    ],
)
async def test_a_failure_after_it_is_an_error_event_with_the_next_number(
    ready: Proxy, upstream: ResponsesUpstream, behaviour: StreamReply, code: str
) -> None:
    upstream.script(behaviour)
    seen = await stream(ready)
    assert seen.status == 200
    name, error = seen.events[-1]
    assert name == "error"
    assert set(error) == {"type", "code", "message", "param", "sequence_number"}
    assert (error["type"], error["code"]) == ("error", code)
    assert error["sequence_number"] == seen.events[-2][1]["sequence_number"] + 1
    assert b"[DONE]" not in seen.raw
    assert not set(seen.names) & {"response.completed", "response.incomplete", "response.failed"}
    [record] = await ready.requests()
    assert record["error_code"] == code
    assert record["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("ending", ["complete", "cut", "stall"])
@pytest.mark.parametrize("kind", ["response.incomplete", "response.failed", "response.completed"])
async def test_each_event_that_ends_a_response_ends_the_stream(
    ready: Proxy, upstream: ResponsesUpstream, kind: str, ending: Any
) -> None:
    def ended(frames: Any) -> Any:
        return [*frames[:-1], frame({**frames[-1].json(), "type": kind}, kind)]

    upstream.script(StreamReply(change=ended, ending=ending))
    seen = await stream(ready)
    assert seen.names[-1] == kind
    [record] = await ready.requests()
    assert record["error_code"] is None


async def test_a_tools_call_commits_before_its_arguments(ready: Proxy, upstream: ResponsesUpstream) -> None:
    released = asyncio.Event()
    upstream.script(StreamReply(hold_after=3, released=released))
    headers = {"Authorization": f"Bearer {ready.key}"}
    async with ready.http.post(
        ready.url + "/v1/responses", json={**BODY, "stream": True, "tools": TOOLS}, headers=headers
    ) as response:
        head = await response.content.readuntil(b"response.output_item.added")
        assert b"event: response.created\n" in head
        released.set()
        assert b"event: response.completed\n" in await response.read()


async def test_an_error_after_the_early_commit_is_an_error_event(
    tmp_path: Any, upstream: ResponsesUpstream
) -> None:
    upstream.require_key = False
    async with running_proxy(tmp_path, commit_after=0.1, first_token_timeout=0.4) as proxy:
        await proxy.add_model("m", upstream.url + "/v1", operations=["Responses"])
        upstream.script(Hang())
        seen = await stream(proxy)
        assert seen.status == 200
        assert seen.names == ["error"]
        assert (seen.last["code"], seen.last["sequence_number"]) == ("provider_timeout", 0)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_client_that_leaves_cancels_the_providers_call(
    ready: Proxy, upstream: ResponsesUpstream, streamed: bool
) -> None:
    upstream.script(StreamReply(stop_after=7, ending="stall") if streamed else Hang())
    headers = {"Authorization": f"Bearer {ready.key}"}

    async def ask() -> None:
        async with ready.http.post(
            ready.url + "/v1/responses", json={**BODY, "stream": streamed}, headers=headers
        ) as response:
            await response.read()

    asking = asyncio.create_task(ask())
    received = await upstream.wait_requests(1)
    await asyncio.sleep(0.05)
    asking.cancel()
    await upstream.wait_disconnected(1.0, received)
    while not (records := await ready.requests()):
        await asyncio.sleep(0.01)
    assert records[0]["status"] == 499
    assert records[0]["streamed"] is streamed


async def test_a_stored_response_is_streamed_again_from_where_the_client_was(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    first = await stream(ready)
    id = first.last["response"]["id"]
    headers = {"Authorization": f"Bearer {ready.key}"}
    async with ready.http.get(
        f"{ready.url}/v1/responses/{id}?stream=true&starting_after=5", headers=headers
    ) as response:
        again = Streamed(response.status, await response.read())
    assert again.events == first.events[6:]
    assert upstream.requests[-1].query == {"stream": "true", "starting_after": "5"}
    assert (await ready.requests())[0]["usage"] is None
