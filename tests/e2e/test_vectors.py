"""Embeddings and moderations through the official clients, which ask for base64 where one says nothing."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from openai import AsyncOpenAI, AzureOpenAI, BadRequestError, OpenAI
from openai.types import ModerationMultiModalInputParam

from shared import Json
from tests.e2e.targets import TARGETS, Target
from tests.e2e.test_upstreams import assert_addressed
from tests.e2e.world import World
from tests.upstreams.behaviours import Reply
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.vectors import openai_embeddings, upstream_vector

pytestmark = pytest.mark.asyncio(loop_scope="module")

TEXTS = ["a fox", "a dog"]
PARTS: list[ModerationMultiModalInputParam] = [
    {"type": "text", "text": "a walk"},
    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}},
]
JUDGES = [target for target in TARGETS if target.provider != "Azure"]


def named(target: Target) -> str:
    return f"{target.name}-vectors"


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def models(world: World) -> AsyncIterator[None]:
    """A model for each target beside its chat model, which embeds and, where it can, moderates."""
    for target in TARGETS:
        document: Json = target.document(world.upstream.url)
        operations = ["embeddings", "moderations"] if target in JUDGES else ["embeddings"]
        reply = await world.proxy.call(
            "POST", "/manage/models", {**document, "id": named(target), "operations": operations}
        )
        assert reply.status == 201, reply.body
    yield


async def test_vectors_come_as_floats_whatever_travelled(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    expected = [upstream_vector(text) for text in TEXTS]
    for asked in ({}, {"encoding_format": "float"}):
        answer = await openai.embeddings.create(model=named(target), input=TEXTS, **asked)  # type: ignore[arg-type]
        assert [item.embedding for item in answer.data] == expected
        assert [item.index for item in answer.data] == [0, 1]
        assert answer.usage.total_tokens == answer.usage.prompt_tokens > 0
    received = upstream.requests[0]
    assert_addressed(received, target, "embeddings")
    assert received.body == {"model": target.model_sent, "input": TEXTS, "encoding_format": "base64"}


async def test_a_provider_that_answers_floats_or_half_of_them_corrupts_nothing(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    expected = [upstream_vector(text) for text in TEXTS]
    answers = [openai_embeddings({"input": TEXTS}, "m"), openai_embeddings({"input": TEXTS}, "m")]
    in_text = openai_embeddings({"input": TEXTS, "encoding_format": "base64"}, "m")
    answers[1]["data"][0] = in_text["data"][0]
    for content in answers:
        upstream.script(Reply(content))
        answer = await openai.embeddings.create(model=named(target), input=TEXTS)
        assert [item.embedding for item in answer.data] == expected


async def test_tokens_size_and_user_arrive(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    for given in ([5, 6], [[5], [6, 7]]):
        answer = await openai.embeddings.create(
            model=named(target), input=given, dimensions=3, user="someone", encoding_format="float"
        )
        assert all(len(item.embedding) == 3 for item in answer.data)
        assert upstream.requests[-1].body == {
            "model": target.model_sent,
            "input": given,
            "dimensions": 3,
            "user": "someone",
            "encoding_format": "float",
        }


async def test_the_demo_model_embeds_in_either_format(openai: AsyncOpenAI) -> None:
    texts = await openai.embeddings.create(model="demo-embedding", input=TEXTS, dimensions=64)
    floats = await openai.embeddings.create(
        model="demo-embedding", input=TEXTS, dimensions=64, encoding_format="float"
    )
    assert [item.embedding for item in texts.data] == [item.embedding for item in floats.data]
    assert {len(item.embedding) for item in texts.data} == {64}


@pytest.mark.parametrize("target", JUDGES, ids=lambda target: target.name)
async def test_texts_and_pictures_are_judged(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    answer = await openai.moderations.create(model=named(target), input=["a walk", "I will kill"])
    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.violence is True
    assert answer.results[1].category_scores.self_harm_intent == 0.01
    assert_addressed(upstream.requests[0], target, "moderations")
    judged = await openai.moderations.create(model=named(target), input=PARTS)
    assert len(judged.results) == 1
    assert upstream.requests[-1].body["input"] == PARTS


async def test_the_demo_model_judges_without_being_named(openai: AsyncOpenAI) -> None:
    answer = await openai.moderations.create(input=["a walk", "I will kill you"])
    assert [result.flagged for result in answer.results] == [False, True]
    assert answer.results[1].categories.harassment_threatening is True
    assert answer.results[1].category_applied_input_types.violence == ["text"]


async def test_clients_without_a_loop_get_the_same(world: World, openai: AsyncOpenAI, target: Target) -> None:
    expected = [
        item.embedding for item in (await openai.embeddings.create(model=named(target), input=TEXTS)).data
    ]

    def plain(client: OpenAI) -> list[list[float]]:
        assert client.moderations.create(input="a walk").results[0].flagged is False
        return [item.embedding for item in client.embeddings.create(model=named(target), input=TEXTS).data]

    def azure(client: AzureOpenAI) -> list[list[float]]:
        return [item.embedding for item in client.embeddings.create(model=named(target), input=TEXTS).data]

    with world.sync_client() as client, world.sync_client("/openai/v1") as v1:
        assert await asyncio.to_thread(plain, client) == expected
        assert await asyncio.to_thread(plain, v1) == expected
    with world.sync_azure_client() as by_deployment:
        assert await asyncio.to_thread(azure, by_deployment) == expected


async def test_azures_client_reaches_them_by_deployment_and_by_v1(
    world: World, upstream: OpenAIUpstream, target: Target
) -> None:
    expected = [upstream_vector(text) for text in TEXTS]
    async with world.azure_client() as by_deployment, world.client("/openai/v1") as v1:
        for client in (by_deployment, v1):
            answer = await client.embeddings.create(model=named(target), input=TEXTS)
            assert [item.embedding for item in answer.data] == expected
            assert_addressed(upstream.requests[-1], target, "embeddings")
            judged = await client.moderations.create(input="I will kill you")
            assert judged.results[0].flagged


async def test_a_model_that_only_chats_refuses_both(openai: AsyncOpenAI, target: Target) -> None:
    with pytest.raises(BadRequestError) as embedding:
        await openai.embeddings.create(model=target.name, input="a")
    with pytest.raises(BadRequestError) as moderation:
        await openai.moderations.create(model=target.name, input="a")
    for refusal in (embedding.value, moderation.value):
        assert (refusal.code, refusal.param) == ("unsupported_operation", "model")
