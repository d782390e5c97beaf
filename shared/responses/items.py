"""The items of a request's `input`, as they are listed afterwards (OpenAI's API reference, Responses)."""

from collections.abc import Callable, Mapping, Sequence

from shared import Json
from shared.errors import InvalidValue

DEFAULT_LIMIT = 20
MAX_LIMIT = 100


def input_items(body: Json, new_id: Callable[[str], str]) -> list[Json]:
    """The items of a checked body, each with a type and an id. `new_id` makes one that begins with a prefix."""
    given = body.get("input")
    if given is None:
        return []
    if isinstance(given, str):
        given = [{"role": "user", "content": given}]
    items: list[Json] = []
    for item in given:
        kind = item.get("type") or "message"
        content = item.get("content")
        if kind == "message" and isinstance(content, str):
            part = "output_text" if item.get("role") == "assistant" else "input_text"
            item = {**item, "content": [{"type": part, "text": content}]}
        id = item.get("id") or new_id("msg_" if kind == "message" else "item_")
        items.append({**item, "id": id, "type": kind})
    return items


def page_of_items(items: Sequence[Json], query: Mapping[str, str]) -> Json:
    """One page; the last item comes first unless `order` is `asc`. Raises `InvalidValue`."""
    order = query.get("order") or "desc"
    if order not in ("asc", "desc"):
        raise InvalidValue("'order' must be asc or desc.", param="order")
    ordered = list(items) if order == "asc" else list(items)[::-1]
    after = query.get("after")
    if after:
        ids = [item["id"] for item in ordered]
        if after not in ids:
            raise InvalidValue("'after' names no item of this response.", param="after")
        ordered = ordered[ids.index(after) + 1 :]
    limit = whole_number(query, "limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidValue(f"'limit' must be a whole number from 1 to {MAX_LIMIT}.", param="limit")
    page = ordered[:limit]
    return {
        "object": "list",
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": len(ordered) > limit,
    }


def whole_number(query: Mapping[str, str], name: str, default: int) -> int:
    """A number of a query string. Raises `InvalidValue`."""
    text = query.get(name, "")
    if not text:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise InvalidValue(f"'{name}' must be a whole number.", param=name)
    return int(text)
