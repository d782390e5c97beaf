"""What the demo model writes for a JSON Schema, judged by a validator that others wrote."""

import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.providers.demo.patterns import UnknownPattern, text_for
from shared.providers.demo.schema import FORMATS, sample
from shared.providers.demo.schema_parts import Unsatisfiable

PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 20},
        "age": {"type": "integer", "minimum": 18, "maximum": 99},
        "tags": {"type": "array", "items": {"enum": ["a", "b", "c"]}, "minItems": 3, "uniqueItems": True},
        "nickname": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
        "address": {"$ref": "#/$defs/address"},
    },
    "required": ["name", "age", "tags", "nickname", "address"],
    "additionalProperties": False,
    "$defs": {
        "address": {
            "type": "object",
            "properties": {"zip": {"type": "string", "pattern": "^[0-9]{5}(-[0-9]{4})?$"}},
            "required": ["zip"],
            "additionalProperties": False,
        }
    },
}
LINKED_LIST = {
    "$ref": "#/$defs/node",
    "$defs": {
        "node": {
            "type": "object",
            "properties": {
                "value": {"type": "number"},
                "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
            },
            "required": ["value", "next"],
        }
    },
}
TREE = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["name", "children"],
}
OPTIONAL_SELF = {
    "type": "object",
    "properties": {"parent": {"allOf": [{"$ref": "#"}], "description": "The one above."}},
}

