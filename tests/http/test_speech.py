"""Speech over the socket: relayed as it arrives, broken off where it broke off, never half of it for the whole."""

import asyncio
import base64
from typing import Any

import aiohttp
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.records import wait_for_record
from tests.proxy import Proxy, Reply
from tests.upstreams.audio import AUDIO
from tests.upstreams.behaviours import DONE, Hang, SoundReply, StreamReply, frame
from tests.upstreams.behaviours import Reply as UpstreamReply
from tests.upstreams.openai import OpenAIUpstream, openai_error

PATH = "/v1/audio/speech"


@pytest.fixture
async def voice(proxy: Proxy, upstream: OpenAIUpstream) -> Proxy:
    """The proxy with one model that speaks, for 15 USD per million characters."""
    upstream.require_key = False
    await proxy.add_model("voice", upstream.url, operations=["audio_tts"], costs={"per_1M_characters": 15.0})
    return proxy


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "voice", "input": "Hello", "voice": "alloy", **fields}


async def ask(proxy: Proxy, **fields: Any) -> Reply:
    return await proxy.call("POST", PATH, body(**fields))


async def test_the_bytes_come_as_the_provider_sent_them(voice: Proxy, upstream: OpenAIUpstream) -> None:
    reply = await ask(voice, response_format="flac", speed=1.5)
    assert reply.status == 200
    assert reply.headers["content-type"] == "audio/flac"
    assert reply.headers["x-llmproxy-model"] == "voice"
    assert reply.body == b"".join(AUDIO)
    assert upstream.requests[-1].body == body(response_format="flac", speed=1.5)
    [record] = await voice.requests()
    assert record["usage"]["characters"] == 5
    assert record["cost_usd"] == pytest.approx(5 * 15 / 1_000_000)
    assert record["time_to_first_token_ms"] > 0


async def test_sound_arrives_before_the_rest_is_made(voice: Proxy, upstream: OpenAIUpstream) -> None:
    released = asyncio.Event()
    upstream.script(SoundReply(AUDIO, released=released))
    async with voice.http.post(
        voice.url + PATH, json=body(), headers={"Authorization": f"Bearer {voice.key}"}
    ) as response:
        assert await response.content.readexactly(len(AUDIO[0])) == AUDIO[0]
        released.set()
        assert await response.read() == b"".join(AUDIO[1:])


@pytest.mark.parametrize(
    "broken",
    [SoundReply(AUDIO, ending="cut"), SoundReply(AUDIO, length=100_000, ending="cut")],
    ids=["chunks", "a promised length"],
)
async def test_half_an_answer_never_looks_whole(
    voice: Proxy, upstream: OpenAIUpstream, broken: SoundReply
) -> None:
    upstream.script(broken)
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(voice)
    record = await wait_for_record(voice, 502)
    assert record["usage"]["characters"] == 5
    assert len(upstream.requests) == 1


