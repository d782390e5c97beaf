"""One SQLite file and the thread that works on it. Several processes may open the file."""

import asyncio
import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


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
        self._executor: ThreadPoolExecutor | None = None
        self._connection: sqlite3.Connection | None = None
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._closed:
            raise self._unavailable("The local database is closed.")
        if self._executor is None:
            self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=self._path.name)

        def guarded() -> T:
            try:
                if self._connection is None:
                    self._connection = _connect(self._path, self._schema, self._lock_timeout)
                return work(self._connection)
            except (sqlite3.Error, OSError) as error:
                raise self._unavailable(f"The local database does not serve: {error}") from error

        return await asyncio.get_running_loop().run_in_executor(self._executor, guarded)

    async def change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The same in a transaction that no other process writes beside."""

        def change(connection: sqlite3.Connection) -> T:
            with _transaction(connection):
                return work(connection)

        return await self.run(change)

    async def close(self) -> None:
        self._closed = True
        executor, self._executor = self._executor, None
        if executor is not None:
            await asyncio.get_running_loop().run_in_executor(executor, self._disconnect)
            executor.shutdown(wait=False)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


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
