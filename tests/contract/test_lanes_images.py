"""Images down both lanes to one upstream: it sees the same, and the caller gets the same bytes and events."""

import io
from collections.abc import AsyncIterator

import pytest

from shared import Json
from shared.catalog.documents import Model
from shared.errors import ProxyError
from shared.providers.calls import Call, Form, Provider, Upload
from tests.contract.lanes import Lanes, open_lanes
from tests.upstreams.behaviours import Behaviour, Reply, StreamReply
from tests.upstreams.openai import openai_error
from tests.upstreams.pictures import asked, parts

TYPES = [
    ("OpenAINative", "gpt-image-1", {}),
    ("OpenAICompatible", "local", {}),
    ("AzureOpenAI", "pictures", {"api_version": "2025-04-01-preview"}),
    ("AzureOpenAI", "pictures", {}),
    ("AzureFoundry", "FLUX.1-Kontext-pro", {}),
]
REQUESTS: dict[str, Json] = {
    "plain": {"prompt": "A cat"},
    "address": {"prompt": "A cat", "response_format": "url", "n": 2},
    "own": {"prompt": "A cat", "size": "17x5", "style": None, "unheard_of": {"deep": [1, None]}},
}


@pytest.fixture
async def lanes() -> AsyncIterator[Lanes]:
    async with open_lanes() as both:
        yield both


def generation(model: Model, body: Json, streamed: bool = False) -> Call:
    return Call("images", "images/generations", model, {"model": "m", **body}, streamed)


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_generations_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, request_name: str
) -> None:
    model = lanes.lane.model(model_type, code, **parameters)
    answers = [await provider.send(generation(model, REQUESTS[request_name])) for provider in lanes.both()]
    native, other = lanes.lane.openai.requests

    assert (native.path, native.query) == (other.path, other.query)
    assert native.body == other.body == {"model": model.deployment, **REQUESTS[request_name]}
    assert answers[0].body == answers[1].body
    assert answers[0].usage == answers[1].usage
    assert answers[0].headers == answers[1].headers


@pytest.mark.parametrize("path", ["images/edits", "images/variations"])
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_forms_agree(lanes: Lanes, model_type: str, code: str, parameters: Json, path: str) -> None:
    model = lanes.lane.model(model_type, code, **parameters)
    fields = (("prompt", "A cat"), ("model", "m"), ("n", "2"))
    upload = Upload("image", "größe.png", "image/png", io.BytesIO(b"123"), 3)
    call = Call("images", path, model, dict(fields), form=Form(fields, (upload,)))
    answers = [await provider.send(call) for provider in lanes.both()]
    native, other = lanes.lane.openai.requests

    assert (native.path, native.query) == (other.path, other.query)
    assert parts(native) == parts(other)
    assert asked(native) == {"prompt": "A cat", "model": model.deployment, "n": "2"}
    assert answers[0].body == answers[1].body


STREAMS: dict[str, tuple[Behaviour | None, str]] = {
    "whole": (None, ""),
    "cut": (StreamReply(stop_after=1, ending="cut"), "ProviderUnreachable"),
    "refused": (openai_error(400, "Not like that."), "ProviderRefusal"),
    "no stream": (Reply({"created": 1, "data": []}), "AnsweredWhole"),
}


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_streams_agree(lanes: Lanes, model_type: str, code: str, parameters: Json, stream: str) -> None:
    behaviour, expected = STREAMS[stream]
    model = lanes.lane.model(model_type, code, **parameters)
    body = {"prompt": "A cat", "stream": True, "partial_images": 2}
    told = []
    for provider in lanes.both():
        if behaviour is not None:
            lanes.lane.openai.script(behaviour)
        told.append(await _told(provider, generation(model, body, streamed=True)))
    native, other = lanes.lane.openai.requests

    assert native.body == other.body == {"model": model.deployment, **body}
    assert told[0] == told[1]
    assert told[0][1] == expected
    assert len(told[0][0]) == {"whole": 3, "cut": 1}.get(stream, 0)


async def _told(provider: Provider, call: Call) -> tuple[list[Json], str]:
    """(events, the class of the error that ended them)."""
    chunks: list[Json] = []
    try:
        events = await provider.open(call)
        try:
            async for event in events:
                chunks.append(event.chunk)  # noqa: PERF401 (those before an error count)
        finally:
            await events.aclose()
    except ProxyError as error:
        return chunks, type(error).__name__
    return chunks, ""


@pytest.mark.parametrize(
    "reply",
    [
        openai_error(400, "Rejected.", code="moderation_blocked", param="prompt"),
        openai_error(429, "Slow down.", type="rate_limit_error", headers={"retry-after": "3"}),
        openai_error(503, "Overloaded.", type="server_error"),
        Reply(b"<html>"),
    ],
    ids=lambda reply: str(reply.status),
)
@pytest.mark.parametrize(("model_type", "code", "parameters"), TYPES)
async def test_errors_agree(
    lanes: Lanes, model_type: str, code: str, parameters: Json, reply: Behaviour
) -> None:
    model = lanes.lane.model(model_type, code, **parameters)
    told = []
    for provider in lanes.both():
        lanes.lane.openai.script(reply)
        with pytest.raises(ProxyError) as caught:
            await provider.send(generation(model, REQUESTS["plain"]))
        error = caught.value
        told.append((type(error), error.status, error.code, error.param, error.message, error.headers))

    assert told[0] == told[1]
