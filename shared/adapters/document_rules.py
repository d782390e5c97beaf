"""What both stores demand of a document and of a query, so that neither takes what the other would refuse."""

import json
import re
from collections.abc import Mapping, Sequence

from shared import Json
from shared.adapters.document_ids import ORIGINAL_ID
from shared.containers import Container
from shared.errors import DocumentTooLarge, StoreError
from shared.ports import Query, Scalar, Where

LARGEST = 2_000_000
"""Bytes of UTF-8 JSON. Cosmos DB's limit is 2 MB with its own fields in the document."""

MOST_AMOUNTS = 10
"""Cosmos DB takes at most ten operations in one patch."""

MOST_CREATED = 100

SYSTEM_FIELDS = frozenset({"_rid", "_self", "_etag", "_attachments", "_ts", "_lsn", "ttl", ORIGINAL_ID})
"""Fields that Cosmos DB or the adapters keep in a document; never in a body."""

ORDERED = ("<", "<=", ">", ">=")
"""Operators that compare texts or numbers by their order."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
_FIELD = re.compile(r"[A-Za-z0-9_-]{1,128}(\.[A-Za-z0-9_-]{1,128}){0,7}")


def field_path(field: str) -> list[str]:
    """The parts of a dotted field name. Raises ValueError for one that could be anything but a name."""
    if not _FIELD.fullmatch(field):
        raise ValueError(f"not a field name: {field!r}")
    return field.split(".")


def document_text(container: Container, body: Json) -> str:
    """The body as compact JSON. Raises `DocumentTooLarge`, or ValueError for what no store can hold."""
    id_of(body)
    partition_of(container, body)
    taken = SYSTEM_FIELDS.intersection(body)
    if taken:
        raise ValueError(f"a document may not have the field {min(taken)!r}")
    text = _ENCODER.encode(body)
    size = len(text) if text.isascii() else len(text.encode())
    if size > LARGEST:
        raise DocumentTooLarge(f"The document has {size} bytes; the store takes {LARGEST}.")
    return text


def id_of(body: Json) -> str:
    return _text_field(body, "id")


def partition_of(container: Container, body: Json) -> str:
    return _text_field(body, container.partition)


def partition_for(container: Container, id: str, partition: str | None) -> str:
    """The partition of one document: given, or its id where the container is partitioned by it."""
    if container.partition == "id":
        if partition not in (None, id):
            raise ValueError(f"{container.name} is partitioned by id")
        return id
    if partition is None:
        raise ValueError(f"{container.name} needs a partition")
    return partition


def lifetime(container: Container, time_to_live: int | None) -> int | None:
    """Seconds that a document lives from its last write; None for ever."""
    if time_to_live is None:
        default = container.time_to_live
        return None if default is None or default < 0 else default
    if container.time_to_live is None:
        raise ValueError(f"documents in {container.name} have no time to live")
    if time_to_live < 1:
        raise ValueError("a time to live is at least one second")
    return time_to_live


def check_amounts(container: Container, amounts: Mapping[str, int | float]) -> None:
    if not 1 <= len(amounts) <= MOST_AMOUNTS:
        raise ValueError(f"an increment has 1 to {MOST_AMOUNTS} amounts")
    for name in amounts:
        if len(field_path(name)) > 1 or name in SYSTEM_FIELDS or name in ("id", container.partition):
            raise ValueError(f"cannot increment {name!r}")


def incremented(body: Json, amounts: Mapping[str, int | float]) -> Json:
    """A copy of `body` with the amounts added. Raises TypeError where a field is not a number."""
    sums = {name: body.get(name, 0) for name in amounts}
    for name, value in sums.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise TypeError(f"{name!r} is not a number")
    return {**body, **{name: sums[name] + amount for name, amount in amounts.items()}}


def check_together(container: Container, bodies: Sequence[Json]) -> None:
    """For `create_many`: one partition, at most a hundred."""
    if len(bodies) > MOST_CREATED:
        raise ValueError(f"at most {MOST_CREATED} documents at once")
    if len({partition_of(container, body) for body in bodies}) > 1:
        raise ValueError("documents created together share one partition")


def check_query(container: Container, query: Query) -> None:
    """Raises ValueError for a query that makes no sense, `StoreError` for one by a field that is not declared.

    Without the second a query would be slow, or refused, in a database that indexes only what is declared.
    """
    field_path(query.order_by)
    if query.limit < 1:
        raise ValueError("a limit is at least 1")
    for condition in query.where:
        _check_condition(condition)
    named = {f"{one.field}[]" if one.operator == "contains" else one.field for one in query.where}
    unknown = (named | {query.order_by}) - container.queried()
    if unknown:
        raise StoreError(f"{container.name}: queries by {min(unknown)!r} are not declared")


def _check_condition(condition: Where) -> None:
    field_path(condition.field)
    if isinstance(condition.value, tuple):
        if condition.operator != "in":
            raise ValueError(f"{condition.operator} takes one value")
        return
    if condition.operator == "in":
        raise ValueError("in takes a tuple")
    if condition.operator in ORDERED and not is_ordered(condition.value):
        raise ValueError(f"{condition.operator} compares texts or numbers")
    if condition.operator == "!=" and condition.value is None:
        raise ValueError("!= null is never true: values of different types do not compare")


def is_ordered(value: Scalar) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _text_field(body: Json, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise ValueError(f"a document needs the text field {name!r}")
    return value
