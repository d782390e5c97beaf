"""Moderations over HTTP: with and without a model, refusals, accounting."""

from typing import Any

import pytest

from tests.proxy import Proxy, Reply
from tests.upstreams.openai import OpenAIUpstream

PARTS = [
    {"type": "text", "text": "a walk"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
]


async def moderate(proxy: Proxy, path: str = "/v1/moderations", **body: Any) -> Reply:
    return await proxy.call("POST", path, body)


async def added(proxy: Proxy, upstream: OpenAIUpstream, **fields: Any) -> None:
    proxy.add_secret("UPSTREAM", "sk-upstream")
    await proxy.add_model(
        "judge",
        upstream.url,
        code="omni-moderation-latest",
        operations=["moderations"],
        parameters={"secret_name": "UPSTREAM"},
        **fields,
    )


@pytest.mark.parametrize("given", ["I will kill", ["a", "kill"], PARTS])
async def test_the_body_arrives_as_it_was_and_the_answer_comes_back(
    proxy: Proxy, upstream: OpenAIUpstream, given: Any
) -> None:
    await added(proxy, upstream)
    reply = await moderate(proxy, model="judge", input=given, unheard_of=1)
    assert reply.status == 200
    assert len(reply.json()["results"]) == (2 if given == ["a", "kill"] else 1)
    [received] = upstream.requests
    assert received.path == "/v1/moderations"
    assert received.headers["authorization"] == "Bearer sk-upstream"
    assert received.body == {"model": "omni-moderation-latest", "input": given, "unheard_of": 1}


async def test_without_a_model_the_default_one_answers(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    # The demo models of the first start have a default; it makes way.
    reply = await proxy.call("GET", "/manage/models/demo-moderation")
    assert reply.json()["default_for"] == ["moderations"]
    reply = await moderate(proxy, input="a walk")
    assert reply.headers["x-llmproxy-model"] == "demo-moderation"

    await proxy.call("DELETE", "/manage/models/demo-moderation")
    await added(proxy, upstream, default_for=["moderations"])
    for path in ("/v1/moderations", "/openai/v1/moderations", "/openai/moderations"):
        reply = await moderate(proxy, path, input="a walk")
        assert reply.status == 200, reply.body
        assert reply.headers["x-llmproxy-model"] == "judge"
        assert upstream.requests[-1].body["model"] == "omni-moderation-latest"


async def test_without_a_model_or_a_default_the_model_is_missing(proxy: Proxy) -> None:
    await proxy.call("DELETE", "/manage/models/demo-moderation")
    reply = await moderate(proxy, input="a walk")
    assert (reply.status, reply.error["code"]) == (400, "missing_required_parameter")
    assert reply.error["param"] == "model"


@pytest.mark.parametrize("path", ["/v1/moderations", "/openai/moderations", "/openai/v1/moderations"])
async def test_a_model_that_does_not_moderate_says_so(
    proxy: Proxy, upstream: OpenAIUpstream, path: str
) -> None:
    await proxy.add_model("chats", upstream.url)
    await proxy.add_model(
        "azure",
        "https://some.openai.azure.com",
        provider="Azure",
        model_type="AzureOpenAI",
        parameters={"secret_name": "UPSTREAM"},
    )
    for model in ("chats", "azure"):
        reply = await moderate(proxy, path, model=model, input="a")
        assert (reply.status, reply.error["code"]) == (400, "unsupported_operation")
        assert reply.error["param"] == "model"


async def test_azure_openai_cannot_be_said_to_moderate(proxy: Proxy) -> None:
    body = {
        "id": "azure",
        "code": "gpt-4o",
        "provider": "Azure",
        "model_type": "AzureOpenAI",
        "operations": ["moderations"],
        "parameters": {"endpoint": "https://some.openai.azure.com", "secret_name": "UPSTREAM"},
    }
    reply = await proxy.call("POST", "/manage/models", body)
    assert reply.status == 400
    assert str(reply.error["param"]).startswith("operations")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", {"type": "text", "text": "b"}]}, "input[1]"),
        ({"input": [{"type": "text"}]}, "input[0].text"),
        ({"input": [{"type": "smell"}]}, "input[0].type"),
    ],
)
async def test_a_wrong_body_is_refused_by_the_name_of_the_field(proxy: Proxy, body: Any, param: str) -> None:
    reply = await moderate(proxy, model="demo-moderation", **body)
    assert (reply.status, reply.error["param"]) == (400, param)


async def test_what_was_judged_is_accounted_without_its_words(proxy: Proxy) -> None:
    await moderate(proxy, input=["abcd", "efgh"])
    [record] = await proxy.requests()
    assert (record["operation"], record["model"]) == ("moderations", "demo-moderation")
    assert (record["usage"]["prompt_tokens"], record["usage"]["estimated"]) == (2, True)
    assert record["cost_usd"] > 0
    assert "abcd" not in str(record)
