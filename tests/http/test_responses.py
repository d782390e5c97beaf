"""Responses through the whole proxy: ids, pins, refusals, and what can be done with a stored one."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.proxy import Proxy, Reply
from tests.upstreams.behaviours import Reply as Answer
from tests.upstreams.responses import ResponsesUpstream

BODY = {"model": "m", "input": "Say something."}


@pytest.fixture
async def upstream() -> AsyncIterator[ResponsesUpstream]:
    async with ResponsesUpstream() as running:
        yield running


@pytest.fixture
async def ready(proxy: Proxy, upstream: ResponsesUpstream) -> Proxy:
    await add_model(proxy, upstream, "m")
    proxy.add_secret("up", "sk-upstream-secret-000000")
    return proxy


async def add_model(proxy: Proxy, upstream: ResponsesUpstream, id: str, **fields: Any) -> None:
    parameters = {"secret_name": "up", "max_retries": 0, **fields.pop("parameters", {})}
    operations = fields.pop("operations", ["Responses"])
    await proxy.add_model(id, upstream.url + "/v1", operations=operations, parameters=parameters, **fields)


async def create(proxy: Proxy, key: str = "", **fields: Any) -> Reply:
    return await proxy.call("POST", "/v1/responses", {**BODY, **fields}, key=key)


async def test_an_answer_is_the_providers_but_for_its_id(ready: Proxy, upstream: ResponsesUpstream) -> None:
    reply = await create(ready, temperature=0.5, unheard_of={"deep": [1, None]})
    assert reply.status == 200
    shown, [kept] = reply.json(), upstream.kept.values()
    assert shown["id"].startswith("resp_")
    assert shown["id"] != kept["id"]
    assert kept["id"].encode() not in reply.body.replace(b"msg_" + kept["id"].encode(), b"")
    assert {**shown, "id": kept["id"]} == kept
    assert upstream.requests[-1].body == {**BODY, "temperature": 0.5, "unheard_of": {"deep": [1, None]}}
    [record] = await ready.requests()
    assert record["operation"] == "Responses"
    assert record["usage"]["completion_tokens"] == kept["usage"]["output_tokens"]
    assert record["usage"]["cached_tokens"] == 2


async def test_a_stored_response_is_found_by_its_id_alone(ready: Proxy, upstream: ResponsesUpstream) -> None:
    id = (await create(ready)).json()["id"]
    read = await ready.call("GET", f"/v1/responses/{id}?include[]=message.output_text.logprobs&evil=1")
    assert (read.status, read.json()["id"]) == (200, id)
    assert upstream.requests[-1].query == {"include[]": "message.output_text.logprobs"}
    assert upstream.requests[-1].raw == b""
    items = await ready.call("GET", f"/v1/responses/{id}/input_items?limit=5&order=asc&after=x")
    assert items.json()["data"][0]["content"][0]["text"] == BODY["input"]
    assert upstream.requests[-1].query == {"limit": "5", "order": "asc", "after": "x"}
    cancelled = await ready.call("POST", f"/v1/responses/{id}/cancel")
    assert (cancelled.status, cancelled.json()["id"], cancelled.json()["status"]) == (200, id, "cancelled")
    deleted = await ready.call("DELETE", f"/v1/responses/{id}")
    assert deleted.json() == {"id": id, "object": "response", "deleted": True}
    gone = await ready.call("GET", f"/v1/responses/{id}")
    assert gone.status == 404
    assert gone.error["message"] == f"Response with id '{id}' not found."


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "file-1"}]}]},
            "input[0].content[0].file_id",
        ),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1"}]}, "input[0]"),
        ({"input": [{"id": "msg_1", "type": None}]}, "input[0]"),
        ({"input": [{"type": "image_generation_call", "id": "ig_1"}]}, "input[0]"),
        (
            {
                "input": [
                    {
                        "type": "function_call_output",
                        "call_id": "c",
                        "output": [{"type": "input_image", "file_id": "f"}],
                    }
                ]
            },
            "input[0].output[0].file_id",
        ),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]}, "tools[0].vector_store_ids"),
        ({"tools": [{"type": "code_interpreter", "container": "cntr_1"}]}, "tools[0].container"),
        (
            {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": ["file-1"]}}]},
            "tools[0].container.file_ids",
        ),
        (
            {
                "tools": [
                    {"type": "shell", "environment": {"type": "container_reference", "container_id": "c"}}
                ]
            },
            "tools[0].environment.type",
        ),
        (
            {"tools": [{"type": "shell", "environment": {"skills": [{"skill_id": "s"}]}}]},
            "tools[0].environment.skills[0].skill_id",
        ),
        (
            {"tools": [{"type": "image_generation", "input_image_mask": {"file_id": "file-1"}}]},
            "tools[0].input_image_mask.file_id",
        ),
        ({"container": {"id": "container_1"}}, "container.id"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
    ],
)
async def test_what_lies_in_the_shared_account_is_refused_by_its_path(
    ready: Proxy, upstream: ResponsesUpstream, fields: dict[str, Any], param: str
) -> None:
    for streamed in (False, True):
        reply = await create(ready, **fields, stream=streamed)
        assert (reply.status, reply.error["code"], reply.error["param"]) == (
            400,
            "unsupported_parameter",
            param,
        )
    assert upstream.requests == []


@pytest.mark.parametrize(
    "fields",
    [
        {"tools": [{"type": "code_interpreter", "container": {"type": "auto", "file_ids": []}}]},
        {"metadata": {"file_id": "mine", "vector_store_ids": "mine"}},
        {
            "tools": [
                {
                    "type": "function",
                    "name": "f",
                    "parameters": {"properties": {"file_id": {"type": "string"}}},
                }
            ]
        },
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": {"properties": {"file_ids": {}}}}
            }
        },
        {
            "input": [
                {"role": "user", "content": [{"type": "input_image", "image_url": "data:x", "file_id": None}]}
            ]
        },
        {"input": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}]},
        {"input": [{"type": "message", "role": "assistant", "id": "msg_1", "content": "Hello."}]},
        {"conversation": None, "prompt": None, "background": False, "previous_response_id": None},
    ],
)
async def test_what_only_sounds_like_it_passes(
    ready: Proxy, upstream: ResponsesUpstream, fields: dict[str, Any]
) -> None:
    assert (await create(ready, **fields)).status == 200
    assert upstream.requests[-1].body == {**BODY, **fields}


@pytest.mark.parametrize(
    ("fields", "status", "code", "param"),
    [
        ({"conversation": "conv_1"}, 404, "not_found", "conversation"),
        ({"conversation": {"id": "conv_1"}}, 404, "not_found", "conversation"),
        ({"input": None}, 400, "missing_required_parameter", "input"),
        ({"input": 5}, 400, "invalid_value", "input"),
        ({"input": ["text"]}, 400, "invalid_value", "input[0]"),
        ({"stream": "yes"}, 400, "invalid_value", "stream"),
        ({"background": "yes"}, 400, "invalid_value", "background"),
        ({"previous_response_id": 5}, 400, "invalid_value", "previous_response_id"),
        ({"previous_response_id": "resp_x"}, 404, "not_found", "previous_response_id"),
        ({"model": None}, 400, "missing_required_parameter", "model"),
        ({"model": "chat-only"}, 400, "unsupported_operation", "model"),
        ({"model": "unknown"}, 404, "model_not_found", "model"),
        ({"api_base": "http://elsewhere"}, 400, "unsupported_parameter", "api_base"),
    ],
)
async def test_a_request_at_fault_is_refused_by_its_field(
    ready: Proxy, upstream: ResponsesUpstream, fields: dict[str, Any], status: int, code: str, param: str
) -> None:
    await add_model(ready, upstream, "chat-only", operations=["ChatCompletion"])
    reply = await create(ready, **fields)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (status, code, param)
    assert upstream.requests == []


async def test_openais_ranges_hold_for_its_models_alone(ready: Proxy, upstream: ResponsesUpstream) -> None:
    await add_model(ready, upstream, "own", provider="OpenAI", model_type="OpenAINative")
    many = [{"role": "user", "content": "x"}] * 2049
    for fields, param in (
        ({"input": many}, "input"),
        ({"temperature": 3}, "temperature"),
        ({"top_logprobs": 21}, "top_logprobs"),
    ):
        assert (await create(ready, **fields)).status == 200
        refused = await create(ready, model="own", **fields)
        assert (refused.status, refused.error["param"]) == (400, param)


@pytest.mark.parametrize(
    ("method", "below", "status"),
    [
        ("GET", "", 405),
        ("DELETE", "", 405),
        ("PUT", "/resp_x", 405),
        ("POST", "/resp_x", 405),
        ("GET", "/resp_x/cancel", 405),
        ("POST", "/resp_x/input_items", 405),
        ("GET", "/resp_x/other", 404),
        ("GET", "/resp_x", 404),
        ("DELETE", "/resp_x", 404),
        ("POST", "/resp_x/cancel", 404),
        ("GET", "/resp_x/input_items", 404),
    ],
)
async def test_each_address_has_its_methods(ready: Proxy, method: str, below: str, status: int) -> None:
    for base in ("/v1/responses", "/openai/responses", "/openai/v1/responses"):
        reply = await ready.call(method, base + below)
        assert reply.status == status
        assert reply.error["code"] == {404: "not_found", 405: "method_not_allowed"}[status]
        assert (status == 405) == ("allow" in reply.headers)


@pytest.mark.parametrize(
    ("below", "methods"),
    [("", "POST"), ("/resp_x", "GET, DELETE"), ("/resp_x/cancel", "POST"), ("/resp_x/input_items", "GET")],
)
async def test_each_address_says_what_it_takes(ready: Proxy, below: str, methods: str) -> None:
    for base in ("/v1/responses", "/openai/responses", "/openai/v1/responses"):
        for method in ("OPTIONS", "PATCH"):
            assert (await ready.call(method, base + below)).headers["allow"] == methods


async def test_a_response_that_failed_is_an_error_now_and_an_answer_later(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    id = (await create(ready)).json()["id"]
    [kept] = upstream.kept.values()
    error = {"code": "server_error", "message": "The model broke."}
    kept.update(status="failed", error=error)
    read = await ready.call("GET", f"/v1/responses/{id}")
    assert (read.status, read.json()["error"]) == (200, error)
    upstream.script(Answer({**kept, "id": "resp_x"}))
    failed = await create(ready)
    assert (failed.status, failed.error["message"]) == (502, "The model broke.")


async def test_what_is_asked_about_a_stored_one_is_logged_and_costs_nothing(ready: Proxy) -> None:
    id = (await create(ready)).json()["id"]
    for method, below in (("GET", ""), ("GET", "/input_items"), ("POST", "/cancel"), ("DELETE", "")):
        assert (await ready.call(method, f"/v1/responses/{id}{below}")).status == 200
    records = await ready.requests()
    assert len(records) == 5
    assert [record["usage"] is None for record in records] == [True] * 4 + [False]
    assert {(record["operation"], record["model"], record["status"]) for record in records} == {
        ("Responses", "m", 200)
    }


async def test_defaults_of_the_catalog_are_for_new_responses(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    await add_model(ready, upstream, "set", parameters={"default_params": {"temperature": 0.1}})
    id = (await create(ready, model="set")).json()["id"]
    assert upstream.requests[-1].body["temperature"] == 0.1
    await ready.call("POST", f"/v1/responses/{id}/cancel")
    assert upstream.requests[-1].raw == b""


async def test_a_large_answer_keeps_every_byte_but_those_of_its_id(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    picture = "iVBORw0KGgo" * 30_000
    body = b'{"id": "resp_big",  "object":"response", "error": null, "output": [{"type": "image_generation_call", '
    body += (
        b'"result": "'
        + picture.encode()
        + b'", "b64_json": "x"}], "usage": {"input_tokens": 1, "output_tokens": 2}}'
    )
    upstream.script(Answer(body))
    reply = await create(ready)
    id = reply.json()["id"]
    assert reply.body == body.replace(b"resp_big", id.encode())
