"""Both lanes speak and listen alike: one upstream sees the same, and the caller gets the same."""

import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import Json
from shared.catalog.documents import Model
from shared.errors import ProxyError
from shared.providers.calls import Call, Form, Provider, Upload
from shared.wire.wav import wav_header
from tests.contract.lanes import Lanes, open_lanes
from tests.upstreams.audio import parts_of
from tests.upstreams.behaviours import Behaviour, SoundReply
from tests.upstreams.openai import openai_error

RECORDING = wav_header(16_000, 16_000) + bytes(16_000)
TYPES = [
    ("OpenAINative", {}),
    ("OpenAICompatible", {}),
    ("AzureOpenAI", {"api_version": "2024-10-21"}),
    ("AzureOpenAI", {}),
    ("AzureFoundry", {}),
]
FORMS: dict[str, list[tuple[str, str]]] = {
    "json": [],
    "text": [("response_format", "text")],
    "vtt": [("response_format", "vtt")],
    "verbose": [("response_format", "verbose_json"), ("timestamp_granularities[]", "segment")],
    "unknown": [("unheard_of", "1"), ("include[]", "logprobs"), ("temperature", "0.5")],
}


@pytest.fixture
async def lanes() -> AsyncIterator[Lanes]:
    async with open_lanes() as both:
        yield both


def speech(model: Model, **body: Any) -> Call:
    return Call(
        "audio_tts", "audio/speech", model, {"model": "m", "input": "Hello", "voice": "alloy", **body}
    )


def heard(model: Model, path: str, fields: list[tuple[str, str]]) -> Call:
    upload = Upload("file", "speech.wav", "audio/wav", io.BytesIO(RECORDING), len(RECORDING))
    body = {name.removesuffix("[]"): value for name, value in fields}
    return Call("audio_stt", path, model, body, form=Form(tuple(fields), (upload,)))


async def downloaded(provider: Provider, call: Call) -> tuple[bytes, str, str]:
    """(what came, its type, the class of the error it ended in)."""
    chunks: list[bytes] = []
    try:
        download = await provider.download(call)
    except ProxyError as error:
        return b"", "", type(error).__name__
    try:
        async for chunk in download:
            chunks += [chunk]
    except ProxyError as error:
        return b"".join(chunks), download.content_type, type(error).__name__
    finally:
        await download.aclose()
    return b"".join(chunks), download.content_type, ""


@pytest.mark.parametrize(("model_type", "parameters"), TYPES)
async def test_speech_agrees(lanes: Lanes, model_type: str, parameters: Json) -> None:
    model = lanes.lane.model(model_type, "tts-1", **parameters)
    told = [
        await downloaded(provider, speech(model, response_format="wav", unheard_of=[1]))
        for provider in lanes.both()
    ]
    native, other = lanes.lane.openai.requests
    assert (native.path, native.query, native.body) == (other.path, other.query, other.body)
    assert told[0] == told[1]
    assert told[0][2] == ""


FAULTS: dict[str, Behaviour] = {
    "a cut": SoundReply([b"sound"], ending="cut"),
    "a short body": SoundReply([b"sound"], length=100, ending="cut"),
    "a rate limit": openai_error(429, "Slow down.", headers={"retry-after": "3"}),
    "a refused key": openai_error(401, "Incorrect API key provided."),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("model_type", "parameters"), TYPES)
async def test_faults_of_speech_agree(lanes: Lanes, model_type: str, parameters: Json, fault: str) -> None:
    model = lanes.lane.model(model_type, "tts-1", **parameters)
    told = []
    for provider in lanes.both():
        lanes.lane.openai.script(FAULTS[fault])
        told.append(await downloaded(provider, speech(model)))
    assert told[0] == told[1]
    assert told[0][2]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("path", ["audio/transcriptions", "audio/translations"])
@pytest.mark.parametrize(("model_type", "parameters"), TYPES)
async def test_transcripts_agree(
    lanes: Lanes, model_type: str, parameters: Json, path: str, form: str
) -> None:
    model = lanes.lane.model(model_type, "whisper-1", **parameters)
    answers = [await provider.send(heard(model, path, FORMS[form])) for provider in lanes.both()]
    native, other = lanes.lane.openai.requests
    assert (native.path, native.query) == (other.path, other.query)
    assert parts_of(native) == parts_of(other)
    assert answers[0] == answers[1]
