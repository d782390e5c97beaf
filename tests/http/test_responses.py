"""Responses through the whole proxy: ids, pins, refusals, and what can be done with a stored one."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.proxy import Proxy, Reply
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
