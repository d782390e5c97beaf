"""What every document store promises. Ids are new in each test, since an emulator may outlive it."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from shared import Json
from shared.containers import (
    AUDIT,
    COUNTERS,
    DEAD_LETTERS,
    HEALTH,
    JOB_PAYLOADS,
    JOBS,
    KEYS,
    MODELS,
    USAGE,
    Container,
)
from shared.errors import DocumentAbsent, DocumentChanged, DocumentExists, DocumentTooLarge, StoreError
from shared.ports import DocumentStore, Query, Where
from tests.contract.stores import DEFECTS, OPENINGS, Subject

SORTED = replace(
    AUDIT,
    indexes=(("of", "sort"), ("at.key",), ("kind", "n")),
    filters=("on", "usage.total", "usage.none", "tags[]"),
)
"""The container `audit`, as if the code had queries by these fields."""

AWKWARD_IDS = [
    "plain-id_1.5:preview@eu|x",
    "openai/gpt-4o",
    "back\\slash",
    "hash#tag",
    "what?",
    "a b",
    " both ends ",
    ".",
    "..",
    ".hidden.",
    "100%",
    "%2F",
    "a+b&c=d;e",
    "~2F",
    "~",
    "~~",
    "'single' \"double\"",
    "{curly}[square]<angle>",
    "naïve-é",
    "e\u0301",
    "模型-四",
    "модель",
    "نموذج",
    "מודל",
    "मॉडल",
    "โมเดล",
    "🤖👩‍👩‍👧",
    "\u200b\ufeff",
    "x" * 256,
    "é" * 256,
    "模" * 256,
    "🤖" * 256,
    "/" * 256,
]


@pytest_asyncio.fixture(params=sorted(OPENINGS))
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    if request.param == "emulator" and (defect := DEFECTS.get(request.node.originalname)):
        request.applymarker(pytest.mark.xfail(reason=defect, strict=True))
    async with OPENINGS[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def store(subject: Subject) -> DocumentStore:
    return subject.store


@pytest.fixture
def mark() -> str:
    """A word that only this test's documents hold."""
    return uuid.uuid4().hex


async def absent(store: DocumentStore, container: Container, id: str) -> bool:
    return await store.query(container, Query(where=(Where("id", "=", id),))) == []


def ids(documents: object) -> list[str]:
    assert isinstance(documents, list)
    return [document.body["id"] for document in documents]


async def test_what_was_created_comes_back_as_it_was(store: DocumentStore, mark: str) -> None:
    body: Json = {
        "id": mark,
        "text": "naïve 🤖 \u0000 \u2028 \"quoted\" 'single' \\ /",
        "numbers": [0, -1, 1.5, 1e-7, 9007199254740991],
        "flags": [True, False, None],
        "nested": {"deep": {"er": []}, "": "empty name", "a.b": "dotted", "a b": "spaced"},
        "empty": {},
    }
    created = await store.create(MODELS, body)
    assert created.body == body
    found = await store.get(MODELS, mark)
    assert found == created
    assert found is not None
    assert found.body is not created.body


async def test_what_is_not_there_is_none(store: DocumentStore, mark: str) -> None:
    assert await store.get(MODELS, mark) is None
    assert await store.get(USAGE, mark, "nobody|2026-01-01") is None


async def test_a_taken_id_cannot_be_created_again(store: DocumentStore, mark: str) -> None:
    await store.create(MODELS, {"id": mark, "value": 1})
    with pytest.raises(DocumentExists):
        await store.create(MODELS, {"id": mark, "value": 2})
    found = await store.get(MODELS, mark)
    assert found is not None
    assert found.body["value"] == 1


async def test_one_of_many_racing_creates_wins(store: DocumentStore, mark: str) -> None:
    outcomes = await asyncio.gather(
        *(store.create(MODELS, {"id": mark, "writer": writer}) for writer in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, DocumentExists) for outcome in outcomes) == 9


