"""The document store in one SQLite file, for local mode and tests. Several processes may open the file."""

import itertools
import json
import secrets
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

from shared import Json
from shared.adapters import document_rules as rules
from shared.adapters.document_ids import encode_id
from shared.adapters.sqlite_file import SqliteFile
from shared.adapters.sqlite_sql import NEW_VERSION, ON_CONFLICT, ONE, schema, select
from shared.clock import SystemClock
from shared.containers import CONTAINERS, Container
from shared.errors import DocumentAbsent, DocumentChanged, DocumentExists, StoreError, StoreUnavailable
from shared.ports import Clock, Query, Stored

T = TypeVar("T")
Key = tuple[str, str, str]
"""(container, partition, encoded id)"""

PURGE_INTERVAL = 60.0
"""Seconds between sweeps of what has expired; until then it is only not seen."""


class SqliteStore:
    """`DocumentStore` on SQLite in WAL mode.

    The file is made at first use. `lock_timeout` is how many seconds a call waits for another process's write.
    """

    def __init__(self, path: Path, *, clock: Clock | None = None, lock_timeout: float = 5.0) -> None:
        self._file = SqliteFile(
            path, schema(CONTAINERS), lock_timeout=lock_timeout, unavailable=StoreUnavailable
        )
        self._clock = clock or SystemClock()
        self._purged_at = float("-inf")
        self._mark = secrets.token_hex(8)
        self._numbers = itertools.count()

    async def get(self, container: Container, id: str, partition: str | None = None) -> Stored | None:
        key = _key(container, id, rules.partition_for(container, id, partition))
        return await self._file.run(partial(_read, key=key, now=self._clock.time()))

    async def create(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        write = self._write_of(container, body, time_to_live)

        def work(connection: sqlite3.Connection) -> Stored:
            if not _insert(connection, write):
                raise DocumentExists(f"{container.name}: the id is taken")
            return write.stored()

        return await self._change(work)

    async def create_many(
        self, container: Container, bodies: Sequence[Json], *, time_to_live: int | None = None
    ) -> None:
        rules.check_together(container, bodies)

        def prepare(_: sqlite3.Connection) -> list[_Write]:
            # In the thread, for a hundred documents take longer to encode than the event loop should wait.
            return [self._write_of(container, body, time_to_live) for body in bodies]

        writes = await self._file.run(prepare)

        def work(connection: sqlite3.Connection) -> None:
            _insert(connection, *writes)

        await self._change(work)

    async def replace(
        self, container: Container, body: Json, etag: str, *, time_to_live: int | None = None
    ) -> Stored:
        write = self._write_of(container, body, time_to_live)

        def work(connection: sqlite3.Connection) -> Stored:
            changed = connection.execute(
                f"UPDATE documents SET {NEW_VERSION} WHERE {ONE} AND etag = ?",  # noqa: S608
                (*write.version(), *write.key, write.now, etag),
            )
            if changed.rowcount == 0:
                if _is_there(connection, write.key, write.now):
                    raise DocumentChanged(f"{container.name}: the document moved on")
                raise DocumentAbsent(f"{container.name}: there is no such document")
            return write.stored()

        return await self._change(work)

    async def upsert(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        write = self._write_of(container, body, time_to_live)

        def work(connection: sqlite3.Connection) -> Stored:
            _put(connection, write)
            return write.stored()

        return await self._change(work)

    async def keep(
        self, container: Container, id: str, partition: str | None = None, *, time_to_live: int
    ) -> bool:
        key = _key(container, id, rules.partition_for(container, id, partition))
        lifetime = rules.lifetime(container, time_to_live)
        now, etag = self._clock.time(), self._new_etag()

        def work(connection: sqlite3.Connection) -> bool:
            kept = connection.execute(
                f"UPDATE documents SET etag = ?, lifetime = ?, expires = ? WHERE {ONE}",  # noqa: S608
                (etag, lifetime, now + time_to_live, *key, now),
            )
            return kept.rowcount > 0

        return await self._change(work)

    async def delete(
        self, container: Container, id: str, partition: str | None = None, *, etag: str | None = None
    ) -> bool:
        key = _key(container, id, rules.partition_for(container, id, partition))
        now = self._clock.time()

        def work(connection: sqlite3.Connection) -> bool:
            removed = connection.execute(
                f"DELETE FROM documents WHERE {ONE} AND etag = coalesce(?, etag)",  # noqa: S608
                (*key, now, etag),
            )
            if removed.rowcount == 0 and etag is not None and _is_there(connection, key, now):
                raise DocumentChanged(f"{container.name}: the document moved on")
            return removed.rowcount > 0

        return await self._change(work)

    async def increment(
        self,
        container: Container,
        initial: Json,
        amounts: Mapping[str, int | float],
        *,
        time_to_live: int | None = None,
    ) -> None:
        rules.check_amounts(container, amounts)
        first = self._write_of(container, rules.incremented(initial, amounts), time_to_live)

        def work(connection: sqlite3.Connection) -> None:
            row = connection.execute(
                f"SELECT body, lifetime FROM documents WHERE {ONE}",  # noqa: S608
                (*first.key, first.now),
            ).fetchone()
            if row is None:
                _put(connection, first)
                return
            try:
                body = rules.incremented(json.loads(row[0]), amounts)
            except TypeError as error:
                raise StoreError(f"{container.name}: {error}") from None
            _put(
                connection,
                _Write(first.key, rules.document_text(container, body), row[1], first.now, self._new_etag()),
            )

        await self._change(work)

    async def query(self, container: Container, query: Query) -> list[Stored]:
        statement, parameters = select(container, query, self._clock.time())

        def work(connection: sqlite3.Connection) -> list[Stored]:
            return [
                Stored(json.loads(body), etag) for body, etag in connection.execute(statement, parameters)
            ]

        return await self._file.run(work)

    async def ping(self) -> None:
        await self._file.run(
            lambda connection: connection.execute("SELECT 1 FROM documents LIMIT 1").fetchone()
        )

    async def close(self) -> None:
        await self._file.close()

    def _write_of(self, container: Container, body: Json, time_to_live: int | None) -> "_Write":
        return _Write(
            _key(container, rules.id_of(body), rules.partition_of(container, body)),
            rules.document_text(container, body),
            rules.lifetime(container, time_to_live),
            self._clock.time(),
            self._new_etag(),
        )

    def _new_etag(self) -> str:
        """Unique for ever, so that a document made anew under an old id never matches an old ETag.

        Quoted, as HTTP wants it (RFC 9110, section 8.8.3).
        """
        return f'"{self._mark}{next(self._numbers):x}"'

    async def _change(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """`work` writes with one statement at most."""

        def change(connection: sqlite3.Connection) -> T:
            now = self._clock.time()
            if now - self._purged_at >= PURGE_INTERVAL:
                connection.execute("DELETE FROM documents WHERE expires <= ?", (now,))
                self._purged_at = now
            return work(connection)

        return await self._file.change(change, single=True)


class _Write:
    """One document about to be written, with the ETag that it will have."""

    __slots__ = ("etag", "key", "lifetime", "now", "text")

    def __init__(self, key: Key, text: str, lifetime: int | None, now: float, etag: str) -> None:
        self.key = key
        self.text = text
        self.lifetime = lifetime
        self.now = now
        self.etag = etag

    def row(self) -> tuple[str | int | float | None, ...]:
        return (*self.key, *self.version())

    def version(self) -> tuple[str | int | float | None, ...]:
        expires = None if self.lifetime is None else self.now + self.lifetime
        return self.etag, self.lifetime, expires, self.text

    def stored(self) -> Stored:
        return Stored(json.loads(self.text), self.etag)


def _key(container: Container, id: str, partition: str) -> Key:
    key = encode_id(id)
    return container.name, key if container.partition == "id" else partition, key


def _read(connection: sqlite3.Connection, key: Key, now: float) -> Stored | None:
    row = connection.execute(f"SELECT body, etag FROM documents WHERE {ONE}", (*key, now)).fetchone()  # noqa: S608
    return None if row is None else Stored(json.loads(row[0]), row[1])


def _is_there(connection: sqlite3.Connection, key: Key, now: float) -> bool:
    row = connection.execute(f"SELECT 1 FROM documents WHERE {ONE}", (*key, now)).fetchone()  # noqa: S608
    return row is not None


def _insert(connection: sqlite3.Connection, *writes: _Write) -> bool:
    """Adds each where there is none, or only an expired one. Returns whether any was added.

    In one statement: between two of them the interpreter's lock would change hands, which costs the event loop
    more than the writing.
    """
    if not writes:
        return False
    values = ", ".join(("(?, ?, ?, ?, ?, ?, ?)",) * len(writes))
    cursor = connection.execute(
        f"INSERT INTO documents VALUES {values} {ON_CONFLICT} WHERE documents.expires <= ?",  # noqa: S608
        (*chain.from_iterable(write.row() for write in writes), writes[0].now),
    )
    return cursor.rowcount > 0


def _put(connection: sqlite3.Connection, write: _Write) -> None:
    connection.execute(
        f"INSERT INTO documents VALUES (?, ?, ?, ?, ?, ?, ?) {ON_CONFLICT}",  # noqa: S608
        write.row(),
    )
