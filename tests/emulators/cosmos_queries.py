"""The few shapes of SQL that the proxy sends to Cosmos DB, evaluated. Anything else raises `BadQuery`."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from shared import Json

FILTER = "{documentdb-formattableorderbyquery-filter}"
_PATH = r'c(?:\["[A-Za-z0-9_-]+"\])+'
_QUERY = re.compile(
    rf"SELECT \* FROM c(?: WHERE (?P<where>.+?))? ORDER BY (?P<order>{_PATH}) (?P<way>ASC|DESC)"
)
_REWRITTEN = re.compile(
    rf'SELECT c\._rid, \[\{{"item": {_PATH}\}}\] AS orderByItems, c AS payload FROM c '
    rf"WHERE (?:\((?P<where>.+?)\) AND )?\(true\) ORDER BY (?P<order>{_PATH}) (?P<way>ASC|DESC)"
)
_COMPARISON = re.compile(rf"(?P<path>{_PATH}) (?P<operator>=|!=|<=|>=|<|>) (?P<name>@\w+)")
_IN = re.compile(rf"(?P<path>{_PATH}) IN \((?P<names>@\w+(?:, @\w+)*)\)")
_CONTAINS = re.compile(rf"ARRAY_CONTAINS\((?P<path>{_PATH}), (?P<name>@\w+)\)")
_IS_TYPE = re.compile(rf"IS_(?P<type>STRING|NUMBER|BOOL)\((?P<path>{_PATH})\)")


class BadQuery(Exception):
    """A query that this server does not know, as the gateway answers 400."""


class Undefined:
    """The value of a field that is not there."""


UNDEFINED = Undefined()
Test = Callable[[Json], bool]


@dataclass(frozen=True)
class Parsed:
    where: str | None
    order: str
    descending: bool
    rewritten: bool
    tests: tuple[Test, ...]

    def run(self, documents: Iterable[Json]) -> list[Json]:
        found = [document for document in documents if all(test(document) for test in self.tests)]
        found.sort(key=lambda document: str(value_at(document, self.order)), reverse=self.descending)
        if not self.rewritten:
            return found
        return [
            {
                "_rid": document["_rid"],
                "orderByItems": [{"item": value_at(document, self.order)}],
                "payload": document,
            }
            for document in found
        ]

    def plan(self) -> Json:
        """What the gateway answers to a client that must ask each partition and merge by itself."""
        where = f"({self.where}) AND " if self.where else ""
        way = "DESC" if self.descending else "ASC"
        return {
            "partitionedQueryExecutionInfoVersion": 2,
            "queryInfo": {
                "distinctType": "None",
                "orderBy": ["Descending" if self.descending else "Ascending"],
                "orderByExpressions": [self.order],
                "groupByExpressions": [],
                "aggregates": [],
                "groupByAliasToAggregateType": {},
                "rewrittenQuery": f'SELECT c._rid, [{{"item": {self.order}}}] AS orderByItems, c AS payload '
                f"FROM c WHERE {where}({FILTER}) ORDER BY {self.order} {way}",
                "hasSelectValue": False,
            },
            "queryRanges": [{"min": "", "max": "FF", "isMinInclusive": True, "isMaxInclusive": False}],
        }


def parse(query: str, parameters: Iterable[Json]) -> Parsed:
    values = {parameter["name"]: parameter["value"] for parameter in parameters}
    match = _QUERY.fullmatch(query) or _REWRITTEN.fullmatch(query)
    if match is None:
        raise BadQuery(query)
    where = match["where"]
    tests = tuple(_test(part, values) for part in where.split(" AND ")) if where else ()
    return Parsed(where, match["order"], match["way"] == "DESC", match.re is _REWRITTEN, tests)


def value_at(document: Json, path: str) -> Any:
    value: Any = document
    for name in json.loads("[" + path[1:].replace("][", ",").strip("[]") + "]"):
        if not isinstance(value, dict) or name not in value:
            return UNDEFINED
        value = value[name]
    return value


def _test(text: str, values: Json) -> Test:
    if match := _COMPARISON.fullmatch(text):
        path, operator, wanted = match["path"], match["operator"], values[match["name"]]
        return lambda document: compare(value_at(document, path), operator, wanted)
    if match := _IN.fullmatch(text):
        path, choices = match["path"], [values[name] for name in match["names"].split(", ")]
        return lambda document: any(compare(value_at(document, path), "=", choice) for choice in choices)
    if match := _CONTAINS.fullmatch(text):
        path, wanted = match["path"], values[match["name"]]
        return lambda document: _contains(value_at(document, path), wanted)
    if match := _IS_TYPE.fullmatch(text):
        path, wanted = match["path"], match["type"]
        return lambda document: _type(value_at(document, path)) == wanted
    raise BadQuery(text)


def compare(value: Any, operator: str, wanted: Any) -> bool:
    """Values of different types are undefined together, which selects nothing."""
    if _type(value) != _type(wanted):
        return False
    if operator in ("=", "!="):
        return bool(value == wanted) is (operator == "=")
    if _type(value) not in ("NUMBER", "STRING", "BOOL"):
        return False
    results = {"<": value < wanted, "<=": value <= wanted, ">": value > wanted, ">=": value >= wanted}
    return bool(results[operator])


def _contains(value: Any, wanted: Any) -> bool:
    return isinstance(value, list) and any(compare(item, "=", wanted) for item in value)


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "BOOL"
    if isinstance(value, int | float):
        return "NUMBER"
    if isinstance(value, str):
        return "STRING"
    return type(value).__name__
