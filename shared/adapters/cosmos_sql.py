"""Queries in Cosmos DB's words. Only what fans out simply: conditions and one order; paging is by key."""

from shared import Json
from shared.adapters.document_ids import encode_id
from shared.adapters.document_rules import check_query, field_path
from shared.containers import Container
from shared.ports import Query, Scalar, Where

Parameters = list[Json]
"""`[{"name": "@p0", "value": …}]`, as the REST interface takes them."""


def select(container: Container, query: Query) -> tuple[str, Parameters]:
    """The text and its parameters. No value is ever in the text; field names are checked to be names."""
    check_query(container, query)
    parameters: Parameters = []

    def bind(field: str, value: Scalar) -> str:
        name = f"@p{len(parameters)}"
        encoded = encode_id(value) if field == "id" and isinstance(value, str) else value
        parameters.append({"name": name, "value": encoded})
        return name

    def text_of(condition: Where) -> str:
        field, value = condition.field, condition.value
        if isinstance(value, tuple):
            names = [bind(field, one) for one in value]
            return f"{_at(field)} IN ({', '.join(names)})"
        if condition.operator == "contains":
            return f"ARRAY_CONTAINS({_at(field)}, {bind('', value)})"
        comparison = f"{_at(field)} {condition.operator} {bind(field, value)}"
        # What != gives for another type is told one way and seen another; the guard makes it one.
        return (
            f"{_type_test(value)}({_at(field)}) AND {comparison}"
            if condition.operator == "!="
            else comparison
        )

    wheres = query.where
    if query.partition is not None:
        # The header decides; the text says it too for emulators that do not look there.
        wheres = (Where(container.partition, "=", query.partition), *wheres)
    conditions = [text_of(condition) for condition in wheres]
    order = _at(query.order_by)
    if query.order_by != "id":
        conditions.append(f"IS_STRING({order})")
    if query.after is not None:
        name = bind(query.order_by, query.after)
        conditions.append(f"{order} {'<' if query.descending else '>'} {name}")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    text = f"SELECT * FROM c{where} ORDER BY {order} {'DESC' if query.descending else 'ASC'}"  # noqa: S608
    return text, parameters


def never_true(query: Query) -> bool:
    """Whether a condition asks for one value out of none: Cosmos DB takes no empty list."""
    return any(condition.value == () for condition in query.where)


def _type_test(value: Scalar) -> str:
    if isinstance(value, bool):
        return "IS_BOOL"
    return "IS_STRING" if isinstance(value, str) else "IS_NUMBER"


def _at(field: str) -> str:
    return "c" + "".join(f'["{part}"]' for part in field_path(field))
