"""Fields of a form: text, whatever they mean, and lists under names that end in `[]`."""

from collections.abc import Iterator, Mapping

import orjson

from shared import Json
from shared.errors import InvalidValue

_LISTS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def form_fields(values: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """Fields of a JSON body as (name, text) of a form, as OpenAI's clients spell them. Nulls are left out."""
    for name, value in values.items():
        if isinstance(value, list):
            for item in value:
                yield f"{name}[]", _text(item)
        elif value is not None:
            yield name, _text(value)


def typed_steering(fields: Json) -> Json:
    """What steers the proxy among a form's fields, as a JSON body would have it. Raises `InvalidValue`."""
    steering: Json = {}
    for name in _LISTS:
        value = fields.get(name)
        if value is not None:
            steering[name] = [value] if isinstance(value, str) else value
    if "timeout" in fields:
        steering["timeout"] = _number(fields, "timeout", float)
    if "max_retries" in fields:
        steering["max_retries"] = _number(fields, "max_retries", int)
    return steering


def _number(fields: Json, name: str, kind: type[int] | type[float]) -> float | int:
    try:
        return kind(fields[name])
    except (TypeError, ValueError):
        raise InvalidValue(f"'{name}' must be a number.", param=name) from None


def _text(value: object) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