@pytest.mark.parametrize("id", AWKWARD_IDS, ids=lambda id: ascii(id)[:24])
async def test_an_id_of_any_characters_comes_back_as_it_was(store: DocumentStore, id: str) -> None:
    await store.upsert(MODELS, {"id": id, "value": 1})
    found = await store.get(MODELS, id)
    assert found is not None
    assert found.body == {"id": id, "value": 1}
    replaced = await store.replace(MODELS, {"id": id, "value": 2}, found.etag)
    assert replaced.body["id"] == id
    assert ids(await store.query(MODELS, Query(where=(Where("id", "=", id),)))) == [id]
    assert ids(await store.query(MODELS, Query(where=(Where("id", "in", (id, "other")),)))) == [id]
    with pytest.raises(DocumentExists):
        await store.create(MODELS, {"id": id})
    assert await store.delete(MODELS, id)
    assert await absent(store, MODELS, id)


async def test_awkward_ids_are_different_documents_and_page_in_one_order(
    store: DocumentStore, mark: str
) -> None:
    for id in AWKWARD_IDS:
        await store.upsert(AUDIT, {"id": id, "day": mark})
    everything = ids(await store.query(AUDIT, Query(partition=mark)))
    assert sorted(everything) == sorted(AWKWARD_IDS)
    paged: list[str] = []
    while True:
        after = paged[-1] if paged else None
        page = ids(await store.query(AUDIT, Query(partition=mark, limit=7, after=after)))
        if not page:
            break
        paged += page
    assert paged == everything
    backwards = ids(await store.query(AUDIT, Query(partition=mark, descending=True)))
    assert backwards == everything[::-1]


@pytest.mark.parametrize("partition", ["a project|2026-01-31", "模型/四|2026", "#?\\ 🤖", "x" * 256])
async def test_a_partition_of_any_characters_holds_its_own_documents(
    store: DocumentStore, mark: str, partition: str
) -> None:
    here = {"id": mark, "partition": partition, "value": 1}
    await store.create(USAGE, here)
    await store.create(USAGE, {"id": mark, "partition": partition + "'", "value": 2})
    found = await store.get(USAGE, mark, partition)
    assert found is not None
    assert found.body == here
    listed = await store.query(USAGE, Query(partition=partition, where=(Where("id", "=", mark),)))
    assert [document.body for document in listed] == [here]
    assert await store.delete(USAGE, mark, partition)
    assert await store.get(USAGE, mark, partition + "'") is not None


async def test_a_replace_needs_the_current_etag(store: DocumentStore, mark: str) -> None:
    first = await store.create(MODELS, {"id": mark, "value": 1})
    second = await store.replace(MODELS, {"id": mark, "value": 2}, first.etag)
    assert second.etag != first.etag
    with pytest.raises(DocumentChanged):
        await store.replace(MODELS, {"id": mark, "value": 3}, first.etag)
    assert await store.get(MODELS, mark) == second


async def test_a_replace_of_what_is_not_there_says_so(store: DocumentStore, mark: str) -> None:
    with pytest.raises((DocumentAbsent, DocumentChanged)):
        await store.replace(MODELS, {"id": mark}, '"0"')
    assert await absent(store, MODELS, mark)


async def test_a_document_made_anew_does_not_match_an_old_etag(store: DocumentStore, mark: str) -> None:
    first = await store.create(MODELS, {"id": mark})
    await store.delete(MODELS, mark)
    await store.create(MODELS, {"id": mark})
    with pytest.raises(DocumentChanged):
        await store.replace(MODELS, {"id": mark, "value": 1}, first.etag)


async def test_one_of_twenty_racing_replaces_wins(store: DocumentStore, mark: str) -> None:
    created = await store.create(MODELS, {"id": mark, "winner": -1})
    outcomes = await asyncio.gather(
        *(store.replace(MODELS, {"id": mark, "winner": writer}, created.etag) for writer in range(20)),
        return_exceptions=True,
    )
    winners = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, BaseException)]
    assert len(winners) == 1
    assert sum(isinstance(outcome, DocumentChanged) for outcome in outcomes) == 19
    found = await store.get(MODELS, mark)
    assert found is not None
    assert found.body["winner"] == winners[0]


