"""Transcriptions over the socket: forms in any order and any pieces, limits, formats, and what a call used."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import pairwise
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.wire.wav import wav_header
from tests.http.forms import TYPE, field, file, multipart
from tests.http.records import wait_for_record
from tests.proxy import Proxy, Reply, running_proxy
from tests.upstreams.audio import HEARD, SUBTITLES, TOKENS, fields_of, file_of
from tests.upstreams.behaviours import Hang, StreamReply
from tests.upstreams.behaviours import Reply as UpstreamReply
from tests.upstreams.openai import OpenAIUpstream, openai_error
from tests.upstreams.samples import TEXT

PATH = "/v1/audio/transcriptions"
RECORDING = wav_header(32_000, 16_000) + bytes(range(256)) * 125
"""A second of sound."""
SECONDS = 1.0


@pytest.fixture
async def ear(proxy: Proxy, upstream: OpenAIUpstream) -> Proxy:
    """The proxy with one model that listens, for 0.6 USD per minute."""
    upstream.require_key = False
    await add_ear(proxy, upstream)
    return proxy


async def add_ear(proxy: Proxy, upstream: OpenAIUpstream, id: str = "ear", **fields: Any) -> None:
    await proxy.add_model(id, upstream.url, operations=["audio_stt"], costs={"per_minute": 0.6}, **fields)


async def ask(proxy: Proxy, *parts: bytes, path: str = PATH, **headers: str) -> Reply:
    """A form of the model, a recording and `parts`."""
    given = [file(RECORDING), field("model", "ear"), *parts]
    return await send(proxy, given, path=path, **headers)


async def send(proxy: Proxy, parts: Sequence[bytes], path: str = PATH, **headers: str) -> Reply:
    return await proxy.call("POST", path, data=multipart(parts), headers={"Content-Type": TYPE, **headers})


async def used(proxy: Proxy) -> dict[str, Any]:
    record = (await proxy.requests())[0]
    return {"seconds": record["usage"].get("seconds", 0), "cost": record["cost_usd"]}


async def test_the_provider_gets_the_form_and_the_file_as_they_were(
    ear: Proxy, upstream: OpenAIUpstream
) -> None:
    reply = await ask(
        ear,
        field("language", "de"),
        field("include[]", "logprobs"),
        field("timestamp_granularities[]", "word"),
        field("timestamp_granularities[]", "segment"),
        field("chunking_strategy[type]", "server_vad"),
        field("unheard_of", "väl\r\nue"),
    )
    assert (reply.status, reply.json()) == (200, {"text": TEXT, "usage": TOKENS})
    [received] = upstream.requests
    assert received.path == PATH
    assert int(received.headers["content-length"]) == len(received.raw)
    assert fields_of(received) == [
        ("model", "ear"),
        ("language", "de"),
        ("include[]", "logprobs"),
        ("timestamp_granularities[]", "word"),
        ("timestamp_granularities[]", "segment"),
        ("chunking_strategy[type]", "server_vad"),
        ("unheard_of", "väl\r\nue"),
    ]
    sent = file_of(received)
    assert (sent.name, sent.filename, sent.content_type) == ("file", "speech.wav", "audio/wav")
    assert sent.data == RECORDING


@pytest.mark.parametrize("name", ["Größe 日本.wav", 'a "quoted" name.wav', "..%2fnote.wav", ""])
async def test_a_files_name_travels_on(ear: Proxy, upstream: OpenAIUpstream, name: str) -> None:
    written = name.replace('"', '\\"')
    await send(ear, [field("model", "ear"), file(RECORDING, filename=written)])
    sent = file_of(upstream.requests[-1]).filename
    assert sent is not None
    assert sent.replace('\\"', '"') == (name or "file")


@pytest.mark.parametrize("wanted", SUBTITLES)
async def test_text_comes_back_as_text(ear: Proxy, wanted: str) -> None:
    reply = await ask(ear, field("response_format", wanted))
    assert (reply.body.decode(), reply.headers["content-type"]) == SUBTITLES[wanted]
    # The provider says nothing of what it used: the upload does.
    assert await used(ear) == {"seconds": SECONDS, "cost": pytest.approx(0.01)}


async def test_a_verbose_answer_says_how_long_it_was(ear: Proxy) -> None:
    reply = await ask(ear, field("response_format", "verbose_json"))
    assert reply.json()["duration"] == HEARD
    assert await used(ear) == {"seconds": HEARD, "cost": pytest.approx(HEARD / 60 * 0.6)}


async def test_tokens_and_minutes_are_both_counted(ear: Proxy) -> None:
    await ask(ear)
    [record] = await ear.requests()
    assert (record["usage"]["prompt_tokens"], record["usage"]["completion_tokens"]) == (14, 9)
    assert (record["usage"]["seconds"], record["operation"]) == (SECONDS, "audio_stt")


async def test_a_duration_of_the_providers_wins(ear: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(UpstreamReply({"text": TEXT, "usage": {"type": "duration", "seconds": 7}}))
    await ask(ear)
    assert (await used(ear))["seconds"] == 7


async def test_translations_have_an_address_of_their_own(ear: Proxy, upstream: OpenAIUpstream) -> None:
    reply = await ask(ear, field("stream", "true"), path="/v1/audio/translations")
    assert reply.json()["text"] == TEXT
    assert upstream.requests[-1].path == "/v1/audio/translations"


async def test_a_transcript_is_streamed(ear: Proxy) -> None:
    reply = await ask(ear, field("stream", "true"))
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    *deltas, done = [orjson.loads(line[6:]) for line in reply.body.split(b"\n\n") if line]
    assert "".join(event["delta"] for event in deltas) == done["text"] == TEXT
    assert (await ear.requests())[0]["usage"]["prompt_tokens"] == 14
    assert (await used(ear))["seconds"] == SECONDS


async def test_a_provider_that_does_not_stream_is_told_in_one_event(
    ear: Proxy, upstream: OpenAIUpstream
) -> None:
    upstream.script(UpstreamReply({"text": TEXT, "usage": TOKENS}))
    reply = await ask(ear, field("stream", "true"))
    [event] = [orjson.loads(line[6:]) for line in reply.body.split(b"\n\n") if line]
    assert event == {"type": "transcript.text.done", "text": TEXT, "usage": TOKENS}


async def test_a_stream_that_breaks_off_ends_with_an_error(ear: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(StreamReply(stop_after=3, ending="cut"))
    *_, last, rest = (await ask(ear, field("stream", "true"))).body.split(b"\n\n")
    assert rest == b""
    assert orjson.loads(last[6:])["error"]["code"] == "provider_error"


async def test_each_try_gets_the_whole_file(ear: Proxy, upstream: OpenAIUpstream) -> None:
    large = wav_header(700_000, 16_000) + bytes(range(250)) * 2800
    upstream.script(openai_error(500, "Out of order.", type="server_error"))
    reply = await send(ear, [file(large), field("model", "ear")])
    assert reply.status == 200
    assert [file_of(received).data == large for received in upstream.requests] == [True, True]


async def test_defaults_of_the_catalog_count_in_forms_too(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.require_key = False
    defaults = {"language": "de", "response_format": "srt", "temperature": 0.5, "include": ["logprobs"]}
    await add_ear(proxy, upstream, parameters={"default_params": defaults})
    reply = await ask(proxy, field("language", "fr"))
    assert reply.body.decode() == SUBTITLES["srt"][0]
    assert fields_of(upstream.requests[-1]) == [
        ("model", "ear"),
        ("language", "fr"),
        ("response_format", "srt"),
        ("temperature", "0.5"),
        ("include[]", "logprobs"),
    ]


async def test_steering_is_text_in_a_form_and_stays_here(ear: Proxy, upstream: OpenAIUpstream) -> None:
    await add_ear(ear, upstream, "second")
    upstream.script(openai_error(500, "Out of order.", type="server_error"))
    steering = [field("max_retries", "0"), field("timeout", "3.5"), field("fallbacks[]", "second")]
    reply = await ask(ear, *steering)
    assert reply.headers["x-llmproxy-model"] == "second"
    assert fields_of(upstream.requests[-1]) == [("model", "second")]


@pytest.mark.parametrize(
    ("name", "value"),
    [("timeout", "soon"), ("timeout", "-1"), ("max_retries", "few"), ("max_retries", "0.5")],
)
async def test_steering_that_is_no_number_is_refused(ear: Proxy, name: str, value: str) -> None:
    reply = await ask(ear, field(name, value))
    assert (reply.status, reply.error["param"]) == (400, name)


MODEL, FILE = field("model", "ear"), file(RECORDING)
REFUSED: dict[str, tuple[list[bytes], str, str]] = {
    "no file": ([MODEL], "missing_required_parameter", "file"),
    "no model": ([FILE], "missing_required_parameter", "model"),
    "an empty file": ([MODEL, file(b"")], "invalid_value", "file"),
    "a file that is text": ([MODEL, field("file", "speech")], "invalid_value", "file"),
    "two files": ([MODEL, FILE, FILE], "invalid_value", "file"),
    "another file": ([MODEL, FILE, file(b"x", name="extra")], "invalid_value", "extra"),
    "a model in a file": ([FILE, file(b"ear", name="model")], "invalid_value", "model"),
    "two models": ([MODEL, MODEL, FILE], "invalid_value", "model"),
    "no flag": ([MODEL, FILE, field("stream", "perhaps")], "invalid_value", "stream"),
    "our credentials": ([MODEL, FILE, field("api_key", "sk-1")], "unsupported_parameter", "api_key"),
    "an address": ([MODEL, FILE, field("api_base[]", "http://x")], "unsupported_parameter", "api_base"),
    "a header": ([MODEL, FILE, field("extra_headers", "x: y")], "unsupported_parameter", "extra_headers"),
}


@pytest.mark.parametrize("case", REFUSED)
async def test_a_wrong_form_is_refused_by_name(ear: Proxy, upstream: OpenAIUpstream, case: str) -> None:
    parts, code, param = REFUSED[case]
    reply = await send(ear, parts)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, code, param)
    assert upstream.requests == []


@pytest.mark.parametrize("value", ["1.5", "-0.1", "warm", "nan"])
async def test_openais_ranges_hold_where_openais_api_answers(ear: Proxy, value: str) -> None:
    parts = [FILE, field("temperature", value)]
    refused = await send(ear, [*parts, field("model", "demo-transcription")])
    assert (refused.status, refused.error["param"]) == (400, "temperature")
    assert (await send(ear, [*parts, MODEL])).status == 200


@pytest.mark.parametrize("model", ["demo-chat", "demo-speech"])
async def test_a_model_that_does_not_listen_says_so(ear: Proxy, model: str) -> None:
    reply = await send(ear, [FILE, field("model", model)])
    assert (reply.status, reply.error["code"], reply.error["param"]) == (
        400,
        "unsupported_operation",
        "model",
    )


@pytest.mark.parametrize(
    ("type", "data"),
    [
        ("application/json", b'{"model": "ear"}'),
        ("multipart/form-data", multipart([MODEL, FILE])),
        ("multipart/form-data; boundary=another", multipart([MODEL, FILE])),
        (TYPE, b""),
        (TYPE, b"--"),
        (TYPE, multipart([b"no header", FILE])),
        (TYPE, multipart([b"Content-Disposition: form-data\r\n\r\nnameless"])),
        (TYPE, multipart([MODEL, field("prompt", "x" * 1_100_000), FILE])),
        (TYPE, multipart([MODEL, *[field("prompt", "x")] * 300, FILE])),
    ],
)
async def test_what_is_no_form_is_refused(ear: Proxy, type: str, data: bytes) -> None:
    headers = {"Authorization": f"Bearer {ear.key}", "Content-Type": type}
    async with ear.http.post(ear.url + PATH, data=sent_in([data]), headers=headers) as response:
        assert response.status == 400
        assert (await response.json())["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize("name", ["a%0D%0AX: y.wav", "tab\there.wav"])
async def test_a_name_cannot_break_out_of_its_header(ear: Proxy, upstream: OpenAIUpstream, name: str) -> None:
    head = f"Content-Disposition: form-data; name=\"file\"; filename*=UTF-8''{name}\r\n\r\n".encode()
    reply = await send(ear, [MODEL, head + RECORDING])
    if reply.status == 200:
        assert "\n" not in str(file_of(upstream.requests[-1]).filename)
    else:
        assert reply.status == 400


async def test_a_page_of_another_server_is_no_transcript(ear: Proxy, upstream: OpenAIUpstream) -> None:
    for wanted in ("json", "text"):
        upstream.script(UpstreamReply(b"<html>hello</html>", content_type="text/html"))
        reply = await ask(ear, field("response_format", wanted), field("max_retries", "0"))
        assert (reply.status, reply.error["code"]) == (502, "invalid_provider_response")


async def sent_in(pieces: Sequence[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def test_what_is_too_large_is_refused_before_it_is_read(tmp_path: Any) -> None:
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        yield multipart([MODEL])[:-4] + b"\r\n" + file(b"")
        for _ in range(1000):
            read += 1
            yield bytes(64 * 1024)

    async with running_proxy(tmp_path, max_upload_bytes=1_000_000) as proxy:
        headers = {"Authorization": f"Bearer {proxy.key}", "Content-Type": TYPE}
        async with proxy.http.post(proxy.url + PATH, data=endless(), headers=headers) as response:
            assert response.status == 413
            assert (await response.json())["error"]["code"] == "request_too_large"
        assert read < 500
        announced = await proxy.call("POST", PATH, data=multipart([file(bytes(1_000_001))]), headers=headers)
        assert announced.status == 413
        fits = await send(proxy, [file(bytes(900_000)), field("model", "demo-transcription")])
        assert fits.status == 200


async def test_a_client_that_leaves_during_the_upload_starts_nothing(
    ear: Proxy, upstream: OpenAIUpstream
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(ear.url.rsplit(":", 1)[1]))
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ear.key}\r\nContent-Type: {TYPE}\r\n"
    writer.write(f"{head}Content-Length: 5000000\r\n\r\n".encode() + multipart([MODEL, FILE])[:20_000])
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await ask(ear)).status == 200
    assert len(upstream.requests) == 1
    assert await reader.read() == b""


async def test_a_client_that_leaves_ends_the_providers_work(ear: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(Hang())
    asking = asyncio.create_task(ask(ear))
    await upstream.wait_requests(1)
    asking.cancel()
    await upstream.wait_disconnected(1.0)
    assert (await wait_for_record(ear, 499))["usage"]["seconds"] == SECONDS


async def test_a_client_that_leaves_a_stream_does_too(ear: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(StreamReply(stop_after=1, ending="stall"))
    headers = {"Authorization": f"Bearer {ear.key}", "Content-Type": TYPE}
    data = multipart([MODEL, FILE, field("stream", "true")])
    async with ear.http.post(ear.url + PATH, data=data, headers=headers) as response:
        await response.content.readany()
        response.close()
        await upstream.wait_disconnected(1.0)
    assert (await wait_for_record(ear, 499))["usage"]["seconds"] == SECONDS


QUICK = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], database=None
)
DEMO = [
    file(RECORDING, filename="ä.wav"),
    field("model", "demo-transcription"),
    field("prompt", "--a-boundary-of-the-tests\r"),
]


@QUICK
@given(
    order=st.permutations(DEMO),
    cuts=st.lists(st.one_of(st.integers(0, 400), st.integers(32_000, 32_800)), max_size=5),
)
async def test_any_order_and_any_pieces_mean_the_same(
    proxy: Proxy, order: list[bytes], cuts: list[int]
) -> None:
    whole = multipart(order)
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})
    pieces = [whole[start:end] for start, end in pairwise(edges)]
    headers = {"Authorization": f"Bearer {proxy.key}", "Content-Type": TYPE}
    async with proxy.http.post(proxy.url + PATH, data=sent_in(pieces), headers=headers) as response:
        answer = await response.json()
    assert response.status == 200, answer
    assert f"{len(RECORDING):,} bytes of WAV audio" in answer["text"]


@QUICK
@given(end=st.integers(0, 10_000))
async def test_a_form_that_is_cut_off_is_refused(proxy: Proxy, end: int) -> None:
    whole = multipart(DEMO)
    # The line break behind the last boundary may be missing.
    data = whole[: -3 - end % (len(whole) - 3)]
    reply = await proxy.call("POST", PATH, data=data, headers={"Content-Type": TYPE})
    assert reply.status == 400
    assert reply.error["message"]


@QUICK
@given(
    fields=st.lists(
        st.tuples(
            st.sampled_from(
                ["model", "file", "stream", "temperature", "language", "timeout", "response_format", "x[]"]
            ),
            st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
        ),
        max_size=4,
    ),
    content=st.binary(max_size=60),
)
async def test_no_form_is_the_proxys_fault(
    proxy: Proxy, fields: list[tuple[str, str]], content: bytes
) -> None:
    parts = [field("model", "demo-transcription"), file(content)]
    reply = await send(proxy, [*parts, *(field(name, value) for name, value in fields)])
    assert reply.status < 500
