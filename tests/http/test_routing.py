"""Retries, fallbacks and groups, seen from a client and from several upstreams."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.proxy import Proxy
from tests.upstreams.behaviours import Hang, HangUp, StreamReply
from tests.upstreams.openai import OpenAIUpstream, openai_error

MESSAGES = [{"role": "user", "content": "Hello"}]
TOO_LONG = openai_error(400, "maximum context length", code="context_length_exceeded")
FILTERED = openai_error(400, "filtered", code="content_filter")


@pytest.fixture
async def second() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream(text="from the second", require_key=False) as running:
        yield running


@pytest.fixture
def first(upstream: OpenAIUpstream) -> OpenAIUpstream:
    upstream.require_key = False
    return upstream


async def chat(proxy: Proxy, model: str = "a", **fields: Any) -> Any:
    return await proxy.call("POST", "/v1/chat/completions", {"model": model, "messages": MESSAGES, **fields})


@pytest.mark.parametrize(
    "failure", [openai_error(500, "x"), openai_error(429, "x"), openai_error(408, "x"), HangUp()]
)
async def test_what_may_pass_is_tried_again(proxy: Proxy, first: OpenAIUpstream, failure: Any) -> None:
    await proxy.add_model("a", first.url)
    first.script(failure, failure)
    reply = await chat(proxy)
    assert (reply.status, reply.headers["x-llmproxy-attempts"]) == (200, "3")
    assert len(first.requests) == 3
    assert (await proxy.requests())[0]["attempts"] == 3


async def test_spent_tries_tell_the_sdk_not_to_try_again(proxy: Proxy, first: OpenAIUpstream) -> None:
    await proxy.add_model("a", first.url, parameters={"max_retries": 1})
    first.script(openai_error(500, "x"), openai_error(500, "y"))
    reply = await chat(proxy)
    assert (reply.status, reply.headers["x-should-retry"]) == (502, "false")
    assert reply.error["message"] == "y"
    first.script(openai_error(500, "x"))
    untried = await chat(proxy, max_retries=0)
    assert untried.status == 502
    assert "x-should-retry" not in untried.headers


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
async def test_what_cannot_pass_is_not_tried_again(proxy: Proxy, first: OpenAIUpstream, status: int) -> None:
    await proxy.add_model("a", first.url)
    first.script(openai_error(status, "no"))
    assert (await chat(proxy)).status >= 400
    assert len(first.requests) == 1


async def test_a_request_may_only_ask_for_fewer_tries(proxy: Proxy, first: OpenAIUpstream) -> None:
    await proxy.add_model("a", first.url, parameters={"max_retries": 1})
    first.always(openai_error(500, "x"))
    await chat(proxy, max_retries=9)
    assert len(first.requests) == 2


async def test_retry_after_is_waited_for_within_the_deadline(proxy: Proxy, first: OpenAIUpstream) -> None:
    await proxy.add_model("a", first.url)
    first.script(openai_error(429, "x", headers={"retry-after-ms": "80"}))
    assert (await chat(proxy)).status == 200
    first.script(openai_error(429, "x", headers={"retry-after": "60"}))
    late = await chat(proxy)
    assert (late.status, late.headers["retry-after"]) == (429, "60")
    assert len(first.requests) == 3


async def test_a_used_up_quota_is_not_asked_again(proxy: Proxy, first: OpenAIUpstream) -> None:
    await proxy.add_model("a", first.url)
    first.script(openai_error(429, "no money", code="insufficient_quota"))
    assert (await chat(proxy)).error["code"] == "insufficient_quota"
    assert len(first.requests) == 1


@pytest.mark.parametrize(
    "failure", [openai_error(500, "x"), openai_error(401, "x"), openai_error(404, "x"), Hang(), HangUp()]
)
async def test_a_fallback_answers_for_a_model_that_cannot(
    proxy: Proxy, first: OpenAIUpstream, second: OpenAIUpstream, failure: Any
) -> None:
    await proxy.add_model("b", second.url)
    await proxy.add_model("a", first.url, fallbacks=["b"], parameters={"max_retries": 0, "timeout": 0.3})
    first.script(failure)
    reply = await chat(proxy)
    assert (reply.status, reply.headers["x-llmproxy-model"]) == (200, "b")
    assert reply.json()["choices"][0]["message"]["content"] == "from the second"
    record = (await proxy.requests())[0]
    assert (record["model_requested"], record["model"], record["fallback"]) == ("a", "b", True)
    assert len(first.requests) == 1, "a silent provider is not asked twice"


async def test_each_kind_of_failure_has_its_own_list(
    proxy: Proxy, first: OpenAIUpstream, second: OpenAIUpstream
) -> None:
    await proxy.add_model("b", second.url)
    await proxy.add_model("general", first.url, fallbacks=["b"])
    await proxy.add_model("context", first.url, context_window_fallbacks=["b"])
    await proxy.add_model("policy", first.url, content_policy_fallbacks=["b"])
    first.always(TOO_LONG)
    assert (await chat(proxy, "general")).status == 400
    assert (await chat(proxy, "policy")).status == 400
    assert (await chat(proxy, "context")).headers["x-llmproxy-model"] == "b"
    first.always(FILTERED)
    assert (await chat(proxy, "general")).status == 400
    assert (await chat(proxy, "context")).status == 400
    assert (await chat(proxy, "policy")).headers["x-llmproxy-model"] == "b"


async def test_a_requests_fallbacks_replace_the_catalogs_within_what_the_key_may_use(
    proxy: Proxy, first: OpenAIUpstream, second: OpenAIUpstream
) -> None:
    await proxy.add_model("b", second.url)
    await proxy.add_model("hidden", second.url, private=True, projects=["others"])
    await proxy.add_model("a", first.url, fallbacks=["b"], parameters={"max_retries": 0})
    first.always(openai_error(500, "x"))
    assert (await chat(proxy)).status == 200
    assert (await chat(proxy, fallbacks=[])).status == 502
    assert (await chat(proxy, fallbacks=["hidden", "no-such", "demo-chat"])).headers[
        "x-llmproxy-model"
    ] == "demo-chat"
    key = await proxy.add_key(models=["a"])
    reply = await proxy.call(
        "POST", "/v1/chat/completions", {"model": "a", "messages": MESSAGES, "fallbacks": ["b"]}, key=key
    )
    assert reply.status == 502


async def test_a_stream_fails_over_before_its_first_content(
    proxy: Proxy, first: OpenAIUpstream, second: OpenAIUpstream
) -> None:
    await proxy.add_model("b", second.url)
    await proxy.add_model("a", first.url, fallbacks=["b"], parameters={"max_retries": 0})
    for failure in (
        StreamReply(stop_after=1, ending="cut"),
        StreamReply(stop_after=1, ending="stall"),
        HangUp(),
    ):
        first.script(failure)
        reply = await chat(proxy, stream=True)
        assert reply.headers["x-llmproxy-model"] == "b"
        assert reply.body.endswith(b"data: [DONE]\n\n")
        assert reply.body.count(b'"role":"assistant"') == 1


async def add_group(proxy: Proxy, strategy: str, *members: dict[str, Any]) -> None:
    body = {
        "id": "g",
        "kind": "group",
        "strategy": strategy,
        "members": list(members),
        "fallbacks": ["demo-chat"],
    }
    reply = await proxy.call("POST", "/manage/models", body)
    assert reply.status == 201, reply.body


async def test_a_group_takes_turns(proxy: Proxy, first: OpenAIUpstream, second: OpenAIUpstream) -> None:
    await proxy.add_model("a", first.url)
    await proxy.add_model("b", second.url)
    await add_group(proxy, "round-robin", {"id": "a"}, {"id": "b"})
    used = [(await chat(proxy, "g")).headers["x-llmproxy-model"] for _ in range(4)]
    assert used in (["a", "b"] * 2, ["b", "a"] * 2)


async def test_a_group_by_priority_goes_down_its_list(
    proxy: Proxy, first: OpenAIUpstream, second: OpenAIUpstream
) -> None:
    await proxy.add_model("a", first.url, parameters={"max_retries": 0})
    await proxy.add_model("b", second.url, parameters={"max_retries": 0})
    await add_group(proxy, "priority", {"id": "a"}, {"id": "b"})
    assert (await chat(proxy, "g")).headers["x-llmproxy-model"] == "a"
    first.always(openai_error(503, "x"))
    second_answer = await chat(proxy, "g")
    assert second_answer.headers["x-llmproxy-model"] == "b"
    assert (await proxy.requests())[0]["fallback"] is False
    second.always(openai_error(503, "x"))
    assert (await chat(proxy, "g")).headers["x-llmproxy-model"] == "demo-chat"


async def test_a_weighted_group_follows_its_weights(
    proxy: Proxy, first: OpenAIUpstream, second: OpenAIUpstream
) -> None:
    await proxy.add_model("a", first.url)
    await proxy.add_model("b", second.url)
    await add_group(proxy, "weighted", {"id": "a", "weight": 1e-9}, {"id": "b", "weight": 3})
    used = {(await chat(proxy, "g")).headers["x-llmproxy-model"] for _ in range(12)}
    assert used == {"b"}


async def test_a_key_that_lists_a_group_may_use_its_members_through_it(
    proxy: Proxy, first: OpenAIUpstream
) -> None:
    await proxy.add_model("a", first.url)
    await add_group(proxy, "priority", {"id": "a"})
    key = await proxy.add_key(models=["g"])
    body = {"model": "g", "messages": MESSAGES}
    assert (await proxy.call("POST", "/v1/chat/completions", body, key=key)).status == 200
    assert (await proxy.call("POST", "/v1/chat/completions", {**body, "model": "a"}, key=key)).status == 403


async def test_a_connection_that_turns_out_closed_costs_no_try(proxy: Proxy, first: OpenAIUpstream) -> None:
    await proxy.add_model("a", first.url, parameters={"max_retries": 0})
    assert (await chat(proxy)).status == 200
    first.script(HangUp())
    reply = await chat(proxy)
    assert (reply.status, reply.headers["x-llmproxy-attempts"]) == (200, "1")
    assert first.connections == 2


async def test_connections_are_reused(proxy: Proxy, first: OpenAIUpstream) -> None:
    await proxy.add_model("a", first.url)
    for streamed in (False, True, False, True):
        assert (await chat(proxy, stream=streamed)).status == 200
    assert first.connections == 1
