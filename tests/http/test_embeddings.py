"""Embeddings over HTTP: formats, refusals, accounting, and providers that misbehave."""

import asyncio
import json
from typing import Any

import orjson
import pytest

from tests.proxy import Proxy, Reply
from tests.upstreams.behaviours import Behaviour, Hang, HangUp
from tests.upstreams.behaviours import Reply as Answer
from tests.upstreams.openai import OpenAIUpstream, openai_error
from tests.upstreams.vectors import in_base64, openai_embeddings, upstream_vector

TEXTS = ["a fox", "a dog"]
COSTS = {"cost_input_1Mtokens": 1.0, "cost_output_1Mtokens": 0}


async def added(proxy: Proxy, upstream: OpenAIUpstream, **fields: Any) -> None:
    proxy.add_secret("UPSTREAM", "sk-upstream")
    await proxy.add_model(
        "vectors",
        upstream.url,
        operations=["embeddings"],
        costs=COSTS,
        parameters={"secret_name": "UPSTREAM", "max_retries": 0},
        **fields,
    )


async def embed(proxy: Proxy, model: str = "vectors", **body: Any) -> Reply:
    return await proxy.call("POST", "/v1/embeddings", {"model": model, **body})


def vectors_of(reply: Reply) -> list[Any]:
    assert reply.status == 200, reply.body
    return [item["embedding"] for item in reply.json()["data"]]


@pytest.mark.parametrize("wanted", ["float", "base64", None])
async def test_a_provider_that_ignores_the_format_is_converted(
    proxy: Proxy, upstream: OpenAIUpstream, wanted: str | None
) -> None:
    await added(proxy, upstream)
    floats = [upstream_vector(text) for text in TEXTS]
    texts = [in_base64(vector) for vector in floats]
    for sent in (floats, texts, [floats[0], texts[1]], [texts[0], floats[1]]):
        answer = openai_embeddings({"input": TEXTS}, "m")
        for item, vector in zip(answer["data"], sent, strict=True):
            item["embedding"] = vector
        upstream.script(Answer(answer))
        reply = await embed(proxy, input=TEXTS, encoding_format=wanted)
        assert vectors_of(reply) == (texts if wanted == "base64" else floats)


