"""What happens to a request's fields on the native lane, and what is refused."""

import json
from typing import Any

import pytest

from tests.proxy import Proxy
from tests.upstreams.openai import OpenAIUpstream

MESSAGES = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def ready(proxy: Proxy, upstream: OpenAIUpstream) -> Proxy:
    proxy.add_secret("up", "sk-upstream-secret-000000")
    await proxy.add_model("m", upstream.url + "/v1", code="gpt-4o", parameters={"secret_name": "up"})
    return proxy


async def chat(proxy: Proxy, **fields: Any) -> Any:
    return await proxy.call("POST", "/v1/chat/completions", {"model": "m", "messages": MESSAGES, **fields})


async def test_absent_stays_absent_null_stays_null_and_unknown_arrives(
    ready: Proxy, upstream: OpenAIUpstream
) -> None:
    fields = {
        "temperature": None,
        "top_k": 5,
        "thinking": {"type": "enabled"},
        "metadata": {"a": "b"},
        "user": "someone",
        "stability": 0.5,
        "number": 12345678901234567890,
        "text": "äöü €",
    }
    reply = await chat(ready, **fields)
    assert reply.status == 200
    assert upstream.requests[-1].body == {"model": "gpt-4o", "messages": MESSAGES, **fields}


async def test_the_order_and_the_numbers_of_the_body_are_kept(ready: Proxy, upstream: OpenAIUpstream) -> None:
    body = b'{"zeta":1.0,"messages":[{"role":"user","content":"x","name":null}],"model":"m","alpha":1e-7}'
    reply = await ready.call("POST", "/v1/chat/completions", data=body)
    assert reply.status == 200
    assert upstream.requests[-1].raw == body.replace(b'"model":"m"', b'"model":"gpt-4o"')


async def test_the_answer_is_the_providers_bytes(ready: Proxy, upstream: OpenAIUpstream) -> None:
    reply = await chat(ready)
    assert reply.json()["model"] == "gpt-4o-2026-01-01"
    assert reply.headers["x-llmproxy-model"] == "m"


async def test_steering_fields_do_not_travel(ready: Proxy, upstream: OpenAIUpstream) -> None:
    steering = {"timeout": 3, "max_retries": 0, "fallbacks": ["x"], "context_window_fallbacks": ["y"]}
    assert (await chat(ready, **steering)).status == 200
    assert set(upstream.requests[-1].body) == {"model", "messages"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("timeout", 0),
        ("timeout", "x"),
        ("max_retries", -1),
        ("max_retries", True),
        ("fallbacks", "m"),
        ("fallbacks", [1]),
    ],
)
async def test_steering_fields_are_checked(ready: Proxy, field: str, value: Any) -> None:
    reply = await chat(ready, **{field: value})
    assert reply.status == 400
    assert reply.error["code"] == "invalid_value"
    assert reply.error["param"].startswith(field)


async def test_default_params_fill_what_is_absent_only(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.require_key = False
    await proxy.add_model(
        "m", upstream.url, parameters={"default_params": {"temperature": 0.1, "top_p": 0.9}}
    )
    assert (await chat(proxy, top_p=None)).status == 200
    assert upstream.requests[-1].body["temperature"] == 0.1
    assert upstream.requests[-1].body["top_p"] is None
    assert upstream.requests[-1].path == "/v1/chat/completions"


async def test_only_named_headers_reach_the_provider(ready: Proxy, upstream: OpenAIUpstream) -> None:
    await ready.add_model(
        "h", upstream.url + "/v1", parameters={"secret_name": "up", "extra_headers": {"x-tenant": "blue"}}
    )
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    sent = {
        "traceparent": trace,
        "OpenAI-Beta": "x=1",
        "anthropic-beta": "y",
        "x-other": "no",
        "cookie": "a=b",
    }
    reply = await ready.call(
        "POST",
        "/v1/chat/completions",
        {"model": "h", "messages": MESSAGES, "extra_headers": {"anthropic-beta": "body"}},
        headers=sent,
    )
    assert reply.status == 200
    seen = upstream.requests[-1].headers
    assert seen["Authorization"] == "Bearer sk-upstream-secret-000000"
    assert (seen["traceparent"], seen["openai-beta"], seen["anthropic-beta"]) == (trace, "x=1", "y")
    assert seen["x-tenant"] == "blue"
    assert "x-other" not in seen
    assert "cookie" not in seen
    assert ready.key not in str(seen)


async def test_of_the_providers_headers_only_limits_come_back(ready: Proxy) -> None:
    reply = await chat(ready)
    assert reply.headers["x-upstream-ratelimit-limit-requests"] == "5000"
    for name in ("set-cookie", "openai-organization", "x-ratelimit-limit-requests"):
        assert name not in reply.headers
    assert reply.headers["x-request-id"] != "req_upstream"


@pytest.mark.parametrize(
    "field",
    "api_base base_url api_key vertex_project aws_region_name extra_body deployment_id mock_response "
    "custom_llm_provider litellm_metadata num_retries".split(),
)
async def test_a_client_never_chooses_where_credentials_go(
    ready: Proxy, upstream: OpenAIUpstream, field: str
) -> None:
    reply = await chat(ready, **{field: "x"})
    assert reply.status == 400
    assert (reply.error["code"], reply.error["param"]) == ("unsupported_parameter", field)
    assert not upstream.requests


async def test_data_sources_need_the_catalogs_leave(ready: Proxy, upstream: OpenAIUpstream) -> None:
    sources = [{"type": "azure_search", "parameters": {}}]
    reply = await chat(ready, data_sources=sources)
    assert (reply.status, reply.error["param"]) == (400, "data_sources")
    await ready.add_model(
        "search", upstream.url, parameters={"secret_name": "up", "allow_data_sources": True}
    )
    assert (await chat(ready, model="search", data_sources=sources)).status == 200
    assert upstream.requests[-1].body["data_sources"] == sources


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": "x"}, "messages", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": [{"role": "user"}] * 2049}, "messages", "invalid_value"),
        ({"messages": [{"role": "user"}, "x"]}, "messages[1]", "invalid_value"),
        (
            {"messages": [{"role": "user"}, {"content": "x"}]},
            "messages[1].role",
            "missing_required_parameter",
        ),
        ({"messages": [{"role": 1}]}, "messages[0].role", "invalid_value"),
        ({"model": 7}, "model", "invalid_value"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"stream": "yes"}, "stream", "invalid_value"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": True}, "n", "invalid_value"),
        ({"stream_options": []}, "stream_options", "invalid_value"),
    ],
)
async def test_what_the_proxy_reads_is_checked(
    ready: Proxy, fields: dict[str, Any], param: str, code: str
) -> None:
    reply = await chat(ready, **fields)
    assert (reply.status, reply.error["param"], reply.error["code"]) == (400, param, code)


