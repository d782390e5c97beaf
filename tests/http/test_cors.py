"""Pages of other origins: what their browsers ask first, and what they may read."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.proxy import Proxy, Reply, running_proxy
from tests.upstreams.openai import OpenAIUpstream, openai_error

PAGE = "https://app.example.com"
FOREIGN = "https://elsewhere.example.com"
CHAT: dict[str, Any] = {"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}
SDK_HEADERS = (
    "authorization,content-type,openai-organization,openai-project,x-stainless-arch,x-stainless-retry-count,"
    "idempotency-key,anthropic-beta,traceparent,if-match,api-key,x-api-key"
)


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with running_proxy(tmp_path, cors_origins=(PAGE, "http://localhost:3000")) as running:
        yield running


async def preflight(
    proxy: Proxy, path: str, method: str = "POST", origin: str = PAGE, asked: str = SDK_HEADERS
) -> Reply:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": asked,
    }
    return await proxy.call("OPTIONS", path, key=None, headers=headers)


def cors(reply: Reply) -> dict[str, str]:
    return {name: value for name, value in reply.headers.items() if name.startswith("access-control-")}


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/v1/chat/completions", "POST"),
        ("/openai/deployments/demo-chat/chat/completions?api-version=2024-10-21", "POST"),
        ("/openai/v1/chat/completions", "POST"),
        ("/openai/models", "GET, HEAD"),
        ("/v1/models", "GET, HEAD"),
        ("/manage/models/demo-chat", "GET, POST, PATCH, DELETE"),
        ("/health", "GET, HEAD"),
        ("/", "GET, HEAD"),
    ],
)
async def test_a_page_is_told_what_it_may_send_without_a_key(proxy: Proxy, path: str, methods: str) -> None:
    reply = await preflight(proxy, path)
    assert (reply.status, reply.body) == (204, b"")
    allowed = cors(reply)
    assert allowed["access-control-allow-origin"] == PAGE
    assert allowed["access-control-allow-methods"] == methods
    assert int(allowed["access-control-max-age"]) >= 600
    assert set(allowed["access-control-allow-headers"].split(", ")) == set(SDK_HEADERS.split(","))
    assert "access-control-allow-credentials" not in allowed
    assert reply.headers["vary"] == "origin"
    assert reply.headers["allow"] == methods
    assert not {"content-length", "content-type", "transfer-encoding"} & set(reply.headers)


@pytest.mark.parametrize("path", ["/nope", "/openai/nope", "/v1/nope/at/all"])
async def test_a_page_may_ask_for_what_is_not_there_and_read_that_it_is_not(proxy: Proxy, path: str) -> None:
    assert "POST" in cors(await preflight(proxy, path))["access-control-allow-methods"]
    reply = await proxy.call("POST", path, CHAT, headers={"Origin": PAGE})
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert cors(reply)["access-control-allow-origin"] == PAGE


async def test_only_headers_that_mean_something_here_may_be_sent(proxy: Proxy) -> None:
    asked = "Authorization, Cookie, x-forwarded-for, X-Stainless-Lang, x-stainless-a b, openai-é, , *"
    reply = await preflight(proxy, "/v1/chat/completions", asked=asked)
    assert cors(reply)["access-control-allow-headers"] == "authorization, x-stainless-lang"


async def test_a_page_reads_answers_and_our_headers(proxy: Proxy) -> None:
    reply = await proxy.call("POST", "/v1/chat/completions", CHAT, headers={"Origin": PAGE})
    assert reply.status == 200
    assert cors(reply)["access-control-allow-origin"] == PAGE
    exposed = set(cors(reply)["access-control-expose-headers"].split(", "))
    assert exposed >= {"x-request-id", "openai-processing-ms", "x-llmproxy-model", "x-llmproxy-cost-usd"}
    assert exposed <= set(reply.headers)


async def test_a_page_reads_streams(proxy: Proxy) -> None:
    reply = await proxy.call(
        "POST", "/v1/chat/completions", {**CHAT, "stream": True}, headers={"Origin": PAGE}
    )
    assert reply.body.endswith(b"data: [DONE]\n\n")
    assert cors(reply)["access-control-allow-origin"] == PAGE
    assert "x-llmproxy-model" in cors(reply)["access-control-expose-headers"]


async def test_a_page_reads_sound(proxy: Proxy) -> None:
    body = {"model": "demo-speech", "input": "Hello", "voice": "alloy"}
    reply = await proxy.call("POST", "/v1/audio/speech", body, headers={"Origin": PAGE})
    assert (reply.status, reply.headers["content-type"]) == (200, "audio/mpeg")
    assert cors(reply)["access-control-allow-origin"] == PAGE
    assert "x-llmproxy-model" in cors(reply)["access-control-expose-headers"]


async def test_a_page_reads_errors_and_when_to_come_back(proxy: Proxy) -> None:
    reply = await proxy.call("POST", "/v1/chat/completions", {}, headers={"Origin": PAGE})
    assert (reply.status, cors(reply)["access-control-allow-origin"]) == (400, PAGE)
    reply = await proxy.call("POST", "/v1/chat/completions", CHAT, key=None, headers={"Origin": PAGE})
    assert (reply.status, cors(reply)["access-control-allow-origin"]) == (401, PAGE)
    reply = await proxy.call("PUT", "/v1/chat/completions", CHAT, headers={"Origin": PAGE})
    assert "allow" in cors(reply)["access-control-expose-headers"].split(", ")


async def test_a_page_reads_the_limits_of_a_provider(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(openai_error(429, "Slow down", headers={"retry-after": "7"}))
    proxy.add_secret("up", "sk-upstream")
    await proxy.add_model("m", upstream.url + "/v1", parameters={"secret_name": "up", "max_retries": 0})
    reply = await proxy.call("POST", "/v1/chat/completions", {**CHAT, "model": "m"}, headers={"Origin": PAGE})
    assert reply.status == 429
    exposed = cors(reply)["access-control-expose-headers"].split(", ")
    assert "retry-after" in exposed
    assert "x-upstream-ratelimit-remaining-requests" in exposed


async def test_a_page_reads_the_etag_that_an_update_needs(proxy: Proxy) -> None:
    reply = await proxy.call("GET", "/manage/models/demo-chat", headers={"Origin": PAGE})
    assert "etag" in cors(reply)["access-control-expose-headers"].split(", ")


@pytest.mark.parametrize(
    "origin",
    [FOREIGN, "null", "http://app.example.com", "https://app.example.com:8443", PAGE + ".evil.example"],
)
async def test_a_foreign_origin_is_served_and_may_read_nothing(proxy: Proxy, origin: str) -> None:
    reply = await proxy.call("POST", "/v1/chat/completions", CHAT, headers={"Origin": origin})
    assert reply.status == 200
    assert cors(reply) == {}
    asked = await preflight(proxy, "/v1/chat/completions", origin=origin)
    assert (asked.status, cors(asked)) == (204, {})


async def test_what_is_not_asked_by_a_page_is_not_told(proxy: Proxy) -> None:
    reply = await proxy.call("POST", "/v1/chat/completions", CHAT)
    assert cors(reply) == {}
    assert reply.headers["vary"] == "origin"
    options = await proxy.call("OPTIONS", "/v1/chat/completions", key=None)
    assert (options.status, options.headers["allow"], cors(options)) == (204, "POST", {})


async def test_every_origin_may_call_where_that_is_set(tmp_path: Path) -> None:
    async with running_proxy(tmp_path, cors_origins=("*",)) as proxy:
        reply = await proxy.call("GET", "/v1/models", headers={"Origin": FOREIGN})
        assert cors(reply)["access-control-allow-origin"] == "*"
        asked = await preflight(proxy, "/v1/models", "GET", FOREIGN, "authorization")
        assert cors(asked)["access-control-allow-headers"] == "authorization"


async def test_without_the_setting_no_page_may_read(tmp_path: Path) -> None:
    async with running_proxy(tmp_path) as proxy:
        reply = await preflight(proxy, "/v1/chat/completions")
        assert (reply.status, reply.headers["allow"], cors(reply)) == (204, "POST", {})
        reply = await proxy.call("POST", "/v1/chat/completions", CHAT, headers={"Origin": PAGE})
        assert (reply.status, cors(reply), "vary" in reply.headers) == (200, {}, False)


@pytest.mark.parametrize(
    "path", ["/v1/models", "/v1/models/demo-chat", "/openai/models", "/openai/v1/models"]
)
async def test_head_on_models_has_the_headers_of_get_and_no_body(proxy: Proxy, path: str) -> None:
    whole = await proxy.call("GET", path)
    host, port = proxy.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(
        f"HEAD {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {proxy.key}\r\n"
        "connection: close\r\n\r\n".encode()
    )
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert f"content-length: {len(whole.body)}".encode() in head
    assert b"content-type: application/json" in head
    assert body == b""
