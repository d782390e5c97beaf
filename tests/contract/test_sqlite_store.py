"""What a file on this machine promises: it lasts, several processes may use it, no one else may read it."""

import asyncio
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.adapters.sqlite_sql import TABLE, index_name, schema, select
from shared.clock import ManualClock
from shared.containers import CONTAINERS, COUNTERS, JOB_PAYLOADS, JOBS, KEYS, MODELS, USAGE, Container
from shared.errors import DocumentChanged, StoreUnavailable
from shared.ports import Query, Where

WRITER = """
import asyncio, sys
from pathlib import Path
from shared.adapters.sqlite import SqliteStore
from shared.adapters.sqlite_sql import TABLE, index_name, schema, select
from shared.containers import COUNTERS, MODELS

async def main():
    store = SqliteStore(Path(sys.argv[1]))
    print("ready", flush=True)
    sys.stdin.readline()
    for n in range(100):
        await store.increment(COUNTERS, {"id": "shared"}, {"n": 1})
    await store.upsert(MODELS, {"id": sys.argv[2]})
    await store.close()

asyncio.run(main())
"""

HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "deep" / "store.db")
    created = await first.create(MODELS, {"id": "a/b", "n": 1})
    await first.increment(COUNTERS, {"id": "c"}, {"n": 2})
    await first.close()
    second = SqliteStore(tmp_path / "deep" / "store.db")
    assert await second.get(MODELS, "a/b") == created
    assert [document.body for document in await second.query(COUNTERS, Query())] == [{"id": "c", "n": 2}]
    await second.close()


async def test_what_was_written_survives_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    program = (
        WRITER.split("    await store.upsert")[0]
        + '    print("written", flush=True)\n    sys.stdin.readline()\n\nasyncio.run(main())\n'
    )
    with start(program, str(path), "x") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.stdin.write("go\n")
        process.stdin.flush()
        assert process.stdout.readline() == "written\n"
        process.kill()
    store = SqliteStore(path)
    found = await store.get(COUNTERS, "shared")
    assert found is not None
    assert found.body["n"] == 100
    await store.close()


