"""What a test's Event Hubs keeps: hubs, their partitions, and the events with what the service adds to them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.emulators.event_hubs_codec import (
    ANNOTATIONS,
    HEADER,
    Described,
    Section,
    Symbol,
    Timestamp,
    encode,
)


class Refusal(Exception):
    """An error of the service: an AMQP condition and a sentence."""

    def __init__(self, condition: str, description: str) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description

    def error(self) -> Described:
        return Described(0x1D, [Symbol(self.condition), self.description, {}])


@dataclass(frozen=True)
class StoredEvent:
    """`message` is what a reader gets; `enqueued` is in milliseconds."""

    sequence: int
    offset: int
    enqueued: int
    message: bytes


@dataclass
class Partition:
    events: list[StoredEvent] = field(default_factory=list)
    size: int = 0

    def append(self, parts: Sequence[Section]) -> None:
        event = StoredEvent(len(self.events), self.size, int(time.time() * 1000), b"")
        annotations: dict[Any, Any] = {}
        for part in parts:
            if part.code == ANNOTATIONS:
                annotations.update(part.value)
        annotations[Symbol("x-opt-sequence-number")] = event.sequence
        annotations[Symbol("x-opt-offset")] = str(event.offset)
        annotations[Symbol("x-opt-enqueued-time")] = Timestamp(event.enqueued)
        head = b"".join(part.raw for part in parts if part.code == HEADER)
        rest = b"".join(part.raw for part in parts if part.code > ANNOTATIONS)
        message = head + encode(Described(ANNOTATIONS, annotations)) + rest
        self.events.append(StoredEvent(event.sequence, event.offset, event.enqueued, message))
        self.size += len(message)

    def position(self, name: str, inclusive: bool, value: str) -> int:
        """Index of the first event that a reader's filter lets through."""
        if value == "@latest":
            return len(self.events)
        limit = int(value) - inclusive
        fields = {
            "x-opt-offset": "offset",
            "x-opt-sequence-number": "sequence",
            "x-opt-enqueued-time": "enqueued",
        }
        values = [getattr(event, fields[name]) for event in self.events]
        return next((index for index, found in enumerate(values) if found > limit), len(values))

    def properties(self) -> dict[str, Any]:
        last = self.events[-1] if self.events else StoredEvent(-1, -1, 0, b"")
        return {
            "begin_sequence_number": 0,
            "last_enqueued_sequence_number": last.sequence,
            "last_enqueued_offset": str(last.offset),
            "last_enqueued_time_utc": Timestamp(last.enqueued),
            "is_partition_empty": not self.events,
        }


class Hub:
    def __init__(self, name: str, partitions: int) -> None:
        self.name = name
        self.partitions = [Partition() for _ in range(partitions)]
        self.created = Timestamp(int(time.time() * 1000))
        self._turn = 0

    def next_partition(self) -> int:
        """By turns, for what names none: a whole batch goes to one."""
        turn, self._turn = self._turn, (self._turn + 1) % len(self.partitions)
        return turn

    def numbered(self, id: str) -> int:
        if not id.isdigit() or int(id) >= len(self.partitions):
            raise Refusal("com.microsoft:argument-out-of-range", f"The specified partition is invalid: {id}")
        return int(id)

    def properties(self) -> dict[str, Any]:
        ids = [str(number) for number in range(len(self.partitions))]
        return {"created_at": self.created, "partition_count": len(ids), "partition_ids": ids}
