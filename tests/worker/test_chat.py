"""Chat through Azure's runtime library: whole, streamed, refused, and abandoned by its client."""

import asyncio

import orjson

from shared import Json
from tests.upstreams.behaviours import Hang, StreamReply
from tests.upstreams.openai import OpenAIUpstream
from tests.worker.conftest import Client

CHAT = "/v1/chat/completions"


def question(model: str, **more: object) -> Json:
    return {"model": model, "messages": [{"role": "user", "content": "Hello"}], **more}


async def test_a_completion_comes_back_whole(client: Client) -> None:
    async with client.session.post(client.app.address + CHAT, json=question("demo-chat")) as answer:
        body = await answer.json()
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["x-llmproxy-model"] == "demo-chat"
        assert len(answer.headers["x-request-id"]) >= 8
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"]["total_tokens"] > 0


async def test_a_stream_ends_with_its_end_mark(client: Client) -> None:
    asked = question("demo-chat", stream=True, stream_options={"include_usage": True})
    async with client.session.post(client.app.address + CHAT, json=asked) as answer:
        assert answer.status == 200
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        text = (await answer.read()).decode()
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert events[-1] == "[DONE]"
    chunks = [orjson.loads(event) for event in events[:-1]]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["total_tokens"] > 0


async def test_events_arrive_as_the_provider_sends_them(client: Client, upstream: OpenAIUpstream) -> None:
    upstream.script(StreamReply(stop_after=3, ending="stall"))
    async with client.model(upstream, "one-by-one") as model:
        asked = question(model, stream=True)
        async with client.session.post(client.app.address + CHAT, json=asked) as answer:
            first = await answer.content.readline()
        assert first.startswith(b"data: {")
        await upstream.wait_disconnected(5)


async def test_a_client_that_leaves_a_stream_cancels_the_call_within_a_second(
    client: Client, upstream: OpenAIUpstream
) -> None:
    upstream.script(StreamReply(stop_after=3, ending="stall"))
    async with client.model(upstream, "left-stream") as model:
        answer = await client.session.post(client.app.address + CHAT, json=question(model, stream=True))
        await answer.content.readline()
        answer.close()
        await upstream.wait_disconnected(1)
    assert await client.host("/waiting") == []


async def test_a_client_that_leaves_a_plain_call_cancels_it_within_a_second(
    client: Client, upstream: OpenAIUpstream
) -> None:
    upstream.script(Hang())
    async with client.model(upstream, "left-call") as model:
        asking = client.session.post(client.app.address + CHAT, json=question(model))
        call = asyncio.ensure_future(asking)
        await upstream.wait_requests(1)
        call.cancel()
        await asyncio.wait([call])
        await upstream.wait_disconnected(1)
    assert await client.host("/waiting") == []


async def test_a_cut_stream_says_so_and_has_no_end_mark(client: Client, upstream: OpenAIUpstream) -> None:
    upstream.script(StreamReply(stop_after=3, ending="cut"))
    async with client.model(upstream, "cut-stream") as model:
        asked = question(model, stream=True, max_retries=0)
        async with client.session.post(client.app.address + CHAT, json=asked) as answer:
            text = (await answer.read()).decode()
    assert '"error"' in text
    assert "[DONE]" not in text


async def test_a_request_without_a_key_is_refused_in_the_envelope(client: Client) -> None:
    async with client.session.post(
        client.app.address + CHAT, json=question("demo-chat"), headers={"authorization": ""}
    ) as answer:
        assert answer.status == 401
        error = (await answer.json())["error"]
    assert error["type"] == "authentication_error"
    assert set(error) == {"message", "type", "param", "code"}