async def test_several_processes_may_begin_and_write_at_the_same_time(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    processes = [start(WRITER, str(path), f"writer-{n}") for n in range(3)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    store = SqliteStore(path)
    for _ in range(50):
        await store.increment(COUNTERS, {"id": "shared"}, {"n": 1})
    for process in processes:
        await asyncio.to_thread(process.communicate)
        assert process.returncode == 0
    found = await store.get(COUNTERS, "shared")
    assert found is not None
    assert found.body["n"] == 350
    written = await store.query(MODELS, Query())
    assert [document.body["id"] for document in written] == ["writer-0", "writer-1", "writer-2"]
    await store.close()


async def test_two_stores_on_one_file_see_each_others_writes_and_etags(tmp_path: Path) -> None:
    one, two = SqliteStore(tmp_path / "store.db"), SqliteStore(tmp_path / "store.db")
    created = await one.create(MODELS, {"id": "a", "n": 1})
    assert await two.get(MODELS, "a") == created
    outcomes = await asyncio.gather(
        one.replace(MODELS, {"id": "a", "n": 2}, created.etag),
        two.replace(MODELS, {"id": "a", "n": 3}, created.etag),
        return_exceptions=True,
    )
    assert sum(isinstance(outcome, DocumentChanged) for outcome in outcomes) == 1
    await one.close()
    await two.close()


async def test_a_file_that_another_process_holds_is_unavailable_and_the_loop_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = SqliteStore(path, lock_timeout=0.3)
    await store.create(MODELS, {"id": "a"})
    with start(HOLDER, str(path)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        writing = asyncio.ensure_future(store.upsert(MODELS, {"id": "b"}))
        turns = 0
        while not writing.done():
            await asyncio.sleep(0.001)
            turns += 1
        with pytest.raises(StoreUnavailable):
            await writing
        assert turns > 20
        assert await store.get(MODELS, "a") is not None
        process.communicate("\n")
    await store.upsert(MODELS, {"id": "b"})
    await store.close()


async def test_only_the_owner_may_read_the_file(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    await store.create(MODELS, {"id": "a"})
    files = list(tmp_path.iterdir())
    assert {file.name for file in files} == {"store.db", "store.db-wal", "store.db-shm"}
    assert {oct(file.stat().st_mode & 0o777) for file in files} == {"0o600"}
    await store.close()


async def test_nothing_is_opened_before_the_first_call(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    assert list(tmp_path.iterdir()) == []
    await store.close()


async def test_what_has_expired_leaves_the_file_in_the_end(tmp_path: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(tmp_path / "store.db", clock=clock)
    for n in range(5):
        await store.create(KEYS, {"id": str(n)}, time_to_live=10)
    clock.advance(100)
    await store.create(KEYS, {"id": "new"})
    await store.close()
    connection = sqlite3.connect(tmp_path / "store.db")
    assert connection.execute("SELECT key FROM documents").fetchall() == [("new",)]
    connection.close()


async def test_a_file_that_is_no_database_is_an_unavailable_store(tmp_path: Path) -> None:
    (tmp_path / "store.db").write_text("not a database " * 100)
    store = SqliteStore(tmp_path / "store.db")
    with pytest.raises(StoreUnavailable):
        await store.ping()
    await store.close()


async def test_a_directory_that_cannot_be_made_is_an_unavailable_store(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SqliteStore(tmp_path / "file" / "store.db")
    with pytest.raises(StoreUnavailable):
        await store.get(MODELS, "a")
    await store.close()


async def test_a_closed_store_is_unavailable_and_leaves_no_thread(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "store.db")
    await store.ping()
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.ping()
    deadline = time.monotonic() + 5
    while any(thread.name.startswith("sqlite-store") for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        await asyncio.sleep(0)


DECLARED = [(container, fields) for container in CONTAINERS for fields in container.indexes]


def plan(container: Container, query: Query) -> str:
    """How SQLite finds the documents, in its own words."""
    connection = sqlite3.connect(":memory:")
    for statement in schema(CONTAINERS):
        connection.execute(statement)
    statement, parameters = select(container, query, 0.0)
    steps = connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
    connection.close()
    return "; ".join(step[3] for step in steps)


@pytest.mark.parametrize("after", [None, "m"])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize(
    ("container", "fields"),
    DECLARED,
    ids=lambda part: part.name if isinstance(part, Container) else str(part),
)
def test_each_declared_index_is_read_in_its_order(
    container: Container, fields: tuple[str, ...], descending: bool, after: str | None
) -> None:
    *equal, last = fields
    where = tuple(Where(field, "=", "x") for field in equal if field != container.partition)
    partition = "x" if container.partition in equal else None
    found = plan(container, Query(where, last, descending, 20, after, partition))
    assert f"USING INDEX {index_name(container, fields)} (" in found
    assert "B-TREE" not in found


@pytest.mark.parametrize(
    ("query", "index"),
    [
        (
            Query(
                (
                    Where("project", "=", "p"),
                    Where("operation", "=", "chat"),
                    Where("listed_until", ">", "2030"),
                ),
                "sort_key",
                True,
            ),
            ("project", "operation", "sort_key"),
        ),
        (
            Query(
                (
                    Where("project", "=", "p"),
                    Where("operation", "=", "chat"),
                    Where("listed_until", ">", "2030"),
                    Where("status", "=", "failed"),
                ),
                "sort_key",
                True,
                after="x",
            ),
            ("project", "operation", "status", "sort_key"),
        ),
        (
            Query((Where("queue", "=", "q"), Where("ready_key", "<=", "2030")), "ready_key"),
            ("queue", "ready_key"),
        ),
        (Query((Where("sweep_key", "<=", "2030"),), "sweep_key", after="x"), ("sweep_key",)),
        (Query((Where("wake_key", "<=", "2030"),), "wake_key"), ("wake_key",)),
        (Query((Where("notice_key", "<=", "2030"),), "notice_key"), ("notice_key",)),
        (Query((Where("sort_key", ">", "2030"),), "sort_key"), ("sort_key",)),
        (Query((Where("ended_key", ">", "2030"),), "ended_key"), ("ended_key",)),
        (Query((Where("status", "=", "processing"),), after="x"), ("status",)),
    ],
    ids=repr,
)
def test_what_the_job_queue_asks_is_read_from_an_index_in_order(query: Query, index: tuple[str, ...]) -> None:
    found = plan(JOBS, query)
    assert f"USING INDEX {index_name(JOBS, index)} (" in found
    assert "B-TREE" not in found


def test_listing_by_id_goes_on_where_it_stopped() -> None:
    for container in (MODELS, KEYS, COUNTERS, JOBS):
        found = plan(container, Query(after="m"))
        assert "(container=? AND partition>?)" in found
        assert "B-TREE" not in found
    assert "(container=? AND partition=?)" in plan(JOB_PAYLOADS, Query(partition="j"))


def test_changed_keys_are_found_without_reading_all() -> None:
    changed = (Where("updated_at", ">=", "2030"),)
    for after in (None, "m"):
        assert "keys_by_updated_at (container=? AND <expr>>?)" in plan(KEYS, Query(changed, after=after))


def test_the_requests_of_a_month_are_read_newest_first_and_not_sorted() -> None:
    days = (Where("day", ">=", "2030-01-01"), Where("day", "<=", "2030-01-31"))
    for more, index in (
        ((), "usage_by_sort_key"),
        ((Where("project", "=", "p"),), "usage_by_project_sort_key"),
        ((Where("status", ">=", 400), Where("status", "<", 500)), "usage_by_sort_key"),
    ):
        found = plan(USAGE, Query((*days, *more), "sort_key", True))
        assert f"USING INDEX {index} (" in found
        assert "B-TREE" not in found
    one_day = Query((*days, Where("project", "=", "p")), "sort_key", True, partition="p|2030-01-01")
    assert "usage_by_partition_sort_key (container=? AND partition=?)" in plan(USAGE, one_day)


async def test_a_file_from_before_there_were_indexes_gets_them(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "store.db")
    for statement in TABLE:
        connection.execute(statement)
    connection.execute(
        "INSERT INTO documents VALUES ('keys', 'a', 'a', 'e', NULL, NULL, ?)",
        ('{"id": "a", "updated_at": "2030-01-01"}',),
    )
    connection.commit()
    connection.close()
    store = SqliteStore(tmp_path / "store.db")
    found = await store.query(KEYS, Query((Where("updated_at", ">=", "2030"),)))
    assert [stored.body["id"] for stored in found] == ["a"]
    await store.close()
    connection = sqlite3.connect(tmp_path / "store.db")
    made = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    connection.close()
    assert {index_name(container, fields) for container, fields in DECLARED} <= made
