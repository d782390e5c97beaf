"""An import changes what differs, says so before and after, and never deletes."""

import json

import pytest

from shared import Json
from shared.access.audit import AuditLog
from shared.access.caller import Caller
from shared.containers import AUDIT, KEYS, MODELS, PROJECTS
from shared.errors import CatalogUnavailable, DocumentTooLarge
from shared.transfer.importing import CatalogImport
from shared.transfer.lines import NotAnExport, first_line, read_file
from shared.transfer.records import Refused, read_record
from tests.unit.access.worlds import ADMIN
from tests.unit.catalog.worlds import OPENAI
from tests.unit.transfer.worlds import World

DIGEST = "0" * 64
KEY: Json = {"id": "0123456789abcdef", "secret_sha256": DIGEST}


def file(*documents: Json) -> bytes:
    return first_line({}) + b"".join(json.dumps(document).encode() + b"\n" for document in documents)


def outcomes(results: object) -> dict[str, str]:
    assert isinstance(results, dict)
    return {name: result.outcome for name, result in results.items()}


async def snapshot(world: World) -> list[list[Json]]:
    return [await world.all(container) for container in (PROJECTS, MODELS, KEYS, AUDIT)]


async def test_the_same_file_twice_changes_nothing(world: World, other: World) -> None:
    await world.furnish()
    content = await world.export()
    await other.take(content)
    before = await snapshot(other)
    other.clock.advance(60)
    assert set(outcomes(await other.take(content)).values()) == {"unchanged"}
    assert await snapshot(other) == before


async def test_its_own_export_changes_nothing(world: World) -> None:
    await world.furnish()
    before = await snapshot(world)
    assert set(outcomes(await world.take(await world.export())).values()) == {"unchanged"}
    assert await snapshot(world) == before


async def test_a_dry_run_says_what_an_import_then_does_and_writes_nothing(world: World) -> None:
    await world.furnish()
    content = file(
        {"kind": "model", **OPENAI, "id": "new"},
        {"kind": "model", **OPENAI, "id": "a", "enabled": False},
        {
            "kind": "project",
            "id": "search",
            "name": "Search",
            "budget_usd": 5,
            "rpm": 10,
            "budget_period": "month",
        },
    )
    before = await snapshot(world)
    said = await world.take(content, dry_run=True)
    assert await snapshot(world) == before
    assert outcomes(said) == {"model new": "created", "model a": "changed", "project search": "unchanged"}
    assert said["model a"].detail == "enabled, private, projects"
    assert await world.take(content) == said


async def test_nothing_is_deleted(world: World) -> None:
    await world.furnish()
    await world.take(file({"kind": "model", **OPENAI, "id": "new"}))
    assert [body["id"] for body in await world.all(MODELS)] == ["a", "all", "b/ü", "new"]
    assert len(await world.all(KEYS)) == 2


async def test_each_change_is_an_audit_entry_without_values(world: World) -> None:
    await world.take(file({"kind": "model", **OPENAI, "id": "m"}, {"kind": "key", **KEY}))
    await world.take(file({"kind": "model", **OPENAI, "id": "m", "enabled": False}))
    assert sorted(await world.actions()) == [
        ("key.create", KEY["id"]),
        ("model.create", "m"),
        ("model.update", "m"),
    ]
    assert DIGEST not in json.dumps(await world.all(AUDIT))


async def test_without_an_audit_entry_nothing_is_written(world: World) -> None:
    world.store.refused.add(AUDIT)
    with pytest.raises(CatalogUnavailable):
        await world.take(file({"kind": "model", **OPENAI, "id": "m"}))
    assert await world.all(MODELS) == []


async def test_a_change_is_seen_by_instances_that_ask_for_what_changed(world: World) -> None:
    """They ask by `updated_at`: it is the time of the import, and later than what was there."""
    await world.take(file({"kind": "key", **KEY}))
    world.clock.advance(-3600)
    await world.take(file({"kind": "key", **KEY, "enabled": False}))
    [stored] = await world.all(KEYS)
    assert stored["updated_at"] > stored.get("created_at", "")
    assert stored["updated_at"] > "2027-01-15T08:00:00.000Z"
    assert stored["enabled"] is False


async def test_a_key_that_was_deleted_comes_back(world: World) -> None:
    made = await world.keys.create(ADMIN, {})
    content = await world.export()
    await world.keys.delete(ADMIN, made.body["id"])
    result = (await world.take(content))[f"key {made.body['id']}"]
    assert (result.outcome, result.detail) == ("created", "it was deleted, and works again")
    assert (await world.ring.authenticate(made.body["key"])).key_id == made.body["id"]
    world.clock.advance(2 * 86_400)
    assert [body["id"] for body in await world.all(KEYS)] == [made.body["id"]]


async def test_a_line_may_make_a_project_by_naming_it(world: World) -> None:
    await world.take(file({"kind": "key", **KEY, "project": "fresh"}))
    assert [body["id"] for body in await world.all(PROJECTS)] == ["fresh"]


async def test_a_second_line_with_the_same_id_is_refused(world: World) -> None:
    line = {"kind": "model", **OPENAI, "id": "m"}
    takes = CatalogImport(world.store, world.projects, world.audit, world.clock)
    group = read_record("group", {"id": "m", "members": ["x"]})
    assert (await takes.take(read_record("model", {**line, "kind": None}))).outcome == "created"
    assert (await takes.take(group)).outcome == "refused"


async def test_a_model_may_become_a_group(world: World) -> None:
    await world.take(file({"kind": "model", **OPENAI, "id": "m"}))
    group = {"kind": "group", "id": "m", "members": ["x"]}
    assert outcomes(await world.take(file(group))) == {"group m": "changed"}
    assert outcomes(await world.take(file(group))) == {"group m": "unchanged"}