async def test_an_upsert_writes_whatever_is_there(store: DocumentStore, mark: str) -> None:
    first = await store.upsert(MODELS, {"id": mark, "old": True})
    second = await store.upsert(MODELS, {"id": mark, "new": True})
    assert first.etag != second.etag
    assert second.body == {"id": mark, "new": True}
    assert await store.get(MODELS, mark) == second


async def test_a_delete_says_whether_there_was_something(store: DocumentStore, mark: str) -> None:
    await store.create(MODELS, {"id": mark})
    assert await store.delete(MODELS, mark) is True
    assert await store.delete(MODELS, mark) is False
    assert await store.delete(MODELS, mark, etag='"0"') is False


async def test_a_delete_with_an_old_etag_removes_nothing(store: DocumentStore, mark: str) -> None:
    first = await store.create(MODELS, {"id": mark, "value": 1})
    second = await store.replace(MODELS, {"id": mark, "value": 2}, first.etag)
    with pytest.raises(DocumentChanged):
        await store.delete(MODELS, mark, etag=first.etag)
    assert await store.delete(MODELS, mark, etag=second.etag) is True


async def test_increments_in_parallel_all_count(store: DocumentStore, mark: str) -> None:
    initial: Json = {"id": mark, "kind": "sum", "requests": 100}
    await asyncio.gather(
        *(store.increment(COUNTERS, initial, {"requests": 1, "tokens": 3, "cost": 0.25}) for _ in range(20))
    )
    found = await store.get(COUNTERS, mark)
    assert found is not None
    assert found.body == {"id": mark, "kind": "sum", "requests": 120, "tokens": 60, "cost": 5.0}


async def test_an_increment_can_take_away_and_leaves_the_rest_alone(store: DocumentStore, mark: str) -> None:
    await store.create(COUNTERS, {"id": mark, "open": 2, "note": "kept"})
    await store.increment(COUNTERS, {"id": mark, "note": "ignored"}, {"open": -1, "fresh": 7})
    found = await store.get(COUNTERS, mark)
    assert found is not None
    assert found.body == {"id": mark, "open": 1, "note": "kept", "fresh": 7}


async def test_an_increment_makes_a_new_version(store: DocumentStore, mark: str) -> None:
    created = await store.create(COUNTERS, {"id": mark, "count": 0})
    await store.increment(COUNTERS, {"id": mark}, {"count": 1})
    with pytest.raises(DocumentChanged):
        await store.replace(COUNTERS, {"id": mark, "count": 0}, created.etag)


async def test_only_numbers_can_be_incremented(store: DocumentStore, mark: str) -> None:
    await store.create(COUNTERS, {"id": mark, "count": "many"})
    with pytest.raises(StoreError):
        await store.increment(COUNTERS, {"id": mark}, {"count": 1})
    for name in ("id", "a.b", "ttl", "/count"):
        with pytest.raises(ValueError, match=r"increment|field name"):
            await store.increment(COUNTERS, {"id": mark}, {name: 1})


async def test_keeping_a_document_leaves_all_that_is_in_it_and_makes_a_new_version(
    store: DocumentStore, mark: str
) -> None:
    body: Json = {"id": mark, "job": "a/b", "data": "x"}
    first = await store.upsert(JOB_PAYLOADS, body, time_to_live=600)
    assert await store.keep(JOB_PAYLOADS, mark, "a/b", time_to_live=900) is True
    found = await store.get(JOB_PAYLOADS, mark, "a/b")
    assert found is not None
    assert found.body == body
    with pytest.raises(DocumentChanged):
        await store.replace(JOB_PAYLOADS, body, first.etag, time_to_live=600)
    assert await store.keep(JOB_PAYLOADS, mark, "c", time_to_live=900) is False


