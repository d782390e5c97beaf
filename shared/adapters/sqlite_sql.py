"""Queries in SQLite's words, with Cosmos DB's rules: values of different types never compare."""

from collections.abc import Sequence

from shared.adapters.document_ids import encode_id
from shared.adapters.document_rules import ORDERED, check_query, field_path
from shared.containers import Container
from shared.ports import Query, Scalar, Where

TABLE = (
    """CREATE TABLE IF NOT EXISTS documents (
    container TEXT NOT NULL,
    partition TEXT NOT NULL,
    key TEXT NOT NULL,
    etag TEXT NOT NULL,
    lifetime INTEGER,
    expires REAL,
    body TEXT NOT NULL,
    PRIMARY KEY (container, partition, key)
)""",
    "CREATE INDEX IF NOT EXISTS documents_by_expiry ON documents (expires) WHERE expires IS NOT NULL",
)

LIVE = "(expires IS NULL OR expires > ?)"
ONE = f"container = ? AND partition = ? AND key = ? AND {LIVE}"
NEW_VERSION = "etag = ?, lifetime = ?, expires = ?, body = ?"
ON_CONFLICT = (
    "ON CONFLICT (container, partition, key) DO UPDATE SET etag = excluded.etag, "
    "lifetime = excluded.lifetime, expires = excluded.expires, body = excluded.body"
)

Parameter = str | int | float | None


def schema(containers: Sequence[Container]) -> list[str]:
    """Statements that make what is missing: the table, and an index for each one that a container declares."""
    return [*TABLE, *(_index(container, fields) for container in containers for fields in container.indexes)]


def index_name(container: Container, fields: Sequence[str]) -> str:
    return "_".join((container.name, "by", *fields))


def _index(container: Container, fields: Sequence[str]) -> str:
    """An index of this container's documents alone, and of those that have the last field: others cost nothing."""
    keys = ", ".join(("container", *(_value(container, field) for field in fields), _value(container, "id")))
    return (
        f'CREATE INDEX IF NOT EXISTS "{index_name(container, fields)}" ON documents ({keys}) '
        f"WHERE {_of(container)} AND {_value(container, fields[-1])} IS NOT NULL"
    )


def select(container: Container, query: Query, now: float) -> tuple[str, list[Parameter]]:
    """The statement and its parameters; its rows are (body, etag)."""
    check_query(container, query)
    conditions = [_of(container), LIVE]
    parameters: list[Parameter] = [now]
    if query.partition is not None:
        conditions.append("partition = ?")
        parameters.append(encode_id(query.partition) if container.partition == "id" else query.partition)
    for condition in query.where:
        text, values = _condition(
            container, condition, "" if _is_sought(container, query, condition) else "+"
        )
        conditions.append(text)
        parameters += values
    order = _value(container, query.order_by)
    if query.order_by not in ("id", container.partition):
        # The second is for the index, which holds no others.
        conditions.append(f"json_type({_at(query.order_by)}) = 'text' AND {order} IS NOT NULL")
    elif any(_is_sought_range(container, query, condition) for condition in query.where):
        # Few lie in the range: they are sorted, rather than all read in order and tried.
        order = f"+{order}"
    if query.after is not None:
        conditions.append(f"{order} {'<' if query.descending else '>'} ?")
        parameters.append(encode_id(query.after) if query.order_by == "id" else query.after)
    # Field names are checked to be names; values are parameters.
    statement = (
        f"SELECT body, etag FROM documents WHERE {' AND '.join(conditions)} "  # noqa: S608
        f"ORDER BY {order} {'DESC' if query.descending else 'ASC'} LIMIT ?"
    )
    return statement, [*parameters, query.limit]


def _is_sought(container: Container, query: Query, condition: Where) -> bool:
    """Whether SQLite may find documents by this condition. Any other has a `+`, and is tried on what was found.

    Left to itself it would guess how many a condition selects, and rather sort a month than read it in order.
    """
    if condition.field in ("id", container.partition, query.order_by):
        return True
    if condition.operator == "=":
        return query.partition is None
    return _is_sought_range(container, query, condition)


def _is_sought_range(container: Container, query: Query, condition: Where) -> bool:
    """Whether an index serves this condition better than the order by id would."""
    alone = query.order_by == "id" and query.partition is None
    return alone and condition.operator in ORDERED and (condition.field,) in container.indexes


def _of(container: Container) -> str:
    """In the text, for SQLite must see that an index holds this container before it has the parameters."""
    return f"container = '{container.name}'"


def _value(container: Container, field: str) -> str:
    """What an index holds of a field. A column has the partition, which is the id where it is partitioned by it."""
    if field == container.partition:
        return "partition"
    return "key" if field == "id" else f"json_extract({_at(field)})"


def _condition(container: Container, condition: Where, prefix: str) -> tuple[str, list[Parameter]]:
    value = condition.value
    if isinstance(value, tuple):
        parts = [_compare(container, condition.field, "=", one, prefix) for one in value]
        if not parts:
            return "0", []
        return f"({' OR '.join(text for text, _ in parts)})", [one for _, values in parts for one in values]
    if condition.operator == "contains":
        test, values = _typed("type", "value", "=", value)
        at = _at(condition.field)
        return f"(json_type({at}) = 'array' AND EXISTS (SELECT 1 FROM json_each({at}) WHERE {test}))", values  # noqa: S608
    return _compare(container, condition.field, condition.operator, value, prefix)


def _compare(
    container: Container, field: str, operator: str, value: Scalar, prefix: str
) -> tuple[str, list[Parameter]]:
    if field in ("id", container.partition):
        if not isinstance(value, str):
            return "0", []
        return f"{_value(container, field)} {operator} ?", [encode_id(value) if field == "id" else value]
    return _typed(f"json_type({_at(field)})", prefix + _value(container, field), operator, value)


def _typed(kind: str, extract: str, operator: str, value: Scalar) -> tuple[str, list[Parameter]]:
    if value is None:
        return f"{kind} = 'null'", []
    if isinstance(value, bool):
        wanted = value if operator == "=" else not value
        return f"{kind} = '{'true' if wanted else 'false'}'", []
    kinds = "('text')" if isinstance(value, str) else "('integer', 'real')"
    return f"({kind} IN {kinds} AND {extract} {operator} ?)", [value]


def _at(field: str) -> str:
    path = "".join(f'."{part}"' for part in field_path(field))
    return f"body, '${path}'"
