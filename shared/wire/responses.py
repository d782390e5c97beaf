"""Responses: what the proxy checks of a request, and what it refuses because it would reach others' things.

The upstream account is shared by every project. Files, vector stores, containers, stored prompts and single items
of a response lie in that account, and their ids do not say whose they are: until the proxy owns such resources, a
body that names one is refused. Which fields name one is OpenAI's API reference, Responses.
"""

from collections.abc import Iterator
from typing import Any

from shared import Json
from shared.errors import InvalidValue, MissingParameter, NotFound, UnsupportedParameter
from shared.wire.estimate import estimate_values, tokens_of
from shared.wire.usage import Usage

MAX_ITEMS = 2048

_FOREIGN = frozenset(
    """
file_id file_ids vector_store_id vector_store_ids container_id skill_id
""".split()
)
"""Fields that name something in the account, wherever they stand."""
_REFERENCES = frozenset(("item_reference", "container_reference", "skill_reference"))
"""Types of parts that stand for something that is stored."""
_OWN_WORDS = frozenset(
    """
metadata parameters schema input_schema output_schema arguments headers variables logit_bias filters
""".split()
)
"""Fields whose inner names are the client's own (a tool's arguments, a schema), not the API's."""


def check_responses(body: Json) -> None:
    """Raises an `InvalidRequest` that names the field, or `NotFound` for a conversation."""
    _check_text(body, "model")
    _check_text(body, "previous_response_id")
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidValue("'stream' must be true or false.", param="stream")
    options = body.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise InvalidValue("'stream_options' must be an object.", param="stream_options")
    if body.get("conversation") is not None:
        raise NotFound("There is no such conversation.", param="conversation")
    check_background(body)
    _check_input(body)
    for path in foreign_things(body):
        raise UnsupportedParameter(
            f"'{path}' names something stored at the provider, which this proxy does not offer yet.",
            param=path,
        )


def check_background(body: Json) -> None:
    """Raises `UnsupportedParameter` for what a response in the background cannot be: streamed, or not kept."""
    background = body.get("background")
    if background is not None and not isinstance(background, bool):
        raise InvalidValue("'background' must be true or false.", param="background")
    if not background:
        return
    if body.get("stream"):
        raise UnsupportedParameter("A response in the background cannot be streamed.", param="stream")
    if body.get("store") is False:
        raise UnsupportedParameter(
            "A response in the background is kept: leave 'store' out or true.", param="store"
        )


def check_responses_ranges(body: Json) -> None:
    """OpenAI's own ranges (API reference), for OpenAI, Azure and Demo models."""
    items = body.get("input")
    if isinstance(items, list) and len(items) > MAX_ITEMS:
        raise InvalidValue(f"'input' must hold at most {MAX_ITEMS} items.", param="input")
    for name, low, high in (("temperature", 0, 2), ("top_p", 0, 1), ("top_logprobs", 0, 20)):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise InvalidValue(f"'{name}' must be a number from {low} to {high}.", param=name)


def foreign_things(body: Json) -> Iterator[str]:
    """Paths of what would reach things in the shared account of the provider (`input[2].content[0].file_id`)."""
    if body.get("prompt") is not None:
        yield "prompt"
    items = body.get("input")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        if _is_reference(item):
            yield f"input[{index}]"
    for name, value in body.items():
        if name not in _OWN_WORDS:
            yield from _walk(name, name, value)


def _walk(name: str, path: str, value: Any) -> Iterator[str]:
    named = name in _FOREIGN and value is not None and value != []
    if named or (name == "container" and isinstance(value, str)):
        yield path
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, dict | list):
                yield from _walk("", f"{path}[{index}]", item)
    elif isinstance(value, dict):
        kind = value.get("type")
        if isinstance(kind, str) and kind in _REFERENCES:
            yield f"{path}.type"
        if name == "container" and value.get("id") is not None:
            yield f"{path}.id"
        for inner, item in value.items():
            if inner not in _OWN_WORDS:
                yield from _walk(inner, f"{path}.{inner}", item)


def _is_reference(item: Any) -> bool:
    """Whether an input item is an id alone: a reference without its type, or a picture that is stored.

    Both stand for an item of some response. (A reasoning item brings its summary; clients replay it whole.)
    """
    if not isinstance(item, dict) or item.get("id") is None:
        return False
    kind = item.get("type")
    if kind is None:
        return item.get("role") is None
    return kind == "item_reference" or (kind == "image_generation_call" and not item.get("result"))


def _check_input(body: Json) -> None:
    items = body.get("input")
    if items is None:
        if body.get("previous_response_id") is None and body.get("prompt") is None:
            raise MissingParameter("input")
        return
    if not isinstance(items, str | list):
        raise InvalidValue("'input' must be text or an array of items.", param="input")
    if isinstance(items, list):
        for index, item in enumerate(items):
            if not isinstance(item, dict):
                raise InvalidValue("An item must be an object.", param=f"input[{index}]")


def _check_text(body: Json, name: str) -> None:
    value = body.get(name)
    if value is not None and (not isinstance(value, str) or not value):
        raise InvalidValue(f"'{name}' must be text.", param=name)


def estimate_responses(body: Json, content: Json | None) -> Usage:
    """Tokens by the stated rule, where a provider reports none."""
    prompt = estimate_values(body.get("instructions"), body.get("input"), body.get("tools"))
    completion = 0 if content is None else tokens_of(output_characters(content.get("output")))
    return Usage(prompt=prompt, completion=completion, estimated=True)


def output_characters(output: Any) -> int:
    """Characters of what a model wrote: texts, refusals, reasoning, and the input of its calls."""
    characters = 0
    for item in output if isinstance(output, list) else ():
        if not isinstance(item, dict):
            continue
        characters += sum(_length(item.get(name)) for name in ("name", "arguments", "input"))
        for group in ("content", "summary"):
            parts = item.get(group)
            for part in parts if isinstance(parts, list) else ():
                if isinstance(part, dict):
                    characters += _length(part.get("text")) + _length(part.get("refusal"))
    return characters


def _length(value: Any) -> int:
    return len(value) if isinstance(value, str) else 0
