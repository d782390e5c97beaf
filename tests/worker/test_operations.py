"""Every function through Azure's runtime library: the examples of the reference, and what has none."""

from pathlib import Path

import orjson
import pytest

from shared.openapi.endpoint import EVENTS, JSON, Endpoint, Example
from tests.examples import WORKING, Sender, name_of
from tests.upstreams.realtime import ANSWER, RealtimeUpstream
from tests.worker.conftest import Client
from tests.worker.test_indexing import indexed, triggers

ELSEWHERE = {"azure_flavour", "realtime", "realtime_sessions"}
"""Functions without an example that works on demo models: they have tests of their own below."""
OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=offer\r\n"


@pytest.mark.parametrize(
    ("endpoint", "example"),
    [pytest.param(endpoint, example, id=name_of(endpoint, example)) for endpoint, example in WORKING],
)
async def test_an_example_is_answered(
    client: Client, admin_key: str, endpoint: Endpoint, example: Example
) -> None:
    sent = await Sender(client.session, client.app.address, admin_key).send(endpoint, example)
    assert 200 <= sent.status < 300, sent.body
    if sent.media == JSON:
        assert orjson.loads(sent.body)
    elif sent.media == EVENTS:
        assert list(sent.events())
    else:
        assert len(sent.body) > 40
    assert await client.host("/waiting") == []


async def test_every_function_is_called_here(client: Client) -> None:
    http = set(triggers(await indexed(client), "httpTrigger"))
    assert http == {endpoint.function for endpoint, _ in WORKING} | ELSEWHERE


@pytest.mark.parametrize(
    "path", ["deployments/demo-chat/chat/completions?api-version=2024-10-21", "v1/responses"]
)
@pytest.mark.parametrize("streamed", [False, True])
async def test_azures_addresses_are_answered(client: Client, path: str, streamed: bool) -> None:
    asked = {"input": "Hello", "messages": [{"role": "user", "content": "Hello"}], "stream": streamed}
    asked.pop("messages" if path.endswith("responses") else "input")
    async with client.session.post(
        f"{client.app.address}/openai/{path}", json={"model": "demo-chat", **asked}
    ) as answer:
        text = await answer.text()
        assert answer.status == 200, text
        assert answer.content_type == (EVENTS if streamed else JSON)
    assert ("data: " in text) is streamed
    assert "Hel" in text


async def test_a_realtime_session_is_opened(client: Client, tmp_path_factory: pytest.TempPathFactory) -> None:
    secrets = Path(tmp_path_factory.getbasetemp(), "local0", "secrets.json")
    secrets.write_bytes(orjson.dumps({**orjson.loads(secrets.read_bytes()), "REALTIME-KEY": "sk-realtime"}))
    async with RealtimeUpstream() as upstream:
        model = {
            "id": "voice",
            "code": "gpt-realtime",
            "provider": "OpenAI",
            "model_type": "OpenAINative",
            "operations": ["audio_realtime"],
            "parameters": {"endpoint": upstream.url, "secret_name": "REALTIME-KEY"},
        }
        status, answer = await client.post("/manage/models", model)
        assert status == 201, answer
        body = {"session": {"type": "realtime", "model": "voice"}}
        status, answer = await client.post("/v1/realtime/client_secrets", body)
        assert (status, answer["value"]) == (200, "ek_ephemeral")
        async with client.session.post(
            f"{client.app.address}/v1/realtime/calls?model=voice",
            data=OFFER,
            headers={"content-type": "application/sdp"},
        ) as called:
            assert (called.status, called.content_type) == (201, "application/sdp")
            assert await called.text() == ANSWER
            location = called.headers["location"]
        async with client.session.post(client.app.address + location + "/hangup") as ended:
            assert ended.status == 200, await ended.text()
        assert [post.path for post in upstream.posts][-1].endswith("/hangup")
        async with client.session.delete(f"{client.app.address}/manage/models/voice") as gone:
            assert gone.status == 200


async def test_a_websocket_is_refused_in_words_where_there_are_none(client: Client) -> None:
    for path in ("/v1/realtime", "/v1/audio/realtime"):
        status, answer = await client.get(path)
        assert (status, answer["error"]["code"]) == (400, "unsupported_operation")
    status, answer = await client.get("/v1/audio/realtime/sessions/none")
    assert (status, answer["error"]["code"]) == (404, "not_found")
    assert await client.host("/waiting") == []


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "/v1/images/edits", "/openai/v1/embeddings", "/nothing"]
)
async def test_a_preflight_needs_no_key(client: Client, path: str) -> None:
    headers = {
        "authorization": "",
        "origin": "https://app.example.com",
        "access-control-request-method": "POST",
    }
    async with client.session.options(client.app.address + path, headers=headers) as answer:
        assert answer.status == 204
        assert "POST" in answer.headers["allow"]
        assert await answer.read() == b""
    assert await client.host("/waiting") == []


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/models/demo-chat", "/api/models/search", "/v1/openapi.json"]
)
async def test_head_is_answered_without_a_body(client: Client, path: str) -> None:
    async with client.session.head(client.app.address + path) as answer:
        assert answer.status == 200
        assert int(answer.headers["content-length"]) > 100
        assert await answer.read() == b""
    assert await client.host("/waiting") == []
