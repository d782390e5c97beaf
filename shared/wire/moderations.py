"""Moderations: what the proxy checks of a request."""

from shared import Json
from shared.errors import InvalidValue, MissingParameter
from shared.wire.estimate import PART_TOKENS, tokens_of
from shared.wire.usage import Usage


def check_moderation(body: Json) -> None:
    """Raises an `InvalidRequest` that names the field."""
    model = body.get("model")
    if model is not None and (not isinstance(model, str) or not model):
        raise InvalidValue("'model' must be text.", param="model")
    given = body.get("input")
    if given is None:
        raise MissingParameter("input")
    if isinstance(given, str):
        return
    if not isinstance(given, list) or not given:
        raise InvalidValue("'input' must be text, or an array of texts or of parts.", param="input")
    kind = dict if isinstance(given[0], dict) else str
    for index, item in enumerate(given):
        if not isinstance(item, kind):
            raise InvalidValue(
                "'input' must hold texts alone, or objects with a type alone.", param=f"input[{index}]"
            )
        if isinstance(item, dict):
            _check_part(item, f"input[{index}]")


def _check_part(part: Json, param: str) -> None:
    kind = part.get("type")
    if kind is None:
        raise MissingParameter(f"{param}.type")
    if not isinstance(kind, str) or not kind:
        raise InvalidValue("A part's type must be text.", param=f"{param}.type")
    if kind == "text" and not isinstance(part.get("text"), str):
        raise InvalidValue("A part of text needs its 'text'.", param=f"{param}.text")
    if kind == "image_url":
        image = part.get("image_url")
        if not isinstance(image, dict) or not isinstance(image.get("url"), str):
            raise InvalidValue("A part with a picture needs its 'url'.", param=f"{param}.image_url")


def estimate_moderation(body: Json, content: Json | None) -> Usage:
    """Tokens of what is judged, by the stated rule."""
    given = body["input"]
    items = [given] if isinstance(given, str) else given
    return Usage(prompt=sum(map(_tokens, items)), estimated=True)


def _tokens(item: str | Json) -> int:
    if isinstance(item, str):
        return tokens_of(len(item))
    text = item.get("text")
    return tokens_of(len(text)) if isinstance(text, str) else PART_TOKENS