async def test_silence_in_the_middle_breaks_the_answer_off(voice: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(SoundReply(AUDIO, ending="stall"))
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(voice)
    assert (await wait_for_record(voice, 504))["error_code"] == "provider_timeout"
    await upstream.wait_disconnected()


async def test_a_failure_before_the_first_byte_is_tried_again(voice: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(openai_error(500, "Out of order.", type="server_error"), SoundReply([], ending="cut"))
    reply = await ask(voice)
    assert (reply.status, reply.body) == (200, b"".join(AUDIO))
    assert reply.headers["x-llmproxy-attempts"] == "3"


async def test_another_model_speaks_where_one_cannot(voice: Proxy, upstream: OpenAIUpstream) -> None:
    await voice.add_model("other", upstream.url, operations=["audio_tts"])
    upstream.script(openai_error(500, "Out of order.", type="server_error"))
    reply = await ask(voice, max_retries=0, fallbacks=["other"])
    assert reply.headers["x-llmproxy-model"] == "other"
    assert upstream.requests[-1].body == body(model="other")


async def test_a_silent_provider_is_an_error_in_json(voice: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(Hang())
    reply = await ask(voice)
    assert (reply.status, reply.error["code"]) == (504, "provider_timeout")


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        (openai_error(400, "No such voice.", code="invalid_value", param="voice"), 400, "invalid_value"),
        (UpstreamReply({"error": {"message": "Overloaded.", "type": "server_error"}}), 502, "provider_error"),
        (UpstreamReply(b"<html>hello</html>", content_type="text/html"), 502, "invalid_provider_response"),
        (UpstreamReply({"fine": True}), 502, "invalid_provider_response"),
    ],
)
async def test_what_is_no_sound_is_an_error(
    voice: Proxy, upstream: OpenAIUpstream, answer: UpstreamReply, status: int, code: str
) -> None:
    upstream.always(answer)
    reply = await ask(voice, max_retries=0)
    assert (reply.status, reply.error["code"]) == (status, code)


async def test_a_client_that_leaves_ends_the_providers_work(voice: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(SoundReply(AUDIO, ending="stall"))
    async with voice.http.post(
        voice.url + PATH, json=body(), headers={"Authorization": f"Bearer {voice.key}"}
    ) as response:
        await response.content.readany()
        response.close()
        await upstream.wait_disconnected(1.0)
    assert (await wait_for_record(voice, 499))["usage"]["characters"] == 5


async def test_a_client_that_leaves_before_the_first_byte_does_too(
    voice: Proxy, upstream: OpenAIUpstream
) -> None:
    upstream.script(Hang())
    asking = asyncio.create_task(ask(voice))
    await upstream.wait_requests(1)
    asking.cancel()
    await upstream.wait_disconnected(1.0)
    await wait_for_record(voice, 499)


async def test_events_are_relayed_as_they_are(voice: Proxy, upstream: OpenAIUpstream) -> None:
    reply = await ask(voice, stream_format="sse")
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    events = [orjson.loads(line[6:]) for line in reply.body.split(b"\n\n") if line]
    assert b"".join(base64.b64decode(event["audio"]) for event in events[:-1]) == b"".join(AUDIO)
    assert events[-1]["type"] == "speech.audio.done"
    [record] = await voice.requests()
    assert (record["usage"]["prompt_tokens"], record["usage"]["characters"]) == (14, 5)


async def test_an_end_mark_of_the_providers_is_passed_on(voice: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(StreamReply(change=lambda frames: [*frames, DONE]))
    assert (await ask(voice, stream_format="sse")).body.endswith(b"data: [DONE]\n\n")


async def test_events_that_break_off_end_with_an_error(voice: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(StreamReply(stop_after=2))
    *_, last, rest = (await ask(voice, stream_format="sse")).body.split(b"\n\n")
    assert rest == b""
    assert orjson.loads(last[6:])["error"]["code"] == "provider_error"


async def test_events_without_sound_are_tried_again(voice: Proxy, upstream: OpenAIUpstream) -> None:
    nothing = StreamReply([frame({"type": "speech.audio.delta", "audio": ""})])
    upstream.script(nothing)
    reply = await ask(voice, stream_format="sse")
    assert b"speech.audio.done" in reply.body
    assert len(upstream.requests) == 2


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"input": None}, "missing_required_parameter", "input"),
        ({"voice": None}, "missing_required_parameter", "voice"),
        ({"voice": {}}, "missing_required_parameter", "voice.id"),
        ({"input": ""}, "invalid_value", "input"),
        ({"input": ["Hello"]}, "invalid_value", "input"),
        ({"voice": 3}, "invalid_value", "voice"),
        ({"speed": "fast"}, "invalid_value", "speed"),
        ({"instructions": 1}, "invalid_value", "instructions"),
        ({"stream_format": 1}, "invalid_value", "stream_format"),
        ({"model": None}, "missing_required_parameter", "model"),
        ({"api_base": "http://x"}, "unsupported_parameter", "api_base"),
    ],
)
async def test_a_wrong_request_is_refused_by_name(
    voice: Proxy, upstream: OpenAIUpstream, fields: dict[str, Any], code: str, param: str
) -> None:
    reply = await ask(voice, **fields)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, code, param)
    assert upstream.requests == []


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"input": "x" * 4097}, "input"), ({"speed": 0.2}, "speed"), ({"speed": 4.1}, "speed")],
)
async def test_openais_ranges_hold_where_openais_api_answers(
    voice: Proxy, fields: dict[str, Any], param: str
) -> None:
    refused = await ask(voice, model="demo-speech", **fields)
    assert (refused.status, refused.error["param"]) == (400, param)
    assert (await ask(voice, **fields)).status == 200


async def test_a_voice_of_ones_own_is_an_object(voice: Proxy, upstream: OpenAIUpstream) -> None:
    assert (await ask(voice, voice={"id": "voice_123"})).status == 200
    assert upstream.requests[-1].body["voice"] == {"id": "voice_123"}


@pytest.mark.parametrize("model", ["demo-chat", "demo-transcription"])
async def test_a_model_that_does_not_speak_says_so(voice: Proxy, model: str) -> None:
    reply = await ask(voice, model=model)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (
        400,
        "unsupported_operation",
        "model",
    )


VALUES = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)
)
FIELDS = ("model", "input", "voice", "response_format", "speed", "instructions", "stream_format", "whatever")


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
@given(changed=st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4))
async def test_no_body_is_the_proxys_fault(voice: Proxy, changed: dict[str, Any]) -> None:
    reply = await ask(voice, **{"model": "demo-speech", **changed})
    assert reply.status < 500
    if reply.status >= 400:
        assert reply.error["message"]
