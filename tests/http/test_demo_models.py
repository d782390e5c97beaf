"""The demo models of a first start, with the official client."""

import json

import pytest
from openai import AsyncOpenAI, BadRequestError
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

from tests.proxy import Proxy

TOOL: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def client(proxy: Proxy) -> AsyncOpenAI:
    return AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.key, max_retries=0)


async def test_a_tool_is_called_and_its_result_is_used(proxy: Proxy) -> None:
    async with client(proxy) as openai:
        messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": "The weather, please."}]
        first = await openai.chat.completions.create(model="demo-chat", messages=messages, tools=[TOOL])
        [call] = first.choices[0].message.tool_calls or []
        assert call.type == "function"
        assert set(json.loads(call.function.arguments)) == {"city"}
        messages += [
            {
                "role": "assistant",
                "tool_calls": [
                    {
                        "id": call.id,
                        "type": "function",
                        "function": {"name": call.function.name, "arguments": call.function.arguments},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": call.id, "content": "18 degrees and dry"},
        ]
        second = await openai.chat.completions.create(model="demo-chat", messages=messages, tools=[TOOL])
        assert "18 degrees and dry" in str(second.choices[0].message.content)


async def test_a_question_beyond_the_small_models_context_goes_to_the_larger_one(proxy: Proxy) -> None:
    body = {"model": "demo-chat-mini", "messages": [{"role": "user", "content": "word " * 5_000}]}
    reply = await proxy.call("POST", "/v1/chat/completions", body)
    assert reply.status == 200
    assert reply.headers["x-llmproxy-model"] == "demo-chat"


async def test_a_question_beyond_every_context_is_refused(proxy: Proxy) -> None:
    async with client(proxy) as openai:
        with pytest.raises(BadRequestError) as refusal:
            await openai.chat.completions.create(
                model="demo-chat", messages=[{"role": "user", "content": "word " * 150_000}]
            )
    assert refusal.value.code == "context_length_exceeded"


async def test_a_stream_arrives_in_words(proxy: Proxy) -> None:
    async with client(proxy) as openai:
        stream = await openai.chat.completions.create(
            model="demo", messages=[{"role": "user", "content": "Hello"}], stream=True
        )
        parts = [chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices]
    assert '"Hello"' in "".join(parts)
    assert len([part for part in parts if part]) > 5
