"""Short words for JSON Schema 2020-12, the dialect of OpenAPI 3.1. Each gives a new schema.

Objects are open: providers move faster than a document, and what is not named here travels on.
"""

from collections.abc import Sequence
from typing import Any

from shared import Json


def text(description: str = "", **more: Any) -> Json:
    return _schema("string", description, more)


def number(description: str = "", **more: Any) -> Json:
    return _schema("number", description, more)


def whole(description: str = "", **more: Any) -> Json:
    return _schema("integer", description, more)


def flag(description: str = "", **more: Any) -> Json:
    return _schema("boolean", description, more)


def choice(*values: str, description: str = "") -> Json:
    """One of these texts, and no other."""
    return _schema("string", description, {"enum": list(values)})


def constant(value: str, description: str = "") -> Json:
    return _schema("string", description, {"const": value})


def file(description: str = "") -> Json:
    """A file in a form."""
    return _schema("string", description, {"format": "binary"})


def listed(items: Json, description: str = "", **more: Any) -> Json:
    return _schema("array", description, {"items": items, **more})


def record(properties: Json, required: Sequence[str] = (), description: str = "", **more: Any) -> Json:
    fields: Json = {"properties": properties, **more}
    if required:
        fields["required"] = list(required)
    return _schema("object", description, fields)


def anything(description: str = "") -> Json:
    """An object of which nothing is said."""
    return _schema("object", description, {})


def nullable(schema: Json) -> Json:
    if "type" in schema:
        types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        allowed = {"enum": [*schema["enum"], None]} if "enum" in schema else {}
        return {**schema, "type": [*types, "null"], **allowed}
    return {"anyOf": [schema, {"type": "null"}]}


def any_of(*schemas: Json, description: str = "") -> Json:
    found: Json = {"anyOf": list(schemas)}
    return {**found, "description": description} if description else found


def ref(name: str, description: str = "") -> Json:
    """A schema of the document by its name."""
    found: Json = {"$ref": f"#/components/schemas/{name}"}
    return {**found, "description": description} if description else found


def page_of(name: str) -> Json:
    """A list with the means to go on after it."""
    return record(
        {
            "object": constant("list"),
            "data": listed(ref(name)),
            "first_id": nullable(text()),
            "last_id": nullable(text("What `after` takes to go on.")),
            "has_more": flag(),
        },
        ("object", "data", "has_more"),
    )


def _schema(type: str, description: str, more: Json) -> Json:
    found: Json = {"type": type}
    if description:
        found["description"] = description
    return {**found, **more}
