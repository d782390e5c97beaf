"""Lists as OpenAI's API gives them: a page, and where to go on."""

from collections.abc import Mapping, Sequence

from shared import Json
from shared.errors import InvalidValue, UnsupportedParameter

LARGEST_PAGE = 1000


def page_limit(query: Mapping[str, str], default: int = 100, largest: int = LARGEST_PAGE) -> int:
    """`limit` of a query string. Raises `InvalidValue` unless it is a whole number from 1 to `largest`."""
    text = query.get("limit", "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= largest):
        raise InvalidValue(f"'limit' must be a whole number from 1 to {largest}.", param="limit")
    return int(text)


def known_only(query: Mapping[str, str], names: Sequence[str]) -> None:
    """Raises `UnsupportedParameter` for a name that is not in `names`: a filter must not be passed over."""
    for name in query:
        if name not in names:
            raise UnsupportedParameter(f"Unknown parameter: '{name}'.", param=name)


def envelope(found: Sequence[Json], limit: int, cursor: str = "id") -> Json:
    """`{object: "list", data, first_id, last_id, has_more}`; `found` holds one more than `limit` if there is.

    `last_id` is what `after` takes: the `cursor` field of the last item.
    """
    data = list(found[:limit])
    return {
        "object": "list",
        "data": data,
        "first_id": data[0][cursor] if data else None,
        "last_id": data[-1][cursor] if data else None,
        "has_more": len(found) > limit,
    }
