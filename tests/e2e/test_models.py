"""`client.models`: what a caller may use, by ids of every kind."""

import asyncio

import pytest
from openai import AsyncOpenAI, NotFoundError
from openai.types import Model

from tests.e2e.targets import TARGETS
from tests.e2e.world import ASKED, World
from tests.upstreams.openai import OpenAIUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

STRANGE_IDS = (
    "org/family/model-7b",
    "/leading/and/trailing/",
    "what?model#1",
    "50% off & more+",
    "with spaces, and = signs;",
    "a\\b\"c'd",
    "модель-один",
    "模型/二",
    "نموذج",
    "modèle 🦜",
    "..hidden..",
    "completions",
)


async def test_models_are_listed_as_openai_lists_them(openai: AsyncOpenAI) -> None:
    models = [model async for model in openai.models.list()]
    assert {target.name for target in TARGETS} | {"demo-chat", "demo-chat-mini", "demo"} <= {
        model.id for model in models
    }
    for model in models:
        assert isinstance(model, Model)
        assert model.object == "model"
        assert model.owned_by
        assert isinstance(model.created, int)


async def test_a_filter_narrows_the_list(openai: AsyncOpenAI) -> None:
    models = [model async for model in openai.models.list(extra_query={"provider": "azure"})]
    assert {model.id for model in models} == {"azure-dated", "azure-v1", "foundry"}


async def test_a_listed_model_says_more_than_openais_fields(openai: AsyncOpenAI) -> None:
    model = await openai.models.retrieve("openai")
    assert model.created > 1_700_000_000
    more = model.model_extra or {}
    assert (more["provider"], more["model_type"], more["code"]) == ("OpenAI", "OpenAINative", "gpt-4o")
    assert more["operations"] == ["ChatCompletion"]
    assert more["enabled"] is True
    assert "parameters" not in more


@pytest.mark.parametrize("id", STRANGE_IDS)
async def test_an_id_of_any_characters_is_found_and_answers(
    world: World, openai: AsyncOpenAI, upstream: OpenAIUpstream, id: str
) -> None:
    await world.proxy.add_model(
        id, upstream.url, code="gpt-4o-mini", parameters={"secret_name": "UPSTREAM_KEY"}
    )
    assert (await openai.models.retrieve(id)).id == id
    assert id in {model.id async for model in openai.models.list()}
    answer = await openai.chat.completions.create(model=id, messages=ASKED)
    assert answer.choices[0].message.content
    assert upstream.requests[-1].body["model"] == "gpt-4o-mini"

    def retrieve() -> str:
        with world.sync_client() as client:
            return client.models.retrieve(id).id

    assert await asyncio.to_thread(retrieve) == id


async def test_another_projects_private_model_does_not_exist(world: World, openai: AsyncOpenAI) -> None:
    await world.proxy.add_model("theirs", world.upstream.url, private=True, projects=["them"])
    for project, found in (("them", True), ("us", False)):
        key = await world.proxy.add_key(project=project)
        async with world.client(key=key) as client:
            assert ("theirs" in {model.id async for model in client.models.list()}) is found
            if found:
                assert (await client.models.retrieve("theirs")).id == "theirs"
                continue
            with pytest.raises(NotFoundError) as refusal:
                await client.models.retrieve("theirs")
            assert refusal.value.code == "model_not_found"
