"""Embeddings: what the proxy checks of a request, and what it counts of one.

Only what the proxy reads is checked for every provider; OpenAI's ranges only where OpenAI's API answers. Some
providers also embed objects (a picture with its text), so those pass where the limits are not OpenAI's.
"""

from typing import Any

from shared import Json
from shared.errors import InvalidValue, MissingParameter
from shared.wire.estimate import tokens_of
from shared.wire.usage import Usage

MAX_INPUTS = 2048
"""OpenAI's own limit of inputs in one call (API reference, Embeddings)."""
FORMATS = ("float", "base64")


def check_embeddings(body: Json) -> None:
    """Raises an `InvalidRequest` that names the field."""
    for name in ("model", "encoding_format"):
        value = body.get(name)
        if value is not None and (not isinstance(value, str) or not value):
            raise InvalidValue(f"'{name}' must be text.", param=name)
    dimensions = body.get("dimensions")
    if dimensions is not None and (type(dimensions) is not int or dimensions < 1):
        raise InvalidValue("'dimensions' must be a whole number of 1 or more.", param="dimensions")
    given = body.get("input")
    if given is None:
        raise MissingParameter("input")
    if isinstance(given, list) and given:
        if not is_token_list(given):
            _check_items(given)
    elif not isinstance(given, str) or not given:
        raise InvalidValue("'input' must be text or an array, and not empty.", param="input")


def _check_items(items: list[Any]) -> None:
    # Many inputs are texts and nothing else: these are looked at without a step of Python for each.
    if set(map(type, items)) == {str} and "" not in items:
        return
    for index, item in enumerate(items):
        if isinstance(item, list):
            if not is_token_list(item):
                raise InvalidValue(
                    "A token list must hold whole numbers of 0 or more, at least one.",
                    param=f"input[{index}]",
                )
        elif not isinstance(item, str | dict) or not item:
            raise InvalidValue(
                "An input must be text or a list of tokens, and not empty.", param=f"input[{index}]"
            )


def check_embedding_ranges(body: Json) -> None:
    """OpenAI's own limits, for OpenAI, Azure and Demo models. The body has passed `check_embeddings`."""
    wanted = body.get("encoding_format")
    if wanted is not None and wanted not in FORMATS:
        raise InvalidValue("'encoding_format' must be 'float' or 'base64'.", param="encoding_format")
    given = body["input"]
    if isinstance(given, str) or is_token_list(given):
        return
    if len(given) > MAX_INPUTS:
        raise InvalidValue(f"'input' must hold at most {MAX_INPUTS} items.", param="input")
    if len(set(map(type, given))) > 1 or isinstance(given[0], dict):
        raise InvalidValue("'input' must hold texts alone, or lists of tokens alone.", param="input")


def is_token_list(value: list[Any]) -> bool:
    """Whether a list is one input, as token ids."""
    return set(map(type, value)) == {int} and min(value) >= 0


def has_tokens(given: Any) -> bool:
    """Whether an `input` holds token ids anywhere."""
    if not isinstance(given, list):
        return False
    return is_token_list(given) or any(isinstance(item, list) for item in given)


def wanted_format(body: Json) -> str | None:
    """`float` or `base64`; float where the request does not say (API reference). None for a provider's own."""
    wanted = body.get("encoding_format") or "float"
    return wanted if wanted in FORMATS else None


def estimate_embeddings(body: Json, content: Json | None) -> Usage:
    """Tokens of the inputs by the stated rule, each on its own; token lists are counted."""
    given = body["input"]
    inputs = [given] if isinstance(given, str) or is_token_list(given) else given
    return Usage(prompt=sum(map(_tokens, inputs)), estimated=True)


def _tokens(item: Any) -> int:
    if isinstance(item, list):
        return len(item)
    if isinstance(item, dict):
        return sum(_tokens(value) for value in item.values() if isinstance(value, str | dict))
    return tokens_of(len(item))
