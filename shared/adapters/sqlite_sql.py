"""Queries in SQLite's words, with Cosmos DB's rules: values of different types never compare."""

from shared.adapters.document_ids import encode_id
from shared.adapters.document_rules import check_query, field_path
from shared.containers import Container
from shared.ports import Query, Scalar, Where

SCHEMA = (
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

Parameter = str | int | float | None


def select(container: Container, query: Query, now: float) -> tuple[str, list[Parameter]]:
    """The statement and its parameters; its rows are (body, etag)."""
    check_query(container, query)
    conditions = ["container = ?", LIVE]
    parameters: list[Parameter] = [container.name, now]
    if query.partition is not None:
        conditions.append("partition = ?")
        parameters.append(encode_id(query.partition) if container.partition == "id" else query.partition)
    for condition in query.where:
        text, values = _condition(condition)
        conditions.append(text)
        parameters += values
    order = "key"
    if query.order_by != "id":
        order = f"json_extract({_at(query.order_by)})"
        conditions.append(f"json_type({_at(query.order_by)}) = 'text'")
    if query.after is not None:
        conditions.append(f"{order} {'<' if query.descending else '>'} ?")
        parameters.append(encode_id(query.after) if query.order_by == "id" else query.after)
    # Field names are checked to be names; values are parameters.
    statement = (
        f"SELECT body, etag FROM documents WHERE {' AND '.join(conditions)} "  # noqa: S608
        f"ORDER BY {order} {'DESC' if query.descending else 'ASC'} LIMIT ?"
    )
    return statement, [*parameters, query.limit]


def _condition(condition: Where) -> tuple[str, list[Parameter]]:
    value = condition.value
    if isinstance(value, tuple):
        parts = [_compare(condition.field, "=", one) for one in value]
        if not parts:
            return "0", []
        return f"({' OR '.join(text for text, _ in parts)})", [one for _, values in parts for one in values]
    if condition.operator == "contains":
        test, values = _typed("type", "value", "=", value)
        at = _at(condition.field)
        return f"(json_type({at}) = 'array' AND EXISTS (SELECT 1 FROM json_each({at}) WHERE {test}))", values  # noqa: S608
    return _compare(condition.field, condition.operator, value)


def _compare(field: str, operator: str, value: Scalar) -> tuple[str, list[Parameter]]:
    if field == "id":
        return (f"key {operator} ?", [encode_id(value)]) if isinstance(value, str) else ("0", [])
    return _typed(f"json_type({_at(field)})", f"json_extract({_at(field)})", operator, value)


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
