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
from shared.clock import ManualClock
from shared.containers import COUNTERS, KEYS, MODELS
from shared.errors import DocumentChanged, StoreUnavailable
from shared.ports import Query

WRITER = """
import asyncio, sys
from pathlib import Path
from shared.adapters.sqlite import SqliteStore
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
