"""Streams through the whole proxy: the commit, the ways a provider can fail, and how each ends."""

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.proxy import Proxy, running_proxy
from tests.upstreams.behaviours import (
    Hang,
    HangUp,
    StreamReply,
    broken_event,
    error_event,
    frame,
    without,
    without_done,
)
from tests.upstreams.openai import OpenAIUpstream, openai_error

BODY = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Say something."}]}


class Streamed:
    """A stream as a client saw it."""

    def __init__(self, status: int, headers: dict[str, str], raw: bytes, broken: bool) -> None:
        self.status = status
        self.headers = headers
        self.raw = raw
        self.broken = broken
        self.events = [
            event.removeprefix("data: ") for event in raw.decode().split("\n\n") if event.startswith("data: ")
        ]
        self.chunks: list[Any] = [json.loads(event) for event in self.events if event != "[DONE]"]

    @property
    def done(self) -> bool:
        return bool(self.events) and self.events[-1] == "[DONE]"

    @property
    def text(self) -> str:
        return "".join(
            choice["delta"].get("content") or ""
            for chunk in self.chunks
            for choice in chunk.get("choices", [])
            if choice["index"] == 0
        )

    @property
    def error(self) -> Any:
        return self.chunks[-1].get("error") if self.chunks else None


async def stream(proxy: Proxy, **fields: Any) -> Streamed:
    headers = {"Authorization": f"Bearer {proxy.key}"}
    async with proxy.http.post(
        proxy.url + "/v1/chat/completions", json={**BODY, **fields}, headers=headers
    ) as response:
        raw, broken = b"", False
        try:
            async for part in response.content.iter_any():
                raw += part
        except aiohttp.ClientPayloadError:
            broken = True
        return Streamed(response.status, {k.lower(): v for k, v in response.headers.items()}, raw, broken)


@pytest.fixture
async def ready(proxy: Proxy, upstream: OpenAIUpstream) -> Proxy:
    await proxy.add_model("m", upstream.url + "/v1", parameters={"secret_name": "up", "max_retries": 0})
    proxy.add_secret("up", "sk-upstream-secret-000000")
    return proxy


async def test_a_whole_stream_is_relayed_and_ends_with_done(ready: Proxy, upstream: OpenAIUpstream) -> None:
    seen = await stream(ready)
    assert (seen.status, seen.done, seen.text) == (200, True, upstream.text)
    assert seen.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert seen.headers["cache-control"] == "no-cache"
    assert seen.headers["x-accel-buffering"] == "no"
    assert seen.headers["x-llmproxy-model"] == "m"
    assert "x-llmproxy-cost-usd" not in seen.headers
    assert len({chunk["id"] for chunk in seen.chunks}) == 1
    assert seen.raw.endswith(b"data: [DONE]\n\n")


async def test_usage_is_asked_for_but_shown_only_to_who_asked(ready: Proxy, upstream: OpenAIUpstream) -> None:
    silent = await stream(ready)
    assert upstream.requests[-1].body["stream_options"] == {"include_usage": True}
    assert not any(chunk.get("usage") for chunk in silent.chunks)
    asked = await stream(ready, stream_options={"include_usage": True})
    assert asked.chunks[-1]["choices"] == []
    assert asked.chunks[-1]["usage"]["total_tokens"] > 0
    records = await ready.requests()
    assert [record["usage"]["estimated"] for record in records] == [False, False]
    assert records[0]["usage"] == records[1]["usage"]


