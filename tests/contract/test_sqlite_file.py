"""What changes that wait for one another promise, on the local store's file and the local log's."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from shared.adapters.sqlite_file import MOST_TOGETHER, SqliteFile
from shared.errors import StoreUnavailable

SCHEMA = ("CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY)",)

Work = Callable[[sqlite3.Connection], object]


class Refusal(Exception):
    """What a change raises."""


@pytest_asyncio.fixture
async def file(tmp_path: Path) -> AsyncIterator[SqliteFile]:
    opened = SqliteFile(tmp_path / "words.db", SCHEMA, lock_timeout=5.0, unavailable=StoreUnavailable)
    yield opened
    await opened.close()


@asynccontextmanager
async def at_work(file: SqliteFile) -> AsyncIterator[list[str]]:
    """While the file is busy. Yields the statements that it has run by then and will run."""
    statements: list[str] = []
    begun, done = threading.Event(), threading.Event()

    def hold(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(statements.append)
        begun.set()
        done.wait()

    holding = asyncio.ensure_future(file.run(hold))
    await asyncio.to_thread(begun.wait)
    try:
        yield statements
    finally:
        done.set()
        await holding


async def changes(file: SqliteFile, *works: Work) -> tuple[list[object], list[str]]:
    """What comes of works that are asked for while the file is busy, and the statements that were run."""
    async with at_work(file) as statements:
        waiting = [asyncio.ensure_future(file.change(work)) for work in works]
        await asyncio.sleep(0)
    return await asyncio.gather(*waiting, return_exceptions=True), statements


def add(*words: str) -> Work:
    def work(connection: sqlite3.Connection) -> tuple[str, ...]:
        for word in words:
            connection.execute("INSERT INTO words VALUES (?)", (word,))
        return words

    return work


def add_and_refuse(word: str) -> Work:
    def work(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO words VALUES (?)", (word,))
        raise Refusal(word)

    return work


async def words(file: SqliteFile) -> list[str]:
    rows = await file.run(
        lambda connection: connection.execute("SELECT word FROM words ORDER BY 1").fetchall()
    )
    return [word for (word,) in rows]


async def test_changes_that_wait_together_are_committed_once(file: SqliteFile) -> None:
    outcomes, statements = await changes(file, *(add(f"{n:02}") for n in range(10)))
    assert outcomes == [(f"{n:02}",) for n in range(10)]
    assert statements.count("COMMIT") == 1
    assert len(await words(file)) == 10


async def test_no_more_than_so_many_hold_the_file_at_once(file: SqliteFile) -> None:
    _, statements = await changes(file, *(add(str(n)) for n in range(2 * MOST_TOGETHER + 1)))
    assert statements.count("COMMIT") == 3
    assert len(await words(file)) == 2 * MOST_TOGETHER + 1


async def test_a_change_that_fails_undoes_itself_and_no_other(file: SqliteFile) -> None:
    outcomes, statements = await changes(
        file, add("a"), add_and_refuse("b"), add("c"), add("d", "a"), add("b", "d")
    )
    assert outcomes[0] == ("a",)
    assert isinstance(outcomes[1], Refusal)
    assert outcomes[2] == ("c",)
    assert isinstance(outcomes[3], StoreUnavailable)
    assert outcomes[4] == ("b", "d")
    assert statements.count("COMMIT") == 1
    assert await words(file) == ["a", "b", "c", "d"]


async def test_changes_of_one_statement_need_no_savepoint_to_fail_alone(file: SqliteFile) -> None:
    async with at_work(file) as statements:
        waiting = [asyncio.ensure_future(file.change(add(word), single=True)) for word in ("a", "a", "b")]
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert outcomes[0] == ("a",)
    assert isinstance(outcomes[1], StoreUnavailable)
    assert outcomes[2] == ("b",)
    assert not [statement for statement in statements if "SAVEPOINT" in statement]
    assert await words(file) == ["a", "b"]


async def test_what_only_looks_sees_the_changes_that_wait_with_it(file: SqliteFile) -> None:
    async with at_work(file):
        looking = [asyncio.ensure_future(words(file)) for _ in range(2)]
        changing = asyncio.ensure_future(file.change(add("a")))
        await asyncio.sleep(0)
    assert await asyncio.gather(*looking) == [["a"], ["a"]]
    assert await changing == ("a",)


async def test_what_only_looks_is_answered_where_the_changes_beside_it_fail(file: SqliteFile) -> None:
    await file.change(add("a"))
    async with at_work(file):
        changing = [asyncio.ensure_future(file.change(add_and_refuse(word))) for word in "bc"]
        looking = asyncio.ensure_future(words(file))
        await asyncio.sleep(0)
    outcomes = await asyncio.gather(*changing, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [Refusal] * 2
    assert await looking == ["a"]


async def test_many_that_come_and_go_are_all_answered(file: SqliteFile) -> None:
    async def come_and_go(number: int) -> int:
        for turn in range(20):
            await file.change(add(f"{number}-{turn}"))
            await words(file)
        return number

    assert await asyncio.gather(*map(come_and_go, range(20))) == list(range(20))
    assert len(await words(file)) == 400


async def test_a_change_alone_that_fails_leaves_nothing(file: SqliteFile) -> None:
    with pytest.raises(Refusal):
        await file.change(add_and_refuse("a"))
    assert await words(file) == []
    await file.change(add("a"))
    assert await words(file) == ["a"]


async def test_where_sqlite_undoes_all_no_change_is_believed_made(file: SqliteFile) -> None:
    def lose_all(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT OR ROLLBACK INTO words VALUES ('a')")

    outcomes, _ = await changes(file, add("a"), lose_all, add("b"))
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 3
    assert await words(file) == []
    await file.change(add("a"))
    assert await words(file) == ["a"]


async def test_a_change_given_up_before_its_turn_is_not_made(file: SqliteFile) -> None:
    async with at_work(file):
        kept, given_up = (asyncio.ensure_future(file.change(add(word))) for word in ("kept", "given up"))
        await asyncio.sleep(0)
        given_up.cancel()
        await asyncio.wait([given_up])
    await kept
    assert await words(file) == ["kept"]


async def test_changes_that_cannot_begin_all_fail_and_later_ones_are_made(tmp_path: Path) -> None:
    path = tmp_path / "words.db"
    file = SqliteFile(path, SCHEMA, lock_timeout=0.05, unavailable=StoreUnavailable)
    await file.change(add("a"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes, _ = await changes(file, add("b"), add("c"))
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 2
    other.execute("ROLLBACK")
    other.close()
    await file.change(add("d"))
    assert await words(file) == ["a", "d"]
    await file.close()


async def test_closing_first_makes_what_was_asked_for(tmp_path: Path) -> None:
    file = SqliteFile(tmp_path / "words.db", SCHEMA, lock_timeout=5.0, unavailable=StoreUnavailable)
    waiting = [asyncio.ensure_future(file.change(add(word))) for word in "abc"]
    await asyncio.sleep(0)
    await file.close()
    await asyncio.gather(*waiting)
    with pytest.raises(StoreUnavailable):
        await file.change(add("d"))
    connection = sqlite3.connect(tmp_path / "words.db")
    assert connection.execute("SELECT count(*) FROM words").fetchone() == (3,)
    connection.close()
