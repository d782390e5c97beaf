"""Each row of the error table: status, envelope, headers."""

from typing import Any

import pytest

from tests.proxy import Proxy, running_proxy
from tests.upstreams.behaviours import Hang, HangUp, Reply
from tests.upstreams.openai import OpenAIUpstream, openai_error

BODY: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}
SECRET = "sk-upstream-secret-000000"


@pytest.fixture
async def ready(proxy: Proxy, upstream: OpenAIUpstream) -> Proxy:
    proxy.add_secret("up", SECRET)
    await proxy.add_model("m", upstream.url + "/v1", parameters={"secret_name": "up", "max_retries": 0})
    return proxy


async def chat(proxy: Proxy, key: str | None = "", **fields: Any) -> Any:
    return await proxy.call("POST", "/v1/chat/completions", {**BODY, **fields}, key=key)


@pytest.mark.parametrize(
    ("upstream_says", "status", "type", "code", "param"),
    [
        (
            openai_error(400, "bad", code="some_code", param="top_p"),
            400,
            "invalid_request_error",
            "some_code",
            "top_p",
        ),
        (
            openai_error(400, "This model's maximum context length is 10", code="context_length_exceeded"),
            400,
            "invalid_request_error",
            "context_length_exceeded",
            None,
        ),
        (
            Reply({"error": {"message": "Prompt is too long: 9 tokens"}}, status=400),
            400,
            "invalid_request_error",
            "context_length_exceeded",
            None,
        ),
        (
            openai_error(400, "Rejected by the content management policy", code="content_filter"),
            400,
            "invalid_request_error",
            "content_filter",
            None,
        ),
        (
            openai_error(401, "Incorrect API key", code="invalid_api_key"),
            502,
            "upstream_error",
            "provider_error",
            None,
        ),
        (openai_error(403, "No access"), 502, "upstream_error", "provider_error", None),
        (
            openai_error(404, "No such model", code="model_not_found"),
            404,
            "invalid_request_error",
            "model_not_found",
            None,
        ),
        (openai_error(409, "Busy"), 409, "invalid_request_error", None, None),
        (openai_error(413, "Too big"), 413, "invalid_request_error", None, None),
        (openai_error(422, "Unprocessable"), 422, "invalid_request_error", None, None),
        (
            openai_error(429, "Slow down", type="requests", code="rate_limit_exceeded"),
            429,
            "requests",
            "rate_limit_exceeded",
            None,
        ),
        (openai_error(500, "Boom"), 502, "upstream_error", "provider_error", None),
        (openai_error(503, "Overloaded"), 502, "upstream_error", "provider_error", None),
        (Reply(b"<html>gateway</html>", status=502), 502, "upstream_error", "provider_error", None),
        (Reply(b"not json"), 502, "upstream_error", "invalid_provider_response", None),
        (Reply([1, 2]), 502, "upstream_error", "invalid_provider_response", None),
        (Reply({"error": {"message": "late"}}), 502, "upstream_error", "provider_error", None),
        (
            Reply({}, status=307, headers={"location": "http://127.0.0.1:1/"}),
            502,
            "upstream_error",
            "provider_error",
            None,
        ),
        (HangUp(), 502, "upstream_error", "provider_error", None),
    ],
)
async def test_a_providers_failure_is_told_in_the_envelope(
    ready: Proxy,
    upstream: OpenAIUpstream,
    upstream_says: Any,
    status: int,
    type: str,
    code: str | None,
    param: str | None,
) -> None:
    upstream.script(upstream_says)
    reply = await chat(ready)
    assert reply.status == status
    error = reply.error
    assert (error["type"], error["code"], error["param"]) == (type, code, param)
    assert error["message"]
    assert reply.headers["content-type"] == "application/json"
    record = (await ready.requests())[0]
    assert (record["status"], record["error_code"]) == (status, code)


