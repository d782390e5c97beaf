"""The realtime WebSocket of the local host: who gets in, what the provider sees, and how sessions end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType, web

from tests.proxy import Proxy
from tests.realtime import AZURE_VERSION, SECRET, realtime_proxy, refused, socket
from tests.upstreams.realtime import Connection, RealtimeUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[RealtimeUpstream]:
    async with RealtimeUpstream() as running:
        yield running


@pytest.fixture
async def proxy(tmp_path: Path, upstream: RealtimeUpstream) -> AsyncIterator[Proxy]:
    async with realtime_proxy(tmp_path, upstream) as running:
        yield running


async def ended(proxy: Proxy) -> Any:
    """The record of the last session, once it is there."""
    async with asyncio.timeout(5):
        while not (records := [r for r in await proxy.requests() if r["operation"] == "audio_realtime"]):
            await asyncio.sleep(0.01)
    return records[0]


@pytest.mark.parametrize(
    "path", ["/v1/realtime", "/v1/audio/realtime", "/openai/v1/realtime", "/v1/realtime/"]
)
async def test_a_session_is_relayed_both_ways(proxy: Proxy, upstream: RealtimeUpstream, path: str) -> None:
    async with socket(proxy, f"{path}?model=voice") as client:
        assert (await client.receive_json())["type"] == "session.created"
        await client.send_json({"type": "response.create"})
        events = [await client.receive_json() for _ in range(3)]
        assert [event.get("delta") for event in events] == ["Good", " day", None]
        await client.send_bytes(b"\x00\xff" * 10)
        assert await client.receive_bytes() == b"\x00\xff" * 10
    connection = await upstream.connected()
    assert (connection.path, connection.query) == ("/v1/realtime", {"model": "gpt-realtime"})
    assert connection.headers["authorization"] == f"Bearer {SECRET}"
    assert connection.events == [{"type": "response.create"}]


@pytest.mark.parametrize(
    ("model", "path", "query"),
    [
        ("azure-voice", "/openai/v1/realtime", {"model": "dep"}),
        ("dated-voice", "/openai/realtime", {"api-version": AZURE_VERSION, "deployment": "dep"}),
    ],
)
async def test_azure_is_asked_at_its_own_addresses(
    proxy: Proxy, upstream: RealtimeUpstream, model: str, path: str, query: dict[str, str]
) -> None:
    async with socket(proxy, f"/openai/realtime?api-version=2024-10-01-preview&deployment={model}") as client:
        await client.receive_json()
    connection = await upstream.connected()
    assert (connection.path, connection.query) == (path, query)
    assert connection.headers["api-key"] == SECRET
    assert "authorization" not in connection.headers


async def test_a_key_comes_in_a_header_a_subprotocol_or_the_query(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    key = await proxy.add_key()
    path = "/v1/realtime?model=voice"
    ways: tuple[dict[str, Any], ...] = (
        {"headers": {"Authorization": f"Bearer {key}"}},
        {"headers": {"api-key": key}},
        {"headers": {"X-API-Key": key}},
        {"protocols": ["realtime", f"openai-insecure-api-key.{key}", "openai-beta.realtime-v1"]},
        {"path": f"{path}&api-key={key}"},
    )
    for options in ways:
        async with socket(proxy, **{"path": path, "key": None, **options}) as client:
            assert (await client.receive_json())["type"] == "session.created"
            assert client.protocol == ("realtime" if "protocols" in options else None)
    for connection in upstream.connections:
        assert connection.headers["authorization"] == f"Bearer {SECRET}"
        assert "sec-websocket-protocol" not in connection.headers
        assert key not in f"{connection.headers} {connection.query}"
    assert upstream.connections[3].headers["openai-beta"] == "realtime=v1"


async def test_only_known_parts_of_the_query_travel_on(proxy: Proxy, upstream: RealtimeUpstream) -> None:
    path = "/v1/realtime?model=voice&intent=transcription&api_base=http://elsewhere&deployment=x"
    async with socket(proxy, path) as client:
        await client.receive_json()
    assert (await upstream.connected()).query == {"intent": "transcription"}


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("/v1/realtime?model=voice", {}, 401, "missing_api_key"),
        ("/v1/realtime?model=voice", {"Authorization": "Bearer nobody"}, 401, "invalid_api_key"),
        (
            "/v1/realtime?model=voice",
            {"Authorization": "Bearer {key}", "api_key": "another"},
            401,
            "invalid_api_key",
        ),
        (
            "/v1/realtime?model=voice",
            {"Sec_WebSocket_Protocol": "realtime, openai-insecure-api-key.nobody"},
            401,
            "invalid_api_key",
        ),
        ("/v1/realtime?model=voice&api-key=nobody", {}, 401, "invalid_api_key"),
        ("/v1/realtime?model=nothing", {"Authorization": "Bearer {key}"}, 404, "model_not_found"),
        ("/v1/realtime", {"Authorization": "Bearer {key}"}, 400, "missing_required_parameter"),
        ("/v1/realtime?model=demo-chat", {"Authorization": "Bearer {key}"}, 400, "unsupported_operation"),
        ("/v1/realtime?model=gemini-voice", {"Authorization": "Bearer {key}"}, 400, "unsupported_operation"),
        ("/v1/realtime?call_id=rtc_x", {"Authorization": "Bearer {key}"}, 404, "not_found"),
        ("/v1/chat/completions?model=voice", {"Authorization": "Bearer {key}"}, 404, "not_found"),
    ],
)
async def test_who_is_refused_gets_an_http_answer_before_the_upgrade(
    proxy: Proxy,
    upstream: RealtimeUpstream,
    path: str,
    headers: dict[str, str],
    status: int,
    code: str,
) -> None:
    await proxy.add_model(
        "gemini-voice",
        "https://example.com",
        provider="LiteLLM",
        model_type="LiteLLM",
        code="gemini/live",
        operations=["audio_realtime"],
    )
    sent = {name: value.format(key=proxy.key) for name, value in headers.items()}
    found, error, answered = await refused(proxy, path, key=None, **sent)
    assert (found, error["code"]) == (status, code)
    assert answered["content-type"] == "application/json"
    assert answered["x-request-id"]
    assert upstream.connections == []


async def test_a_key_that_may_not_use_the_model_is_refused(proxy: Proxy) -> None:
    key = await proxy.add_key(models=["azure-voice"])
    status, error, _ = await refused(proxy, "/v1/realtime?model=voice", key=key)
    assert (status, error["code"]) == (403, "model_not_allowed")


async def test_without_keys_a_page_of_another_site_does_not_get_in(
    tmp_path: Path, upstream: RealtimeUpstream
) -> None:
    async with realtime_proxy(tmp_path, upstream, require_keys=False) as proxy:
        path = "/v1/realtime?model=voice"
        status, error, _ = await refused(proxy, path, key=None, Origin="https://elsewhere.example")
        assert (status, error["type"]) == (403, "permission_error")
        for headers in ({}, {"Origin": proxy.url}):
            async with socket(proxy, path, key=None, headers=headers) as client:
                assert (await client.receive_json())["type"] == "session.created"


@pytest.mark.parametrize(
    ("status", "answered", "code"),
    [(400, 400, "nope"), (401, 502, "provider_error"), (302, 502, "provider_error")],
)
async def test_what_the_provider_answers_instead_of_an_upgrade_is_told(
    proxy: Proxy, upstream: RealtimeUpstream, status: int, answered: int, code: str
) -> None:
    elsewhere = RealtimeUpstream()
    async with elsewhere:
        body = {"error": {"message": f"not with {SECRET}", "type": "invalid_request_error", "code": "nope"}}
        upstream.refusal = lambda: web.json_response(
            body, status=status, headers={"Location": f"{elsewhere.url}/v1/realtime"}
        )
        found, error, _ = await refused(proxy, "/v1/realtime?model=voice")
        assert elsewhere.connections == []
    assert (found, error["code"]) == (answered, code)
    assert SECRET not in str(error)
    assert (await ended(proxy))["status"] == answered


async def test_a_provider_that_cannot_be_reached_is_a_502_and_a_silent_one_a_504(
    tmp_path: Path, upstream: RealtimeUpstream
) -> None:
    released = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, realtime_proxy(tmp_path, upstream) as proxy:
        fields: dict[str, Any] = {"operations": ["audio_realtime"]}
        quick = {"connect_timeout": 0.1, "first_token_timeout": 0.1}
        await proxy.add_model("silent", f"http://127.0.0.1:{port}", parameters=quick, **fields)
        await proxy.add_model("away", "http://127.0.0.1:9", **fields)
        assert (await refused(proxy, "/v1/realtime?model=away"))[0] == 502
        assert (await refused(proxy, "/v1/realtime?model=silent"))[0] == 504
        released.set()


async def test_a_fallback_is_asked_before_the_client_is_let_in(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    await proxy.add_model(
        "away", "http://127.0.0.1:9", operations=["audio_realtime"], fallbacks=["azure-voice"]
    )
    async with socket(proxy, "/v1/realtime?model=away") as client:
        await client.receive_json()
        assert client._response.headers["x-llmproxy-model"] == "azure-voice"
    assert (await upstream.connected()).path == "/openai/v1/realtime"


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, "done"), (4001, "enough, für heute"), (1008, ""), (1011, "x")]
)
async def test_the_clients_close_code_and_reason_reach_the_provider(
    proxy: Proxy, upstream: RealtimeUpstream, code: int, reason: str
) -> None:
    async with socket(proxy) as client:
        await client.receive_json()
        await client.close(code=code, message=reason.encode())
    connection = await upstream.connected()
    await asyncio.wait_for(connection.closed.wait(), 1)
    assert (connection.code, connection.reason) == (code, reason)


@pytest.mark.parametrize(("code", "reason"), [(1000, "done"), (3000, "invalid_api_key"), (1013, "")])
async def test_the_providers_close_code_and_reason_reach_the_client(
    proxy: Proxy, upstream: RealtimeUpstream, code: int, reason: str
) -> None:
    async def close(connection: Connection) -> None:
        await connection.say(type="session.created")
        await connection.socket.close(code=code, message=reason.encode())

    upstream.conversation = close
    async with socket(proxy) as client:
        await client.receive_json()
        message = await client.receive(5)
        assert (message.type, message.data, message.extra) == (WSMsgType.CLOSE, code, reason)
    assert (await ended(proxy))["status"] == 200


async def test_a_provider_that_breaks_off_is_told_as_1011(proxy: Proxy, upstream: RealtimeUpstream) -> None:
    async def break_off(connection: Connection) -> None:
        await connection.say(type="session.created")
        await connection.socket.receive()
        connection.break_off()

    upstream.conversation = break_off
    async with socket(proxy) as client:
        await client.receive_json()
        await client.send_str("{}")
        assert (await client.receive(5)).data == 1011
    record = await ended(proxy)
    assert (record["status"], record["error_code"]) == (502, "provider_error")


async def test_a_client_that_vanishes_ends_the_providers_session_within_a_second(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    async with socket(proxy) as client:
        await client.receive_json()
        transport = client._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.abort()
        connection = await upstream.connected()
        await asyncio.wait_for(connection.closed.wait(), 1)


async def test_a_client_that_left_before_it_was_let_in_leaves_no_session_behind(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    upstream.open.clear()
    asking = asyncio.create_task(_ask(proxy))
    await asyncio.wait_for(upstream.asked.wait(), 5)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    upstream.open.set()
    connection = await upstream.connected()
    await asyncio.wait_for(connection.closed.wait(), 2)
    assert (await ended(proxy))["error_code"] == "client_closed_request"


async def _ask(proxy: Proxy) -> None:
    async with socket(proxy):
        raise AssertionError("nobody was to be let in")


async def test_a_session_that_is_idle_is_closed_on_both_sides(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    await proxy.add_model(
        "idle",
        upstream.url,
        operations=["audio_realtime"],
        parameters={"secret_name": "REALTIME_KEY", "idle_timeout": 0.2},
    )
    async with socket(proxy, "/v1/realtime?model=idle") as client:
        await client.receive_json()
        message = await client.receive(5)
        assert message.data == 1001
        assert "idle" in str(message.extra)
    connection = await upstream.connected()
    await asyncio.wait_for(connection.closed.wait(), 1)
    assert connection.code == 1001


async def test_large_frames_pass_and_larger_ones_end_the_session_with_1009(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    async with socket(proxy) as client:
        await client.receive_json()
        frame = b"x" * (15 * 1024 * 1024)
        await client.send_bytes(frame)
        assert await client.receive_bytes() == frame
        with suppress(OSError):  # the proxy need not read to the frame's end
            await client.send_bytes(b"x" * (16 * 1024 * 1024 + 1))
    connection = await upstream.connected()
    await asyncio.wait_for(connection.closed.wait(), 1)
    assert connection.code == 1009


async def test_what_the_responses_used_is_accounted_once_per_session(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    async with socket(proxy) as client:
        await client.receive_json()
        for _ in range(2):
            await client.send_json({"type": "response.create"})
            for _ in range(3):
                await client.receive_json()
    record = await ended(proxy)
    assert (record["status"], record["model"], record["model_requested"]) == (200, "voice", "voice")
    usage = record["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["cached_tokens"]) == (200, 100, 80)
    assert record["cost_usd"] == pytest.approx(0.2 * 1.0 + 0.1 * 2.0)


async def test_a_client_cannot_make_up_usage(proxy: Proxy, upstream: RealtimeUpstream) -> None:
    made_up = {"type": "response.done", "response": {"usage": {"input_tokens": 9, "output_tokens": 9}}}
    async with socket(proxy) as client:
        await client.receive_json()
        await client.send_json(made_up)
        await client.send_json({"type": "input_audio_buffer.append", "audio": "AA"})
        await client.receive_json()
    assert (await ended(proxy))["usage"] is None


async def test_a_provider_that_repeats_our_credential_does_not_tell_the_client(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    async def tell(connection: Connection) -> None:
        await connection.say(type="error", error={"message": f"Incorrect API key: {SECRET}."})
        await connection.socket.close(code=3000, message=f"key {SECRET}".encode())

    upstream.conversation = tell
    async with socket(proxy) as client:
        told = await client.receive_str()
        closed = await client.receive(5)
    assert SECRET not in told
    assert SECRET not in str(closed.extra)
    assert json.loads(told)["type"] == "error"


async def test_the_session_can_be_looked_up_by_its_own_project_only(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    key, other = await proxy.add_key(project="team"), await proxy.add_key(project="other")
    async with socket(proxy, key=key) as client:
        await client.receive_json()
        id = client._response.headers["x-llmproxy-session-id"]
        path = f"/v1/audio/realtime/sessions/{id}"
        session = (await proxy.call("GET", path, key=key)).json()
        assert session == {
            "id": id,
            "object": "realtime.session",
            "model": "voice",
            "created": session["created"],
            "status": "active",
        }
        assert (await proxy.call("GET", path, key=other)).status == 404
        assert (await proxy.call("GET", path, key=None)).status == 401
    await ended(proxy)
    assert (await proxy.call("GET", path, key=key)).json()["status"] == "ended"
    reply = await proxy.call("GET", "/v1/audio/realtime/sessions/sess_made_up", key=key)
    assert (reply.status, reply.error["code"]) == (404, "not_found")


async def test_a_slow_client_holds_the_provider_back(proxy: Proxy, upstream: RealtimeUpstream) -> None:
    sent = 0
    frame = b"x" * 64 * 1024

    async def flood(connection: Connection) -> None:
        nonlocal sent
        await connection.say(type="session.created")
        while True:
            await connection.socket.send_bytes(frame)
            sent += 1

    upstream.conversation = flood
    async with socket(proxy) as client:
        await client.receive_json()
        transport = client._response.connection.transport  # type: ignore[union-attr]
        assert transport is not None
        transport.pause_reading()
        held, steady = -1, 0
        async with asyncio.timeout(20):
            while steady < 5:
                await asyncio.sleep(0.05)
                held, steady = sent, steady + 1 if sent == held else 0
        assert held * len(frame) < 32 * 1024 * 1024
        transport.resume_reading()
        async with asyncio.timeout(20):
            while sent <= held:
                await client.receive()


async def test_a_slow_provider_holds_the_client_back(proxy: Proxy, upstream: RealtimeUpstream) -> None:
    stop = asyncio.Event()

    async def deaf(connection: Connection) -> None:
        await connection.say(type="session.created")
        await stop.wait()

    upstream.conversation = deaf
    frame = b"x" * 64 * 1024
    sent = 0

    async def flood(client: "aiohttp.ClientWebSocketResponse[Any]") -> None:
        nonlocal sent
        while True:
            await client.send_bytes(frame)
            sent += 1

    async with socket(proxy) as client:
        await client.receive_json()
        flooding = asyncio.create_task(flood(client))
        held, steady = -1, 0
        async with asyncio.timeout(20):
            while steady < 5:
                await asyncio.sleep(0.05)
                held, steady = sent, steady + 1 if sent == held else 0
        assert held * len(frame) < 32 * 1024 * 1024
        flooding.cancel()
        stop.set()


async def test_a_plain_request_to_the_sockets_address_is_told_what_it_is_for(proxy: Proxy) -> None:
    for path in ("/v1/realtime?model=voice", "/v1/audio/realtime", "/openai/realtime", "/openai/v1/realtime"):
        reply = await proxy.call("GET", path)
        assert (reply.status, reply.error["code"]) == (400, "unsupported_operation")
        assert "client_secrets" in reply.error["message"]
