"""What each provider receives when the official client asks: the address, the credential, and the body as it was."""

import json
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.e2e.targets import SECRET, Target
from tests.e2e.test_chat import MIXED
from tests.e2e.test_structured import TOOLS, Place
from tests.e2e.world import ASKED, World
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.server import Received

pytestmark = pytest.mark.asyncio(loop_scope="module")

CREDENTIAL_HEADERS = ("authorization", "api-key", "x-api-key")
FORWARDED = {"anthropic-beta", "openai-beta", "traceparent"}
OWN_HEADERS = {
    "host",
    "accept",
    "accept-encoding",
    "user-agent",
    "content-type",
    "content-length",
    *CREDENTIAL_HEADERS,
}


def assert_addressed(received: Received, target: Target, path: str) -> None:
    """The request went where this kind of provider is called, with the model's credential and no other."""
    assert received.method == "POST"
    assert received.path == target.address.format(path=path)
    assert received.query == target.query
    name, value = target.credential
    sent = {header: received.headers.get(header) for header in CREDENTIAL_HEADERS}
    assert sent == {header: value if header == name.lower() else None for header in CREDENTIAL_HEADERS}


async def test_a_chat_goes_to_the_providers_own_address(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    await openai.chat.completions.create(model=target.name, messages=ASKED)
    [received] = upstream.requests
    assert_addressed(received, target, "chat/completions")
    assert received.body == {"model": target.model_sent, "messages": ASKED}


async def test_a_stream_asks_the_provider_for_usage(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    stream = await openai.chat.completions.create(
        model=target.name,
        messages=ASKED,
        stream=True,
        stream_options={"include_usage": False, "include_obfuscation": False},
    )
    async for _ in stream:
        pass
    [received] = upstream.requests
    assert_addressed(received, target, "chat/completions")
    assert received.body == {
        "model": target.model_sent,
        "messages": ASKED,
        "stream": True,
        "stream_options": {"include_usage": True, "include_obfuscation": False},
    }


async def test_completions_go_beside_it(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    await openai.completions.create(model=target.name, prompt="Once upon", suffix=".", max_tokens=5)
    [received] = upstream.requests
    assert_addressed(received, target, "completions")
    assert received.body == {
        "model": target.model_sent,
        "prompt": "Once upon",
        "suffix": ".",
        "max_tokens": 5,
    }


async def test_every_field_arrives_as_it_was_sent(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    fields: dict[str, Any] = {
        "n": 2,
        "logprobs": True,
        "top_logprobs": 3,
        "temperature": 0.5,
        "seed": 7,
        "stop": ["a", "b"],
        "logit_bias": {"50256": -100},
        "metadata": {"trip": "paris"},
        "user": "someone",
        "reasoning_effort": "low",
        "service_tier": "flex",
        "tools": TOOLS,
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }
    unknown = {"top_k": 5, "thinking": {"type": "enabled"}, "presence_penalty": None}
    await openai.chat.completions.create(model=target.name, messages=MIXED, **fields, extra_body=unknown)
    [received] = upstream.requests
    assert received.body == {"model": target.model_sent, "messages": MIXED, **fields, **unknown}


async def test_a_pydantic_type_arrives_as_a_strict_schema(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    await openai.chat.completions.parse(model=target.name, messages=ASKED, response_format=Place)
    shape = upstream.requests[-1].body["response_format"]
    assert shape["type"] == "json_schema"
    assert shape["json_schema"]["strict"] is True
    assert set(shape["json_schema"]["schema"]["properties"]) == set(Place.model_fields)


async def test_steering_stays_with_the_proxy(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    await openai.chat.completions.create(
        model=target.name,
        messages=ASKED,
        extra_body={"timeout": 5, "max_retries": 0, "fallbacks": [], "context_window_fallbacks": []},
    )
    assert set(upstream.requests[-1].body) == {"model", "messages"}


async def test_of_the_clients_headers_few_travel_on(
    world: World, upstream: OpenAIUpstream, target: Target
) -> None:
    traced = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
    given = {"OpenAI-Beta": "assistants=v2", "X-Forwarded-For": "192.0.2.1", "Cookie": "a=b", **traced}
    async with world.client(organization="org-mine", project="proj-mine", default_headers=given) as openai:
        await openai.chat.completions.create(model=target.name, messages=ASKED)
    headers = {name.lower() for name in upstream.requests[-1].headers}
    assert headers <= OWN_HEADERS | FORWARDED
    assert upstream.requests[-1].headers["openai-beta"] == "assistants=v2"
    assert upstream.requests[-1].headers["traceparent"] == traced["traceparent"]
    assert world.proxy.key not in str(upstream.requests[-1].headers)


async def test_the_answer_names_who_gave_it_and_what_it_cost(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    raw = await openai.chat.completions.with_raw_response.create(model=target.name, messages=ASKED)
    answer = raw.parse()
    assert answer.model == f"{target.model_sent}-2026-01-01"
    assert raw.headers["x-llmproxy-model"] == target.name
    assert raw.headers["x-llmproxy-provider"] == target.provider
    assert raw.headers["x-llmproxy-attempts"] == "1"
    assert raw.headers["x-llmproxy-cache"] == "off"
    assert answer.usage is not None
    expected = (answer.usage.prompt_tokens * 2.5 + answer.usage.completion_tokens * 10) / 1e6
    assert float(raw.headers["x-llmproxy-cost-usd"]) == pytest.approx(expected)
    assert raw.headers["x-upstream-ratelimit-remaining-requests"] == "4999"
    assert not {"set-cookie", "openai-organization"} & set(raw.headers)
    assert SECRET not in json.dumps(dict(raw.headers)) + raw.text
