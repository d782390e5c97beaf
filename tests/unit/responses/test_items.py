"""Items of an input: each with a type and an id, listed page by page."""

from itertools import count
from typing import Any

import pytest

from shared import Json
from shared.errors import InvalidValue
from shared.responses.items import input_items, page_of_items

ITEMS: list[Json] = [{"id": f"msg_{number}"} for number in range(5)]


def items_of(given: Any) -> list[Json]:
    numbers = count()
    return input_items({"input": given}, lambda prefix: f"{prefix}{next(numbers)}")


def test_an_items_own_id_stays() -> None:
    items = items_of(
        [{"role": "user", "content": "x", "id": "msg_own"}, {"role": "assistant", "content": "y"}]
    )
    assert [item["id"] for item in items] == ["msg_own", "msg_0"]
    assert [item["content"][0]["type"] for item in items] == ["input_text", "output_text"]


def test_text_is_one_message_of_the_user_and_nothing_is_none() -> None:
    part = {"type": "input_text", "text": "Hello."}
    assert items_of("Hello.") == [{"role": "user", "content": [part], "id": "msg_0", "type": "message"}]
    assert items_of(None) == []


def test_what_is_no_message_keeps_its_type() -> None:
    [item] = items_of([{"type": "function_call_output", "call_id": "c", "output": "1"}])
    assert item == {"type": "function_call_output", "call_id": "c", "output": "1", "id": "item_0"}


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_pages_go_on_after_the_last_item_until_there_is_no_more(order: str) -> None:
    seen, after = [], ""
    while True:
        page = page_of_items(ITEMS, {"order": order, "limit": "2", "after": after})
        seen += page["data"]
        assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert seen == (ITEMS if order == "asc" else ITEMS[::-1])


def test_the_last_item_comes_first_unless_asked() -> None:
    assert page_of_items(ITEMS, {})["first_id"] == "msg_4"
    empty: Json = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert page_of_items([], {}) == empty


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"order": "up"}, "order"),
        ({"after": "msg_9"}, "after"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "-1"}, "limit"),
        ({"limit": "9999999999"}, "limit"),
    ],
)
def test_a_query_at_fault_is_refused_by_its_name(query: dict[str, str], param: str) -> None:
    with pytest.raises(InvalidValue) as refused:
        page_of_items(ITEMS, query)
    assert refused.value.param == param