async def test_a_server_that_refuses_stream_options_is_not_sent_any(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    await ready.add_model(
        "plain", upstream.url + "/v1", parameters={"stream_usage": False, "secret_name": "up"}
    )
    seen = await stream(ready, model="plain")
    assert seen.done
    assert "stream_options" not in upstream.requests[-1].body
    assert (await ready.requests())[0]["usage"]["estimated"] is True


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        (openai_error(400, "bad", code="bad_thing"), 400, "bad_thing"),
        (openai_error(500, "oops"), 502, "provider_error"),
        (HangUp(), 502, "provider_error"),
        (Hang(), 504, "provider_timeout"),
        (StreamReply(frames=[]), 502, "provider_error"),
        (StreamReply(change=broken_event(0)), 502, "invalid_provider_response"),
        (StreamReply(change=error_event(1, {"error": {"message": "overloaded"}})), 502, "provider_error"),
        (StreamReply(stop_after=1, ending="cut"), 502, "provider_error"),
        (StreamReply(stop_after=1, ending="stall"), 504, "provider_timeout"),
        (StreamReply(content_type="application/json"), 502, "invalid_provider_response"),
    ],
)
async def test_a_failure_before_the_first_content_is_a_plain_http_error(
    ready: Proxy, upstream: OpenAIUpstream, behaviour: Any, status: int, code: str
) -> None:
    """A chunk with a role alone does not commit the stream."""
    upstream.script(behaviour)
    seen = await stream(ready)
    assert seen.status == status
    assert seen.headers["content-type"] == "application/json"
    error = json.loads(seen.raw)["error"]
    assert error["code"] == code
    record = (await ready.requests())[0]
    assert (record["status"], record["error_code"], record["usage"]) == (status, code, None)


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (StreamReply(stop_after=3, ending="cut"), "provider_error"),
        (StreamReply(stop_after=3, ending="complete"), "provider_error"),
        (StreamReply(stop_after=3, ending="stall"), "provider_timeout"),
        (StreamReply(change=broken_event(3)), "invalid_provider_response"),
        (StreamReply(change=error_event(3, {"error": {"message": "overloaded"}})), "provider_error"),
        (StreamReply(change=without('"finish_reason":"stop"')), "provider_error"),
    ],
)
async def test_a_failure_after_it_goes_in_band_and_the_stream_is_not_done(
    ready: Proxy, upstream: OpenAIUpstream, behaviour: StreamReply, code: str
) -> None:
    upstream.script(behaviour)
    seen = await stream(ready)
    assert (seen.status, seen.done) == (200, False)
    assert set(seen.error) == {"message", "type", "param", "code"}
    assert seen.error["code"] == code
    record = (await ready.requests())[0]
    assert record["error_code"] == code
    assert record["usage"]["completion_tokens"] > 0


async def test_a_complete_stream_that_lacks_done_gets_it(ready: Proxy, upstream: OpenAIUpstream) -> None:
    for ending in ("complete", "cut"):
        upstream.script(StreamReply(change=without_done, ending=ending))
        seen = await stream(ready)
        assert seen.done
        assert seen.text == upstream.text


async def test_one_of_two_choices_is_not_a_whole_answer(ready: Proxy, upstream: OpenAIUpstream) -> None:
    def only_first_choice(frames: Any) -> Any:
        return [item for item in frames if '"index":1' not in item.data and item.data != "[DONE]"]

    upstream.script(StreamReply(change=only_first_choice))
    seen = await stream(ready, n=2)
    assert not seen.done
    assert seen.error["code"] == "provider_error"


@pytest.mark.parametrize(
    "shape",
    [
        {"slices": 1},
        {"line_end": "\r\n", "slices": 3},
        {"comments": True},
        {"split_data": True},
    ],
)
async def test_every_way_to_cut_the_bytes_gives_the_same_stream(
    ready: Proxy, upstream: OpenAIUpstream, shape: dict[str, Any]
) -> None:
    whole = await stream(ready)
    upstream.script(StreamReply(**shape))
    seen = await stream(ready)
    assert seen.done

    def told(streamed: Streamed) -> list[Any]:
        return [chunk["choices"] for chunk in streamed.chunks]

    assert told(seen) == told(whole)


async def test_silence_is_filled_with_comments(ready: Proxy, upstream: OpenAIUpstream) -> None:
    released = asyncio.Event()
    upstream.script(StreamReply(hold_after=3, released=released))
    waiting = asyncio.create_task(stream(ready))
    await upstream.wait_requests(1)
    await asyncio.sleep(0.7)
    released.set()
    seen = await waiting
    assert seen.raw.count(b": keep-alive\n\n") >= 2
    assert seen.done