async def test_creating_many_again_changes_nothing(store: DocumentStore, mark: str) -> None:
    def documents(value: int) -> list[Json]:
        return [{"id": f"{n:03}", "partition": mark, "value": value} for n in range(40)]

    await store.create(USAGE, documents(0)[5])
    await store.create_many(USAGE, documents(1))
    await store.create_many(USAGE, documents(2))
    found = await store.query(USAGE, Query(partition=mark))
    assert [document.body["value"] for document in found] == [1] * 5 + [0] + [1] * 34


async def test_many_documents_share_a_partition_and_are_at_most_a_hundred(store: DocumentStore) -> None:
    with pytest.raises(ValueError, match="partition"):
        await store.create_many(USAGE, [{"id": "1", "partition": "a"}, {"id": "2", "partition": "b"}])
    with pytest.raises(ValueError, match="100"):
        await store.create_many(USAGE, [{"id": str(n), "partition": "a"} for n in range(101)])


FILTERED: list[Json] = [
    {"id": "1", "kind": "chat", "n": 1, "on": True, "tags": ["a", "b"], "usage": {"total": 10}},
    {"id": "2", "kind": "chat", "n": 2.5, "on": False, "tags": [], "usage": {"total": 20}},
    {"id": "3", "kind": "embed", "n": "3", "on": None, "tags": "a", "usage": {"total": None}},
    {"id": "4", "n": 4, "on": True, "tags": [1, None, True, {"a": 1}], "usage": 7},
    {"id": "5", "kind": None, "n": None},
]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ((), "12345"),
        ((Where("kind", "=", "chat"),), "12"),
        ((Where("kind", "!=", "chat"),), "3"),
        ((Where("kind", "=", None),), "5"),
        ((Where("n", "=", 1),), "1"),
        ((Where("n", "=", "3"),), "3"),
        ((Where("n", "!=", 1),), "24"),
        ((Where("n", ">", 1),), "24"),
        ((Where("n", ">=", 2.5),), "24"),
        ((Where("n", "<", 4), Where("n", ">", 1)), "2"),
        ((Where("n", "<=", "3"),), "3"),
        ((Where("on", "=", True),), "14"),
        ((Where("on", "=", False),), "2"),
        ((Where("on", "!=", True),), "2"),
        ((Where("on", "=", None),), "3"),
        ((Where("n", "=", True),), ""),
        ((Where("on", "=", 1),), ""),
        ((Where("usage.total", ">", 10),), "2"),
        ((Where("usage.total", "=", None),), "3"),
        ((Where("usage.none", "=", None),), ""),
        ((Where("kind", "in", ("chat", "embed")),), "123"),
        ((Where("n", "in", (1, "3", None)),), "135"),
        ((Where("kind", "in", ()),), ""),
        ((Where("tags", "contains", "a"),), "1"),
        ((Where("tags", "contains", 1),), "4"),
        ((Where("tags", "contains", True),), "4"),
        ((Where("tags", "contains", None),), "4"),
        ((Where("tags", "contains", "x"),), ""),
        ((Where("kind", "=", "chat"), Where("on", "=", True), Where("tags", "contains", "b")), "1"),
        ((Where("kind", "=", "' OR 1=1 --"),), ""),
    ],
)
async def test_conditions_select_what_they_say(
    store: DocumentStore, mark: str, where: tuple[Where, ...], expected: str
) -> None:
    await store.create_many(SORTED, [{**document, "day": mark} for document in FILTERED])
    assert "".join(ids(await store.query(SORTED, Query(where=where, partition=mark)))) == expected


