"""Audio on the LiteLLM lane: what providers receive, what comes back, and what is said where there is no way."""

import base64
import io
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared import Json
from shared.catalog.documents import Model, parse_document
from shared.errors import InvalidProviderResponse, ProxyError, UnsupportedOperation, UnsupportedParameter
from shared.providers.calls import Call, Form, Upload
from shared.wire.wav import wav_header
from tests.unit.providers.lane import KEY, Lane, open_lane
from tests.upstreams.audio import AUDIO, HEARD, SUBTITLES, TOKENS, fields_of, file_of
from tests.upstreams.behaviours import Reply
from tests.upstreams.openai import openai_error
from tests.upstreams.samples import TEXT

SAMPLES = bytes(range(256)) * 400
RECORDING = wav_header(16_000, 16_000) + bytes(16_000)


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    async with open_lane() as running:
        yield running


def by_litellm(lane: Lane, code: str = "openai/whisper-1") -> Model:
    """A model that only LiteLLM is told about."""
    document = {
        "id": "the-model",
        "code": code,
        "provider": "LiteLLM",
        "model_type": "LiteLLM",
        "operations": ["audio_tts", "audio_stt"],
        "parameters": {"endpoint": lane.openai.url + "/v1", "secret_name": "key"},
    }
    model, _ = parse_document(document, strict=True)
    assert isinstance(model, Model)
    return model


def speech(model: Model, **body: Any) -> Call:
    given = {"model": "m", "input": "Hello", "voice": "Kore", **body}
    return Call("audio_tts", "audio/speech", model, given, body.get("stream_format") == "sse")


def transcription(model: Model, path: str = "audio/transcriptions", **body: Any) -> Call:
    upload = Upload("file", "Größe.wav", "audio/wav", io.BytesIO(RECORDING), len(RECORDING))
    fields = tuple((name, str(value)) for name, value in body.items())
    return Call("audio_stt", path, model, {"model": "m", **body}, form=Form(fields, (upload,)))


async def downloaded(lane: Lane, call: Call) -> tuple[bytes, str, tuple[str, ...]]:
    download = await lane.provider.download(call)
    try:
        return b"".join([chunk async for chunk in download]), download.content_type, download.dropped
    finally:
        await download.aclose()


async def told(lane: Lane, call: Call) -> list[Json]:
    events = await lane.provider.open(call)
    try:
        return [event.chunk async for event in events]
    finally:
        await events.aclose()


