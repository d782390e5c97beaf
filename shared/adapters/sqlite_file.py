"""One SQLite file and the thread that works on it. Several processes may open the file."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")

MOST_TOGETHER = 64
"""Changes in one transaction, which other processes wait for."""


class SqliteFile:
    """A file in WAL mode (mode 600), made at first use.

    One thread of its own does all the work, so the event loop never waits for the disk. `lock_timeout` is how
    many seconds a piece of work waits for another process's write.
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
        self._waiting: deque[_Change[Any]] = deque()
        self._executor: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        def guarded() -> T:
            with self._mapped():
                return work(self._connected())

        return await asyncio.get_running_loop().run_in_executor(self._thread(), guarded)

    async def change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The same in a transaction that no other process writes beside.

        Changes that wait at the same time share one, for to begin and commit costs more than most of them. Each
        is still made whole or not at all, and what one raises leaves the others as they are.
        """
        change = _Change(work)
        thread = self._thread()
        self._waiting.append(change)
        thread.submit(self._commit)
        return await asyncio.wrap_future(change.future)

    async def close(self) -> None:
        self._closed = True
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.get_running_loop().run_in_executor(executor, self._disconnect)
            executor.shutdown(wait=False)

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

    def _commit(self) -> None:
        """Commits what waits. A change that went with an earlier one leaves nothing to do here."""
        changes: list[_Change[Any]] = []
        while self._waiting and len(changes) < MOST_TOGETHER:
            change = self._waiting.popleft()
            if change.future.set_running_or_notify_cancel():
                changes.append(change)
        if not changes:
            return
        try:
            with self._mapped():
                connection = self._connected()
                with _transaction(connection):
                    if len(changes) == 1:
                        changes[0].result = changes[0].work(connection)
                    else:
                        for change in changes:
                            self._apply(connection, change)
        except BaseException as error:
            for change in changes:
                change.future.set_exception(error)
        else:
            for change in changes:
                change.settle()

    def _apply(self, connection: sqlite3.Connection, change: "_Change[T]") -> None:
        """Makes one of several, or leaves the error of it and nothing else."""
        connection.execute("SAVEPOINT change")
        try:
            with self._mapped():
                change.result = change.work(connection)
        except Exception as error:
            if not connection.in_transaction:
                # SQLite has undone all of them, as it does where the disk is full.
                raise
            change.error = error
            connection.execute("ROLLBACK TO change")
        connection.execute("RELEASE change")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


class _Change(Generic[T]):
    """A change that waits to be made, and what came of it until all that it was made with is committed."""

    __slots__ = ("error", "future", "result", "work")

    result: T

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        self.work = work
        self.future: Future[T] = Future()
        self.error: Exception | None = None

    def settle(self) -> None:
        if self.error is None:
            self.future.set_result(self.result)
        else:
            self.future.set_exception(self.error)


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