async def test_an_answer_in_the_right_format_is_relayed_byte_by_byte(
    proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await added(proxy, upstream)
    sent = b'{ "data":[ {"embedding": [1.0, -2.50e0 ],"index":0}],"usage":{"prompt_tokens": 4} ,"own":[1]}'
    upstream.script(Answer(sent))
    reply = await embed(proxy, input="a")
    assert reply.body == sent
    [record] = await proxy.requests()
    assert record["usage"]["prompt_tokens"] == 4
    assert record["cost_usd"] == pytest.approx(4e-6)
    assert float(reply.headers["x-llmproxy-cost-usd"]) == pytest.approx(4e-6)


async def test_what_the_provider_did_not_count_is_estimated(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await added(proxy, upstream)
    upstream.script(Answer({"data": [{"index": 0, "embedding": [0.5]}]}))
    await embed(proxy, input=[5, 6, 7])
    [record] = await proxy.requests()
    assert (record["usage"]["prompt_tokens"], record["usage"]["estimated"]) == (3, True)
    assert record["operation"] == "embeddings"


async def test_a_full_answer_is_converted_while_others_are_served(
    proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await added(proxy, upstream)
    given = [f"text {number}" for number in range(2048)]
    vectors = [upstream_vector(text, 256) for text in given]
    answer = openai_embeddings({"input": given, "dimensions": 256}, "m")
    upstream.script(Answer(orjson.dumps(answer)))
    call = asyncio.create_task(embed(proxy, input=given, dimensions=256, encoding_format="base64"))
    served = 0
    while not call.done():
        assert (await proxy.call("GET", "/health", key=None)).status == 200
        served += 1
    assert served > 0
    assert vectors_of(await call) == [in_base64(vector) for vector in vectors]


@pytest.mark.parametrize(
    ("body", "param", "code"),
    [
        ({}, "input", "missing_required_parameter"),
        ({"input": []}, "input", "invalid_value"),
        ({"input": ""}, "input", "invalid_value"),
        ({"input": ["a", 1]}, "input[1]", "invalid_value"),
        ({"input": ["a"] * 2049}, "input", "invalid_value"),
        ({"input": "a", "encoding_format": "hex"}, "encoding_format", "invalid_value"),
        ({"input": "a", "dimensions": -1}, "dimensions", "invalid_value"),
        ({"input": "a", "api_base": "http://example.com"}, "api_base", "unsupported_parameter"),
    ],
)
async def test_a_wrong_body_is_refused_by_the_name_of_the_field(
    proxy: Proxy, body: Any, param: str, code: str
) -> None:
    reply = await embed(proxy, "demo-embedding", **body)
    assert reply.status == 400
    assert (reply.error["param"], reply.error["code"]) == (param, code)


async def test_more_inputs_and_other_formats_are_for_other_providers_to_judge(
    proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await added(proxy, upstream)
    upstream.script(Answer({"data": [{"index": 0, "embedding": "0aff"}]}))
    reply = await embed(proxy, input=["a"] * 2049, encoding_format="hex")
    assert vectors_of(reply) == ["0aff"]
    assert upstream.requests[-1].body["encoding_format"] == "hex"


async def test_a_model_that_does_not_embed_says_so(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await proxy.add_model("chats", upstream.url)
    for path in ("/v1/embeddings", "/openai/deployments/chats/embeddings", "/openai/v1/embeddings"):
        reply = await proxy.call("POST", path, {"model": "chats", "input": "a"})
        assert reply.status == 400
        assert (reply.error["code"], reply.error["param"]) == ("unsupported_operation", "model")
    assert upstream.requests == []


async def test_without_a_model_nothing_is_guessed(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await added(proxy, upstream)
    reply = await proxy.call("POST", "/v1/embeddings", {"input": "a"})
    assert (reply.status, reply.error["code"]) == (400, "missing_required_parameter")
    assert reply.error["param"] == "model"


async def test_a_provider_that_breaks_off_or_answers_nonsense_is_a_502(
    proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await added(proxy, upstream)
    whole = json.dumps(openai_embeddings({"input": TEXTS}, "m")).encode()
    broken: list[Behaviour] = [
        HangUp(),
        Answer(whole[:60]),
        Answer(whole, headers={"content-length": str(len(whole) + 10)}, hang_up=True),
        Answer(b"<html>busy</html>", content_type="text/html"),
        Answer({"data": [{"index": 0, "embedding": ["x"]}]}),
        openai_error(500, "Out of order.", type="server_error"),
    ]
    for behaviour in broken:
        upstream.script(behaviour)
        reply = await embed(proxy, input="a", encoding_format="base64")
        assert (reply.status, reply.error["type"]) == (502, "upstream_error"), behaviour


async def test_a_silent_provider_is_a_504(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await added(proxy, upstream)
    upstream.script(Hang())
    reply = await embed(proxy, input="a", timeout=0.2)
    assert (reply.status, reply.error["code"]) == (504, "provider_timeout")


async def test_a_client_that_leaves_ends_the_providers_call(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await added(proxy, upstream)
    upstream.script(Hang())
    call = asyncio.create_task(embed(proxy, input="a"))
    await upstream.wait_requests(1)
    call.cancel()
    await upstream.wait_disconnected(timeout=3.0)
    while not (records := await proxy.requests()):
        await asyncio.sleep(0.01)
    assert records[0]["status"] == 499


async def test_another_model_takes_over(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await added(proxy, upstream, fallbacks=["spare"])
    await proxy.add_model(
        "spare", upstream.url, operations=["embeddings"], parameters={"secret_name": "UPSTREAM"}
    )
    upstream.script(openai_error(503, "Busy.", type="server_error"))
    reply = await embed(proxy, input=TEXTS)
    assert reply.headers["x-llmproxy-model"] == "spare"
    assert vectors_of(reply) == [upstream_vector(text) for text in TEXTS]


async def test_only_post_is_taken(proxy: Proxy) -> None:
    reply = await proxy.call("GET", "/v1/embeddings")
    assert reply.status == 405
    assert reply.headers["allow"] == "POST"
