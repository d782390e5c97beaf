"""Responses on the LiteLLM lane: what a chat-only provider receives, and what the client gets of its answer."""

from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from shared import Json
from shared.errors import ProviderRefusal, ProxyError, UnsupportedParameter
from shared.providers.calls import Answer, Call
from tests.unit.providers.lane import KEY, PIXEL, Lane, open_lane
from tests.upstreams.behaviours import StreamReply
from tests.upstreams.samples import TEXT

WEATHER: Json = {
    "type": "function",
    "name": "weather",
    "description": "The weather.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
TYPES = [
    ("AnthropicNative", "claude-sonnet-4-5"),
    ("GoogleVertexClaude", "claude-sonnet-4-5"),
    ("GoogleVertex", "gemini-2.5-flash"),
    ("GoogleGemini", "gemini-2.5-flash"),
    ("OpenAICompatible", "local"),
]


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    async with open_lane() as running:
        yield running


def call(lane: Lane, model_type: str, code: str, body: Json, streamed: bool = False) -> Call:
    body = {"model": "m", "input": "Hello.", **body, **({"stream": True} if streamed else {})}
    return Call("Responses", "responses", lane.model(model_type, code), body, streamed)


async def send(lane: Lane, model_type: str, code: str, **body: Any) -> Answer:
    return await lane.provider.send(call(lane, model_type, code, body))


async def tell(lane: Lane, model_type: str, code: str, **body: Any) -> list[Json]:
    events = await lane.provider.open(call(lane, model_type, code, body, streamed=True))
    told = []
    try:
        async for event in events:
            assert event.name.decode() == event.chunk["type"]
            told.append(event.chunk)
    finally:
        await events.aclose()
    assert not events.done
    return told


@pytest.mark.parametrize(("model_type", "code"), TYPES)
async def test_an_answer_in_words_is_the_same_whole_and_streamed(
    lane: Lane, model_type: str, code: str
) -> None:
    answer = await send(lane, model_type, code)
    events = await tell(lane, model_type, code)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert [event["type"] for event in events[:2]] == ["response.created", "response.in_progress"]
    assert events[-1]["type"] == "response.completed"
    text = "".join(event["delta"] for event in events if event["type"] == "response.output_text.delta")
    for whole in (answer.content, events[-1]["response"]):
        assert (whole["status"], whole["object"], whole["store"]) == ("completed", "response", False)
        [message] = whole["output"]
        assert message["content"][0]["text"] == text == TEXT
        assert whole["usage"]["total_tokens"] > 0
    assert answer.usage is not None
    assert answer.usage.prompt == answer.content["usage"]["input_tokens"]
    assert answer.content["id"].startswith("resp_")


@pytest.mark.parametrize(("model_type", "code"), TYPES)
async def test_a_tool_is_called_in_both_ways(lane: Lane, model_type: str, code: str) -> None:
    answer = await send(lane, model_type, code, tools=[WEATHER])
    events = await tell(lane, model_type, code, tools=[WEATHER])
    added = [event["item"] for event in events if event["type"] == "response.output_item.added"]
    assert [item["type"] for item in added] == ["function_call"]
    arguments = "".join(
        event["delta"] for event in events if event["type"] == "response.function_call_arguments.delta"
    )
    for whole in (answer.content, events[-1]["response"]):
        [item] = whole["output"]
        assert (item["type"], item["name"], item["status"]) == ("function_call", "weather", "completed")
        assert "city" in item["arguments"]
        assert item["call_id"]
    assert events[-1]["response"]["output"][0]["arguments"] == arguments


async def test_claude_receives_the_whole_conversation(lane: Lane) -> None:
    await send(
        lane,
        "AnthropicNative",
        "claude-sonnet-4-5",
        instructions="Be brief.",
        input=[
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "What is this?"},
                    {"type": "input_image", "image_url": f"data:image/png;base64,{PIXEL}"},
                ],
            },
            {"type": "reasoning", "id": "rs_1", "summary": []},
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "output_text", "text": "A dot.", "annotations": []}],
            },
            {
                "type": "function_call",
                "call_id": "call_1",
                "name": "weather",
                "arguments": '{"city":"Paris"}',
            },
            {"type": "function_call_output", "call_id": "call_1", "output": "Sunny."},
        ],
        tools=[WEATHER],
        max_output_tokens=50,
        temperature=0.5,
    )
    [received] = lane.anthropic.requests
    assert received.headers["x-api-key"] == KEY
    body = received.body
    assert body["max_tokens"] == 50
    assert body["temperature"] == 0.5
    assert "Be brief." in str(body["system"])
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "user"]
    picture = body["messages"][0]["content"][1]
    assert picture["source"]["data"] == PIXEL
    said = body["messages"][1]["content"]
    assert [part["type"] for part in said] == ["text", "tool_use"]
    assert said[1]["input"] == {"city": "Paris"}
    assert body["messages"][2]["content"][0]["type"] == "tool_result"
    assert body["tools"][0]["name"] == "weather"
    assert KEY not in received.raw.decode()