@pytest.mark.parametrize(
    ("fields", "param"),
    [({"temperature": 3}, "temperature"), ({"stop": ["a"] * 5}, "stop"), ({"n": 129}, "n")],
)
async def test_openais_ranges_hold_only_where_openais_api_answers(
    ready: Proxy, fields: dict[str, Any], param: str
) -> None:
    assert (await chat(ready, **fields)).status == 200
    reply = await chat(ready, model="demo-chat", **fields)
    assert (reply.status, reply.error["param"]) == (400, param)


async def test_a_request_without_model_is_answered_by_the_default(
    proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    upstream.require_key = False
    await proxy.add_model("m", upstream.url, default_for=["ChatCompletion"])
    reply = await proxy.call("POST", "/v1/chat/completions", {"messages": MESSAGES})
    assert reply.status == 200
    assert reply.headers["x-llmproxy-model"] == "m"


async def test_legacy_completions_work_plain_and_streamed(ready: Proxy, upstream: OpenAIUpstream) -> None:
    reply = await ready.call("POST", "/v1/completions", {"model": "m", "prompt": "Once"})
    assert reply.status == 200
    assert reply.json()["object"] == "text_completion"
    assert upstream.requests[-1].path == "/v1/completions"
    streamed = await ready.call(
        "POST", "/v1/completions", {"model": "m", "prompt": ["a", "b"], "stream": True}
    )
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    missing = await ready.call("POST", "/v1/completions", {"model": "m"})
    assert missing.error["param"] == "prompt"


async def test_a_body_that_is_too_large_is_refused(proxy: Proxy) -> None:
    limit = proxy.services.settings.max_json_bytes
    async with proxy.http.post(
        proxy.url + "/v1/chat/completions",
        data=b"{}",
        headers={"Authorization": f"Bearer {proxy.key}", "Content-Length": str(limit + 1)},
    ) as response:
        assert response.status == 413
        assert json.loads(await response.read())["error"]["code"] == "request_too_large"


async def test_costs_come_with_the_answer(ready: Proxy, upstream: OpenAIUpstream) -> None:
    costs = {"cost_input_1Mtokens": 1.0, "cost_output_1Mtokens": 2.0}
    await ready.add_model("priced", upstream.url, parameters={"secret_name": "up"}, costs=costs)
    reply = await chat(ready, model="priced")
    usage = reply.json()["usage"]
    expected = (usage["prompt_tokens"] * 1.0 + usage["completion_tokens"] * 2.0) / 1_000_000
    assert float(reply.headers["x-llmproxy-cost-usd"]) == pytest.approx(expected)
    free = await chat(ready)
    assert "x-llmproxy-cost-usd" not in free.headers
    records = await ready.requests()
    assert records[0]["cost_usd"] is None
    assert records[1]["cost_usd"] == pytest.approx(expected)
    sums = (await ready.call("GET", "/manage/usage")).json()
    assert sums["total"]["requests"] == 2


@pytest.mark.parametrize("depth", [198, 250, 1000, 5000])
async def test_nesting_has_a_limit(ready: Proxy, depth: int) -> None:
    nested = b"[" * depth + b"]" * depth
    for model in (b"m", b"demo-chat"):
        body = b'{"model":"%s","messages":[{"role":"user","content":"x"}],"extra":%s}' % (model, nested)
        reply = await ready.call("POST", "/v1/chat/completions", data=body)
        assert reply.status == (200 if depth < 200 else 400), reply.body