async def test_without_a_partition_all_are_asked_and_merged_in_order(store: DocumentStore, mark: str) -> None:
    for n in range(12):
        await store.create(SORTED, {"id": f"{n:02}", "day": f"{mark}-{n % 5}", "sort": f"{n:02}", "of": mark})
    mine = (Where("of", "=", mark),)
    expected = [f"{n:02}" for n in range(12)]
    assert ids(await store.query(SORTED, Query(where=mine))) == expected
    newest = Query(where=mine, order_by="sort", descending=True, limit=5)
    assert ids(await store.query(SORTED, newest)) == ["11", "10", "09", "08", "07"]
    older = Query(where=mine, order_by="sort", descending=True, limit=5, after="07")
    assert ids(await store.query(SORTED, older)) == ["06", "05", "04", "03", "02"]
    assert ids(await store.query(SORTED, Query(where=mine, order_by="sort", after="09"))) == ["10", "11"]


async def test_an_order_may_be_nested_and_leaves_out_what_lacks_it(store: DocumentStore, mark: str) -> None:
    values: list[Json] = [{"at": {"key": "b"}}, {"at": {"key": "a"}}, {"at": {}}, {"at": {"key": 3}}, {}]
    await store.create_many(SORTED, [{"id": str(n), "day": mark, **v} for n, v in enumerate(values)])
    assert ids(await store.query(SORTED, Query(partition=mark, order_by="at.key"))) == ["1", "0"]


async def test_what_the_job_queue_asks_is_answered_over_all_partitions(
    store: DocumentStore, mark: str
) -> None:
    for n in range(8):
        key = f"{mark}-{n}"
        ended = n in (2, 5)
        body: Json = {
            "id": key,
            "project": mark,
            "operation": "chat" if n < 7 else "responses",
            "status": "completed" if ended else "queued",
            "sort_key": key,
            "listed_until": "2030-01-02" if n != 1 else "2030-01-01",
        }
        moments = {"ended_key": f"{mark}-{9 - n}"} if ended else {"queue": mark, "ready_key": key}
        await store.create(JOBS, {**body, **moments, **({"sweep_key": key} if n % 2 else {})})
    listed = (
        Where("project", "=", mark),
        Where("operation", "=", "chat"),
        Where("listed_until", ">", "2030-01-01T12"),
    )
    last = f"{mark}-6"

    async def numbers(query: Query) -> str:
        # What other tests left in a database that outlives them comes before or after.
        found = [id for id in ids(await store.query(JOBS, query)) if id.startswith(mark)]
        return "".join(id[-1] for id in found)

    assert await numbers(Query(listed, "sort_key", True, limit=4)) == "6543"
    assert await numbers(Query(listed, "sort_key", True, limit=4, after=f"{mark}-3")) == "20"
    done = (*listed, Where("status", "=", "completed"))
    assert await numbers(Query(done, "sort_key", True)) == "52"
    due = (Where("queue", "=", mark), Where("ready_key", "<=", last))
    assert await numbers(Query(due, "ready_key", limit=3)) == "013"
    assert await numbers(Query(due, "ready_key")) == "01346"
    overdue = (Where("sweep_key", "<=", last), Where("sweep_key", ">", mark))
    assert await numbers(Query(overdue, "sweep_key", after=f"{mark}-1")) == "35"
    newer = (Where("sort_key", ">", f"{mark}-4"), Where("sort_key", "<=", f"{mark}-9"))
    assert await numbers(Query(newer, "sort_key")) == "567"
    ended_since = (Where("ended_key", ">", mark), Where("ended_key", "<=", f"{mark}-9"))
    assert await numbers(Query(ended_since, "ended_key")) == "52"
    waiting = (Where("status", "=", "queued"), Where("id", ">", mark), Where("id", "<", f"{mark}-9"))
    assert await numbers(Query(waiting)) == "013467"


async def test_dead_letters_of_a_day_come_newest_first(store: DocumentStore, mark: str) -> None:
    for n in range(4):
        await store.create(DEAD_LETTERS, {"id": f"{n}", "day": f"{mark}-{n // 3}", "sort_key": f"{n}"})
    newest = Query(order_by="sort_key", descending=True, limit=2, partition=f"{mark}-0")
    assert ids(await store.query(DEAD_LETTERS, newest)) == ["2", "1"]
    assert ids(await store.query(DEAD_LETTERS, replace(newest, after="1"))) == ["0"]