async def test_a_compatible_server_is_asked_as_a_chat(lane: Lane) -> None:
    answer = await send(
        lane,
        "OpenAICompatible",
        "local",
        text={
            "format": {"type": "json_schema", "name": "city", "strict": True, "schema": {"type": "object"}}
        },
        reasoning={"effort": "low"},
        top_k=5,
        truncation="auto",
        store=True,
    )
    [received] = lane.openai.requests
    assert received.path == "/v1/chat/completions"
    assert received.body == {
        "model": "local",
        "messages": [{"role": "user", "content": "Hello."}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "city", "strict": True, "schema": {"type": "object"}},
        },
        "reasoning_effort": "low",
        "top_k": 5,
    }
    assert set(answer.dropped) == {"truncation", "store"}


async def test_reasoning_comes_as_a_summary(lane: Lane) -> None:
    lane.openai.reasoning = "Let me think."
    events = await tell(lane, "OpenAICompatible", "local")
    thought, message = events[-1]["response"]["output"]
    assert thought["summary"] == [{"type": "summary_text", "text": "Let me think."}]
    assert message["content"][0]["text"] == TEXT
    assert [event["type"] for event in events if event["type"].endswith(".added")] == [
        "response.output_item.added",
        "response.reasoning_summary_part.added",
        "response.output_item.added",
        "response.content_part.added",
    ]


@pytest.mark.parametrize(
    ("model_type", "code"), [("AnthropicNative", "claude-sonnet-4-5"), ("OpenAICompatible", "local")]
)
@pytest.mark.parametrize("ending", ["cut", "complete"])
async def test_a_chat_that_breaks_off_is_no_whole_response(
    lane: Lane, model_type: str, code: str, ending: Any
) -> None:
    upstream = lane.anthropic if model_type == "AnthropicNative" else lane.openai
    upstream.script(StreamReply(stop_after=5, ending=ending))
    events = await lane.provider.open(call(lane, model_type, code, {}, streamed=True))
    told: list[str] = []
    try:
        with suppress(ProxyError):
            async for event in events:
                told += [event.chunk["type"]]
    finally:
        await events.aclose()
    assert "response.output_text.delta" in told
    assert "response.completed" not in told


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
        (
            {
                "input": [
                    {"role": "user", "content": [{"type": "input_file", "file_url": "https://x.test/a"}]}
                ]
            },
            "input[0].content[0].type",
        ),
    ],
)
async def test_what_a_chat_has_no_words_for_is_refused(lane: Lane, body: Json, param: str) -> None:
    for streamed in (False, True):
        asked = call(lane, "AnthropicNative", "claude-sonnet-4-5", body, streamed)
        with pytest.raises(UnsupportedParameter) as caught:
            await (lane.provider.open(asked) if streamed else lane.provider.send(asked))
        assert caught.value.param == param
    assert lane.anthropic.requests == []


async def test_nothing_is_stored_there(lane: Lane) -> None:
    model = lane.model("AnthropicNative", "claude-sonnet-4-5")
    asked = Call("Responses", "responses/resp_1", model, {}, method="GET", bodiless=True)
    with pytest.raises(ProviderRefusal) as caught:
        await lane.provider.send(asked)
    assert caught.value.status == 404
    assert lane.anthropic.requests == []
