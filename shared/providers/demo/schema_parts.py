"""Reading the keywords of a JSON Schema, and making two schemas into one that holds to both."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

MAX_BRANCHES = 1_000
CHOICES = ("anyOf", "oneOf")
ANNOTATIONS = frozenset(("title", "description", "default", "examples", "$comment", "deprecated"))


class Unsatisfiable(ValueError):
    """No value was found: the schema allows none, is malformed or too large, or uses what is unsupported."""


class DeadEnd(Unsatisfiable):
    """This way leads nowhere; another branch, or leaving an optional part out, may."""


def merge(one: Mapping[str, Any], two: object) -> Mapping[str, Any]:
    """A schema that holds to both."""
    if two is True:
        return one
    if not isinstance(two, Mapping):
        raise DeadEnd("a schema that is false allows no value")
    merged = dict(one)
    for keyword, value in two.items():
        if keyword not in merged or merged[keyword] == value:
            merged[keyword] = value
        elif keyword not in ANNOTATIONS:
            merged[keyword] = _both(keyword, merged[keyword], value)
    return merged


def _both(keyword: str, one: Any, two: Any) -> Any:
    if keyword in ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"):
        return max(one, two) if are_numbers(one, two) else two
    if keyword in ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"):
        return min(one, two) if are_numbers(one, two) else two
    if keyword == "required":
        return [*listed(one), *(name for name in listed(two) if name not in listed(one))]
    if keyword == "properties" and isinstance(one, Mapping) and isinstance(two, Mapping):
        both = {name: {"allOf": [one[name], two[name]]} for name in one if name in two}
        return {**one, **two, **both}
    if keyword in ("$defs", "definitions") and isinstance(one, Mapping) and isinstance(two, Mapping):
        return {**one, **two}
    if keyword == "enum":
        return [item for item in listed(one) if item in listed(two)]
    if keyword == "type":
        ones, twos = _names(one), _names(two)
        if "number" in twos and "integer" in ones and "integer" not in twos:
            twos.append("integer")
        if "number" in ones and "integer" in twos and "integer" not in ones:
            ones.append("integer")
        return [name for name in ones if name in twos]
    if keyword in ("items", "additionalProperties"):
        return {"allOf": [one, two]}
    if keyword == "allOf":
        return [*schemas(one), *schemas(two)]
    if keyword in CHOICES:
        ones, twos = schemas(one), schemas(two)
        if len(ones) * len(twos) > MAX_BRANCHES:
            raise Unsatisfiable("too many branches")
        return [{"allOf": [first, second]} for first in ones for second in twos]
    if keyword == "uniqueItems":
        return one is True or two is True
    raise Unsatisfiable(f"two values of {keyword!r} at once are not supported")


def _names(kinds: object) -> list[str]:
    return [kinds] if isinstance(kinds, str) else [kind for kind in listed(kinds) if isinstance(kind, str)]


def are_numbers(*values: Any) -> bool:
    return all(
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (isinstance(value, int) or isfinite(value))
        for value in values
    )


def schemas(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise Unsatisfiable("allOf, anyOf and oneOf take a list of schemas")
    return value


def listed(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def without(schema: Mapping[str, Any], keyword: str) -> Mapping[str, Any]:
    return {name: value for name, value in schema.items() if name != keyword}


def whole(schema: Mapping[str, Any], keyword: str) -> int | None:
    """A count in a schema. Drafts allow 2.0 for 2."""
    value = schema.get(keyword)
    return int(value) if value is not None and are_numbers(value) and value >= 0 else None
