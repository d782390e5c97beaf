"""One SQLite file and the thread that works on it. Several processes may open the file."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")

MOST_TOGETHER = 64
"""Pieces of work done in one turn, and so changes in one transaction, which other processes wait for."""


class SqliteFile:
    """A file in WAL mode (mode 600), made at first use.

    One thread of its own does all the work, so the event loop never waits for the disk. It does what waits in
    turns: changes together in one transaction, then the rest; what came of a turn is told at once. For to hand a
    piece of work over and back, and to begin and commit, cost more than most of them. `lock_timeout` is how many
    seconds a piece of work waits for another process's write.
    """

    def __init__(
        self,
        path: Path,
        schema: Sequence[str],
        *,
        lock_timeout: float,
        unavailable: Callable[[str], Exception],
    ) -> None:
        """`schema` are statements that do nothing where all is there. `unavailable` makes the error that is
        raised where the file does not serve."""
        self._path = path
        self._schema = schema
        self._lock_timeout = lock_timeout
        self._unavailable = unavailable
        self._waiting: deque[_Work[Any]] = deque()
        self._awake = False
        self._executor: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Does work that changes nothing."""
        return await self._wait(_Work(work))

    async def change(self, work: Callable[[sqlite3.Connection], T], *, single: bool = False) -> T:
        """Does work in a transaction that no other process writes beside.

        Changes that wait at the same time share one. Each is still made whole or not at all, and what one raises
        leaves the others as they are. `single` says that this one writes with one statement at most, which by
        itself is made whole or not at all.
        """
        return await self._wait(_Work(work, changes=True, single=single))

    async def close(self) -> None:
        self._closed = True
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.get_running_loop().run_in_executor(executor, self._disconnect)
            executor.shutdown(wait=False)

    async def _wait(self, work: "_Work[T]") -> T:
        thread = self._thread()
        self._waiting.append(work)
        if not self._awake:
            self._awake = True
            thread.submit(self._work_off)
        return await work.future

    def _thread(self) -> ThreadPoolExecutor:
        if self._closed:
            raise self._unavailable("The local database is closed.")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._path.name)
        return self._executor

    # What follows runs in the thread.

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = _connect(self._path, self._schema, self._lock_timeout)
        return self._connection

    @contextlib.contextmanager
    def _mapped(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(f"The local database does not serve: {error}") from error

    def _work_off(self) -> None:
        while True:
            turn: list[_Work[Any]] = []
            while self._waiting and len(turn) < MOST_TOGETHER:
                work = self._waiting.popleft()
                if not work.future.cancelled():
                    turn.append(work)
            if turn:
                self._do(turn)
                continue
            self._awake = False
            # What was added just before no one else comes for.
            if not self._waiting:
                return
            self._awake = True

    def _do(self, turn: list["_Work[Any]"]) -> None:
        changes = [work for work in turn if work.changes]
        if changes:
            try:
                with self._mapped():
                    self._commit(changes)
            except BaseException as error:
                for change in changes:
                    change.error = error
            _tell(changes)
        others = [work for work in turn if not work.changes]
        for work in others:
            try:
                with self._mapped():
                    work.result = work.work(self._connected())
            except BaseException as error:
                work.error = error
        _tell(others)

    def _commit(self, changes: list["_Work[Any]"]) -> None:
        connection = self._connected()
        with _transaction(connection):
            if len(changes) == 1:
                changes[0].result = changes[0].work(connection)
            else:
                for change in changes:
                    self._apply(connection, change)

    def _apply(self, connection: sqlite3.Connection, change: "_Work[T]") -> None:
        """Makes one of several, or leaves the error of it and nothing else."""
        if not change.single:
            connection.execute("SAVEPOINT change")
        try:
            with self._mapped():
                change.result = change.work(connection)
        except Exception as error:
            if not connection.in_transaction:
                # SQLite has undone all of them, as it does where the disk is full.
                raise
            change.error = error
            if not change.single:
                connection.execute("ROLLBACK TO change")
        if not change.single:
            connection.execute("RELEASE change")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Work(Generic[T]):
    """A piece of work that waits for the thread, and what came of it once all of its turn is done."""

    __slots__ = ("changes", "error", "future", "loop", "result", "single", "work")

    result: T

    def __init__(
        self, work: Callable[[sqlite3.Connection], T], *, changes: bool = False, single: bool = False
    ) -> None:
        self.work = work
        self.changes = changes
        self.single = single
        self.loop = asyncio.get_running_loop()
        self.future: asyncio.Future[T] = self.loop.create_future()
        self.error: BaseException | None = None


def _tell(done: Sequence[_Work[Any]]) -> None:
    for loop in {work.loop for work in done}:
        # One that is closed has no one left who waits.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle, [work for work in done if work.loop is loop])


def _settle(done: Sequence[_Work[Any]]) -> None:
    """In the event loop of those who wait."""
    for work in done:
        if work.future.done():
            continue  # given up meanwhile
        if work.error is None:
            work.future.set_result(work.result)
        else:
            work.future.set_exception(work.error)


@contextlib.contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _connect(path: Path, schema: Sequence[str], lock_timeout: float) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # SQLite gives its side files the mode of the file itself.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    deadline = time.monotonic() + lock_timeout
    while True:
        connection = sqlite3.connect(
            path, timeout=lock_timeout, isolation_level=None, check_same_thread=False
        )
        try:
            # Going over to WAL needs the file alone for a moment, and SQLite does not wait for that.
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
            connection.execute("PRAGMA synchronous = NORMAL")
            # Of 4 KiB: the fewer checkpoints, the fewer pages are written twice and the seldomer the disk is awaited.
            connection.execute("PRAGMA wal_autocheckpoint = 4000")
            for statement in schema:
                connection.execute(statement)
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            if "locked" not in str(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        except BaseException:
            connection.close()
            raise
