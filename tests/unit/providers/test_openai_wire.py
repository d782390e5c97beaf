"""The native lane alone: what it sends, what it takes for an answer, and its connections."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from shared import Json
from shared.catalog.documents import Model, parse_document
from shared.errors import (
    ContentPolicyViolation,
    InvalidProviderResponse,
    ProviderRefusal,
    ProviderTimeout,
    ProviderUnavailable,
    ProviderUnreachable,
)
from shared.providers.calls import Call
from shared.providers.http_client import HttpClient
from shared.providers.openai_wire import OpenAIWire, upstream_body
from tests.unit.providers.lane import KEY, QUESTION, SomeSecrets, SomeTokens
from tests.upstreams.behaviours import DONE, Frame, HangUp, Reply, StreamReply, without_done
from tests.upstreams.openai import OpenAIUpstream, openai_error


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as running:
        yield running


@pytest.fixture
def tokens() -> SomeTokens:
    return SomeTokens()


@pytest.fixture
async def wire(tokens: SomeTokens) -> AsyncIterator[OpenAIWire]:
    wire = OpenAIWire(HttpClient(), SomeSecrets({"key": KEY}), tokens)
    yield wire
    await wire.close()


def model_at(endpoint: str, model_type: str = "OpenAICompatible", **parameters: Any) -> Model:
    provider = {"AzureOpenAI": "Azure", "AzureFoundry": "Azure", "OpenAINative": "OpenAI"}.get(model_type)
    if parameters.get("auth") is None:
        parameters.setdefault("secret_name", "key")
    model, _ = parse_document(
        {
            "id": "the model/1",
            "code": "code-of-it",
            "provider": provider or model_type,
            "model_type": model_type,
            "operations": ["ChatCompletion"],
            "parameters": {"endpoint": endpoint, **parameters},
        },
        strict=True,
    )
    assert isinstance(model, Model)
    return model


def call_of(
    model: Model, *, streamed: bool = False, headers: dict[str, str] | None = None, **body: Any
) -> Call:
    content = {"model": model.id, "messages": QUESTION, **({"stream": True} if streamed else {}), **body}
    return Call("ChatCompletion", "chat/completions", model, content, streamed, headers or {})


async def read(wire: OpenAIWire, call: Call) -> tuple[list[Json], bool]:
    """(chunks, whether the provider ended the stream by its own mark); raises what it raises."""
    events = await wire.open(call)
    try:
        return [event.chunk async for event in events], events.done
    finally:
        await events.aclose()


# What it sends


def test_only_the_model_is_replaced_and_what_was_absent_stays_absent() -> None:
    body = {
        "model": "the model/1",
        "messages": [{"role": "user", "content": None, "odd": [1, {"deep": None}]}],
        "temperature": None,
        "unheard_of": {"ä": "\u2028"},
        "big": 2**63,
    }
    call = Call("ChatCompletion", "chat/completions", model_at("https://x.example.com"), body)
    assert orjson.loads(upstream_body(call)) == {**body, "model": "code-of-it"}
    assert call.body["model"] == "the model/1", "tries share the body: nobody may change it"


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, {"include_usage": True}),
        ({"stream_options": {"include_usage": False}}, {"include_usage": True}),
        (
            {"stream_options": {"include_obfuscation": False}},
            {"include_obfuscation": False, "include_usage": True},
        ),
    ],
)
def test_usage_is_always_asked_of_a_stream(written: Json, sent: Json) -> None:
    model = model_at("https://x.example.com")
    body = orjson.loads(upstream_body(call_of(model, streamed=True, **written)))
    assert body["stream_options"] == sent
    plain = orjson.loads(upstream_body(call_of(model, **written)))
    assert plain.get("stream_options") == written.get("stream_options")


def test_a_server_that_refuses_stream_options_is_sent_the_clients_own() -> None:
    model = model_at("https://x.example.com", stream_usage=False)
    assert "stream_options" not in orjson.loads(upstream_body(call_of(model, streamed=True)))
    asked = call_of(model, streamed=True, stream_options={"include_usage": True})
    assert orjson.loads(upstream_body(asked))["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("model_type", "name", "value"),
    [
        ("OpenAICompatible", "authorization", f"Bearer {KEY}"),
        ("OpenAINative", "authorization", f"Bearer {KEY}"),
        ("AzureOpenAI", "api-key", KEY),
        ("AzureFoundry", "api-key", KEY),
    ],
)
async def test_the_credential_stands_in_one_header(
    wire: OpenAIWire, upstream: OpenAIUpstream, model_type: str, name: str, value: str
) -> None:
    await wire.send(call_of(model_at(upstream.url, model_type)))
    headers = upstream.requests[0].headers
    assert headers[name] == value
    assert sum(KEY in text for text in headers.values()) == 1
    assert KEY not in upstream.requests[0].raw.decode()
    assert "python" not in headers["user-agent"].lower()


async def test_no_header_of_a_client_or_of_the_catalog_takes_the_credentials_place(
    wire: OpenAIWire, upstream: OpenAIUpstream
) -> None:
    model = model_at(
        upstream.url, extra_headers={"x-team": "search", "OpenAI-Beta": "catalog", "User-Agent": "ours"}
    )
    forwarded = {"openai-beta": "client", "authorization": "Bearer of-the-client"}
    await wire.send(call_of(model, headers=forwarded))
    headers = upstream.requests[0].headers
    assert headers.getall("authorization") == [f"Bearer {KEY}"]
    assert headers["x-team"] == "search"
    assert headers.getall("openai-beta") == ["catalog"]
    assert headers.getall("user-agent") == ["ours"]


async def test_the_identitys_token_goes_to_azures_hosts_only(wire: OpenAIWire, tokens: SomeTokens) -> None:
    """The catalog refuses other hosts; a document that slipped past it is refused again at the call."""
    good = model_at("https://some.openai.azure.com", "AzureOpenAI", auth="managed_identity")
    foreign = good.parameters.model_copy(update={"endpoint": "https://openai.azure.com.example.com"})
    for endpoint in (
        foreign.endpoint,
        "http://some.openai.azure.com",
        "https://x@some.openai.azure.com",
        None,
    ):
        parameters = good.parameters.model_copy(update={"endpoint": endpoint})
        with pytest.raises(ProviderUnavailable, match="identity"):
            await wire.send(call_of(good.model_copy(update={"parameters": parameters})))
    assert tokens.scopes == [], "no token was even asked for"


async def test_a_missing_secret_is_the_models_trouble_and_sends_nothing(
    wire: OpenAIWire, upstream: OpenAIUpstream
) -> None:
    with pytest.raises(ProviderUnavailable, match="does not exist") as caught:
        await wire.send(call_of(model_at(upstream.url, secret_name="ABSENT")))
    assert caught.value.code == "provider_unavailable"
    assert not upstream.requests


# What it takes for an answer


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"choices": [', b'"text"'])
async def test_what_is_no_json_object_is_no_answer(
    wire: OpenAIWire, upstream: OpenAIUpstream, body: bytes
) -> None:
    upstream.script(Reply(body, content_type="application/json"))
    with pytest.raises(InvalidProviderResponse):
        await wire.send(call_of(model_at(upstream.url)))


async def test_an_answers_bytes_arrive_as_they_are(wire: OpenAIWire, upstream: OpenAIUpstream) -> None:
    body = b'{ "choices":[], "x" : 1.0e2, "usage": {"prompt_tokens": 3, "completion_tokens": 4} }'
    upstream.script(Reply(body, headers={"x-ratelimit-remaining-tokens": "9"}))
    answer = await wire.send(call_of(model_at(upstream.url)))
    assert answer.body == body
    assert answer.usage is not None
    assert (answer.usage.prompt, answer.usage.completion) == (3, 4)
    assert answer.headers == {"x-upstream-ratelimit-remaining-tokens": "9"}


async def test_an_error_under_a_status_of_200_is_an_error(wire: OpenAIWire, upstream: OpenAIUpstream) -> None:
    upstream.script(Reply({"error": {"message": f"no {KEY}", "code": "content_filter"}}))
    with pytest.raises(ContentPolicyViolation) as caught:
        await wire.send(call_of(model_at(upstream.url)))
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "content_type",
    [
        "text/event-stream",
        "text/event-stream; charset=utf-8",
        "Text/Event-Stream;charset=UTF-8",
        "text/event-stream;",
    ],
)
async def test_a_stream_is_known_by_its_type_however_it_is_written(
    wire: OpenAIWire, upstream: OpenAIUpstream, content_type: str
) -> None:
    upstream.script(StreamReply(content_type=content_type))
    chunks, done = await read(wire, call_of(model_at(upstream.url), streamed=True))
    assert done
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"


@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "text/html; charset=utf-8"])
async def test_an_answer_of_another_type_is_no_stream(
    wire: OpenAIWire, upstream: OpenAIUpstream, content_type: str
) -> None:
    upstream.script(Reply(b'{"choices": []}', content_type=content_type))
    with pytest.raises(InvalidProviderResponse, match="without a stream"):
        await wire.open(call_of(model_at(upstream.url), streamed=True))


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("slices", [None, 1, 7])
async def test_events_are_the_same_however_the_bytes_are_cut(
    wire: OpenAIWire, upstream: OpenAIUpstream, line_end: str, slices: int | None
) -> None:
    call = call_of(model_at(upstream.url), streamed=True)
    expected = await read(wire, call)
    upstream.script(StreamReply(line_end=line_end, slices=slices, comments=True, split_data=True))
    assert await read(wire, call) == expected
    assert expected[1]


@pytest.mark.parametrize("data", ["{", "[1]", '"text"', "null", "no json"])
async def test_an_event_that_is_no_object_is_an_error(
    wire: OpenAIWire, upstream: OpenAIUpstream, data: str
) -> None:
    upstream.script(StreamReply([Frame(data), DONE]))
    with pytest.raises(InvalidProviderResponse):
        await read(wire, call_of(model_at(upstream.url), streamed=True))


async def test_an_error_event_is_an_error_without_the_credential(
    wire: OpenAIWire, upstream: OpenAIUpstream
) -> None:
    told = json.dumps({"error": {"message": f"slow down {KEY}", "code": "rate_limit_exceeded"}})
    upstream.script(StreamReply([Frame(told)]))
    with pytest.raises(ProviderRefusal) as caught:
        await read(wire, call_of(model_at(upstream.url), streamed=True))
    assert caught.value.status == 429
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("stop_after", [0, 1, 3])
async def test_a_cut_stream_raises_and_a_short_one_says_that_it_did_not_end(
    wire: OpenAIWire, upstream: OpenAIUpstream, stop_after: int
) -> None:
    call = call_of(model_at(upstream.url), streamed=True)
    upstream.script(StreamReply(stop_after=stop_after, ending="cut"))
    with pytest.raises(ProviderUnreachable, match="broke off"):
        await read(wire, call)
    upstream.script(StreamReply(stop_after=stop_after))
    chunks, done = await read(wire, call)
    assert (len(chunks), done) == (stop_after, False)
    upstream.script(StreamReply(change=without_done))
    chunks, done = await read(wire, call)
    assert chunks
    assert not done


async def test_an_answer_that_breaks_off_is_unreachable(wire: OpenAIWire, upstream: OpenAIUpstream) -> None:
    upstream.script(Reply(b'{"choices"', headers={"content-length": "500"}, hang_up=True))
    with pytest.raises(ProviderUnreachable):
        await wire.send(call_of(model_at(upstream.url)))


# Connections


async def test_finished_answers_errors_and_streams_give_their_connection_back(
    wire: OpenAIWire, upstream: OpenAIUpstream
) -> None:
    model = model_at(upstream.url)
    for _ in range(3):
        await wire.send(call_of(model))
        await read(wire, call_of(model, streamed=True))
        upstream.script(openai_error(429, "slow"))
        with pytest.raises(ProviderRefusal):
            await wire.send(call_of(model))
        upstream.script(openai_error(400, "no"))
        with pytest.raises(ProviderRefusal):
            await wire.open(call_of(model, streamed=True))
        await wire.probe(model)
    assert upstream.connections == 1


async def test_a_stream_that_is_left_early_drops_its_connection_at_once(
    wire: OpenAIWire, upstream: OpenAIUpstream
) -> None:
    model = model_at(upstream.url)
    upstream.script(StreamReply(stop_after=2, ending="stall"))
    events = await wire.open(call_of(model, streamed=True))
    async for _ in events:
        break
    await events.aclose()
    async with asyncio.timeout(2):
        await upstream.requests[0].disconnected.wait()
    await wire.send(call_of(model))
    assert upstream.connections == 2


async def test_a_reused_connection_that_turns_out_closed_is_free_of_charge(
    wire: OpenAIWire, upstream: OpenAIUpstream
) -> None:
    model = model_at(upstream.url)
    await wire.send(call_of(model))
    upstream.script(HangUp())
    await wire.send(call_of(model))
    assert len(upstream.requests) == 3


async def test_several_closed_connections_are_all_passed_over(
    wire: OpenAIWire, upstream: OpenAIUpstream
) -> None:
    model = model_at(upstream.url)
    released = asyncio.Event()
    upstream.script(*[StreamReply(hold_after=0, released=released)] * 4)
    reading = [asyncio.create_task(read(wire, call_of(model, streamed=True))) for _ in range(4)]
    await upstream.wait_requests(4)
    released.set()
    await asyncio.gather(*reading)
    assert upstream.connections == 4
    upstream.script(*[HangUp()] * 4)
    await wire.send(call_of(model))
    assert len(upstream.requests) == 9


async def test_a_fresh_connection_that_is_closed_is_not_tried_again(
    wire: OpenAIWire, upstream: OpenAIUpstream
) -> None:
    upstream.script(HangUp())
    with pytest.raises(ProviderUnreachable):
        await wire.send(call_of(model_at(upstream.url)))
    assert len(upstream.requests) == 1


async def test_a_refused_connection_is_unreachable_and_names_no_address(wire: OpenAIWire) -> None:
    with pytest.raises(ProviderUnreachable) as caught:
        await wire.send(call_of(model_at("http://127.0.0.1:1")))
    assert "127.0.0.1" not in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_machine_that_does_not_take_the_connection_is_a_timeout(wire: OpenAIWire) -> None:
    """The backlog of one is full, so that further connections wait for ever."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        address = listener.getsockname()
        waiting = []
        try:
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(address)
                waiting.append(client)
            model = model_at(f"http://127.0.0.1:{address[1]}")
            call = call_of(model)
            with pytest.raises(ProviderTimeout, match="connected"):
                await wire.send(Call(call.operation, call.path, model, call.body, connect_timeout=0.1))
        finally:
            for client in waiting:
                client.close()