async def test_a_silent_provider_is_a_504_that_says_what_to_do(
    proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await proxy.add_model("m", upstream.url, parameters={"timeout": 0.2})
    upstream.script(Hang())
    reply = await chat(proxy)
    assert (reply.status, reply.error["code"]) == (504, "provider_timeout")
    assert "stream" in reply.error["message"]
    assert reply.headers["x-should-retry"] == "false"
    assert len(upstream.requests) == 1


async def test_limits_of_a_refused_call_come_back(ready: Proxy, upstream: OpenAIUpstream) -> None:
    upstream.script(openai_error(429, "Slow down", headers={"retry-after": "7"}))
    reply = await chat(ready)
    assert reply.headers["retry-after"] == "7"
    assert reply.headers["x-upstream-ratelimit-limit-requests"] == "5000"
    assert "set-cookie" not in reply.headers


async def test_a_missing_secret_makes_the_model_unavailable(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await proxy.add_model("m", upstream.url, parameters={"secret_name": "NOT_THERE"})
    reply = await chat(proxy)
    assert (reply.status, reply.error["code"]) == (503, "provider_unavailable")
    assert not upstream.requests
    proxy.add_secret("NOT-THERE", SECRET)
    proxy.services.secrets.forget("NOT-THERE")
    assert (await chat(proxy)).status == 200


@pytest.mark.parametrize("key", [None, "nonsense", "llmp_0123456789_x", "llmp_" + "a" * 16 + "_" + "b" * 43])
async def test_without_a_valid_key_nothing_is_served(ready: Proxy, key: str | None) -> None:
    for method, path in (
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/completions"),
        ("GET", "/v1/models"),
        ("GET", "/manage/keys"),
        ("POST", "/manage/models"),
        ("GET", "/manage/usage"),
        ("GET", "/manage/requests"),
        ("GET", "/manage/projects"),
        ("GET", "/health/ready"),
        ("POST", "/manage/catalog/refresh"),
        ("POST", "/openai/deployments/m/chat/completions"),
        ("GET", "/openai/v1/models"),
    ):
        reply = await ready.call(method, path, {} if method == "POST" else None, key=key)
        assert (reply.status, reply.error["type"]) == (401, "authentication_error"), path
        assert reply.error["code"] == ("missing_api_key" if key is None else "invalid_api_key")
        assert reply.headers["www-authenticate"] == "Bearer"


async def test_open_routes_need_no_key(proxy: Proxy) -> None:
    for path in ("/", "/health"):
        assert (await proxy.call("GET", path, key=None)).status == 200
    listed = (await proxy.call("GET", "/", key=None)).json()
    assert "/v1/chat/completions" in listed["routes"]


async def test_keys_go_in_three_headers_and_two_that_differ_are_refused(ready: Proxy) -> None:
    for headers in (
        {"api-key": ready.key},
        {"X-API-Key": ready.key},
        {"Authorization": f"bearer {ready.key}"},
    ):
        assert (
            await ready.call("POST", "/v1/chat/completions", BODY, key=None, headers=headers)
        ).status == 200
    both = {"api-key": ready.key, "Authorization": "Bearer other"}
    assert (await ready.call("POST", "/v1/chat/completions", BODY, key=None, headers=both)).status == 401


async def test_a_users_key_is_no_administrators(ready: Proxy) -> None:
    key = await ready.add_key()
    reply = await ready.call("GET", "/manage/keys", key=key)
    assert (reply.status, reply.error["code"], reply.error["type"]) == (
        403,
        "admin_required",
        "permission_error",
    )


async def test_an_expired_key_is_told_so(tmp_path: Any) -> None:
    from shared.clock import ManualClock, iso

    clock = ManualClock()
    async with running_proxy(tmp_path, clock=clock) as proxy:
        key = await proxy.add_key(expires_at=iso(clock.time() + 60))
        assert (await chat(proxy, key, model="demo-chat")).status == 200
        clock.advance(61)
        reply = await chat(proxy, key, model="demo-chat")
        assert (reply.status, reply.error["code"]) == (401, "expired_api_key")


async def test_models_outside_a_keys_list_or_project(ready: Proxy, upstream: OpenAIUpstream) -> None:
    await ready.add_model("secret-model", upstream.url, private=True, projects=["others"])
    key = await ready.add_key(models=["demo-chat"])
    forbidden = await chat(ready, key)
    assert (forbidden.status, forbidden.error["code"], forbidden.error["param"]) == (
        403,
        "model_not_allowed",
        "model",
    )
    hidden = await chat(ready, key, model="secret-model")
    unknown = await chat(ready, key, model="no-such-model")
    assert hidden.status == unknown.status == 404
    assert hidden.error["message"] == unknown.error["message"].replace("no-such-model", "secret-model")
    assert hidden.error["code"] == "model_not_found"
    listed = (await ready.call("GET", "/v1/models", key=key)).json()["data"]
    assert [model["id"] for model in listed] == ["demo-chat"]


async def test_an_ambiguous_code_names_the_ids(ready: Proxy, upstream: OpenAIUpstream) -> None:
    for id in ("one", "two"):
        await ready.add_model(id, upstream.url, code="shared-code")
    reply = await chat(ready, model="shared-code")
    assert (reply.status, reply.error["code"]) == (400, "ambiguous_model")
    assert "one" in reply.error["message"]
    assert "two" in reply.error["message"]


async def test_an_operation_that_a_model_does_not_list(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await proxy.add_model("vectors", upstream.url, operations=["embeddings"])
    reply = await chat(proxy, model="vectors")
    assert (reply.status, reply.error["code"], reply.error["param"]) == (
        400,
        "unsupported_operation",
        "model",
    )


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/models", "/health", "/manage/requests", "/"])
async def test_a_wrong_method_is_405_with_allow(ready: Proxy, path: str) -> None:
    reply = await ready.call("DELETE", path)
    assert (reply.status, reply.error["code"]) == (405, "method_not_allowed")
    assert reply.headers["allow"]


@pytest.mark.parametrize(
    "path",
    ["/nope", "/v1", "/v1/nope", "/openai/nope", "/manage", "/v1/chat/completions/x/y", "/%2F", "/docs"],
)
async def test_an_unknown_path_is_404_in_the_envelope(ready: Proxy, path: str) -> None:
    reply = await ready.call("GET", path)
    assert (reply.status, reply.error["code"]) == (404, "not_found")


async def test_every_answer_has_its_headers(ready: Proxy) -> None:
    for path in ("/", "/nope", "/v1/models", "/health"):
        reply = await ready.call("GET", path, headers={"x-request-id": "my-request-1"})
        assert reply.headers["x-request-id"] == "my-request-1"
        assert reply.headers["x-llmproxy-version"]
        assert int(reply.headers["openai-processing-ms"]) >= 0
    for unsafe in ("short", "x" * 129, "with space in it", "semi;colon-here"):
        reply = await ready.call("GET", "/", headers={"x-request-id": unsafe})
        assert reply.headers["x-request-id"] != unsafe
    assert (await ready.call("OPTIONS", "/v1/chat/completions", key=None)).status == 204


async def test_a_fake_secret_never_comes_back(ready: Proxy, upstream: OpenAIUpstream, caplog: Any) -> None:
    for status in (400, 401, 404, 429, 500):
        upstream.script(openai_error(status, f"Key {SECRET} and Bearer {SECRET} are no good"))
        reply = await chat(ready)
        assert SECRET not in reply.body.decode()
        assert SECRET not in str(reply.headers)
    shown = await ready.call("GET", "/manage/models/m")
    assert SECRET not in shown.body.decode()
    assert SECRET not in caplog.text
    assert ready.key not in caplog.text
