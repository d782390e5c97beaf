"""Responses of a model that only chats, through the whole proxy."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared import Json
from tests.http.test_responses_streams import stream
from tests.proxy import Proxy, running_proxy
from tests.upstreams.anthropic import AnthropicUpstream, anthropic_error
from tests.upstreams.behaviours import StreamReply

BODY: Json = {"model": "claude", "input": "Say something."}


@pytest.fixture
async def upstream() -> AsyncIterator[AnthropicUpstream]:
    async with AnthropicUpstream() as running:
        yield running


@pytest.fixture
async def ready(tmp_path: Path, upstream: AnthropicUpstream) -> AsyncIterator[Proxy]:
    # The first call waits for the import of LiteLLM.
    async with running_proxy(tmp_path, first_token_timeout=60.0, idle_timeout=1.0) as proxy:
        proxy.add_secret("key", "sk-ant-secret-000000")
        await proxy.add_model(
            "claude",
            upstream.url,
            code="claude-sonnet-4-5",
            provider="Anthropic",
            model_type="AnthropicNative",
            operations=["Responses"],
            parameters={"secret_name": "key", "max_retries": 0},
            costs={"input": 0.003, "output": 0.015},
        )
        yield proxy


async def test_a_response_is_answered_but_not_kept(ready: Proxy, upstream: AnthropicUpstream) -> None:
    body = {**BODY, "max_tool_calls": 2, "include": ["reasoning.encrypted_content"]}
    made = await ready.call("POST", "/v1/responses", body)
    assert made.status == 200
    assert made.headers["x-llmproxy-dropped-params"] == "max_tool_calls,include"
    assert float(made.headers["x-llmproxy-cost-usd"]) > 0
    assert made.json()["output"][0]["content"][0]["text"] == upstream.text
    id = made.json()["id"]
    for method, below in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        reply = await ready.call(method, f"/v1/responses/{id}{below}")
        assert (reply.status, reply.headers["content-type"]) == (404, "application/json")
    onward = await ready.call("POST", "/v1/responses", {**BODY, "previous_response_id": id})
    assert (onward.status, onward.error["code"]) == (400, "unsupported_parameter")
    assert onward.error["param"] == "previous_response_id"
    assert len(upstream.requests) == 1


async def test_a_stream_commits_late_ends_whole_or_says_so(ready: Proxy, upstream: AnthropicUpstream) -> None:
    whole = await stream(ready, **BODY)
    assert whole.names[0] == "response.created"
    assert whole.names[-1] == "response.completed"
    assert whole.last["response"]["usage"]["input_tokens"] > 0
    assert b"[DONE]" not in whole.raw
    upstream.script(StreamReply(stop_after=6, ending="cut"))
    cut = await stream(ready, **BODY)
    assert (cut.status, cut.names[-1]) == (200, "error")
    assert "response.completed" not in cut.names
    upstream.script(anthropic_error(400, "invalid_request_error", "No."))
    refused = await stream(ready, **BODY)
    assert refused.status == 400
    records = await ready.requests()
    assert [record["status"] for record in records] == [400, 502, 200]
    assert records[2]["usage"]["estimated"] is False
