"""Audio through the official clients: every format, path and bytes and tuple, plain and streamed, sync and async."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
from openai.types.audio import (
    Transcription,
    TranscriptionDiarized,
    TranscriptionTextDoneEvent,
    TranscriptionVerbose,
)

from shared.wire.wav import wav_header
from tests.e2e.targets import SECRET, TARGETS, Target
from tests.e2e.test_upstreams import assert_addressed
from tests.e2e.world import World, running_world
from tests.upstreams.audio import AUDIO, SUBTITLES, fields_of, file_of
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.samples import TEXT

pytestmark = pytest.mark.asyncio(loop_scope="module")

RECORDING = wav_header(16_000, 16_000) + bytes(16_000)


def model_of(target: Target) -> str:
    return f"{target.name}-audio"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The proxy with a model that speaks and listens for each way of calling a provider."""
    async with running_world(tmp_path_factory.mktemp("audio")) as running:
        for target in TARGETS:
            document = {
                **target.document(running.upstream.url),
                "id": model_of(target),
                "operations": ["audio_tts", "audio_stt"],
            }
            reply = await running.proxy.call("POST", "/manage/models", document)
            assert reply.status == 201, reply.body
        yield running


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "Größe.wav"
    path.write_bytes(RECORDING)
    return path


async def test_speech_goes_to_the_providers_own_address(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    spoken = await openai.audio.speech.create(
        model=model_of(target), voice="alloy", input="Hello", response_format="opus", instructions="Softly."
    )
    assert spoken.content == b"".join(AUDIO)
    assert spoken.response.headers["content-type"] == "audio/ogg"
    [received] = upstream.requests
    assert_addressed(received, target, "audio/speech")
    assert received.body == {
        "model": target.model_sent,
        "voice": "alloy",
        "input": "Hello",
        "response_format": "opus",
        "instructions": "Softly.",
    }


async def test_speech_is_streamed_in_bytes(openai: AsyncOpenAI, target: Target) -> None:
    async with openai.audio.speech.with_streaming_response.create(
        model=model_of(target), voice="alloy", input="Hello"
    ) as response:
        assert response.headers["content-type"] == "audio/mpeg"
        assert b"".join([chunk async for chunk in response.iter_bytes()]) == b"".join(AUDIO)


@pytest.mark.parametrize("model", ["demo-speech", *(f"{target.name}-audio" for target in TARGETS)])
async def test_speech_is_streamed_in_events(openai: AsyncOpenAI, model: str) -> None:
    async with openai.audio.speech.with_streaming_response.create(
        model=model, voice="alloy", input="Hello there", stream_format="sse"
    ) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        lines = [line async for line in response.iter_lines() if line.startswith("data: {")]
    *deltas, done = [orjson.loads(line[6:]) for line in lines]
    assert all(base64.b64decode(delta["audio"], validate=True) for delta in deltas)
    assert (done["type"], done["usage"]["total_tokens"] > 0) == ("speech.audio.done", True)


@pytest.mark.parametrize("operation", ["transcriptions", "translations"])
async def test_a_recording_goes_to_the_providers_own_address(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target, operation: str, file: Path
) -> None:
    create: Callable[..., Any] = getattr(openai.audio, operation).create
    answer = await create(model=model_of(target), file=file, prompt="Hm.", temperature=0.2)
    assert answer.text == TEXT
    [received] = upstream.requests
    assert_addressed(received, target, f"audio/{operation}")
    assert sorted(fields_of(received)) == [
        ("model", target.model_sent),
        ("prompt", "Hm."),
        ("temperature", "0.2"),
    ]
    sent = file_of(received)
    assert (sent.filename, sent.data) == (file.name, RECORDING)
    assert SECRET.encode() not in received.raw


@pytest.mark.parametrize("model", ["demo-transcription", *(f"{target.name}-audio" for target in TARGETS)])
async def test_every_format_is_parsed(openai: AsyncOpenAI, model: str) -> None:
    create: Callable[..., Any] = openai.audio.transcriptions.create
    for wanted in ("json", "text", "srt", "vtt", "verbose_json"):
        answer = await create(
            model=model,
            file=("speech.wav", RECORDING),
            response_format=wanted,
            timestamp_granularities=["segment"],
        )
        if wanted in SUBTITLES:
            assert isinstance(answer, str)
            assert ("-->" in answer) == (wanted != "text")
        elif wanted == "verbose_json":
            assert isinstance(answer, TranscriptionVerbose)
            assert answer.duration > 0
            assert answer.segments
        else:
            assert answer.text


async def test_speakers_are_told_apart(openai: AsyncOpenAI) -> None:
    create: Callable[..., Any] = openai.audio.transcriptions.create
    answer = await create(
        model="demo-transcription", file=RECORDING, response_format="diarized_json", chunking_strategy="auto"
    )
    assert isinstance(answer, TranscriptionDiarized)
    assert {segment.speaker for segment in answer.segments} == {"A"}


async def test_bytes_without_a_name_are_taken(openai: AsyncOpenAI) -> None:
    answer = await openai.audio.transcriptions.create(
        model="demo-transcription", file=RECORDING, include=["logprobs"]
    )
    assert isinstance(answer, Transcription)
    assert "0.50 seconds" in answer.text
    assert answer.logprobs


@pytest.mark.parametrize("model", ["demo-transcription", *(f"{target.name}-audio" for target in TARGETS)])
async def test_a_transcript_is_streamed(openai: AsyncOpenAI, model: str) -> None:
    stream = await openai.audio.transcriptions.create(model=model, file=("a.wav", RECORDING), stream=True)
    events = [event async for event in stream]
    last = events[-1]
    assert isinstance(last, TranscriptionTextDoneEvent)
    assert "".join(getattr(event, "delta", "") for event in events) == last.text
    assert last.usage is not None


def _plainly(client: OpenAI | AzureOpenAI, model: str, file: Path) -> tuple[bytes, str, str, str]:
    spoken = client.audio.speech.create(model=model, voice="alloy", input="Hello")
    with client.audio.speech.with_streaming_response.create(
        model=model, voice="alloy", input="Hello"
    ) as response:
        streamed = b"".join(response.iter_bytes())
    assert streamed == spoken.content
    heard = client.audio.transcriptions.create(model=model, file=file)
    translated = client.audio.translations.create(model=model, file=file)
    *_, last = client.audio.transcriptions.create(model=model, file=file, stream=True)
    assert isinstance(last, TranscriptionTextDoneEvent)
    return spoken.content, heard.text, translated.text, last.text


async def test_the_sync_clients_do_the_same(world: World, file: Path) -> None:
    model = model_of(TARGETS[0])
    clients = [
        world.sync_client(),
        world.sync_azure_client(),
        world.sync_azure_client(base_url=world.proxy.url + "/openai/v1"),
    ]
    for client in clients:
        with client:
            told = await asyncio.to_thread(_plainly, client, model, file)
        assert told == (b"".join(AUDIO), TEXT, TEXT, TEXT)


async def _all_three(client: AsyncAzureOpenAI, model: str, file: Path) -> None:
    spoken = await client.audio.speech.create(model=model, voice="alloy", input="Hello")
    assert spoken.content == b"".join(AUDIO)
    assert (await client.audio.transcriptions.create(model=model, file=file)).text == TEXT
    assert (await client.audio.translations.create(model=model, file=file)).text == TEXT


@pytest.mark.parametrize("path", ["", "/openai/v1"])
async def test_azures_client_reaches_them_by_deployment_and_by_v1(
    world: World, upstream: OpenAIUpstream, file: Path, path: str
) -> None:
    options = {"base_url": world.proxy.url + path} if path else {}
    async with world.azure_client(**options) as client:
        await _all_three(client, model_of(TARGETS[0]), file)
    assert [received.path.rsplit("/", 1)[1] for received in upstream.requests] == [
        "speech",
        "transcriptions",
        "translations",
    ]


async def test_the_deployment_of_an_azure_path_wins(world: World, upstream: OpenAIUpstream) -> None:
    async with world.azure_client() as client:
        await client.post(
            f"/deployments/{model_of(TARGETS[0])}/audio/transcriptions",
            cast_to=object,
            body={"model": "another"},
            files={"file": ("a.wav", RECORDING)},
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )
    assert fields_of(upstream.requests[-1]) == [("model", TARGETS[0].model_sent)]