async def test_calls_of_several_models_at_once_carry_each_its_own_credential(
    upstream: OpenAIUpstream, tokens: SomeTokens
) -> None:
    secrets = SomeSecrets({f"key-{number}": f"fake-key-of-model-{number:02}" for number in range(10)})
    wire = OpenAIWire(HttpClient(), secrets, tokens)
    models = [model_at(upstream.url, secret_name=f"key-{number}") for number in range(10)]
    await asyncio.gather(
        *(wire.send(call_of(models[turn % 10], user=f"{turn % 10:02}")) for turn in range(100))
    )
    await wire.close()
    for request in upstream.requests:
        assert request.headers["authorization"] == f"Bearer fake-key-of-model-{request.body['user']}"


# Signs of life


@pytest.mark.parametrize("status", [404, 405])
async def test_a_compatible_server_without_a_list_of_models_is_alive(
    wire: OpenAIWire, upstream: OpenAIUpstream, status: int
) -> None:
    upstream.script(openai_error(status, "no such address"))
    assert await wire.probe(model_at(upstream.url))
    upstream.script(openai_error(status, "no such address"))
    with pytest.raises(ProviderRefusal):
        await wire.probe(model_at(upstream.url, "AzureOpenAI"))


async def test_a_call_writes_nothing_to_the_log(
    wire: OpenAIWire, upstream: OpenAIUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await wire.send(call_of(model_at(upstream.url)))
    assert not [record for record in caplog.records if KEY in record.getMessage()]
