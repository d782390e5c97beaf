"""What an export holds, and that an empty store that takes it is the same catalog."""

import json

import orjson
import pytest

from shared.containers import KEYS, MODELS, PROJECTS
from shared.errors import CatalogUnavailable
from shared.transfer import exporting
from shared.transfer.exporting import export_catalog
from tests.unit.access.worlds import ADMIN
from tests.unit.catalog.worlds import OPENAI
from tests.unit.transfer.worlds import World


async def test_an_empty_store_that_takes_an_export_exports_the_same_bytes(world: World, other: World) -> None:
    await world.furnish()
    content = await world.export()
    results = await other.take(content)
    assert {result.outcome for result in results.values()} == {"created"}
    assert await other.export() == content


async def test_a_key_works_where_its_export_was_taken_in(world: World, other: World) -> None:
    key = await world.furnish()
    await other.take(await world.export())
    caller = await other.ring.authenticate(key)
    assert (caller.project, caller.models) == ("search", frozenset(["all"]))


async def test_the_first_line_says_what_the_file_is_and_how_much_it_holds(world: World) -> None:
    await world.furnish()
    first, *rest = (await world.export()).splitlines()
    counts = {"project": 3, "model": 2, "group": 1, "key": 1}
    assert json.loads(first) == {"format": "llmproxy-catalog", "version": 1, "counts": counts}
    kinds = [json.loads(line)["kind"] for line in rest]
    assert {kind: kinds.count(kind) for kind in counts} == counts
    assert sorted(kinds, key=list(counts).index) == kinds


async def test_a_file_is_ascii_in_a_stable_order(world: World) -> None:
    await world.furnish()
    content = await world.export()
    assert content.isascii()
    ids = [json.loads(line)["id"] for line in content.splitlines()[1:]]
    assert ids[:6] == ["default", "search", "secret", "a", "b/ü", "all"]
    model = json.loads(content.splitlines()[5])
    assert model["metadata"] == {"a": [None, 0.1], "z": 1}


async def test_a_key_has_the_digest_of_its_secret_and_never_the_secret(world: World) -> None:
    key = await world.furnish()
    content = await world.export()
    assert key.rpartition("_")[2].encode() not in content
    [line] = [json.loads(line) for line in content.splitlines() if b'"kind":"key"' in line]
    [stored] = [body for body in await world.all(KEYS) if body.get("role")]
    assert line["secret_sha256"] == stored["secret_sha256"]
    assert line["previous_sha256"] == stored["previous_sha256"]


async def test_a_deleted_key_is_not_exported(world: World) -> None:
    await world.furnish()
    assert b"gone" not in await world.export()
    assert len(await world.all(KEYS)) == 2


async def test_more_documents_than_a_page_holds_are_all_exported(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 3)
    for number in range(7):
        await world.store.create(MODELS, {**OPENAI, "id": f"m{number}"})
    lines = (await world.export()).splitlines()[1:]
    assert [json.loads(line)["id"] for line in lines] == [f"m{number}" for number in range(7)]


async def test_a_document_that_may_hold_a_credential_is_left_out_and_named(world: World) -> None:
    parameters = {**OPENAI["parameters"], "litellm_params": {"aws_secret_access_key": "hush"}}
    await world.store.create(MODELS, {**OPENAI, "id": "leaky", "parameters": parameters})
    await world.store.create(MODELS, {**OPENAI, "id": "sound"})
    export = await export_catalog(world.store)
    assert b"hush" not in export.content
    assert [sentence.partition(":")[0] for sentence in export.left_out] == ["model 'leaky'"]
    assert export.counts["model"] == 1


async def test_a_document_that_no_import_will_take_is_exported_and_named(world: World) -> None:
    await world.store.create(MODELS, {**OPENAI, "id": "newer", "colour": "blue"})
    export = await export_catalog(world.store)
    assert b'"colour":"blue"' in export.content
    assert export.doubtful == ("model 'newer': colour: is an unknown name",)


async def test_a_project_that_only_a_key_names_is_exported_too(world: World, other: World) -> None:
    made = await world.keys.create(ADMIN, {"project": "ghost"})
    await world.store.delete(PROJECTS, "ghost")
    content = await world.export()
    assert [json.loads(line)["id"] for line in content.splitlines()[1:]] == ["ghost", made.body["id"]]
    await other.take(content)
    assert await other.export() == content


async def test_a_store_that_is_away_fails_the_export(world: World) -> None:
    world.store.down = True
    with pytest.raises(CatalogUnavailable):
        await export_catalog(world.store)


async def test_whole_numbers_are_written_alike_whatever_a_store_makes_of_them(
    world: World, other: World
) -> None:
    await world.store.create(MODELS, {**OPENAI, "id": "m", "metadata": {"n": 1.0, "big": 2.0**60, "f": 0.5}})
    await other.store.create(MODELS, {**OPENAI, "id": "m", "metadata": {"n": 1, "big": 2.0**60, "f": 0.5}})
    assert await world.export() == await other.export()
    assert orjson.loads((await world.export()).splitlines()[1])["metadata"]["big"] == 2.0**60
