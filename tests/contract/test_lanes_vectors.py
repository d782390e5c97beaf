"""Embeddings and moderations down both lanes to one upstream: it sees the same, and the caller gets the same."""

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from shared import Json
from shared.errors import ProxyError
from tests.contract.lanes import Lanes, open_lanes
from tests.upstreams.openai import openai_error

TYPES = [
    ("OpenAINative", "text-embedding-3-small", {}),
    ("OpenAICompatible", "local", {}),
    ("AzureOpenAI", "vectors", {"api_version": "2024-10-21"}),
    ("AzureOpenAI", "vectors", {}),
    ("AzureFoundry", "vectors", {}),
]
REQUESTS: dict[str, Json] = {
    "text": {"input": "a fox"},
    "texts": {"input": ["a fox", "a dog"], "user": "someone"},
    "size": {"input": "a fox", "dimensions": 3, "encoding_format": "float"},
    "base64": {"input": ["a fox", "a dog"], "encoding_format": "base64"},
    "own": {"input": "a fox", "unheard_of": {"deep": [1, None]}},
}
TOKENS: dict[str, Json] = {"tokens": {"input": [5, 6]}, "token lists": {"input": [[5], [6, 7]]}}
SEEN = ("model", "input", "dimensions", "user", "unheard_of")
"""What the upstream must see alike. Not `encoding_format`: LiteLLM reads floats alone, of which base64 is made."""


@pytest.fixture
async def lanes() -> AsyncIterator[Lanes]:
    async with open_lanes() as both:
        yield both


async def agree(lanes: Lanes, model_type: str, code: str, parameters: Json, body: Json, path: str) -> None:
    model = lanes.lane.model(model_type, code, **parameters)
    call = lanes.lane.call(model, path=path, **body)
    answers = [await provider.send(call) for provider in lanes.both()]
    native, other = lanes.lane.openai.requests

    assert native.path == other.path
    assert native.query == other.query
    assert {name: native.body.get(name) for name in SEEN} == {name: other.body.get(name) for name in SEEN}
    assert orjson.loads(answers[0].body) == orjson.loads(answers[1].body)
    assert answers[0].usage == answers[1].usage


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_embeddings_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, request_name: str
) -> None:
    await agree(lanes, model_type, code, parameters, REQUESTS[request_name], "embeddings")


@pytest.mark.parametrize("request_name", TOKENS)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES[:4])
async def test_embeddings_of_tokens_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, request_name: str
) -> None:
    await agree(lanes, model_type, code, parameters, TOKENS[request_name], "embeddings")


@pytest.mark.parametrize("given", ["I will kill", ["a", "b"], [{"type": "text", "text": "a"}]])
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES[:2])
async def test_moderations_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, given: Any
) -> None:
    await agree(lanes, model_type, code, parameters, {"input": given}, "moderations")


@pytest.mark.parametrize(
    "reply",
    [
        openai_error(400, "Bad value.", code="invalid_value", param="input"),
        openai_error(401, "Incorrect API key provided."),
        openai_error(429, "Slow down.", type="rate_limit_error", headers={"retry-after": "3"}),
        openai_error(503, "Overloaded.", type="server_error"),
    ],
    ids=lambda reply: str(reply.status),
)
@pytest.mark.parametrize("path", ["embeddings", "moderations"])
async def test_errors_agree(lanes: Lanes, path: str, reply: Any) -> None:
    model = lanes.lane.model("OpenAINative", "any")
    told = []
    for provider in lanes.both():
        lanes.lane.openai.script(reply)
        with pytest.raises(ProxyError) as caught:
            await provider.send(lanes.lane.call(model, path=path, input="a"))
        error = caught.value
        told.append((type(error), error.status, error.code, error.param, error.message))
    assert told[0] == told[1]
