import pytest

from shared import Json
from shared.containers import AUDIT, MODELS, PROJECTS
from shared.errors import CatalogUnavailable, Conflict, InvalidRequest, NotFound, PreconditionFailed
from shared.ports import Query
from tests.unit.access.worlds import ADMIN, World


async def test_a_project_is_made_shown_changed_and_deleted(world: World) -> None:
    made = await world.projects.create(ADMIN, {"id": "search/eu", "name": "Search", "metadata": {"a": 1}})
    assert (await world.projects.get("search/eu")).body == made.body
    changed = await world.projects.update(ADMIN, "search/eu", {"metadata": {"b": 2}}, made.etag)
    assert changed.body["metadata"] == {"a": 1, "b": 2}
    assert changed.body["updated_at"] > made.body["updated_at"]
    with pytest.raises(PreconditionFailed):
        await world.projects.update(ADMIN, "search/eu", {"name": "x"}, made.etag)
    with pytest.raises(PreconditionFailed):
        await world.projects.delete(ADMIN, "search/eu", made.etag)
    await world.projects.delete(ADMIN, "search/eu", changed.etag)
    for attempt in (world.projects.get("search/eu"), world.projects.delete(ADMIN, "search/eu")):
        with pytest.raises(NotFound):
            await attempt
    actions = [stored.body["action"] for stored in await world.base.query(AUDIT, Query())]
    assert sorted(actions) == ["project.create", "project.delete", "project.update"]


async def test_a_project_is_made_once(world: World) -> None:
    await world.projects.create(ADMIN, {"id": "a"})
    with pytest.raises(Conflict) as raised:
        await world.projects.create(ADMIN, {"id": "a"})
    assert (raised.value.status, raised.value.param) == (409, "id")
    await world.projects.ensure(["a", "b", "b"])
    assert [item["id"] for item in (await world.projects.list({}))["data"]] == ["a", "b", "default"]


async def test_a_new_project_whose_answer_was_lost_is_known_to_be_ours(world: World) -> None:
    world.store.lost_races = 1
    assert (await world.projects.create(ADMIN, {"id": "a", "name": "A"})).body["name"] == "A"
    world.store.lost_races = 1
    assert (await world.projects.update(ADMIN, "a", {"name": "B"})).body["name"] == "B"


async def test_the_default_project_is_always_there(world: World) -> None:
    assert (await world.projects.get("default")).body["id"] == "default"
    with pytest.raises(Conflict):
        await world.projects.delete(ADMIN, "default")


async def test_a_project_with_keys_or_models_cannot_be_deleted(world: World) -> None:
    key = await world.new_key(project="a")
    with pytest.raises(Conflict):
        await world.projects.delete(ADMIN, "a")
    await world.keys.delete(ADMIN, key["id"])
    await world.base.create(MODELS, {"id": "m", "projects": ["b", "a"]})
    with pytest.raises(Conflict):
        await world.projects.delete(ADMIN, "a")
    await world.base.delete(MODELS, "m")
    await world.projects.delete(ADMIN, "a")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "id"),
        ({"id": ""}, "id"),
        ({"id": 1}, "id"),
        ({"id": "a", "rpm": 0}, "rpm"),
        ({"id": "a", "x": 1}, "x"),
    ],
)
async def test_a_wrong_field_is_named(world: World, body: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await world.projects.create(ADMIN, body)
    assert raised.value.param == param
    assert await world.base.query(PROJECTS, Query()) == []


async def test_limits_of_a_project_are_kept_and_said_not_to_be_enforced(world: World) -> None:
    made = await world.projects.create(ADMIN, {"id": "a", "budget_usd": 5, "budget_period": "total"})
    assert (made.body["budget_usd"], made.body["budget_period"]) == (5, "total")
    assert made.body["warnings"] == ["budget_usd is not enforced yet"]


async def test_without_an_audit_entry_no_project_changes(world: World) -> None:
    await world.projects.ensure(["a"])
    world.store.refused = {AUDIT}
    for attempt in (
        world.projects.create(ADMIN, {"id": "b"}),
        world.projects.update(ADMIN, "a", {"name": "x"}),
        world.projects.delete(ADMIN, "a"),
    ):
        with pytest.raises(CatalogUnavailable):
            await attempt
    assert [stored.body["id"] for stored in await world.base.query(PROJECTS, Query())] == ["a"]
    assert (await world.projects.get("a")).body["name"] is None
