"""Realtime sessions that are opened over HTTP: client secrets, sessions, WebRTC calls and what is done with them."""

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from tests.proxy import Proxy, Reply
from tests.realtime import AZURE_VERSION, SECRET, realtime_proxy, refused, socket
from tests.upstreams.realtime import ANSWER, RealtimeUpstream

OFFER = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=offer\r\n"
SDP = {"Content-Type": "application/sdp"}


@pytest.fixture
async def upstream() -> AsyncIterator[RealtimeUpstream]:
    async with RealtimeUpstream() as running:
        yield running


@pytest.fixture
async def proxy(tmp_path: Path, upstream: RealtimeUpstream) -> AsyncIterator[Proxy]:
    async with realtime_proxy(tmp_path, upstream) as running:
        yield running


async def form(proxy: Proxy, path: str, fields: dict[str, Any]) -> Reply:
    made = aiohttp.FormData(default_to_multipart=True)
    for name, value in fields.items():
        made.add_field(name, value)
    headers = {"Authorization": f"Bearer {proxy.key}"}
    async with proxy.http.post(proxy.url + path, data=made, headers=headers) as response:
        return Reply(
            response.status, {k.lower(): v for k, v in response.headers.items()}, await response.read()
        )


async def call_id(proxy: Proxy, model: str = "voice", key: str = "") -> str:
    reply = await proxy.call(
        "POST", f"/v1/realtime/calls?model={model}", data=OFFER.encode(), headers=SDP, key=key
    )
    assert reply.status == 201, reply.body
    return reply.headers["location"].rpartition("/")[2]


