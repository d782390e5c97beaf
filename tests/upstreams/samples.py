"""Plausible content for the answers of an upstream: values for a schema, words for a stream."""

import re
from collections.abc import Mapping
from typing import Any

import orjson

from shared import Json

TEXT = "The quick brown fox jumps over the lazy dog."


def words(text: str) -> list[str]:
    """The text in pieces, as a model streams it; joined, they give it back."""
    return re.findall(r"\S+\s*|\s+", text)


def sample(schema: Mapping[str, Any]) -> Any:
    """A value that fits a JSON schema, the same each time. Google's type names (`STRING`) count as well."""
    if "enum" in schema:
        return schema["enum"][0]
    if "const" in schema:
        return schema["const"]
    for name in ("anyOf", "oneOf"):
        if name in schema:
            return sample(schema[name][0])
    kind = schema.get("type", "object")
    kind = str(kind[0] if isinstance(kind, list) else kind).lower()
    if kind == "object":
        return {name: sample(part) for name, part in schema.get("properties", {}).items()}
    values: dict[str, Any] = {"string": "Paris", "integer": 7, "number": 1.5, "boolean": True, "null": None}
    return [sample(schema.get("items", {"type": "string"}))] if kind == "array" else values[kind]


def sample_text(schema: Mapping[str, Any]) -> str:
    return orjson.dumps(sample(schema)).decode()


def offered_tools(body: Json) -> list[tuple[str, Json]]:
    """(name, schema of the arguments) of each tool of a chat request that the model would call now.

    None once a tool's result is the last message, and with `tool_choice: none`; one alone if the
    choice names it or `parallel_tool_calls` is false.
    """
    functions = [tool["function"] for tool in body.get("tools") or () if tool.get("type") == "function"]
    choice = body.get("tool_choice")
    messages = body.get("messages") or [{}]
    if choice == "none" or messages[-1].get("role") == "tool":
        return []
    if isinstance(choice, dict):
        functions = [item for item in functions if item["name"] == choice["function"]["name"]]
    if body.get("parallel_tool_calls") is False:
        functions = functions[:1]
    return [(item["name"], item.get("parameters") or {}) for item in functions]


def token_count(value: Any) -> int:
    """About four characters a token: enough for figures that differ with what was sent."""
    return max(1, len(orjson.dumps(value)) // 4)
