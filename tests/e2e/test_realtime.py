"""The official clients' realtime, over a socket: against the demo model, and against a provider that speaks it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI, OpenAI
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.e2e.local_host import local_host
from tests.proxy import Proxy
from tests.realtime import SECRET, realtime_proxy
from tests.upstreams.realtime import ANSWER, RealtimeUpstream

OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=offer\r\n"
HELLO: Any = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello there"}]}


@pytest.fixture
async def upstream() -> AsyncIterator[RealtimeUpstream]:
    async with RealtimeUpstream() as running:
        yield running


@pytest.fixture
async def proxy(tmp_path: Path, upstream: RealtimeUpstream) -> AsyncIterator[Proxy]:
    async with realtime_proxy(tmp_path, upstream) as running:
        yield running


@pytest.fixture
async def openai(proxy: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=proxy.url + "/v1", api_key=proxy.key, max_retries=0) as client:
        yield client


@pytest.mark.parametrize("model", ["demo-realtime", "voice", "azure-voice", "dated-voice"])
async def test_a_conversation_over_the_websocket(openai: AsyncOpenAI, proxy: Proxy, model: str) -> None:
    async with openai.realtime.connect(model=model) as connection:
        assert (await connection.recv()).type == "session.created"
        await connection.conversation.item.create(item=HELLO)
        await connection.response.create()
        said, used = "", None
        async for event in connection:
            if event.type == "response.output_text.delta":
                said += event.delta
            elif event.type == "response.done":
                used = event.response.usage
                break
    assert used is not None
    assert used.output_tokens
    assert ("Hello there" in said) if model == "demo-realtime" else (said == "Good day")


# OpenAI's client connects in a way that its library of WebSockets would rather not see any more.
@pytest.mark.filterwarnings("ignore:connect.. must be used as a context manager:DeprecationWarning")
async def test_the_synchronous_client_talks_too(proxy: Proxy) -> None:
    def talk() -> list[str]:
        with (
            OpenAI(base_url=proxy.url + "/v1", api_key=proxy.key) as client,
            client.realtime.connect(model="demo-realtime") as connection,
        ):
            connection.session.update(session={"type": "realtime", "instructions": "Be short."})
            connection.input_audio_buffer.append(audio="AAAA" * 16_000)
            connection.input_audio_buffer.commit()
            connection.response.create()
            seen: list[str] = []
            for event in connection:
                seen.append(event.type)
                if event.type == "response.output_text.done":
                    assert "1.0 seconds of audio" in event.text
                if event.type == "response.done":
                    return seen
            return seen

    seen = await asyncio.to_thread(talk)
    assert seen[:3] == ["session.created", "session.updated", "input_audio_buffer.committed"]
    assert seen[-1] == "response.done"


async def test_azures_client_connects_by_deployment(proxy: Proxy, upstream: RealtimeUpstream) -> None:
    address = proxy.url.replace("http", "ws") + "/openai"
    async with (
        AsyncAzureOpenAI(
            azure_endpoint=proxy.url,
            websocket_base_url=address,
            api_key=proxy.key,
            api_version="2024-10-01-preview",
        ) as client,
        client.beta.realtime.connect(model="dated-voice") as connection,
    ):
        assert (await connection.recv()).type == "session.created"
    assert upstream.connections[0].query["deployment"] == "dep"
    assert upstream.connections[0].headers["api-key"] == SECRET


async def test_a_refused_client_sees_status_and_envelope(openai: AsyncOpenAI, proxy: Proxy) -> None:
    with pytest.raises(InvalidStatus) as raised:
        async with openai.realtime.connect(model="nothing"):
            pass
    assert raised.value.response.status_code == 404
    assert b"model_not_found" in raised.value.response.body


async def test_client_secrets_sessions_and_calls(openai: AsyncOpenAI, upstream: RealtimeUpstream) -> None:
    secret = await openai.realtime.client_secrets.create(session={"type": "realtime", "model": "voice"})
    assert secret.value == "ek_ephemeral"
    beta = await openai.beta.realtime.sessions.create(model="voice")  # type: ignore[arg-type]
    assert beta.client_secret.value == "ek_ephemeral"
    call = await openai.realtime.calls.create(sdp=OFFER, session={"type": "realtime", "model": "voice"})
    assert call.text == ANSWER
    id = call.response.headers["location"].rpartition("/")[2]
    await openai.realtime.calls.refer(id, target_uri="tel:+14155550123")
    await openai.realtime.calls.hangup(id)
    assert [posted.path.rpartition("/")[2] for posted in upstream.posts] == [
        "client_secrets",
        "sessions",
        "calls",
        "refer",
        "hangup",
    ]


async def test_azures_client_opens_sessions_by_both_generations(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    async with AsyncAzureOpenAI(
        azure_endpoint=proxy.url, api_key=proxy.key, api_version="2025-04-01-preview"
    ) as client:
        secret = await client.realtime.client_secrets.create(
            session={"type": "realtime", "model": "dated-voice"}
        )
    async with AsyncOpenAI(base_url=proxy.url + "/openai/v1", api_key=proxy.key) as v1:
        other = await v1.realtime.client_secrets.create(session={"type": "realtime", "model": "azure-voice"})
    assert (secret.value, other.value) == ("ek_ephemeral", "ek_ephemeral")
    assert {posted.path for posted in upstream.posts} == {"/openai/v1/realtime/client_secrets"}


def test_no_key_that_a_client_sends_with_its_handshake_is_in_the_log(tmp_path: Path) -> None:
    with local_host(tmp_path / "local", LLMPROXY_LOG_LEVEL="debug") as host:
        address = host.url.replace("http", "ws") + "/v1/realtime?model=demo-realtime"
        subprotocols: Any = ["realtime", f"openai-insecure-api-key.{host.key}"]
        for query, options in (
            (f"&api-key={host.key}", {}),
            ("", {"subprotocols": subprotocols}),
            ("", {"additional_headers": {"api-key": host.key}}),
        ):
            with connect(address + query, **options) as client:
                assert "session.created" in client.recv()
        key, log = host.key, host.log
        assert host.call("GET", "/v1/audio/realtime/sessions/none")[0] == 404
        assert host.end(signal.SIGTERM)[0] == 0
    written = log.read_text()
    assert "audio_realtime" in written
    assert key not in written
    # What looks like a key is taken out of every line; a handshake is not even one.
    assert "[accepted]" not in written
    assert "insecure-api-key" not in written
