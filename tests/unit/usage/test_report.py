import asyncio

import pytest

from shared import Json
from shared.containers import AUDIT, COUNTERS
from shared.errors import CatalogUnavailable, InvalidRequest
from shared.ports import Query
from tests.unit.usage.books import ADMIN, PLAIN, TODAY, Books

DAY = 86_400.0
NOW = 1_800_000_000.0


@pytest.fixture
async def filled(books: Books) -> Books:
    """Three days of two projects."""
    books.record(time=NOW - 2 * DAY, request_id="a")
    books.record(time=NOW - DAY, request_id="b", project="chat", key_id="k2", model="claude", cost_usd=0.5)
    books.record(time=NOW - DAY, request_id="c", project="chat", key_id="k2", user=None, cost_usd=None)
    books.record(time=NOW, request_id="d", status=429, error_code="rate_limit_exceeded")
    books.record(time=NOW + 1, request_id="e", status=503, model=None, cost_usd=None, usage=None)
    await books.recorder.flush()
    return books


async def ids(books: Books, **query: str) -> list[str]:
    return [item["request_id"] for item in (await books.report.requests(query))["data"]]


async def test_records_come_newest_first(filled: Books) -> None:
    found = await ids(filled)
    assert found[:2] == ["e", "d"]
    assert set(found[2:4]) == {"b", "c"}
    assert found[4] == "a"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"project_id": "chat"}, {"b", "c"}),
        ({"project_id": "chat", "day": "2027-01-14"}, {"b", "c"}),
        ({"project_id": "search", "day": "2027-01-14"}, set()),
        ({"day": "2027-01-15"}, {"d", "e"}),
        ({"from": "2027-01-14"}, {"b", "c", "d", "e"}),
        ({"to": "2027-01-14"}, {"a", "b", "c"}),
        ({"from": "2027-01-14", "to": "2027-01-14"}, {"b", "c"}),
        ({"model": "claude"}, {"b"}),
        ({"key_id": "k1"}, {"a", "d", "e"}),
        ({"user": "u1", "project_id": "chat"}, {"b"}),
        ({"status": "429"}, {"d"}),
        ({"status": "5xx"}, {"e"}),
        ({"status": "2xx"}, {"a", "b", "c"}),
        ({"request_id": "c"}, {"c"}),
        ({"operation": "embeddings"}, set()),
    ],
)
async def test_records_are_filtered(filled: Books, query: dict[str, str], found: set[str]) -> None:
    assert set(await ids(filled, **query)) == found


async def test_records_are_paged(filled: Books) -> None:
    pages: list[Json] = []
    after: dict[str, str] = {}
    while not pages or pages[-1]["has_more"]:
        pages.append(await filled.report.requests({"limit": "2", **after}))
        after = {"after": pages[-1]["last_id"]}
    assert [len(page["data"]) for page in pages] == [2, 2, 1]
    found = [item["request_id"] for page in pages for item in page["data"]]
    assert found == await ids(filled)
    assert pages[0]["object"] == "list"


async def test_a_record_is_shown_without_what_is_the_stores(filled: Books) -> None:
    shown = (await filled.report.requests({"request_id": "d"}))["data"][0]
    assert not {"partition", "sort_key", "day"} & set(shown)
    assert (shown["object"], shown["error_code"]) == ("request", "rate_limit_exceeded")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"from": "yesterday"}, "from"),
        ({"to": "20270114"}, "to"),
        ({"day": "2027-02-30"}, "day"),
        ({"status": "ok"}, "status"),
        ({"status": "6xx"}, "status"),
        ({"project": "chat"}, "project"),
    ],
)
async def test_a_wrong_filter_of_records_is_named(books: Books, query: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await books.report.requests(query)
    assert raised.value.param == param


async def test_usage_is_summed_by_what_is_asked_for(filled: Books) -> None:
    report = await filled.report.sums({"group_by": "project,model"})
    rows = {(row["project"], row["model"]): row for row in report["data"]}
    assert set(rows) == {("chat", "claude"), ("chat", "gpt"), ("search", "gpt"), ("search", None)}
    assert rows["chat", "claude"]["cost_usd"] == 0.5
    assert rows["chat", "gpt"]["cost_usd"] is None
    assert (rows["search", "gpt"]["requests"], rows["search", "gpt"]["errors"]) == (2, 1)
    assert rows["search", "gpt"]["cost_usd"] == pytest.approx(0.0000246)
    assert report["data"][0] == rows["chat", "claude"]
    assert report["total"]["requests"] == 5
    assert report["total"]["total_tokens"] == 60
    assert "cost_nano_usd" not in report["total"]
    assert (report["from"], report["to"], report["group_by"]) == ("2026-12-17", TODAY, ["project", "model"])


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ({}, {"chat": 2, "search": 3}),
        ({"group_by": "key"}, {"k1": 3, "k2": 2}),
        ({"group_by": "user"}, {"u1": 4, None: 1}),
        ({"group_by": "day"}, {"2027-01-13": 1, "2027-01-14": 2, "2027-01-15": 2}),
        ({"group_by": "day", "project_id": "chat"}, {"2027-01-14": 2}),
        ({"group_by": "model", "from": "2027-01-15"}, {"gpt": 1, None: 1}),
        ({"group_by": "model", "to": "2027-01-13"}, {"gpt": 1}),
        ({"model": "claude"}, {"chat": 1}),
        ({"key_id": "k2", "user": "u1"}, {"chat": 1}),
    ],
)
async def test_usage_is_filtered(filled: Books, query: dict[str, str], rows: dict[str | None, int]) -> None:
    report = await filled.report.sums(query)
    name = {"key": "key_id"}.get(query.get("group_by", ""), query.get("group_by", "project"))
    assert {row[name]: row["requests"] for row in report["data"]} == rows


