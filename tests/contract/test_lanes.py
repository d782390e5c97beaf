"""Both lanes, the same requests, one upstream: it sees the same, and the caller gets the same."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import Json
from shared.catalog.documents import Model
from shared.errors import ProxyError
from shared.providers.calls import Call, Provider
from tests.contract.lanes import Lanes, open_lanes
from tests.unit.providers.lane import CITY, PIXEL, QUESTION, WEATHER
from tests.upstreams.behaviours import Behaviour, Change, StreamReply, broken_event, error_event, without_done
from tests.upstreams.openai import openai_error, without_finish_reason

ANSWER_FIELDS = ("id", "object", "created", "model", "system_fingerprint")
CHOICE_FIELDS = ("index", "finish_reason", "logprobs")
MESSAGE_FIELDS = ("role", "content", "refusal", "tool_calls", "reasoning_content")
USAGE_FIELDS = ("prompt_tokens", "completion_tokens", "total_tokens")

TYPES = [
    ("OpenAINative", "gpt-4o", {}),
    ("OpenAICompatible", "local", {}),
    ("AzureOpenAI", "gpt-4o", {"api_version": "2024-10-21"}),
    ("AzureOpenAI", "gpt-4o", {}),
    ("AzureFoundry", "DeepSeek-V3", {}),
]
REQUESTS: dict[str, dict[str, Any]] = {
    "chat": {"temperature": 0.5, "user": "someone", "unheard_of": {"deep": [1, None]}},
    "tools": {"tools": [WEATHER], "tool_choice": "auto", "parallel_tool_calls": False},
    "json_schema": {"response_format": CITY},
    "choices": {"n": 2, "logprobs": True, "top_logprobs": 1, "seed": 7},
    "picture": {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                ],
            }
        ]
    },
    "sound": {
        "messages": [
            {
                "role": "user",
                "content": [{"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}}],
            }
        ]
    },
    "reasoning": {"reasoning_effort": "low", "max_completion_tokens": 100, "verbosity": "low"},
}


@pytest.fixture
async def lanes() -> AsyncIterator[Lanes]:
    async with open_lanes() as both:
        both.lane.openai.reasoning = "Let me think."
        yield both


def chosen(content: Json, names: tuple[str, ...]) -> Json:
    return {name: content.get(name) for name in names}


def seen(answer: Json) -> Json:
    """What must agree of a plain answer."""
    return {
        **chosen(answer, ANSWER_FIELDS),
        "usage": chosen(answer["usage"], USAGE_FIELDS),
        "choices": [
            {**chosen(choice, CHOICE_FIELDS), "message": chosen(choice["message"], MESSAGE_FIELDS)}
            for choice in answer["choices"]
        ],
    }


def call_of(model: Model, body: Json, streamed: bool) -> Call:
    return Call(
        "ChatCompletion", "chat/completions", model, {"model": "m", "messages": QUESTION, **body}, streamed
    )


async def streamed_by(provider: Provider, call: Call) -> tuple[list[Json], bool, str]:
    """(chunks, whether the provider ended it, the error's class name)."""
    chunks: list[Json] = []
    try:
        events = await provider.open(call)
    except ProxyError as error:
        return chunks, False, type(error).__name__
    try:
        async for event in events:
            chunks += [event.chunk]
    except ProxyError as error:
        return chunks, events.done, type(error).__name__
    finally:
        await events.aclose()
    return chunks, events.done, ""


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_plain_calls_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, request_name: str
) -> None:
    model = lanes.lane.model(model_type, code, **parameters)
    answers = [
        await provider.send(call_of(model, REQUESTS[request_name], False)) for provider in lanes.both()
    ]
    native, other = lanes.lane.openai.requests

    assert native.path == other.path
    assert native.query == other.query
    assert _asked(native.body) == _asked(other.body)
    assert seen(answers[0].content) == seen(answers[1].content)
    assert answers[0].usage == answers[1].usage
    assert answers[0].headers == answers[1].headers


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_streams_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, request_name: str
) -> None:
    model = lanes.lane.model(model_type, code, **parameters)
    told = [
        await streamed_by(provider, call_of(model, {**REQUESTS[request_name], "stream": True}, True))
        for provider in lanes.both()
    ]
    native, other = lanes.lane.openai.requests

    assert _asked(native.body) == _asked(other.body)
    assert native.body["stream_options"] == {"include_usage": True}
    assert told[0] == told[1]
    assert told[0][1]


def _asked(body: Json) -> Json:
    """A body as both lanes must send it: all of it, but for a `stream: false` that says nothing."""
    return {name: value for name, value in body.items() if name != "stream" or value}


FAULTS: dict[str, tuple[Behaviour, bool]] = {
    "a cut": (StreamReply(stop_after=4, ending="cut"), False),
    "a broken event": (StreamReply(change=broken_event(4)), False),
    "no finish reason": (StreamReply(change=without_finish_reason), False),
    "no end mark": (StreamReply(change=without_done), True),
    "a rate limit": (openai_error(429, "Slow down.", headers={"retry-after": "3"}), False),
    "a failure": (openai_error(500, "Out of order.", type="server_error"), False),
    "a refused key": (openai_error(401, "Incorrect API key provided."), False),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_faults_of_a_stream_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, fault: str
) -> None:
    behaviour, whole = FAULTS[fault]
    model = lanes.lane.model(model_type, code, **parameters)
    told = []
    for provider in lanes.both():
        lanes.lane.openai.script(behaviour)
        chunks, _, error = await streamed_by(provider, call_of(model, {"stream": True}, True))
        finished = any(choice.get("finish_reason") for chunk in chunks for choice in chunk["choices"])
        told.append((chunks, finished and not error, error))

    assert told[0] == told[1]
    assert told[0][1] is whole


@pytest.mark.parametrize(
    "change", [error_event(3, {"error": {"message": "Overloaded.", "type": "server_error", "code": None}})]
)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_error_events_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, change: Change
) -> None:
    model = lanes.lane.model(model_type, code, **parameters)
    told = []
    for provider in lanes.both():
        lanes.lane.openai.script(StreamReply(change=change))
        told.append(await streamed_by(provider, call_of(model, {"stream": True}, True)))

    assert told[0] == told[1]
    assert told[0][2] == "ProviderServerError"


@pytest.mark.parametrize(
    "reply",
    [
        openai_error(400, "Bad value.", code="invalid_value", param="temperature"),
        openai_error(
            400, "This model's maximum context length is 8192 tokens.", code="context_length_exceeded"
        ),
        openai_error(404, "The model does not exist.", code="model_not_found"),
        openai_error(429, "Slow down.", type="rate_limit_error", headers={"retry-after": "3"}),
        openai_error(503, "Overloaded.", type="server_error"),
    ],
    ids=lambda reply: str(reply.status),
)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_errors_of_plain_calls_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, reply: Behaviour
) -> None:
    model = lanes.lane.model(model_type, code, **parameters)
    told = []
    for provider in lanes.both():
        lanes.lane.openai.script(reply)
        with pytest.raises(ProxyError) as caught:
            await provider.send(call_of(model, {}, False))
        error = caught.value
        told.append((type(error), error.status, error.code, error.param, error.message, error.headers))

    assert told[0] == told[1]