@pytest.mark.parametrize(
    ("model", "path", "named"),
    [
        ("voice", "/v1/realtime/client_secrets", "gpt-realtime"),
        ("azure-voice", "/openai/v1/realtime/client_secrets", "dep"),
        ("dated-voice", "/openai/v1/realtime/client_secrets", "dep"),
    ],
)
async def test_a_client_secret_is_the_providers_for_the_catalogs_model(
    proxy: Proxy, upstream: RealtimeUpstream, model: str, path: str, named: str
) -> None:
    session = {"type": "realtime", "model": model, "audio": {"output": {"voice": "marin"}}, "tracing": None}
    body = {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": session}
    reply = await proxy.call("POST", "/v1/realtime/client_secrets", body)
    assert (reply.status, reply.json()["value"]) == (200, "ek_ephemeral")
    (posted,) = upstream.posts
    assert (posted.path, posted.query) == (path, {})
    assert posted.body == {**body, "session": {**session, "model": named}}
    assert SECRET in (posted.headers.get("api-key") or posted.headers["authorization"])
    assert SECRET not in f"{reply.headers} {reply.body!r}"
    assert reply.headers["x-llmproxy-model"] == model
    assert reply.headers["x-upstream-ratelimit-limit-requests"] == "500"
    assert "openai-organization" not in reply.headers


async def test_a_session_that_transcribes_names_its_model_with_its_audio_input(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    audio = {"input": {"transcription": {"model": "voice", "language": "de"}}}
    body = {"session": {"type": "transcription", "audio": audio}}
    assert (await proxy.call("POST", "/v1/realtime/client_secrets", body)).status == 200
    sent = upstream.posts[0].body["session"]
    assert sent["audio"]["input"]["transcription"] == {"model": "gpt-realtime", "language": "de"}
    assert "model" not in sent


@pytest.mark.parametrize(
    ("model", "path", "query"),
    [
        ("voice", "/v1/realtime/sessions", {}),
        ("azure-voice", "/openai/v1/realtime/sessions", {}),
        ("dated-voice", "/openai/realtimeapi/sessions", {"api-version": AZURE_VERSION}),
    ],
)
@pytest.mark.parametrize(
    "asked",
    [
        "/v1/realtime/sessions",
        "/openai/v1/realtime/sessions",
        "/openai/realtimeapi/sessions?api-version=2025-04-01-preview",
    ],
)
async def test_a_beta_session_is_asked_for_where_the_provider_has_it(
    proxy: Proxy, upstream: RealtimeUpstream, model: str, path: str, query: dict[str, str], asked: str
) -> None:
    reply = await proxy.call("POST", asked, {"model": model, "voice": "verse", "modalities": ["text"]})
    assert (reply.status, reply.json()["client_secret"]["value"]) == (200, "ek_ephemeral")
    (posted,) = upstream.posts
    assert (posted.path, posted.query) == (path, query)
    assert posted.body["voice"] == "verse"


async def test_the_betas_transcription_sessions_work_too(proxy: Proxy, upstream: RealtimeUpstream) -> None:
    body = {"input_audio_transcription": {"model": "voice"}}
    assert (await proxy.call("POST", "/v1/realtime/transcription_sessions", body)).status == 200
    assert upstream.posts[0].body == {"input_audio_transcription": {"model": "gpt-realtime"}}


async def test_an_offer_is_answered_with_the_providers_and_a_call_of_ours(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    session = {"type": "realtime", "model": "voice", "instructions": "Be short."}
    replies = [
        await proxy.call("POST", "/v1/realtime/calls?model=voice", data=OFFER.encode(), headers=SDP),
        await form(proxy, "/v1/realtime/calls", {"session": json.dumps(session), "sdp": OFFER}),
        await form(
            proxy, "/v1/realtime/calls", {"sdp": io.BytesIO(OFFER.encode()), "session": json.dumps(session)}
        ),
        await proxy.call("POST", "/v1/realtime/calls", {"sdp": OFFER, "session": session}),
        await proxy.call("POST", "/openai/v1/realtime/calls?model=voice", {"sdp": OFFER}),
    ]
    for reply in replies:
        assert (reply.status, reply.body.decode()) == (201, ANSWER)
        assert reply.headers["content-type"].startswith("application/sdp")
        path, _, id = reply.headers["location"].rpartition("/")
        assert path in ("/v1/realtime/calls", "/openai/v1/realtime/calls")
        assert id.startswith("rtc_")
        assert "upstream" not in id
    for posted in upstream.posts:
        assert posted.path == "/v1/realtime/calls"
        assert posted.form["sdp"] == ("application/sdp", OFFER)
        kind, sent = posted.form["session"]
        assert kind == "application/json"
        assert json.loads(sent)["model"] == "gpt-realtime"
        assert json.loads(sent)["type"] == "realtime"
    assert json.loads(upstream.posts[1].form["session"][1])["instructions"] == "Be short."


@pytest.mark.parametrize("model", ["voice", "azure-voice", "dated-voice"])
async def test_a_call_can_be_hung_up_referred_accepted_and_rejected(
    proxy: Proxy, upstream: RealtimeUpstream, model: str
) -> None:
    upstream.location = "https://provider.example/v1/realtime/calls/rtc_u1_abc?x=y"
    id = await call_id(proxy, model)
    base = "/v1" if model == "voice" else "/openai/v1"
    for action, body in (
        ("refer", {"target_uri": "tel:+14155550123"}),
        ("accept", {"type": "realtime", "model": model}),
        ("reject", {"status_code": 486}),
        ("hangup", None),
    ):
        assert (await proxy.call("POST", f"/v1/realtime/calls/{id}/{action}", body)).status == 200
        posted = upstream.posts[-1]
        assert posted.path == f"{base}/realtime/calls/rtc_u1_abc/{action}"
        if action == "accept":
            assert posted.body["model"] == ("gpt-realtime" if model == "voice" else "dep")
        else:
            assert (json.loads(posted.raw) if posted.raw else None) == body


async def test_a_call_is_its_projects_and_no_one_elses(proxy: Proxy, upstream: RealtimeUpstream) -> None:
    own, other = await proxy.add_key(project="team"), await proxy.add_key(project="other")
    id = await call_id(proxy, key=own)
    for key, wanted in (
        (other, id),
        (own, id[:-2] + "AA"),
        (own, "rtc_u0_upstream"),
        (own, "rtc_"),
        (own, "x%2Fy"),
    ):
        reply = await proxy.call("POST", f"/v1/realtime/calls/{wanted}/hangup", key=key)
        assert (reply.status, reply.error["code"]) == (404, "not_found")
        assert (await refused(proxy, f"/v1/realtime?call_id={wanted}", key=key))[0] == 404
    assert len(upstream.posts) == 1
    assert (await proxy.call("POST", f"/v1/realtime/calls/{id}/hangup", key=own)).status == 200


async def test_a_call_holds_while_the_signing_key_is_rotated(proxy: Proxy) -> None:
    id = await call_id(proxy)
    old = json.loads((proxy.directory / "secrets.json").read_text())["llmproxy-signing-key"]
    proxy.add_secret("llmproxy-signing-key-previous", old)
    proxy.add_secret("llmproxy-signing-key", "another key of this app, long enough")
    proxy.services.secrets.forget("llmproxy-signing-key")
    proxy.services.secrets.forget("llmproxy-signing-key-previous")
    assert (await proxy.call("POST", f"/v1/realtime/calls/{id}/hangup")).status == 200


async def test_a_call_can_be_joined_over_a_websocket(proxy: Proxy, upstream: RealtimeUpstream) -> None:
    upstream.location = "/v1/realtime/calls/rtc_u1_abc"
    for model, path in (("voice", "/v1/realtime"), ("dated-voice", "/openai/v1/realtime")):
        id = await call_id(proxy, model)
        async with socket(proxy, f"/v1/realtime?call_id={id}") as client:
            await client.receive_json()
        connection = upstream.connections[-1]
        assert (connection.path, connection.query) == (path, {"call_id": "rtc_u1_abc"})


@pytest.mark.parametrize("whose", ["key", "model"])
async def test_a_budget_forbids_what_cannot_be_counted(
    proxy: Proxy, upstream: RealtimeUpstream, whose: str
) -> None:
    model, key = "voice", ""
    if whose == "key":
        key = await proxy.add_key(budget_usd=10, budget_period="month")
    else:
        model = "budgeted"
        await proxy.add_model(
            "budgeted", upstream.url, operations=["audio_realtime"], limits={"budget_usd": 5.0}
        )
    for path, body in (
        ("client_secrets", {"session": {"type": "realtime", "model": model}}),
        ("sessions", {"model": model}),
        ("calls", {"sdp": OFFER, "session": {"model": model}}),
    ):
        reply = await proxy.call("POST", f"/v1/realtime/{path}", body, key=key)
        assert reply.status == 403
        assert (reply.error["type"], reply.error["code"]) == ("permission_error", "model_not_allowed")
    assert upstream.posts == []


@pytest.mark.parametrize(
    ("path", "body", "status", "code", "param"),
    [
        ("client_secrets", {}, 400, "missing_required_parameter", "model"),
        ("client_secrets", {"session": []}, 400, "invalid_value", "session"),
        ("client_secrets", {"session": {"model": 5}}, 400, "invalid_value", "session.model"),
        ("client_secrets", {"session": {"model": "nothing"}}, 404, "model_not_found", "model"),
        ("client_secrets", {"session": {"model": "demo-chat"}}, 400, "unsupported_operation", "model"),
        (
            "client_secrets",
            {"session": {"model": "voice"}, "api_base": "x"},
            400,
            "unsupported_parameter",
            "api_base",
        ),
        (
            "client_secrets",
            {"session": {"type": "transcription", "audio": {"input": 3}}},
            400,
            "invalid_value",
            "session.audio.input",
        ),
        ("sessions", {"model": ""}, 400, "invalid_value", "model"),
        ("calls", {"session": {"model": "voice"}}, 400, "missing_required_parameter", "sdp"),
        ("calls", {"sdp": 7}, 400, "invalid_value", "sdp"),
        ("calls", {"sdp": OFFER, "session": "{"}, 400, "invalid_json", "session"),
        ("calls", {"sdp": OFFER, "session": "[]"}, 400, "invalid_value", "session"),
        ("calls", {"sdp": OFFER}, 400, "missing_required_parameter", "model"),
        ("nothing", {}, 404, "not_found", None),
        ("calls/rtc_x/dance", {}, 404, "not_found", None),
        ("calls/rtc_x", {}, 404, "not_found", None),
    ],
)
async def test_what_is_wrong_is_said_and_where(
    proxy: Proxy, upstream: RealtimeUpstream, path: str, body: Any, status: int, code: str, param: str | None
) -> None:
    reply = await proxy.call("POST", f"/v1/realtime/{path}", body)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (status, code, param)
    assert upstream.posts == []


async def test_an_offer_that_is_no_offer_any_more_is_refused(
    proxy: Proxy, upstream: RealtimeUpstream
) -> None:
    huge = io.BytesIO(b"x" * (1024 * 1024 + 1))
    reply = await form(proxy, "/v1/realtime/calls?model=voice", {"sdp": huge})
    assert (reply.status, reply.error["code"], reply.error["param"]) == (400, "invalid_value", "sdp")
    assert upstream.posts == []


async def test_other_methods_are_405_with_what_is_allowed(proxy: Proxy) -> None:
    for method, path, allowed in (
        ("GET", "/v1/realtime/client_secrets", "POST"),
        ("DELETE", "/v1/realtime/calls/rtc_x/hangup", "POST"),
        ("POST", "/v1/realtime", "GET"),
        ("POST", "/v1/audio/realtime/sessions/x", "GET, HEAD"),
        ("GET", "/openai/v1/realtime/client_secrets", "POST"),
    ):
        reply = await proxy.call(method, path, {})
        assert (reply.status, reply.error["code"]) == (405, "method_not_allowed"), path
        assert reply.headers["allow"] == allowed


async def test_a_session_that_is_opened_is_recorded_without_usage(proxy: Proxy) -> None:
    await call_id(proxy)
    (record,) = [record for record in await proxy.requests() if record["operation"] == "audio_realtime"]
    assert (record["status"], record["usage"], record["cost_usd"]) == (200, None, None)


@pytest.mark.parametrize(("status", "answered"), [(400, 400), (401, 502), (404, 404), (429, 429), (500, 502)])
async def test_a_providers_error_is_passed_on_without_our_credential(
    proxy: Proxy, upstream: RealtimeUpstream, status: int, answered: int
) -> None:
    body = {
        "error": {"message": f"no, {SECRET}", "type": "invalid_request_error", "code": "nope", "param": "sdp"}
    }
    upstream.failure = lambda: web.json_response(body, status=status)
    reply = await proxy.call("POST", "/v1/realtime/calls", {"sdp": OFFER, "session": {"model": "voice"}})
    assert reply.status == answered
    assert SECRET not in reply.body.decode()
    assert "location" not in reply.headers
    assert set(reply.error) == {"message", "type", "param", "code"}


JSON = some.recursive(
    some.none() | some.booleans() | some.integers(-9, 9) | some.text(max_size=8) | some.just("voice"),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(["session", "model", "type", "audio", "input", "transcription", "sdp", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=some.sampled_from(["client_secrets", "sessions", "transcription_sessions", "calls"]), body=JSON)
async def test_no_body_breaks_a_route(proxy: Proxy, path: str, body: Any) -> None:
    reply = await proxy.call("POST", f"/v1/realtime/{path}", data=json.dumps(body).encode())
    assert reply.status in (200, 201, 400, 404), reply.body
    if reply.status >= 400:
        assert reply.error["message"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    body=some.binary(max_size=60),
    kind=some.sampled_from(["application/sdp", "multipart/form-data; boundary=x", "a"]),
)
async def test_no_bytes_break_a_call(proxy: Proxy, body: bytes, kind: str) -> None:
    reply = await proxy.call(
        "POST", "/v1/realtime/calls?model=voice", data=body, headers={"Content-Type": kind}
    )
    assert reply.status in (201, 400), reply.body
