"""What `/manage/models` promises."""

import pytest

from shared import Json
from shared.access.audit import AuditLog
from shared.catalog.admin import ModelAdmin
from shared.catalog.cache import CatalogCache
from shared.clock import ManualClock
from shared.containers import AUDIT, MODELS
from shared.errors import (
    CatalogUnavailable,
    Conflict,
    InvalidValue,
    MissingParameter,
    ModelNotFound,
    PreconditionFailed,
    RequestTooLarge,
    UnsupportedParameter,
)
from shared.ports import Query
from shared.settings import Settings
from tests.unit.catalog.worlds import AZURE, OPENAI, GatedStore, NotedProjects, caller, changed

ADMIN = caller(admin=True)


class Desk:
    """A `ModelAdmin` and what stands around it."""

    def __init__(self, store: GatedStore, clock: ManualClock) -> None:
        self.store = store
        self.clock = clock
        self.cache = CatalogCache(store, clock, patience=0.02, first_patience=0.02)
        self.projects = NotedProjects()
        self.admin = ModelAdmin(
            store,
            self.cache,
            AuditLog(store, clock, 365),
            self.projects,
            clock,
            Settings(endpoint_hosts=()),
            status=self.status,
        )

    async def status(self, id: str) -> Json | None:
        return {"status": "healthy", "of": id}

    async def audited(self) -> list[Json]:
        return [entry.body for entry in await self.store.query(AUDIT, Query())]


@pytest.fixture
def desk(store: GatedStore, clock: ManualClock) -> Desk:
    return Desk(store, clock)


async def test_a_model_that_was_created_serves_at_once(desk: Desk) -> None:
    await desk.cache.current()
    made = await desk.admin.create(ADMIN, OPENAI)
    assert made.body["object"] == "model"
    assert made.body["created_at"] == made.body["updated_at"] == "2027-01-15T08:00:00.000Z"
    assert "revision" not in made.body
    assert "warnings" not in made.body
    catalog = desk.cache.fresh()
    assert catalog is not None
    assert catalog.resolve("m", caller()).id == "m"
    assert [(entry["action"], entry["target"], entry["key_id"]) for entry in await desk.audited()] == [
        ("model.create", "m", "key")
    ]


async def test_an_id_is_taken_once(desk: Desk) -> None:
    await desk.admin.create(ADMIN, OPENAI)
    with pytest.raises(Conflict):
        await desk.admin.create(ADMIN, {**OPENAI, "code": "o3"})
    assert (await desk.admin.get("m")).body["code"] == "gpt-4o"
    assert len(await desk.audited()) == 1


@pytest.mark.parametrize("id", ["a/b", "a\\b", "a#b?c", "模型", "مرحبا", " spaced ", "x" * 256])
async def test_any_id_can_be_created_read_changed_and_deleted(desk: Desk, id: str) -> None:
    await desk.admin.create(ADMIN, {**OPENAI, "id": id})
    assert (await desk.admin.update(ADMIN, id, {"name": "n"})).body["name"] == "n"
    assert (await desk.admin.get(id)).body["id"] == id
    await desk.admin.delete(ADMIN, id)
    with pytest.raises(ModelNotFound):
        await desk.admin.get(id)


@pytest.mark.parametrize(
    ("body", "error", "param"),
    [
        ({}, MissingParameter, "id"),
        ({**OPENAI, "colour": 1}, UnsupportedParameter, "colour"),
        (changed(OPENAI, {"parameters.api_key": "x"}), UnsupportedParameter, "parameters.api_key"),
        (
            changed(AZURE, {"parameters.endpoint": "https://169.254.169.254"}),
            InvalidValue,
            "parameters.endpoint",
        ),
        (changed(AZURE, {"parameters.endpoint": None}), MissingParameter, "parameters.endpoint"),
    ],
)
async def test_what_could_not_serve_is_refused_by_field(
    desk: Desk, body: Json, error: type[Exception], param: str
) -> None:
    with pytest.raises(error) as caught:
        await desk.admin.create(ADMIN, body)
    assert caught.value.param == param  # type: ignore[attr-defined]
    assert await desk.store.query(MODELS, Query()) == []
    assert await desk.audited() == []


async def test_nesting_that_cannot_be_stored_is_refused(desk: Desk) -> None:
    nested: Json = {}
    for _ in range(500):
        nested = {"deeper": nested}
    with pytest.raises(InvalidValue):
        await desk.admin.create(ADMIN, {**OPENAI, "metadata": nested})
    await desk.admin.create(ADMIN, OPENAI)
    with pytest.raises(InvalidValue):
        await desk.admin.update(ADMIN, "m", {"metadata": nested})


