"""Reading a client's body as a strict provider does: what is wrong is refused, by the name of the field."""

from shared import Json
from shared.errors import ProviderRefusal


def refusal(message: str, param: str | None, code: str = "invalid_value") -> ProviderRefusal:
    """A 400 of the demo provider, in the words of OpenAI's API."""
    return ProviderRefusal(message, 400, param=param, code=code)


def whole_number(body: Json, name: str, low: int, high: int) -> int | None:
    """An integer field within its range, None if it is absent or null."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise refusal(f"'{name}' must be a whole number from {low} to {high}.", name)
    return value


def flag(body: Json, name: str, default: bool) -> bool:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise refusal(f"'{name}' must be true or false.", name)
    return value


def json_object(value: object, param: str) -> Json:
    if not isinstance(value, dict):
        raise refusal(f"'{param}' must be an object.", param)
    return value


def array(value: object, param: str) -> list[object]:
    """A list; an absent or null one is empty."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise refusal(f"'{param}' must be an array.", param)
    return value


def text(value: object, param: str) -> str:
    if not isinstance(value, str):
        raise refusal(f"'{param}' must be text.", param)
    return value


def stop_texts(body: Json) -> tuple[str, ...]:
    """`stop`: a text, or up to four. An empty text never occurs."""
    value = body.get("stop")
    items = [value] if isinstance(value, str) else array(value, "stop")
    if len(items) > 4:
        raise refusal("'stop' must hold at most 4 texts.", "stop")
    return tuple(text(item, "stop") for item in items if item != "")
