import asyncio
import json
import logging

import pytest

from shared import Json
from shared.access.key_format import digest, split_key
from shared.containers import AUDIT, KEYS, PROJECTS
from shared.errors import (
    CatalogUnavailable,
    InvalidApiKey,
    InvalidRequest,
    InvalidValue,
    NotFound,
    PreconditionFailed,
    UnsupportedParameter,
)
from shared.ports import Query
from tests.unit.access.worlds import ADMIN, World


async def test_a_secret_is_shown_once_and_never_stored_or_logged(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        made = (await world.keys.create(ADMIN, {"name": "search"})).body
        rotated = (await world.keys.rotate(ADMIN, made["id"], {})).body
        shown = [
            (await world.keys.get(made["id"])).body,
            await world.keys.list({}),
            (await world.keys.update(ADMIN, made["id"], {"name": "x"})).body,
        ]
        await world.ring.authenticate(made["key"])
    for view in (made, rotated):
        parts = split_key(view["key"])
        assert parts is not None
        hashed = digest(parts.secret).hex()
        assert parts.secret not in json.dumps(world.store.written)
        assert parts.secret not in json.dumps(shown)
        assert parts.secret not in caplog.text
        assert hashed not in json.dumps([shown, made, rotated])
    assert all("key" not in view for view in (shown[0], shown[2]))


async def test_a_new_key_is_shown_with_all_its_fields(world: World) -> None:
    body: Json = {
        "project": "search",
        "name": "Search",
        "role": "admin",
        "models": ["gpt/4", "groß"],
        "expires_at": "2030-01-31T13:00:00+01:00",
        "enabled": False,
        "metadata": {"team": {"lead": "a"}},
    }
    made = (await world.keys.create(ADMIN, body)).body
    assert {name: made[name] for name in body} == {**body, "expires_at": "2030-01-31T12:00:00.000Z"}
    assert made["object"] == "key"
    assert made["created_at"] == "2027-01-15T08:00:00.000Z"
    assert "warnings" not in made
    got = await world.keys.get(made["id"])
    assert got.body == {name: value for name, value in made.items() if name != "key"}


async def test_an_empty_body_makes_a_user_key_of_the_default_project(world: World) -> None:
    made = (await world.keys.create(ADMIN, {})).body
    assert (made["project"], made["role"], made["models"], made["enabled"]) == ("default", "user", None, True)


async def test_limits_are_kept_and_said_not_to_be_enforced(world: World) -> None:
    body = {"rpm": 60, "tpm": 1000, "max_parallel": 4, "budget_usd": 12.5}
    made = (await world.keys.create(ADMIN, body)).body
    assert {name: made[name] for name in body} == body
    assert made["budget_period"] == "month"
    assert made["warnings"] == [f"{name} is not enforced yet" for name in body]
    changed = (await world.keys.update(ADMIN, made["id"], {"budget_usd": None, "rpm": None})).body
    assert (changed["budget_usd"], changed["budget_period"], changed["rpm"]) == (None, None, None)
    assert changed["warnings"] == ["tpm is not enforced yet", "max_parallel is not enforced yet"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"role": "root"}, "role"),
        ({"models": []}, "models"),
        ({"models": ["a", 1]}, "models[1]"),
        ({"models": "a"}, "models"),
        ({"models": ["a\n"]}, "models[0]"),
        ({"rpm": 0}, "rpm"),
        ({"rpm": 1.5}, "rpm"),
        ({"rpm": True}, "rpm"),
        ({"tpm": "60"}, "tpm"),
        ({"max_parallel": -1}, "max_parallel"),
        ({"budget_usd": -1}, "budget_usd"),
        ({"budget_usd": float("inf")}, "budget_usd"),
        ({"budget_period": "day"}, "budget_period"),
        ({"budget_usd": 1, "budget_period": "year"}, "budget_period"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2030-01-31T12:00:00"}, "expires_at"),
        ({"expires_at": "2020-01-31T12:00:00Z"}, "expires_at"),
        ({"expires_at": "0001-01-01T00:00:00+14:00"}, "expires_at"),
        ({"enabled": "yes"}, "enabled"),
        ({"metadata": []}, "metadata"),
        ({"metadata": {"a": "b" * 20_000}}, "metadata"),
        ({"project": ""}, "project"),
        ({"project": "a\u0000"}, "project"),
        ({"project": "a" * 129}, "project"),
        ({"name": 1}, "name"),
        ({"id": "mine"}, "id"),
        ({"secret_sha256": "00"}, "secret_sha256"),
    ],
)
async def test_a_wrong_field_is_named_and_nothing_is_made(world: World, body: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await world.keys.create(ADMIN, body)
    assert (raised.value.status, raised.value.param) == (400, param)
    assert param in raised.value.message
    assert world.store.written == []


async def test_the_first_key_of_a_project_makes_it(world: World) -> None:
    await world.new_key(project="groß/a b")
    await world.new_key(project="groß/a b")
    assert (await world.projects.get("groß/a b")).body["id"] == "groß/a b"


async def test_a_change_is_a_merge_patch(world: World) -> None:
    made = await world.new_key(name="a", metadata={"x": 1, "y": {"z": 2}}, models=["m"])
    patch = {"name": None, "metadata": {"x": None, "y": {"w": 3}}, "models": ["n"], "project": "other"}
    changed = (await world.keys.update(ADMIN, made["id"], patch)).body
    assert changed["name"] is None
    assert changed["metadata"] == {"y": {"z": 2, "w": 3}}
    assert (changed["models"], changed["project"]) == (["n"], "other")
    assert changed["updated_at"] > made["updated_at"]
    assert (await world.projects.get("other")).body["id"] == "other"


async def test_what_was_shown_may_be_sent_back_but_not_changed(world: World) -> None:
    made = await world.new_key()
    shown = (await world.keys.get(made["id"])).body
    await world.keys.update(ADMIN, made["id"], shown)
    with pytest.raises(InvalidValue) as raised:
        await world.keys.update(ADMIN, made["id"], {"id": "other"})
    assert raised.value.param == "id"
    with pytest.raises(UnsupportedParameter):
        await world.keys.update(ADMIN, made["id"], {"key": "llmp_"})


async def test_a_change_bound_to_an_old_version_is_refused(world: World) -> None:
    made = await world.keys.create(ADMIN, {})
    id = made.body["id"]
    changed = await world.keys.update(ADMIN, id, {"name": "b"}, made.etag)
    assert changed.etag != made.etag
    for attempt in (
        world.keys.update(ADMIN, id, {"name": "c"}, made.etag),
        world.keys.rotate(ADMIN, id, {}, made.etag),
        world.keys.delete(ADMIN, id, made.etag),
    ):
        with pytest.raises(PreconditionFailed):
            await attempt
    assert (await world.keys.get(id)).body["name"] == "b"
    await world.keys.update(ADMIN, id, {"name": "c"}, "*")
    await world.keys.delete(ADMIN, id, (await world.keys.get(id)).etag)


async def test_changes_without_a_version_all_take_effect(world: World) -> None:
    made = await world.new_key()
    await asyncio.gather(*(world.keys.update(ADMIN, made["id"], {"metadata": {str(n): n}}) for n in range(4)))
    assert (await world.keys.get(made["id"])).body["metadata"] == {str(n): n for n in range(4)}


async def test_a_deleted_key_is_gone_from_every_list(world: World) -> None:
    kept, gone = await world.new_key(project="p"), await world.new_key(project="p")
    await world.keys.delete(ADMIN, gone["id"])
    assert [key["id"] for key in (await world.keys.list({"project_id": "p"}))["data"]] == [kept["id"]]
    for attempt in (
        world.keys.get(gone["id"]),
        world.keys.update(ADMIN, gone["id"], {}),
        world.keys.rotate(ADMIN, gone["id"], {}),
        world.keys.delete(ADMIN, gone["id"]),
    ):
        with pytest.raises(NotFound):
            await attempt
    left = await world.base.get(KEYS, gone["id"])
    assert left is not None
    assert "secret_sha256" not in left.body
    world.clock.advance(86_401)
    assert await world.base.get(KEYS, gone["id"]) is None


async def test_keys_are_listed_page_by_page(world: World) -> None:
    made = sorted([(await world.new_key())["id"] for _ in range(5)])
    first = await world.keys.list({"limit": "2"})
    second = await world.keys.list({"limit": "2", "after": first["last_id"]})
    last = await world.keys.list({"limit": "2", "after": second["last_id"]})
    found = [key["id"] for page in (first, second, last) for key in page["data"]]
    assert found == made
    assert [page["has_more"] for page in (first, second, last)] == [True, True, False]
    assert first["object"] == "list"


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "1001"}, {"limit": "x"}, {"project": "p"}])
async def test_a_wrong_filter_is_refused(world: World, query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await world.keys.list(query)
    assert raised.value.param in query


async def test_every_change_is_an_audit_entry_before_it_is_made(world: World) -> None:
    made = await world.new_key(name="a")
    await world.keys.update(ADMIN, made["id"], {"name": "b"})
    await world.keys.rotate(ADMIN, made["id"], {"grace_seconds": 5})
    await world.keys.delete(ADMIN, made["id"])
    entries = [stored.body for stored in await world.base.query(AUDIT, Query())]
    assert [entry["action"] for entry in sorted(entries, key=lambda entry: entry["id"])] == [
        entry["action"] for entry in entries
    ]
    assert {entry["action"] for entry in entries} == {"key.create", "key.update", "key.rotate", "key.delete"}
    assert {entry["target"] for entry in entries} == {made["id"]}
    assert {entry["key_id"] for entry in entries} == {"admin"}
    assert next(entry for entry in entries if entry["action"] == "key.update")["detail"] == {"name": "b"}
    assert {entry["day"] for entry in entries} == {"2027-01-15"}


async def test_without_an_audit_entry_nothing_changes(world: World) -> None:
    made = await world.new_key(name="a")
    world.store.refused = {AUDIT}
    for attempt in (
        world.keys.create(ADMIN, {"project": "new"}),
        world.keys.update(ADMIN, made["id"], {"name": "b"}),
        world.keys.rotate(ADMIN, made["id"], {}),
        world.keys.delete(ADMIN, made["id"]),
    ):
        with pytest.raises(CatalogUnavailable) as raised:
            await attempt
        assert raised.value.status == 503
    assert (await world.keys.get(made["id"])).body["name"] == "a"
    assert (await world.ring.authenticate(made["key"])).key_id == made["id"]
    assert len(await world.base.query(KEYS, Query())) == 1
    assert await world.base.get(PROJECTS, "new") is None


async def test_without_the_store_administrators_get_503(world: World) -> None:
    made = await world.new_key()
    world.store.down = True
    for attempt in (world.keys.get(made["id"]), world.keys.list({}), world.projects.get("default")):
        with pytest.raises(CatalogUnavailable):
            await attempt


async def test_a_write_whose_answer_was_lost_is_known_to_be_ours(world: World) -> None:
    made = await world.new_key(name="a")
    world.store.lost_races = 1
    changed = await world.keys.update(ADMIN, made["id"], {"name": "b"}, None)
    assert changed.body["name"] == "b"
    world.store.lost_races = 1
    again = await world.keys.update(ADMIN, made["id"], {"name": "c"}, changed.etag)
    assert again.body["name"] == "c"
    world.store.lost_races = 1
    rotated = (await world.keys.rotate(ADMIN, made["id"], {"grace_seconds": 0})).body
    assert (await world.ring.authenticate(rotated["key"])).key_id == made["id"]
    world.store.lost_races = 1
    other = await world.new_key(name="d")
    assert (await world.ring.authenticate(other["key"])).key_id == other["id"]


async def test_a_grace_period_has_its_bounds(world: World) -> None:
    made = await world.new_key()
    for seconds in (-1, 31 * 86_400, "60", 1.5):
        with pytest.raises(InvalidRequest) as raised:
            await world.keys.rotate(ADMIN, made["id"], {"grace_seconds": seconds})
        assert raised.value.param == "grace_seconds"
    rotated = (await world.keys.rotate(ADMIN, made["id"], {})).body
    assert rotated["previous_until"] == "2027-01-16T08:00:00.000Z"


async def test_a_second_rotation_ends_the_first_secret(world: World) -> None:
    first = await world.new_key()
    second = (await world.keys.rotate(ADMIN, first["id"], {})).body
    third = (await world.keys.rotate(ADMIN, first["id"], {})).body
    for good in (second, third):
        assert (await world.ring.authenticate(good["key"])).key_id == first["id"]
    with pytest.raises(InvalidApiKey):
        await world.ring.authenticate(first["key"])