async def test_a_document_over_the_stores_limit_is_too_large(desk: Desk) -> None:
    with pytest.raises(RequestTooLarge):
        await desk.admin.create(ADMIN, {**OPENAI, "metadata": {"text": "x" * 2_100_000}})


async def test_limits_are_stored_and_said_not_to_be_enforced(desk: Desk) -> None:
    made = await desk.admin.create(ADMIN, {**OPENAI, "limits": {"rpm": 5, "budget_usd": 1}})
    assert made.body["limits"] == {"rpm": 5, "budget_usd": 1}
    assert made.body["warnings"] == [
        "limits.rpm is not enforced yet",
        "limits.budget_usd is not enforced yet",
    ]


async def test_fallbacks_that_name_no_model_are_warned_about(desk: Desk) -> None:
    made = await desk.admin.create(ADMIN, {**OPENAI, "fallbacks": ["later"]})
    assert made.body["warnings"] == ["fallbacks: there is no model 'later'"]
    await desk.admin.create(ADMIN, {**OPENAI, "id": "later"})
    assert "warnings" not in (await desk.admin.get("m")).body
    grouped = await desk.admin.create(ADMIN, {"kind": "group", "id": "g", "members": ["m", "gone"]})
    assert grouped.body["object"] == "group"
    assert grouped.body["warnings"] == ["members: there is no model 'gone'"]


async def test_naming_a_project_makes_it(desk: Desk) -> None:
    await desk.admin.create(ADMIN, {**OPENAI, "private": True, "projects": ["research"]})
    await desk.admin.update(ADMIN, "m", {"projects": ["research", "web"]})
    assert desk.projects.ensured == ["research", "research", "web"]


async def test_a_patch_merges_and_null_removes(desk: Desk) -> None:
    await desk.admin.create(ADMIN, {**OPENAI, "name": "n", "metadata": {"a": 1, "b": 2}})
    desk.clock.advance(5)
    patch = {"name": None, "metadata": {"a": None, "c": 3}, "parameters": {"timeout": 9}}
    updated = (await desk.admin.update(ADMIN, "m", patch)).body
    assert "name" not in updated
    assert updated["metadata"] == {"b": 2, "c": 3}
    assert updated["parameters"] == {"secret_name": "OPENAI_API_KEY", "timeout": 9}
    assert updated["updated_at"] > updated["created_at"]
    catalog = desk.cache.fresh()
    assert catalog is not None
    assert catalog.models["m"].parameters.timeout == 9.0
    assert (await desk.audited())[-1]["detail"] == {"fields": ["metadata", "name", "parameters"]}


async def test_what_was_shown_can_be_sent_back(desk: Desk) -> None:
    await desk.admin.create(ADMIN, {**OPENAI, "limits": {"rpm": 1}})
    shown = (await desk.admin.get("m")).body
    assert shown["status"] == {"status": "healthy", "of": "m"}
    assert (await desk.admin.update(ADMIN, "m", {**shown, "code": "o3"})).body["code"] == "o3"


@pytest.mark.parametrize(
    "patch",
    [
        {"id": "other"},
        {"created_at": "2020-01-01T00:00:00Z"},
        {"operations": ["chat"]},
        {"code": None},
        {"parameters": {"secret_name": "llmproxy-admin-key"}},
        {"parameters": {"api_key": "x"}},
        {"parameters": None},
    ],
)
async def test_a_patch_whose_outcome_could_not_serve_changes_nothing(desk: Desk, patch: Json) -> None:
    before = await desk.admin.create(ADMIN, OPENAI)
    with pytest.raises((InvalidValue, MissingParameter, UnsupportedParameter)):
        await desk.admin.update(ADMIN, "m", patch)
    after = await desk.admin.get("m")
    assert after.etag == before.etag
    assert len(await desk.audited()) == 1


async def test_if_match_holds_a_change_to_the_version_that_was_read(desk: Desk) -> None:
    first = await desk.admin.create(ADMIN, OPENAI)
    second = await desk.admin.update(ADMIN, "m", {"name": "two"}, first.etag)
    with pytest.raises(PreconditionFailed):
        await desk.admin.update(ADMIN, "m", {"name": "three"}, first.etag)
    with pytest.raises(PreconditionFailed):
        await desk.admin.delete(ADMIN, "m", first.etag)
    assert (await desk.admin.update(ADMIN, "m", {"name": "four"}, "*")).body["name"] == "four"
    with pytest.raises(PreconditionFailed):
        await desk.admin.delete(ADMIN, "m", second.etag)
    await desk.admin.delete(ADMIN, "m")