async def test_a_limit_is_kept_and_more_than_one_page_is_read(store: DocumentStore, mark: str) -> None:
    for start in (0, 100):
        await store.create_many(AUDIT, [{"id": f"{start + n:03}", "day": mark} for n in range(100)])
    assert len(await store.query(AUDIT, Query(partition=mark))) == 100
    assert len(await store.query(AUDIT, Query(partition=mark, limit=3))) == 3
    assert len(await store.query(AUDIT, Query(partition=mark, limit=500))) == 200


@pytest.mark.parametrize(
    "query",
    [
        Query(order_by='id"] ASC --'),
        Query(order_by=""),
        Query(where=(Where("a'b", "=", 1),)),
        Query(where=(Where("a..b", "=", 1),)),
        Query(where=(Where('a"]', "contains", 1),)),
        Query(where=(Where("a", "=", (1,)),)),
        Query(where=(Where("a", "in", 1),)),
        Query(where=(Where("a", "<", None),)),
        Query(where=(Where("a", "!=", None),)),
        Query(limit=0),
    ],
    ids=repr,
)
async def test_a_query_that_makes_no_sense_is_refused_before_it_is_sent(
    store: DocumentStore, query: Query
) -> None:
    with pytest.raises(ValueError, match=r"."):
        await store.query(MODELS, query)


@pytest.mark.parametrize(
    "query",
    [
        Query(order_by="secret"),
        Query(order_by="sort.of"),
        Query(where=(Where("kind", "=", "chat"), Where("sort_key", "=", "1"))),
        Query(where=(Where("n.m", ">", 1),)),
        Query(where=(Where("of", "in", ()), Where("note", "in", ()))),
        Query(where=(Where("kind", "contains", "a"),)),
        Query(where=(Where("tags", "=", "a"),)),
    ],
    ids=repr,
)
async def test_a_query_by_a_field_that_its_container_does_not_declare_is_refused(
    store: DocumentStore, query: Query
) -> None:
    with pytest.raises(StoreError, match="not declared"):
        await store.query(SORTED, query)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"id": 1},
        {"id": "x", "_etag": "mine"},
        {"id": "x", "ttl": 5},
        {"id": "x", "value": float("nan")},
        {"id": "x", "value": "\ud800"},
    ],
    ids=repr,
)
async def test_a_document_that_no_store_could_hold_is_refused(store: DocumentStore, body: Json) -> None:
    with pytest.raises(ValueError, match=r"."):
        await store.upsert(MODELS, body)


# aiohttp warns of any body over 1 MiB that comes as bytes; ours is sent in a few milliseconds.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_document_over_two_megabytes_is_refused_and_one_just_below_is_kept(
    store: DocumentStore, mark: str
) -> None:
    with pytest.raises(DocumentTooLarge):
        await store.create(MODELS, {"id": mark, "text": "x" * 2_000_001})
    with pytest.raises(DocumentTooLarge):
        await store.create(MODELS, {"id": mark, "text": "🤖" * 500_001})
    assert await absent(store, MODELS, mark)
    large = {"id": mark, "text": "🤖" * 499_900}
    await store.create(MODELS, large)
    found = await store.get(MODELS, mark)
    assert found is not None
    assert found.body == large


async def test_a_document_lives_as_long_as_it_was_given(subject: Subject) -> None:
    store = subject.store
    await store.create(KEYS, {"id": "short"}, time_to_live=10)
    await store.create(KEYS, {"id": "long"}, time_to_live=100)
    await store.create(KEYS, {"id": "for-ever"})
    subject.clock.advance(9)
    assert ids(await store.query(KEYS, Query())) == ["for-ever", "long", "short"]
    subject.clock.advance(2)
    assert await store.get(KEYS, "short") is None
    assert await store.delete(KEYS, "short") is False
    assert ids(await store.query(KEYS, Query())) == ["for-ever", "long"]
    await store.create(KEYS, {"id": "short", "again": True})
    subject.clock.advance(1_000_000)
    assert ids(await store.query(KEYS, Query())) == ["for-ever", "short"]


