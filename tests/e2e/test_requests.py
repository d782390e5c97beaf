"""The request's id, completions, and the client that has no event loop."""

import asyncio

import pytest
from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel

from tests.e2e.world import ASKED, World

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Answer(BaseModel):
    text: str


async def test_the_client_knows_the_request_by_the_id_of_the_answer(openai: AsyncOpenAI, model: str) -> None:
    raw = await openai.chat.completions.with_raw_response.create(model=model, messages=ASKED)
    answer = raw.parse()
    assert answer._request_id == raw.headers["x-request-id"] == raw.request_id
    assert len(raw.headers["x-request-id"]) >= 8
    assert int(raw.headers["openai-processing-ms"]) >= 0
    assert raw.headers["content-type"] == "application/json"


async def test_an_id_of_the_clients_own_is_kept_and_finds_the_record(
    world: World, openai: AsyncOpenAI, model: str
) -> None:
    own = f"trip-{model}-0001"
    answer = await openai.chat.completions.create(
        model=model, messages=ASKED, extra_headers={"x-request-id": own}
    )
    assert answer._request_id == own
    record = next(record for record in await world.proxy.requests() if record["request_id"] == own)
    assert answer.usage is not None
    assert record["usage"]["total_tokens"] == answer.usage.total_tokens


async def test_a_streams_headers_are_there_before_its_end(openai: AsyncOpenAI, model: str) -> None:
    async with openai.chat.completions.with_streaming_response.create(
        model=model, messages=ASKED, stream=True
    ) as response:
        assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-llmproxy-model"] == model
        assert "x-llmproxy-cost-usd" not in response.headers
        lines = [line async for line in response.iter_lines() if line]
    assert lines[-1] == "data: [DONE]"


async def test_completions_are_written_plain_and_streamed(openai: AsyncOpenAI, model: str) -> None:
    plain = await openai.completions.create(model=model, prompt="Once upon a time", max_tokens=200)
    assert plain.object == "text_completion"
    assert plain.choices[0].text
    assert plain.choices[0].finish_reason == "stop"
    stream = await openai.completions.create(
        model=model,
        prompt="Once upon a time",
        max_tokens=200,
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == plain.choices[0].text
    assert chunks[-1].usage is not None
    assert plain.usage is not None
    assert chunks[-1].usage.total_tokens == plain.usage.total_tokens


async def test_a_client_without_a_loop_gets_the_same(world: World, openai: AsyncOpenAI, model: str) -> None:
    expected = (await openai.chat.completions.create(model=model, messages=ASKED)).choices[0].message.content

    def work(client: OpenAI) -> list[str | None]:
        plain = client.chat.completions.create(model=model, messages=ASKED)
        with client.chat.completions.create(model=model, messages=ASKED, stream=True) as stream:
            streamed = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
        with client.chat.completions.stream(model=model, messages=ASKED) as helper:
            whole = helper.get_final_completion().choices[0].message.content
        parsed = client.chat.completions.parse(model=model, messages=ASKED, response_format=Answer)
        assert isinstance(parsed.choices[0].message.parsed, Answer)
        return [plain.choices[0].message.content, "".join(streamed), whole]

    with world.sync_client() as client:
        assert await asyncio.to_thread(work, client) == [expected] * 3