async def test_a_write_whose_answer_was_lost_is_no_conflict(desk: Desk) -> None:
    desk.store.lost_races = 1
    assert (await desk.admin.create(ADMIN, OPENAI)).body["id"] == "m"
    desk.store.lost_races = 1
    assert (await desk.admin.update(ADMIN, "m", {"name": "n"})).body["name"] == "n"
    assert desk.store.calls["replace"] == 1


async def test_a_deleted_model_is_gone_at_once(desk: Desk) -> None:
    await desk.admin.create(ADMIN, OPENAI)
    await desk.admin.delete(ADMIN, "m")
    catalog = desk.cache.fresh()
    assert catalog is not None
    assert "m" not in catalog.models
    for act in (desk.admin.delete(ADMIN, "m"), desk.admin.update(ADMIN, "m", {})):
        with pytest.raises(ModelNotFound):
            await act


async def test_nothing_changes_that_cannot_be_audited(desk: Desk) -> None:
    await desk.admin.create(ADMIN, OPENAI)
    desk.store.refused = {AUDIT}
    for act in (
        desk.admin.create(ADMIN, {**OPENAI, "id": "n"}),
        desk.admin.update(ADMIN, "m", {"name": "x"}),
        desk.admin.delete(ADMIN, "m"),
    ):
        with pytest.raises(CatalogUnavailable):
            await act
    listed = await desk.admin.list({})
    assert [(item["id"], item.get("name")) for item in listed["data"]] == [("m", None)]


async def test_a_store_that_is_away_makes_a_503(desk: Desk) -> None:
    desk.store.down = True
    for act in (
        desk.admin.create(ADMIN, OPENAI),
        desk.admin.get("m"),
        desk.admin.list({}),
        desk.admin.update(ADMIN, "m", {}),
        desk.admin.delete(ADMIN, "m"),
    ):
        with pytest.raises(CatalogUnavailable) as caught:
            await act
        assert caught.value.status == 503


async def test_a_list_goes_on_after_an_id(desk: Desk) -> None:
    for id in ("a", "b", "c"):
        await desk.admin.create(ADMIN, {**OPENAI, "id": id})
    first = await desk.admin.list({"limit": "2"})
    assert [item["id"] for item in first["data"]] == ["a", "b"]
    assert first["has_more"]
    rest = await desk.admin.list({"limit": "2", "after": first["last_id"]})
    assert [item["id"] for item in rest["data"]] == ["c"]
    assert not rest["has_more"]


async def test_a_broken_document_is_shown_with_its_fault_and_can_be_mended(desk: Desk) -> None:
    await desk.store.upsert(
        MODELS,
        {
            **changed(OPENAI, {"parameters.api_key": "a-fake-secret", "parameters.secret_name": None}),
            "updated_at": "long ago",
            "auth_token": "a-fake-secret",
        },
    )
    shown = (await desk.admin.get("m")).body
    assert "is not served" in shown["warnings"][0]
    assert "a-fake-secret" not in str(shown)
    patch = {"parameters": {"api_key": None, "secret_name": "KEY"}, "auth_token": None}
    mended = (await desk.admin.update(ADMIN, "m", patch)).body
    assert "warnings" not in mended
    assert mended["updated_at"] == "2027-01-15T08:00:00.000Z"


@pytest.mark.parametrize(
    "parameters",
    [
        {"secret_name": "sk-" + "a-fake-secret" * 3},
        {"secret_name": "a-fake-secret with spaces"},
        {"litellm_params": {"api_key": "a-fake-secret"}},
        {"litellm_secrets": {"api_key": "sk-a-fake-secret-0123"}},
        {"extra_headers": {"Authorization": "Bearer a-fake-secret"}},
        {"default_params": {"api_key": "a-fake-secret"}},
        {"endpoint": "https://user:a-fake-secret@api.example.com"},
        {"endpoint": "https://api.example.com/?code=a-fake-secret"},
    ],
)
async def test_a_secret_in_a_document_never_shows_in_answers_errors_or_logs(
    desk: Desk, parameters: Json, caplog: pytest.LogCaptureFixture
) -> None:
    body = {**OPENAI, "parameters": {**OPENAI["parameters"], **parameters}}
    with pytest.raises((InvalidValue, UnsupportedParameter)) as caught:
        await desk.admin.create(ADMIN, body)
    assert "a-fake-secret" not in str(caught.value.envelope())
    await desk.store.upsert(MODELS, body)
    await desk.cache.refresh()
    assert "a-fake-secret" not in str((await desk.admin.get("m")).body)
    assert "a-fake-secret" not in caplog.text
    assert "'m'" in caplog.text
