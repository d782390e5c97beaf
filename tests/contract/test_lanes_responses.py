"""Responses down both lanes against one upstream: natively, and told out of a chat."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from shared import Json
from shared.errors import ProxyError
from shared.providers.calls import Call
from tests.contract.lanes import Lanes, open_lanes
from tests.unit.providers.lane import KEY
from tests.upstreams.openai import openai_error
from tests.upstreams.responses import ResponsesUpstream

FIELDS = (
    "object",
    "status",
    "error",
    "incomplete_details",
    "model",
    "tool_choice",
    "metadata",
    "temperature",
)
TYPES = [
    ("OpenAINative", "gpt-4o", {}),
    ("OpenAICompatible", "local", {}),
    ("AzureOpenAI", "gpt-4o", {"api_version": "2025-04-01-preview"}),
    ("AzureOpenAI", "gpt-4o", {}),
    ("AzureFoundry", "DeepSeek-V3", {}),
]
TOOL = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {"city": {}}}}
REQUESTS: dict[str, Json] = {
    "words": {"temperature": 0.5, "instructions": "Be brief.", "metadata": {"a": "b"}},
    "tools": {"tools": [TOOL], "tool_choice": "auto"},
    "a tool's result": {
        "tools": [TOOL],
        "input": [
            {"role": "user", "content": "Weather?"},
            {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_1", "output": "Sunny."},
        ],
    },
    "a schema": {
        "text": {
            "format": {
                "type": "json_schema",
                "name": "city",
                "strict": True,
                "schema": {"type": "object", "properties": {"city": {"type": "string"}}},
            }
        }
    },
}


@dataclass
class ResponsesLanes(Lanes):
    upstream: ResponsesUpstream


@pytest.fixture
async def lanes() -> AsyncIterator[ResponsesLanes]:
    async with ResponsesUpstream() as upstream, open_lanes() as both:
        both.lane.openai = upstream
        yield ResponsesLanes(both.lane, both.native, upstream)


def call(
    lanes: ResponsesLanes, model_type: str, code: str, parameters: Json, body: Json, streamed: bool = False
) -> Call:
    model = lanes.lane.model(model_type, code, **parameters)
    stream = {"stream": True} if streamed else {}
    return Call(
        "Responses", "responses", model, {"model": "m", "input": "Hello.", **body, **stream}, streamed
    )


def shown(response: Json) -> Json:
    """What must agree: all but what a provider makes up anew each time."""
    output = []
    for item in response["output"]:
        kept = {name: value for name, value in item.items() if name not in ("id", "call_id", "content")}
        kept["content"] = [(part["type"], part["text"]) for part in item.get("content", ())]
        output.append(kept)
    return {**{name: response.get(name) for name in FIELDS}, "output": output}


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_answers_agree(
    lanes: ResponsesLanes, model_type: str, code: str, parameters: Json, request_name: str
) -> None:
    asked = call(lanes, model_type, code, parameters, REQUESTS[request_name])
    native, other = [await provider.send(asked) for provider in lanes.both()]
    assert shown(native.content) == shown(other.content)
    first, second = lanes.upstream.requests
    chats = model_type == "OpenAICompatible"
    assert (first.path, first.query) == (second.path.replace("chat/completions", "responses"), second.query)
    assert second.path.endswith("chat/completions") is chats
    assert chats or first.body == second.body
    for received in (first, second):
        assert KEY in (received.headers.get("api-key", "") + received.headers.get("authorization", ""))


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_streams_agree(
    lanes: ResponsesLanes, model_type: str, code: str, parameters: Json, request_name: str
) -> None:
    asked = call(lanes, model_type, code, parameters, REQUESTS[request_name], streamed=True)
    told = []
    for provider in lanes.both():
        events = await provider.open(asked)
        try:
            chunks = [event.chunk async for event in events]
        finally:
            await events.aclose()
        assert [chunk["sequence_number"] for chunk in chunks] == list(range(len(chunks)))
        # How finely a text is cut is the provider's affair.
        kinds = [
            chunk["type"]
            for at, chunk in enumerate(chunks)
            if not at or chunk["type"] != chunks[at - 1]["type"]
        ]
        deltas = "".join(chunk.get("delta", "") for chunk in chunks)
        told.append((kinds, deltas, shown(chunks[-1]["response"]), events.done))
    assert told[0] == told[1]


@pytest.mark.parametrize(
    "reply",
    [
        openai_error(400, "Bad value.", code="invalid_value", param="temperature"),
        openai_error(429, "Slow down.", type="rate_limit_error", headers={"retry-after": "3"}),
        openai_error(503, "Overloaded.", type="server_error"),
        openai_error(401, "Incorrect API key provided."),
    ],
    ids=lambda reply: str(reply.status),
)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_errors_agree(
    lanes: ResponsesLanes, model_type: str, code: str, parameters: Json, reply: Any
) -> None:
    told = []
    for provider in lanes.both():
        for streamed in (False, True):
            lanes.upstream.script(reply)
            asked = call(lanes, model_type, code, parameters, {}, streamed)
            with pytest.raises(ProxyError) as caught:
                await (provider.open(asked) if streamed else provider.send(asked))
            error = caught.value
            told.append((type(error), error.status, error.code, error.param, error.message))
    assert len(set(told)) == 1
