"""The local event log's tables, and each thing done to them. Runs in the file's thread, writes in a transaction.

A hub has a fixed number of partitions. Its events are numbered within a partition, from 0 without gaps, and are
gone after the retention whoever has read them, as in Event Hubs. A group of readers has one checkpoint for each
partition: the number of the first event it has not done with. Of a group's readers one at a time holds a
partition, by a lease that it renews; only the holder moves the checkpoint.
"""

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.ports import Event, LoggedEvent

SCHEMA = (
    "CREATE TABLE IF NOT EXISTS partitions (hub TEXT, partition INTEGER, next INTEGER NOT NULL, "
    "PRIMARY KEY (hub, partition)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS events (hub TEXT, partition INTEGER, sequence INTEGER, enqueued REAL NOT NULL, "
    "id TEXT NOT NULL, properties TEXT NOT NULL, body BLOB NOT NULL, UNIQUE (hub, partition, sequence))",
    "CREATE INDEX IF NOT EXISTS events_by_age ON events (enqueued)",
    "CREATE TABLE IF NOT EXISTS checkpoints (hub TEXT, consumers TEXT, partition INTEGER, "
    "next INTEGER NOT NULL, PRIMARY KEY (hub, consumers, partition)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS members (hub TEXT, consumers TEXT, member TEXT, expires REAL NOT NULL, "
    "PRIMARY KEY (hub, consumers, member)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS leases (hub TEXT, consumers TEXT, partition INTEGER, member TEXT NOT NULL, "
    "expires REAL NOT NULL, PRIMARY KEY (hub, consumers, partition)) WITHOUT ROWID",
)
_HELD = "hub = ? AND consumers = ? AND partition = ? AND member = ?"


@dataclass(frozen=True, slots=True)
class Reader:
    """One of those who share the partitions of `hub` in the name of the group `consumers`."""

    hub: str
    consumers: str
    member: str


def append(
    connection: sqlite3.Connection, hub: str, events: Sequence[Event], partitions: int, now: float
) -> None:
    """Adds the events by turns: each to the partition that has had the fewest. `partitions` is for a new hub."""
    counts = _partitions(connection, hub, partitions)
    rows = []
    for event in events:
        partition = min(counts, key=lambda number: (counts[number], number))
        properties = json.dumps(dict(event.properties))
        rows.append((hub, partition, counts[partition], now, event.id, properties, event.body))
        counts[partition] += 1
    connection.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
    connection.executemany(
        "UPDATE partitions SET next = ? WHERE hub = ? AND partition = ?",
        [(count, hub, number) for number, count in counts.items()],
    )


def read(
    connection: sqlite3.Connection, reader: Reader, partition: int, limit: int, since: float
) -> list[LoggedEvent]:
    """The next events of the group in their order, without those enqueued before `since`."""
    found = connection.execute(
        "SELECT sequence, enqueued, id, properties, body FROM events WHERE hub = ? AND partition = ? "
        "AND sequence >= COALESCE((SELECT next FROM checkpoints WHERE hub = ? AND consumers = ? AND partition = ?), 0) "
        "AND enqueued >= ? ORDER BY sequence LIMIT ?",
        (reader.hub, partition, reader.hub, reader.consumers, partition, since, limit),
    )
    return [
        LoggedEvent(partition, sequence, enqueued, Event(id, bytes(body), json.loads(properties)))
        for sequence, enqueued, id, properties, body in found
    ]


def advance(connection: sqlite3.Connection, reader: Reader, partition: int, next: int) -> bool:
    """Moves the checkpoint to `next`. False, and nothing moved, when the reader no longer holds the partition.

    A lease that ran out and that no one took is still its own.
    """
    held = connection.execute(
        f"SELECT 1 FROM leases WHERE {_HELD}",  # noqa: S608
        (reader.hub, reader.consumers, partition, reader.member),
    ).fetchone()
    if held is None:
        return False
    connection.execute(
        "INSERT INTO checkpoints VALUES (?, ?, ?, ?) ON CONFLICT (hub, consumers, partition) "
        "DO UPDATE SET next = excluded.next WHERE excluded.next > checkpoints.next",
        (reader.hub, reader.consumers, partition, next),
    )
    return True


def share(
    connection: sqlite3.Connection,
    reader: Reader,
    held: Sequence[int],
    busy: Sequence[int],
    partitions: int,
    now: float,
    expires: float,
) -> list[int]:
    """Renews the reader's leases and evens out who holds what. Returns the partitions that it holds now.

    `held` are those it believes to hold; a lease that it does not know of is not its own. It gives up what is
    beyond its share, except `busy` ones, and takes what no one holds up to its share. Shares differ by one at most.
    """
    group = (reader.hub, reader.consumers)
    numbers = sorted(_partitions(connection, reader.hub, partitions))
    connection.execute("INSERT OR REPLACE INTO members VALUES (?, ?, ?, ?)", (*group, reader.member, expires))
    connection.execute("DELETE FROM members WHERE expires <= ?", (now,))
    connection.execute("DELETE FROM leases WHERE expires <= ?", (now,))
    holders: Mapping[int, str] = dict(
        connection.execute("SELECT partition, member FROM leases WHERE hub = ? AND consumers = ?", group)
    )
    members = [
        member
        for (member,) in connection.execute(
            "SELECT member FROM members WHERE hub = ? AND consumers = ? ORDER BY member", group
        )
    ]
    whole, rest = divmod(len(numbers), len(members))
    fair = whole + (members.index(reader.member) < rest)
    mine = [number for number in held if holders.get(number) == reader.member]
    for number in [number for number in mine if number not in busy][: max(0, len(mine) - fair)]:
        mine.remove(number)
        release(connection, reader, number)
    free = [number for number in numbers if number not in holders]
    mine.extend(free[: max(0, fair - len(mine))])
    connection.executemany(
        "INSERT OR REPLACE INTO leases VALUES (?, ?, ?, ?, ?)",
        [(*group, number, reader.member, expires) for number in mine],
    )
    return mine


def release(connection: sqlite3.Connection, reader: Reader, partition: int) -> None:
    connection.execute(
        f"DELETE FROM leases WHERE {_HELD}",  # noqa: S608
        (reader.hub, reader.consumers, partition, reader.member),
    )


def leave(connection: sqlite3.Connection, reader: Reader) -> None:
    """Gives up all that the reader holds, so that others need not wait for its leases to run out."""
    values = (reader.hub, reader.consumers, reader.member)
    connection.execute("DELETE FROM leases WHERE hub = ? AND consumers = ? AND member = ?", values)
    connection.execute("DELETE FROM members WHERE hub = ? AND consumers = ? AND member = ?", values)


def purge(connection: sqlite3.Connection, before: float) -> None:
    connection.execute("DELETE FROM events WHERE enqueued < ?", (before,))


def _partitions(connection: sqlite3.Connection, hub: str, partitions: int) -> dict[int, int]:
    """Number → next sequence, of a hub that is made if need be: whoever opened it first fixed how many there are."""
    rows = "SELECT partition, next FROM partitions WHERE hub = ?"
    counts = dict(connection.execute(rows, (hub,)))
    if not counts:
        connection.executemany(
            "INSERT INTO partitions VALUES (?, ?, 0)", [(hub, number) for number in range(partitions)]
        )
        counts = dict(connection.execute(rows, (hub,)))
    return counts