SCHEMAS: dict[str, Any] = {
    "anything": True,
    "empty": {},
    "person": PERSON,
    "linked list": LINKED_LIST,
    "tree": TREE,
    "optional parent": OPTIONAL_SELF,
    "null or text": {"type": ["null", "string"]},
    "const": {"const": {"a": [1, None]}},
    "enum within a type": {"type": "integer", "enum": ["1", 2.5, 3]},
    "tuple": {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    "no items": {"type": "array", "maxItems": 0},
    "many": {"type": "array", "items": {"type": "integer"}, "minItems": 40, "uniqueItems": True},
    "unique texts": {"type": "array", "items": {"type": "string"}, "minItems": 4, "uniqueItems": True},
    "unique flags": {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "uniqueItems": True},
    "all of": {"allOf": [{"minimum": 3}, {"type": "integer"}, {"maximum": 4, "minimum": 1}]},
    "all of objects": {
        "allOf": [
            {"properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"a": {"minLength": 9}, "b": {"type": "null"}}, "required": ["b"]},
        ]
    },
    "second branch": {"anyOf": [False, {"type": "integer", "minimum": 5, "maximum": 4}, {"const": 7}]},
    "shared by branches": {"type": "string", "anyOf": [{"maxLength": 1}, {"minLength": 90}]},
    "two choices": {
        "allOf": [
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            {"anyOf": [{"type": "null"}, {"minimum": 3, "type": "number"}]},
        ]
    },
    "required without a schema": {"type": "object", "required": ["x"]},
    "free names": {"type": "object", "minProperties": 3, "additionalProperties": {"type": "integer"}},
    "few names": {"properties": {"a": {}, "b": {}, "c": {}}, "required": ["c"], "maxProperties": 2},
    "quarters": {"type": "number", "multipleOf": 0.25, "exclusiveMinimum": 0.25, "maximum": 0.6},
    "enum within bounds": {"enum": [1, "x", 9], "minimum": 5, "minLength": 2},
    "between": {"type": "number", "exclusiveMinimum": 1, "exclusiveMaximum": 1.5},
    "below": {"type": "integer", "exclusiveMaximum": -3},
    "huge": {"type": "integer", "minimum": 10**400},
    "whole multiple": {"type": "integer", "multipleOf": 1.5, "minimum": 2},
    "short": {"type": "string", "maxLength": 2},
    "none": {"type": "string", "maxLength": 0},
    "named by pointer": {"$ref": "#/$defs/a~1b%20c", "$defs": {"a/b c": {"type": "boolean"}}},
}


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS.keys())
def test_a_sample_fits_its_schema(schema: Any) -> None:
    jsonschema.Draft202012Validator(schema).validate(sample(schema))


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_is_kept(name: str) -> None:
    schema = {"type": "string", "format": name}
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    jsonschema.Draft202012Validator(schema, format_checker=checker).validate(sample(schema))


def test_a_recursive_schema_shows_one_level() -> None:
    assert sample(LINKED_LIST) == {"value": 1, "next": None}
    assert sample(TREE) == {"name": "name", "children": [{"name": "name", "children": []}]}


def test_a_multiple_is_counted_as_json_writes_it() -> None:
    assert sample({"type": "number", "multipleOf": 0.1, "exclusiveMinimum": 0.25, "maximum": 0.3}) == 0.3


def test_texts_are_named_after_their_property() -> None:
    assert sample({"properties": {"city": {"type": "string"}}}) == {"city": "city"}


UNSATISFIABLE: dict[str, Any] = {
    "false": False,
    "no schema": 7,
    "empty enum": {"enum": []},
    "crossed bounds": {"type": "integer", "minimum": 2, "maximum": 1},
    "no whole number between": {"type": "integer", "exclusiveMinimum": 1, "exclusiveMaximum": 2},
    "endless": {"type": "object", "properties": {"x": {"$ref": "#"}}, "required": ["x"]},
    "itself": {"$ref": "#"},
    "elsewhere": {"$ref": "https://example.com/schema"},
    "nowhere": {"$ref": "#/$defs/x"},
    "a third flag": {"type": "array", "items": {"type": "boolean"}, "minItems": 3, "uniqueItems": True},
    "unsupported": {"not": {"type": "string"}},
    "too long": {"type": "string", "minLength": 10**9},
    "too many": {"type": "array", "minItems": 10**9},
    "an odd type": {"type": "date"},
    "a list as properties of all": {"allOf": {}},
    "look-ahead": {"type": "string", "pattern": "(?=a)b"},
}


@pytest.mark.parametrize("schema", UNSATISFIABLE.values(), ids=UNSATISFIABLE.keys())
def test_a_schema_that_cannot_be_met_is_refused(schema: Any) -> None:
    with pytest.raises(Unsatisfiable):
        sample(schema)


def test_a_schema_that_is_deep_or_wide_beyond_reason_is_refused() -> None:
    deep: Any = {"type": "string"}
    for _ in range(900):
        deep = {"type": "array", "items": deep, "minItems": 1}
    with pytest.raises(Unsatisfiable):
        sample(deep)
    names = [f"n{index}" for index in range(12)]
    branches = [{"$ref": f"#/$defs/{name}"} for name in names]
    everyone = {"type": "array", "minItems": 1, "items": {"anyOf": branches}}
    with pytest.raises(Unsatisfiable):
        sample({**everyone, "$defs": dict.fromkeys(names, everyone)})


PATTERNS = (
    r"^\d{3}-[A-Z]{2}$",
    r"^(red|green)$",
    r"^[^a-z]+$",
    r"\w+@\w+\.com",
    r"^\S+\s\D\W$",
    r"^(?:ab)?(?<year>\d{4})$",
    r"^[\w.-]+$",
    r"^a*?b+?c{2,}$",
    r"^\u00e9\x41\t\.$",
    r"^[\]-a]$",
    r"\bword\b",
    r"",
)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_text_matches_its_pattern(pattern: str) -> None:
    ours = pattern.replace("(?<", "(?P<")
    assert re.search(ours, text_for(pattern))


def test_a_pattern_is_repeated_up_to_the_shortest_length() -> None:
    text = text_for("^[a-z]+$", shortest=12)
    assert len(text) >= 12
    assert re.fullmatch("[a-z]+", text)
    assert len(text_for("^[a-z]{2,9}$", 2, 5)) in range(2, 6)


@pytest.mark.parametrize(
    "pattern", ["(", "[a", "a{2", "*a", r"(a)\1", "(?!a)", "a)", "a{99999}{99999}", "(" * 80]
)
def test_a_pattern_that_is_not_understood_is_refused(pattern: str) -> None:
    with pytest.raises(UnknownPattern):
        text_for(pattern)


@given(st.text(alphabet="ab01(){}[]|*+?.^$\\-,dwsDWSbx:<>", max_size=20))
@settings(max_examples=200, deadline=None)
def test_no_pattern_hangs_or_breaks_it(pattern: str) -> None:
    try:
        text_for(pattern)
    except UnknownPattern:
        return


_counts = st.integers(0, 4)
_leaves = st.one_of(
    st.just({"type": "null"}),
    st.just({"type": "boolean"}),
    st.builds(lambda low, more: {"type": "integer", "minimum": low, "maximum": low + more}, _counts, _counts),
    st.builds(lambda low, more: {"type": "number", "minimum": low, "maximum": low + more}, _counts, _counts),
    st.builds(
        lambda low, more: {"type": "string", "minLength": low, "maxLength": low + more}, _counts, _counts
    ),
    st.builds(lambda values: {"enum": values}, st.lists(st.integers() | st.text(), min_size=1)),
)


def _grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    names = st.sampled_from(["a", "b", "c", "d"])
    return st.one_of(
        st.builds(
            lambda properties, required: {"type": "object", "properties": properties, "required": required},
            st.dictionaries(names, inner),
            st.lists(names, unique=True),
        ),
        st.builds(
            lambda items, low, unique: {
                "type": "array",
                "items": items,
                "minItems": low,
                "uniqueItems": unique,
            },
            inner,
            _counts,
            st.booleans(),
        ),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda parts: {"allOf": parts}, st.lists(inner, min_size=1, max_size=2)),
    )


@given(st.recursive(_leaves, _grown, max_leaves=8))
@settings(max_examples=200, deadline=None)
def test_whatever_is_written_fits(schema: Any) -> None:
    try:
        value = sample(schema)
    except Unsatisfiable:
        return
    jsonschema.Draft202012Validator(schema).validate(value)


KEYWORDS: tuple[str, ...] = (
    "type",
    "$ref",
    "anyOf",
    "allOf",
    "oneOf",
    "enum",
    "const",
    "properties",
    "required",
    "items",
)
KEYWORDS += ("prefixItems", "minItems", "maxItems", "minimum", "multipleOf", "exclusiveMaximum", "pattern")
KEYWORDS += ("minLength", "maxLength", "format", "minProperties")

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYWORDS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_json)
@settings(max_examples=200, deadline=None)
def test_no_schema_whatsoever_breaks_it(schema: Any) -> None:
    try:
        sample(schema)
    except Unsatisfiable:
        return