def gemini_audio(_: object = None) -> Reply:
    """Gemini's speech: raw samples in base64."""
    data = base64.b64encode(SAMPLES).decode()
    part = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": data}}
    candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
    usage = {"promptTokenCount": 2, "candidatesTokenCount": 40, "totalTokenCount": 42}
    return Reply({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-tts"})


GEMINI: list[tuple[str, Json]] = [("GoogleGemini", {}), ("GoogleVertex", {})]


@pytest.mark.parametrize(("model_type", "parameters"), GEMINI)
async def test_gemini_speaks_in_one_chat(lane: Lane, model_type: str, parameters: Json) -> None:
    lane.google.script(gemini_audio)
    model = lane.model(model_type, "gemini-2.5-flash-preview-tts", **parameters)
    audio, content_type, dropped = await downloaded(lane, speech(model, speed=2, instructions="Softly."))
    assert (audio, content_type) == (wav_header(len(SAMPLES), 24_000) + SAMPLES, "audio/wav")
    assert dropped == ("instructions", "speed")
    [received] = lane.google.requests
    assert received.path.endswith("gemini-2.5-flash-preview-tts:generateContent")
    assert received.body["contents"] == [{"role": "user", "parts": [{"text": "Hello"}]}]
    config = received.body["generationConfig"]
    voice = config["speechConfig"]["voiceConfig"]["prebuiltVoiceConfig"]
    assert (config["responseModalities"], voice) == (["AUDIO"], {"voiceName": "Kore"})
    assert KEY not in received.raw.decode()


async def test_geminis_usage_is_kept(lane: Lane) -> None:
    lane.google.script(gemini_audio)
    model = lane.model("GoogleGemini", "gemini-2.5-flash-preview-tts")
    download = await lane.provider.download(speech(model))
    assert download.usage is not None
    assert (download.usage.prompt, download.usage.completion) == (2, 40)


async def test_gemini_gives_raw_samples_and_events_too(lane: Lane) -> None:
    model = lane.model("GoogleGemini", "gemini-2.5-flash-preview-tts")
    lane.google.script(gemini_audio, gemini_audio)
    assert (await downloaded(lane, speech(model, response_format="pcm")))[:2] == (SAMPLES, "audio/pcm")
    *deltas, done = await told(lane, speech(model, response_format="pcm", stream_format="sse"))
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == SAMPLES
    assert done["usage"] == {"input_tokens": 2, "output_tokens": 40, "total_tokens": 42}


async def test_a_format_that_gemini_lacks_is_refused(lane: Lane) -> None:
    model = lane.model("GoogleGemini", "gemini-2.5-flash-preview-tts")
    with pytest.raises(UnsupportedParameter) as caught:
        await lane.provider.download(speech(model, response_format="mp3"))
    assert caught.value.param == "response_format"
    assert lane.google.requests == []


async def test_an_answer_without_sound_is_no_speech(lane: Lane) -> None:
    with pytest.raises(InvalidProviderResponse):
        await lane.provider.download(speech(lane.model("GoogleGemini", "gemini-2.5-flash-preview-tts")))


async def test_litellm_speaks_for_what_only_it_knows(lane: Lane) -> None:
    call = speech(by_litellm(lane, "openai/tts-1"), response_format="flac", unheard_of=1, speed=1.5)
    audio, content_type, dropped = await downloaded(lane, call)
    assert (audio, content_type, dropped) == (b"".join(AUDIO), "audio/flac", ("unheard_of",))
    [received] = lane.openai.requests
    assert received.path == "/v1/audio/speech"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    asked = {"model": "tts-1", "input": "Hello", "voice": "Kore", "response_format": "flac", "speed": 1.5}
    assert received.body == asked


async def test_googles_voices_speak_without_holding_up_others(lane: Lane) -> None:
    # The login is answered by the loop that asks for it: a login that held it up would never end.
    sound = wav_header(4, 24_000) + b"\1\2\3\4"
    lane.google.script(Reply({"audioContent": base64.b64encode(sound).decode()}))
    model = lane.model("GoogleVertex", "chirp")
    assert await downloaded(lane, speech(model)) == (sound, "audio/wav", ())
    [received] = lane.google.requests
    assert received.headers["authorization"].startswith("Bearer ya29.")
    assert received.body["input"] == {"text": "Hello"}
    assert b"PRIVATE KEY" not in received.raw


async def test_googles_ear_listens_without_holding_up_others(lane: Lane) -> None:
    lane.google.script(Reply({"results": [{"alternatives": [{"transcript": TEXT}]}]}))
    answer = await lane.provider.send(transcription(lane.model("GoogleVertex", "chirp_2"), language="de"))
    assert answer.content == {"text": TEXT}
    [received] = lane.google.requests
    assert received.path == "/v2/projects/some-project/locations/us-central1/recognizers/_:recognize"
    assert received.headers["authorization"].startswith("Bearer ya29.")
    assert base64.b64decode(received.body["content"]) == RECORDING
    assert b"PRIVATE KEY" not in received.raw


async def test_a_whole_file_is_told_in_events(lane: Lane) -> None:
    *deltas, done = await told(lane, speech(by_litellm(lane, "openai/tts-1"), stream_format="sse"))
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == b"".join(AUDIO)
    assert done == {"type": "speech.audio.done"}


async def test_litellm_listens_for_what_only_it_knows(lane: Lane) -> None:
    call = transcription(by_litellm(lane), language="de", temperature="0.5", chunking_strategy="auto")
    answer = await lane.provider.send(call)
    assert answer.content == {"text": TEXT}
    # LiteLLM asks this family for a verbose answer, which says how long the recording was.
    assert answer.usage is not None
    assert answer.usage.seconds == HEARD
    assert answer.dropped == ("chunking_strategy",)
    [received] = lane.openai.requests
    assert received.path == "/v1/audio/transcriptions"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    fields = dict(fields_of(received))
    assert (fields["model"], fields["language"], fields["temperature"]) == ("whisper-1", "de", "0.5")
    assert (file_of(received).filename, file_of(received).data) == ("Größe.wav", RECORDING)


async def test_reported_tokens_are_kept(lane: Lane) -> None:
    answer = await lane.provider.send(transcription(by_litellm(lane, "openai/gpt-4o-transcribe")))
    assert answer.content["text"] == TEXT
    assert answer.content["usage"]["input_tokens"] == TOKENS["input_tokens"]
    assert answer.usage is not None
    assert (answer.usage.prompt, answer.usage.completion) == (14, 9)


@pytest.mark.parametrize("wanted", SUBTITLES)
async def test_text_comes_as_text(lane: Lane, wanted: str) -> None:
    answer = await lane.provider.send(transcription(by_litellm(lane), response_format=wanted))
    assert answer.body.decode().rstrip() == SUBTITLES[wanted][0].rstrip()
    assert answer.content_type == SUBTITLES[wanted][1]


async def test_a_verbose_answer_keeps_its_segments(lane: Lane) -> None:
    call = transcription(
        by_litellm(lane), response_format="verbose_json", timestamp_granularities=["segment"]
    )
    answer = await lane.provider.send(call)
    assert answer.content["duration"] == 12.5
    assert answer.content["segments"][0]["text"] == TEXT


async def test_a_transcript_is_told_in_one_event(lane: Lane) -> None:
    [event] = await told(lane, transcription(by_litellm(lane), stream="true"))
    assert (event["type"], event["text"]) == ("transcript.text.done", TEXT)


@pytest.mark.parametrize(
    "call",
    [
        lambda lane: transcription(by_litellm(lane), "audio/translations"),
        lambda lane: transcription(lane.model("GoogleVertex", "chirp-2"), "audio/translations"),
    ],
)
async def test_there_are_no_translations_by_litellm(lane: Lane, call: Any) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        await lane.provider.send(call(lane))
    assert caught.value.param == "model"


@pytest.mark.parametrize("status", [400, 429, 500])
async def test_errors_are_the_providers_own(lane: Lane, status: int) -> None:
    lane.openai.always(openai_error(status, "Something about it."))
    for send in (lane.provider.download, lane.provider.send):
        call = speech(by_litellm(lane, "openai/tts-1"))
        if send == lane.provider.send:
            call = transcription(by_litellm(lane))
        with pytest.raises(ProxyError) as caught:
            await send(call)
        assert caught.value.status == (502 if status == 500 else status)
        assert "Something about it." in caught.value.message
        assert KEY not in caught.value.message
    assert len(lane.openai.requests) == 2


@pytest.mark.parametrize("name", ["api_key", "aws_region_name", "custom_llm_provider"])
async def test_names_of_its_own_do_not_reach_litellm(lane: Lane, name: str) -> None:
    with pytest.raises(UnsupportedParameter):
        await lane.provider.download(speech(by_litellm(lane, "openai/tts-1"), **{name: "x"}))
    with pytest.raises(UnsupportedParameter):
        await lane.provider.send(transcription(by_litellm(lane), **{name: "x"}))
    assert lane.openai.requests == []
