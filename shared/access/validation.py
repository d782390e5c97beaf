"""Bodies of `/manage`, checked by pydantic, with errors in the words of the API."""

import unicodedata
from typing import Annotated, Any, TypeVar

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from shared import Json
from shared.errors import InvalidValue, MissingParameter, ProxyError, UnsupportedParameter

Body = TypeVar("Body", bound=BaseModel)


class StrictBody(BaseModel):
    """A body whose unknown fields are refused and whose values are taken as they are, never converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _printable(text: str) -> str:
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text):
        raise ValueError("must not hold control characters")
    return text


LARGEST_METADATA = 16 * 1024

Label = Annotated[str, StringConstraints(max_length=256), AfterValidator(_printable)]
ModelId = Annotated[str, StringConstraints(min_length=1, max_length=256), AfterValidator(_printable)]
ProjectId = Annotated[str, StringConstraints(min_length=1, max_length=128), AfterValidator(_printable)]


def _modest(metadata: dict[str, Any]) -> dict[str, Any]:
    try:
        size = len(orjson.dumps(metadata))
    except TypeError:
        raise ValueError("holds numbers or a nesting that cannot be stored") from None
    if size > LARGEST_METADATA:
        raise ValueError(f"must not be larger than {LARGEST_METADATA} bytes")
    return metadata


Metadata = Annotated[dict[str, Any], AfterValidator(_modest)]
"""Whatever an administrator wants to note, as a JSON object."""


def validated(shape: type[Body], body: Json) -> Body:
    """`body` as `shape`. Raises a child of `InvalidRequest` whose `param` names the first wrong field."""
    try:
        return shape.model_validate(body)
    except ValidationError as error:
        raise _refusal(error) from None


def _refusal(error: ValidationError) -> ProxyError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    param = field_path(first["loc"])
    if first["type"] == "missing":
        return MissingParameter(param)
    if first["type"] == "extra_forbidden":
        return UnsupportedParameter(f"Unknown parameter: '{param}'.", param=param)
    reason = first["msg"].removeprefix("Value error, ")
    return InvalidValue(f"Invalid value for '{param}': {reason}.", param=param)


def field_path(location: tuple[int | str, ...]) -> str:
    """`("models", 2)` as `models[2]`, `("metadata", "a")` as `metadata.a`."""
    path = ""
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
        else:
            path += f".{step}" if path else step
    return path
