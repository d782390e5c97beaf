"""Daily sums of usage: one document for each project, key, user, model and day."""

import hashlib
from collections.abc import Iterable

import orjson

from shared import Json

KIND = "usage"
DIMENSIONS = ("project", "key_id", "user", "model", "day")

_TOKENS = ("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "reasoning_tokens")

AMOUNTS = ("requests", "errors", *_TOKENS, "cost_nano_usd", "unpriced_requests")
"""Whole numbers, so that sums are exact: cost is in billionths of a US dollar."""

NANO = 1_000_000_000

Amounts = dict[str, int]


class RollUp:
    """The sums of one document: `head` names it, `amounts` is what to add to it."""

    __slots__ = ("amounts", "head")

    def __init__(self, head: Json) -> None:
        self.head = head
        self.amounts: Amounts = dict.fromkeys(AMOUNTS, 0)

    @property
    def id(self) -> str:
        return str(self.head["id"])

    def add(self, record: Json) -> None:
        """Counts a document of the container `usage`."""
        amounts = self.amounts
        amounts["requests"] += 1
        amounts["errors"] += record["status"] >= 400
        usage = record["usage"] or {}
        for name in _TOKENS:
            amounts[name] += usage.get(name, 0)
        cost = record["cost_usd"]
        if cost is None:
            amounts["unpriced_requests"] += 1
        else:
            amounts["cost_nano_usd"] += round(cost * NANO)

    def merge(self, other: "RollUp") -> None:
        for name, amount in other.amounts.items():
            self.amounts[name] += amount

    def document(self) -> Json:
        return {**self.head, **self.amounts}


class RollUps:
    """Several of them, by id."""

    def __init__(self) -> None:
        self.by_id: dict[str, RollUp] = {}
        self._ids: dict[tuple[str | None, ...], str] = {}

    def add_all(self, records: Iterable[Json]) -> None:
        for record in records:
            values = tuple(record[name] for name in DIMENSIONS)
            id = self._ids.get(values)
            if id is None:
                id = self._ids[values] = roll_up_id(values)
                head: Json = {"id": id, "kind": KIND, **dict(zip(DIMENSIONS, values, strict=True))}
                self.by_id[id] = RollUp(head)
            self.by_id[id].add(record)


def roll_up_id(values: tuple[str | None, ...]) -> str:
    """An id out of values that may hold anything: the day in clear, all of them as a hash."""
    return f"{KIND}-{values[-1]}-{hashlib.sha256(orjson.dumps(values)).hexdigest()[:40]}"
