"""A value for a JSON Schema: what the demo model writes where a client asks for structured output."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

from shared import Json
from shared.providers.demo.numbers import allows_number, number_between
from shared.providers.demo.patterns import UnknownPattern, text_for
from shared.providers.demo.schema_parts import (
    CHOICES,
    DeadEnd,
    Unsatisfiable,
    are_numbers,
    listed,
    merge,
    schemas,
    whole,
    without,
)

MAX_STEPS = 20_000
MAX_DEPTH = 60
MAX_TEXT = 10_000

FORMATS: Mapping[str, str] = {
    "date-time": "2026-01-31T12:00:00Z",
    "date": "2026-01-31",
    "time": "12:00:00Z",
    "duration": "P1D",
    "email": "demo@example.com",
    "idn-email": "demo@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "iri": "https://example.com/",
    "uri-reference": "/demo",
    "iri-reference": "/demo",
    "uri-template": "/demo/{id}",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "json-pointer": "/demo",
    "relative-json-pointer": "0/demo",
    "regex": "demo",
}
"""A value of each format of JSON Schema 2020-12 (section 7.3 of its validation vocabulary)."""

UNSUPPORTED = frozenset(
    (
        "not",
        "if",
        "contains",
        "propertyNames",
        "patternProperties",
        "dependentRequired",
        "dependentSchemas",
        "dependencies",
        "unevaluatedProperties",
        "unevaluatedItems",
        "$dynamicRef",
    )
)
"""Keywords that could rule a value out and that nothing here understands: refused rather than ignored."""

_IMPLIED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("object", ("properties", "required", "additionalProperties", "minProperties")),
    ("array", ("items", "prefixItems", "minItems", "maxItems", "uniqueItems")),
    ("string", ("pattern", "format", "minLength", "maxLength")),
    ("number", ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")),
)
_STRUCTURE = frozenset(keyword for kind, keywords in _IMPLIED[:2] for keyword in keywords) | {"maxProperties"}


def sample(schema: object, hint: str = "demo") -> Any:
    """A value that `schema` (JSON Schema 2020-12, and what earlier drafts share with it) accepts.

    Texts that the schema leaves free are the name of their property, `hint` at the top. The same schema gives
    the same value. Raises `Unsatisfiable`.
    """
    return _Sampler(schema).value(schema, hint)


class _Sampler:
    def __init__(self, root: object) -> None:
        self.root = root
        self.steps = 0
        self.depth = 0
        self.open: list[str] = []

    @contextmanager
    def _level(self) -> Iterator[None]:
        self.steps += 1
        if self.steps > MAX_STEPS or self.depth >= MAX_DEPTH:
            raise Unsatisfiable("the schema is too large or too deep")
        self.depth += 1
        try:
            yield
        finally:
            self.depth -= 1

    def value(self, schema: object, hint: str, variant: int = 0) -> Any:
        """A value for one schema; a higher `variant` asks for another value, where there are more."""
        with self._level():
            if schema is True:
                return _numbered(hint, variant)
            if not isinstance(schema, Mapping):
                raise DeadEnd("a schema that is false, or none at all, allows no value")
            if "$ref" in schema:
                return self._referred(schema, hint, variant)
            for keyword in UNSUPPORTED.intersection(schema):
                if not (keyword == "not" and schema["not"] is False):
                    raise Unsatisfiable(f"the keyword {keyword!r} is not supported")
            if "allOf" in schema:
                return self._combined(schema, hint, variant)
            for keyword in CHOICES:
                if keyword in schema:
                    return self._chosen(schema, keyword, hint, variant)
            if "const" in schema:
                return self._listed([schema["const"]], schema, variant)
            if "enum" in schema:
                return self._listed(schema["enum"], schema, variant)
            return self._typed(schema, hint, variant)

    @contextmanager
    def _following(self, *schemas: object) -> Iterator[None]:
        """Keeps in mind the references being followed: one that is met again within itself is a dead end."""
        pointers = [part["$ref"] for part in schemas if isinstance(part, Mapping) and "$ref" in part]
        if any(pointer in self.open for pointer in pointers):
            raise DeadEnd("a reference leads back to itself")
        self.open.extend(pointers)
        try:
            yield
        finally:
            del self.open[len(self.open) - len(pointers) :]

    def _referred(self, schema: Mapping[str, Any], hint: str, variant: int) -> Any:
        with self._following(schema):
            return self.value(self._resolved(schema), hint, variant)

    def _combined(self, schema: Mapping[str, Any], hint: str, variant: int) -> Any:
        parts = schemas(schema["allOf"])
        with self._following(*parts):
            merged = without(schema, "allOf")
            for part in parts:
                merged = merge(merged, self._resolved(part))
            return self.value(merged, hint, variant)

    def _resolved(self, schema: object) -> object:
        """The schema that `$ref` points to, or the schema itself. References that lead on are kept."""
        if not (isinstance(schema, Mapping) and "$ref" in schema):
            return schema
        pointer = schema["$ref"]
        if not isinstance(pointer, str) or not (pointer == "#" or pointer.startswith("#/")):
            raise Unsatisfiable("only references within the schema (#/…) are supported")
        target: object = self.root
        for step in pointer[2:].split("/") if len(pointer) > 1 else ():
            name = unquote(step).replace("~1", "/").replace("~0", "~")
            if isinstance(target, Mapping) and name in target:
                target = target[name]
            elif isinstance(target, list) and name.isdecimal() and int(name) < len(target):
                target = target[int(name)]
            else:
                raise Unsatisfiable(f"the reference {pointer[:100]!r} points to nothing")
        return merge(without(schema, "$ref"), target)

    def _chosen(self, schema: Mapping[str, Any], keyword: str, hint: str, variant: int) -> Any:
        """The first branch that leads to a value. What the branches have in common is kept."""
        rest = without(schema, keyword)
        reason: DeadEnd = DeadEnd(f"{keyword} without a branch")
        for branch in schemas(schema[keyword]):
            try:
                with self._following(branch):
                    return self.value(merge(rest, self._resolved(branch)), hint, variant)
            except DeadEnd as error:
                reason = error
        raise reason

    def _listed(self, values: object, schema: Mapping[str, Any], variant: int) -> Any:
        allowed = [item for item in listed(values) if _allowed(item, schema)]
        if variant >= len(allowed):
            raise DeadEnd("enum has no such value")
        return allowed[variant]

    def _typed(self, schema: Mapping[str, Any], hint: str, variant: int) -> Any:
        writers: dict[str, Callable[[Mapping[str, Any], str, int], Any]] = {
            "object": self._object,
            "array": self._array,
            "string": _text,
            "number": _number,
            "integer": _number,
            "boolean": _boolean,
            "null": _null,
        }
        reason: DeadEnd = DeadEnd("a type that JSON does not have")
        for kind in _kinds(schema):
            if kind not in writers:
                continue
            try:
                return writers[kind]({**schema, "type": kind}, hint, variant)
            except DeadEnd as error:
                reason = error
        raise reason

    def _object(self, schema: Mapping[str, Any], hint: str, variant: int) -> Json:
        properties = schema.get("properties")
        properties = properties if isinstance(properties, Mapping) else {}
        required = [name for name in listed(schema.get("required")) if isinstance(name, str)]
        others = schema.get("additionalProperties", True)
        most = whole(schema, "maxProperties")
        made: Json = {}
        for name in (*properties, *(name for name in required if name not in properties)):
            needed = name in required
            missing = sum(1 for other in required if other not in made)
            if not needed and most is not None and len(made) + missing >= most:
                continue
            try:
                made[name] = self.value(properties.get(name, others), name, variant)
            except DeadEnd:
                if needed:
                    raise
        least = whole(schema, "minProperties") or 0
        number = 0
        while len(made) < least:
            number += 1
            if f"{hint}_{number}" not in made:
                made[f"{hint}_{number}"] = self.value(others, f"{hint}_{number}", variant)
        if most is not None and len(made) > most:
            raise DeadEnd("more properties are required than allowed")
        return made

    def _array(self, schema: Mapping[str, Any], hint: str, variant: int) -> list[Any]:
        items = schema.get("items", True)
        first = listed(schema.get("prefixItems"))
        if isinstance(items, list):  # Drafts before 2020-12 write tuples so.
            first, items = items, schema.get("additionalItems", True)
        least = whole(schema, "minItems") or 0
        most = whole(schema, "maxItems")
        wanted = max(least, len(first), 1)
        if most is not None:
            wanted = min(wanted, most)
        if wanted < least:
            raise DeadEnd("minItems is above maxItems")
        unique = schema.get("uniqueItems") is True
        made: list[Any] = []
        for index in range(wanted):
            of = first[index] if index < len(first) else items
            try:
                made.append(self._other_than(made, of, hint) if unique else self.value(of, hint, variant))
            except DeadEnd:
                if index < least:
                    raise
                break
        return made

    def _other_than(self, made: Sequence[Any], schema: object, hint: str) -> Any:
        for variant in range(len(made) + 1):
            value = self.value(schema, hint, variant)
            if value not in made:
                return value
        raise DeadEnd("not enough different items")


def _text(schema: Mapping[str, Any], hint: str, variant: int) -> str:
    least = whole(schema, "minLength") or 0
    most = whole(schema, "maxLength")
    if least > MAX_TEXT:
        raise Unsatisfiable("minLength is too large")
    if most is not None and most < least:
        raise DeadEnd("minLength is above maxLength")
    pattern, named = schema.get("pattern"), FORMATS.get(str(schema.get("format")))
    if isinstance(pattern, str):
        try:
            return text_for(pattern, least, most)
        except UnknownPattern:
            raise DeadEnd("no text was found for a pattern") from None
    if named is not None:
        if variant or len(named) < least or (most is not None and len(named) > most):
            raise DeadEnd("no other text of this format")
        return named
    text = _numbered(hint, variant).ljust(least, ".")
    if most is None or len(text) <= most:
        return text
    text = text[:most] if variant == 0 else str(variant)
    if len(text) > most:
        raise DeadEnd("no other text of this length")
    return text.ljust(least, ".")


def _number(schema: Mapping[str, Any], _: str, variant: int) -> int | float:
    value = number_between(schema, whole=schema["type"] == "integer", variant=variant)
    if value is None:
        raise DeadEnd("no number lies within the bounds")
    return value


def _boolean(_: Mapping[str, Any], __: str, variant: int) -> bool:
    if variant > 1:
        raise DeadEnd("no third truth value")
    return variant == 0


def _null(_: Mapping[str, Any], __: str, variant: int) -> None:
    if variant:
        raise DeadEnd("no second null")


def _numbered(hint: str, variant: int) -> str:
    return f"{hint} {variant + 1}" if variant else hint


def _kinds(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The types to try, null last: a value says more."""
    declared = schema.get("type")
    if isinstance(declared, str):
        return (declared,)
    if isinstance(declared, list):
        names = [name for name in declared if isinstance(name, str)]
        return tuple(sorted(names, key=lambda name: name == "null"))
    for kind, keywords in _IMPLIED:
        if any(keyword in schema for keyword in keywords):
            return (kind,)
    return ("string",)


def _allowed(item: Any, schema: Mapping[str, Any]) -> bool:
    """Whether an enum's value also meets what stands beside the enum. Patterns are not run."""
    if "type" in schema and not any(_is(item, kind) for kind in _kinds(schema)):
        return False
    if are_numbers(item):
        return allows_number(schema, item)
    if isinstance(item, str):
        most = whole(schema, "maxLength")
        return len(item) >= (whole(schema, "minLength") or 0) and (most is None or len(item) <= most)
    return not (isinstance(item, list | dict) and _STRUCTURE.intersection(schema))


def _is(value: Any, kind: str) -> bool:
    match kind:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "string":
            return isinstance(value, str)
        case "array":
            return isinstance(value, list)
        case "object":
            return isinstance(value, dict)
        case "integer":
            return are_numbers(value) and value == value // 1
        case "number":
            return are_numbers(value)
    return False