@pytest.mark.parametrize(
    ("query", "param"),
    [({"group_by": "colour"}, "group_by"), ({"from": "x"}, "from"), ({"after": "x"}, "after")],
)
async def test_a_wrong_filter_of_usage_is_named(books: Books, query: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await books.report.sums(query)
    assert raised.value.param == param


async def test_sums_equal_what_is_made_again_from_the_records(filled: Books) -> None:
    before = await filled.sums()
    for day in ("2027-01-13", "2027-01-14", TODAY):
        done = await filled.report.recompute(ADMIN, {"day": day})
        assert done["corrected"] == 0
    assert await filled.sums() == before
    assert len(before) == 5


async def test_wrong_sums_are_made_right_from_the_records(filled: Books) -> None:
    right = await filled.sums()
    for number, body in enumerate(right.values()):
        if number == 0:
            await filled.base.delete(COUNTERS, body["id"])
        else:
            await filled.base.increment(COUNTERS, body, {"requests": 7, "cost_nano_usd": -1})
    stray = {**next(iter(right.values())), "id": "usage-stray", "day": TODAY}
    await filled.base.create(COUNTERS, stray)
    corrected = 0
    for day in ("2027-01-13", "2027-01-14", TODAY):
        corrected += (await filled.report.recompute(ADMIN, {"day": day}))["corrected"]
    assert await filled.sums() == right
    assert corrected == 6


async def test_sums_that_were_made_again_are_kept_as_long_as_their_records(filled: Books) -> None:
    for body in (await filled.sums()).values():
        await filled.base.delete(COUNTERS, body["id"])
    filled.clock.advance(3600)
    await filled.report.recompute(ADMIN, {"day": TODAY})
    filled.clock.advance(29 * DAY)
    assert {body["day"] for body in (await filled.sums()).values()} == {TODAY}
    filled.clock.advance(2 * DAY)
    assert not await filled.sums()


async def test_one_project_is_recomputed_alone(filled: Books) -> None:
    right = await filled.sums()
    for body in right.values():
        await filled.base.increment(COUNTERS, body, {"requests": 7})
    await filled.report.recompute(ADMIN, {"day": "2027-01-14", "project_id": "chat"})
    wrong = {body["day"] for id, body in (await filled.sums()).items() if body != right[id]}
    assert wrong == {"2027-01-13", TODAY}


async def test_records_that_wait_are_part_of_what_is_recomputed(books: Books) -> None:
    books.record()
    done = await books.report.recompute(ADMIN, {"day": TODAY})
    assert (done["records"], done["corrected"]) == (1, 0)


async def test_an_increment_in_the_middle_of_a_recomputation_is_not_lost(books: Books) -> None:
    for _ in range(3):
        books.record()
    await books.recorder.flush()
    (body,) = (await books.sums()).values()
    await books.base.increment(COUNTERS, body, {"requests": 5})  # wrong by five
    replace = books.store.replace
    interfered = asyncio.Event()

    async def late(*arguments: object, **options: object) -> object:
        if not interfered.is_set():
            interfered.set()
            other = books.new_recorder()
            other.record(PLAIN)
            await other.flush()
        return await replace(*arguments, **options)  # type: ignore[arg-type]

    books.store.replace = late  # type: ignore[assignment,method-assign]
    await books.report.recompute(ADMIN, {"day": TODAY})
    assert [body["requests"] for body in (await books.sums()).values()] == [4]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "day"),
        ({"day": "today"}, "day"),
        ({"day": "2027-01-16"}, "day"),
        ({"day": "2026-12-16"}, "day"),
        ({"day": TODAY, "project_id": ""}, "project_id"),
        ({"day": TODAY, "project": "x"}, "project"),
    ],
)
async def test_a_wrong_recomputation_is_refused(books: Books, body: Json, param: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await books.report.recompute(ADMIN, body)
    assert raised.value.param == param


async def test_a_recomputation_is_an_audit_entry_first(books: Books) -> None:
    await books.report.recompute(ADMIN, {"day": TODAY})
    (entry,) = await books.base.query(AUDIT, Query())
    assert (entry.body["action"], entry.body["detail"]) == ("usage.recompute", {"day": TODAY})


async def test_reports_without_the_store_are_503(books: Books) -> None:
    books.store.down = True
    for attempt in (
        books.report.sums({}),
        books.report.requests({}),
        books.report.recompute(ADMIN, {"day": TODAY}),
    ):
        with pytest.raises(CatalogUnavailable):
            await attempt