async def test_a_silent_stream_is_committed_after_a_while(tmp_path: Any, upstream: OpenAIUpstream) -> None:
    async with running_proxy(tmp_path, commit_after=0.2, heartbeat_interval=0.1) as proxy:
        await proxy.add_model("m", upstream.url + "/v1")
        upstream.require_key = False
        released = asyncio.Event()
        upstream.script(Hang(released))
        headers = {"Authorization": f"Bearer {proxy.key}"}
        async with proxy.http.post(
            proxy.url + "/v1/chat/completions", json=BODY, headers=headers
        ) as response:
            assert response.status == 200
            assert await response.content.readuntil(b"\n\n") == b": keep-alive\n\n"
            released.set()
            assert (await response.read()).endswith(b"data: [DONE]\n\n")
        upstream.script(openai_error(500, "late"), openai_error(500, "late"), openai_error(500, "late"))


async def test_an_error_after_the_early_commit_goes_in_band(tmp_path: Any, upstream: OpenAIUpstream) -> None:
    async with running_proxy(tmp_path, commit_after=0.1, first_token_timeout=0.4) as proxy:
        await proxy.add_model("m", upstream.url + "/v1")
        upstream.script(Hang())
        seen = await stream(proxy)
        assert (seen.status, seen.done) == (200, False)
        assert seen.error["code"] == "provider_timeout"


async def test_one_id_per_stream(ready: Proxy, upstream: OpenAIUpstream) -> None:
    def renamed(frames: Any) -> Any:
        return [
            item if item.data == "[DONE]" else frame({**item.json(), "id": f"chatcmpl-{number}"})
            for number, item in enumerate(frames)
        ]

    upstream.script(StreamReply(change=renamed))
    seen = await stream(ready)
    assert {chunk["id"] for chunk in seen.chunks} == {"chatcmpl-0"}
    assert seen.text == upstream.text


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("moment", ["before", "during"])
async def test_a_client_that_leaves_cancels_the_providers_call_within_a_second(
    ready: Proxy, upstream: OpenAIUpstream, streamed: bool, moment: str
) -> None:
    upstream.script(StreamReply(stop_after=3, ending="stall") if streamed and moment == "during" else Hang())
    headers = {"Authorization": f"Bearer {ready.key}"}

    async def ask() -> None:
        async with ready.http.post(
            ready.url + "/v1/chat/completions", json={**BODY, "stream": streamed}, headers=headers
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
    assert records[0]["error_code"] == "client_closed_request"
    assert records[0]["streamed"] is streamed


async def test_a_slow_reader_ends_at_the_deadline_with_an_error(
    tmp_path: Any, upstream: OpenAIUpstream
) -> None:
    """The provider has far more to say than fits into all buffers; the client reads a little, and waits."""
    upstream.require_key = False
    async with running_proxy(tmp_path, stream_timeout=1.0) as proxy:
        await proxy.add_model("m", upstream.url + "/v1")
        big = frame(
            {"id": "x", "choices": [{"index": 0, "delta": {"content": "a" * 65536}, "finish_reason": None}]}
        )
        upstream.script(StreamReply(frames=[big] * 2000))
        headers = {"Authorization": f"Bearer {proxy.key}"}
        async with proxy.http.post(
            proxy.url + "/v1/chat/completions", json=BODY, headers=headers
        ) as response:
            await response.content.readany()
            await upstream.wait_disconnected(5.0)
            rest = await response.content.read()
            assert b"provider_timeout" in rest[-400:]
            assert b"[DONE]" not in rest[-400:]
        assert (await proxy.requests())[0]["error_code"] == "provider_timeout"


async def test_tool_calls_logprobs_and_reasoning_pass_untouched(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    upstream.reasoning = "thinking about it"
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    seen = await stream(ready, tools=tools, logprobs=True, top_logprobs=2, n=2)
    deltas = [choice["delta"] for chunk in seen.chunks for choice in chunk["choices"]]
    assert seen.done
    assert any(delta.get("tool_calls") for delta in deltas)
    assert {choice["index"] for chunk in seen.chunks for choice in chunk["choices"]} == {0, 1}