async def test_a_container_may_set_the_time_to_live(subject: Subject) -> None:
    store = subject.store
    await store.upsert(HEALTH, {"id": "default"})
    await store.upsert(HEALTH, {"id": "own"}, time_to_live=60)
    await store.upsert(MODELS, {"id": "kept"})
    subject.clock.advance(61)
    assert ids(await store.query(HEALTH, Query())) == ["default"]
    subject.clock.advance(7 * 86_400)
    assert ids(await store.query(HEALTH, Query())) == []
    assert ids(await store.query(MODELS, Query())) == ["kept"]


async def test_a_write_begins_the_time_to_live_anew(subject: Subject) -> None:
    store = subject.store
    created = await store.create(KEYS, {"id": "a"}, time_to_live=10)
    await store.increment(COUNTERS, {"id": "c"}, {"n": 1}, time_to_live=10)
    subject.clock.advance(8)
    await store.replace(KEYS, {"id": "a"}, created.etag, time_to_live=20)
    await store.increment(COUNTERS, {"id": "c"}, {"n": 1}, time_to_live=10)
    subject.clock.advance(8)
    counted = await store.get(COUNTERS, "c")
    assert counted is not None
    assert counted.body == {"id": "c", "n": 2}
    subject.clock.advance(8)
    assert await store.get(COUNTERS, "c") is None
    assert await store.get(KEYS, "a") is not None
    await store.increment(COUNTERS, {"id": "c"}, {"n": 1}, time_to_live=10)
    fresh = await store.get(COUNTERS, "c")
    assert fresh is not None
    assert fresh.body == {"id": "c", "n": 1}


async def test_a_document_is_kept_longer_or_shorter_or_at_last(subject: Subject) -> None:
    store = subject.store
    for id in ("longer", "shorter", "late"):
        await store.create(KEYS, {"id": id}, time_to_live=10)
    await store.create(KEYS, {"id": "last"})
    subject.clock.advance(8)
    assert await store.keep(KEYS, "longer", time_to_live=10) is True
    assert await store.keep(KEYS, "shorter", time_to_live=1) is True
    assert await store.keep(KEYS, "last", time_to_live=10) is True
    subject.clock.advance(3)
    assert ids(await store.query(KEYS, Query())) == ["last", "longer"]
    assert await store.keep(KEYS, "late", time_to_live=10) is False
    subject.clock.advance(8)
    assert ids(await store.query(KEYS, Query())) == []


async def test_a_replace_without_a_time_to_live_keeps_a_document_for_ever(
    subject: Subject, mark: str
) -> None:
    created = await subject.store.create(KEYS, {"id": mark}, time_to_live=10)
    await subject.store.replace(KEYS, {"id": mark}, created.etag)
    subject.clock.advance(100)
    assert await subject.store.get(KEYS, mark) is not None


async def test_a_time_to_live_where_the_container_has_none_is_a_mistake(store: DocumentStore) -> None:
    with pytest.raises(ValueError, match="time to live"):
        await store.upsert(MODELS, {"id": "x"}, time_to_live=5)
    with pytest.raises(ValueError, match="time to live"):
        await store.upsert(KEYS, {"id": "x"}, time_to_live=0)
    with pytest.raises(ValueError, match="time to live"):
        await store.keep(MODELS, "x", time_to_live=5)


async def test_a_ping_answers(store: DocumentStore) -> None:
    await store.ping()


async def test_the_first_calls_may_come_all_at_once(store: DocumentStore, mark: str) -> None:
    await asyncio.gather(*(store.upsert(MODELS, {"id": mark, "n": n}) for n in range(8)))
    assert await store.get(MODELS, mark) is not None
