"""What `GET /v1/models` shows."""

import pytest

from shared.catalog.cache import CatalogCache
from shared.catalog.view import list_models, one_model
from shared.clock import ManualClock
from shared.containers import MODELS
from shared.errors import AdminRequired, InvalidValue, ModelNotFound
from tests.unit.catalog.worlds import OPENAI, VERTEX, GatedStore, caller


@pytest.fixture
async def cache(store: GatedStore, clock: ManualClock) -> CatalogCache:
    documents = [
        {
            **OPENAI,
            "id": "a/b",
            "name": "A",
            "created_at": "2026-01-31T12:00:00.000Z",
            "costs": {"input": 0.0025, "output": 0.01},
            "operations": ["ChatCompletion", "embeddings"],
        },
        {**VERTEX, "id": "v"},
        {**OPENAI, "id": "private", "private": True, "projects": ["research"]},
        {"kind": "group", "id": "g", "members": ["v", "private"]},
    ]
    for document in documents:
        await store.upsert(MODELS, document)
    return CatalogCache(store, clock)


async def test_openais_fields_come_first_and_ours_after_them(cache: CatalogCache) -> None:
    shown = await one_model(cache, caller(), "a/b")
    assert list(shown) == [
        "id",
        "object",
        "created",
        "owned_by",
        "name",
        "code",
        "provider",
        "model_type",
        "operations",
        "costs",
        "capabilities",
        "enabled",
    ]
    assert shown["id"] == "a/b"
    assert shown["object"] == "model"
    assert shown["created"] == 1769860800
    assert shown["owned_by"] == "openai"
    assert shown["costs"] == {"cost_input_1Mtokens": 2.5, "cost_output_1Mtokens": 10.0}
    assert shown["capabilities"]["vision"] is True
    assert "parameters" not in shown


async def test_a_group_shows_only_members_that_the_caller_may_use(cache: CatalogCache) -> None:
    shown = await one_model(cache, caller(), "g")
    assert shown["members"] == ["v"]
    assert shown["operations"] == ["ChatCompletion"]
    assert (await one_model(cache, caller("research"), "g"))["members"] == ["v", "private"]


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ({}, ["a/b", "g", "v"]),
        ({"provider": "google"}, ["v"]),
        ({"operation": "embeddings"}, ["a/b"]),
        ({"operation": "ChatCompletion"}, ["a/b", "g", "v"]),
        ({"model_type": "OpenAINative"}, ["a/b"]),
        ({"provider": "OpenAI", "operation": "images"}, []),
        ({"provider": "", "limit": "5"}, ["a/b", "g", "v"]),
    ],
)
async def test_filters_narrow_the_list(cache: CatalogCache, query: dict[str, str], ids: list[str]) -> None:
    listed = await list_models(cache, caller(), query)
    assert listed["object"] == "list"
    assert [item["id"] for item in listed["data"]] == ids


async def test_a_private_model_of_another_project_shows_nowhere(cache: CatalogCache) -> None:
    listed = await list_models(cache, caller(), {"model_type": "OpenAINative"})
    assert [item["id"] for item in listed["data"]] == ["a/b"]
    with pytest.raises(ModelNotFound):
        await one_model(cache, caller(), "private")
    assert (await one_model(cache, caller("research"), "private"))["id"] == "private"


async def test_admins_may_ask_for_another_project_or_for_private_models(cache: CatalogCache) -> None:
    admin = caller(admin=True)
    for query in ({"include_private": "true"}, {"project_id": "research"}):
        ids = [item["id"] for item in (await list_models(cache, admin, query))["data"]]
        assert ids == ["a/b", "g", "private", "v"]
        with pytest.raises(AdminRequired):
            await list_models(cache, caller(), query)
    with pytest.raises(InvalidValue):
        await list_models(cache, admin, {"include_private": "perhaps"})