@pytest.mark.parametrize("existing", [True, False])
async def test_a_write_whose_answer_was_lost_is_no_lost_race(world: World, existing: bool) -> None:
    if existing:
        await world.take(file({"kind": "model", **OPENAI, "id": "m"}))
    world.store.lost_races = 1
    result = await world.take(file({"kind": "model", **OPENAI, "id": "m", "enabled": False}))
    assert outcomes(result) == {"model m": "changed" if existing else "created"}
    assert [body["enabled"] for body in await world.all(MODELS)] == [False]


class Rivals(AuditLog):
    """Somebody else writes `theirs` between an import's reading and its writing."""

    theirs: Json = {**OPENAI, "id": "m", "code": "theirs", "revision": "theirs"}

    async def record(self, caller: Caller, action: str, target: str, detail: Json) -> None:
        await self._store.upsert(MODELS, self.theirs)


@pytest.mark.parametrize("existing", [True, False])
async def test_a_change_by_others_meanwhile_is_kept_and_said(world: World, existing: bool) -> None:
    if existing:
        await world.take(file({"kind": "model", **OPENAI, "id": "m"}))
    world.audit = Rivals(world.store, world.clock, 365)
    [result] = (await world.take(file({"kind": "model", **OPENAI, "id": "m", "enabled": False}))).values()
    assert result.outcome == "refused"
    assert "others are changing it" in result.detail
    assert [body["code"] for body in await world.all(MODELS)] == ["theirs"]


async def test_a_store_that_goes_away_stops_the_import(world: World) -> None:
    world.store.refused.add(MODELS)
    with pytest.raises(CatalogUnavailable):
        await world.take(file({"kind": "model", **OPENAI, "id": "m"}))


async def test_a_document_that_the_store_finds_too_large_is_refused(world: World) -> None:
    world.store.failing["create"] = DocumentTooLarge("over 2 MB")
    [result] = (await world.take(file({"kind": "model", **OPENAI, "id": "m"}))).values()
    assert (result.outcome, result.detail) == ("refused", "The document is too large to be stored")


@pytest.mark.parametrize(
    ("kind", "change", "reason"),
    [
        ("model", {"provider": None}, "provider: is required"),
        ("model", {"parameters": {"secret_name": "sk-abcdefghijklmnop"}}, "looks like a secret"),
        ("model", {"colour": 1}, "colour: is an unknown name"),
        ("model", {"created_at": "yesterday"}, "created_at: must be an ISO 8601 time"),
        ("model", {"created_at": "2026-01-01T00:00:00"}, "created_at: must be an ISO 8601 time"),
        ("model", {"metadata": {"a": 1 << 70}}, "cannot be stored"),
        ("engine", {}, "kind: must be one of project, model, group, key"),
        (None, {}, "kind: must be one of"),
        (["key"], {}, "kind: must be one of"),
    ],
)
def test_a_model_is_checked_as_manage_checks_it(kind: object, change: Json, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        read_record(kind, {**OPENAI, **change})
    assert reason in str(caught.value)
    assert "sk-abc" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"id": "short"}, "'id'"),
        ({"id": None}, "'id'"),
        ({"secret_sha256": "f00"}, "'secret_sha256'"),
        ({"secret_sha256": None}, "'secret_sha256'"),
        ({"previous_sha256": DIGEST}, "goes with previous_until"),
        ({"role": "owner"}, "'role'"),
        ({"rpm": "60"}, "'rpm'"),
        ({"budget_period": "day"}, "'budget_period'"),
        ({"secret": "x"}, "Unknown parameter: 'secret'"),
    ],
)
def test_a_key_is_checked_as_manage_checks_it(change: Json, reason: str) -> None:
    with pytest.raises(Refused, match=reason.replace("(", r"\(")):
        read_record("key", {**KEY, **change})


@pytest.mark.parametrize("change", [{"id": ""}, {"id": 7}, {"id": None}, {"colour": "x"}, {"metadata": []}])
def test_a_project_is_checked_as_manage_checks_it(change: Json) -> None:
    with pytest.raises(Refused):
        read_record("project", {"id": "p", **change})


def test_a_key_that_has_expired_is_taken() -> None:
    record = read_record("key", {**KEY, "expires_at": "2001-01-01T01:00:00+01:00"})
    assert record.body["expires_at"] == "2001-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"model_list: []\n", "format"),
        (b'{"kind": "model"}\n', "format"),
        (b"[]\n", "format"),
        (b'{"format": "llmproxy-catalog", "version": 2}\n', "version 1"),
        ('{"format": "llmproxy-catalog"}'.encode("utf-16"), "format"),
    ],
)
def test_a_file_of_another_kind_is_refused_whole(content: bytes, reason: str) -> None:
    with pytest.raises(NotAnExport, match=reason):
        read_file(content)


def test_lines_keep_their_numbers_and_bad_ones_are_known() -> None:
    content = (
        b'\xef\xbb\xbf{"format":"llmproxy-catalog","version":1}\r\n\r\n{"kind":"key"}\r\nnot json\n[1]\n'
        + b"[" * 5000
    )
    lines = read_file(content).lines
    assert [(line.number, line.document) for line in lines] == [
        (3, {"kind": "key"}),
        (4, None),
        (5, None),
        (6, None),
    ]


async def test_a_file_that_was_cut_off_is_noticed(world: World) -> None:
    await world.furnish()
    content = await world.export()
    assert read_file(content).shortfall() is None
    cut = content[: content.rindex(b'{"kind":"key"')]
    assert read_file(cut).shortfall() == "the first line promises 1 of kind key, and the file has 0"
