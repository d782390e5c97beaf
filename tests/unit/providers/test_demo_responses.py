"""The demo model's shelf: what is kept, for how long, and how it is listed."""

from typing import Any, cast

import pytest

from shared import Json
from shared.catalog.documents import Model
from shared.errors import InvalidValue, ProviderRefusal
from shared.providers.calls import Call
from shared.providers.demo import shelf as module
from shared.providers.demo.operation import Question
from shared.providers.demo.responses import Response
from shared.providers.demo.shelf import MAX_RESPONSES, Shelf

MODEL = cast(Model, None)


def asked(shelf: Shelf, **body: Any) -> Json:
    return Response(shelf, Question({"model": "m", "input": "Hello.", **body}, "demo", 5)).answer()


def call(path: str, method: str = "GET", **query: str) -> Call:
    return Call(
        "Responses", f"responses/{path}", MODEL, {}, method=method, query=tuple(query.items()), bodiless=True
    )


def test_the_oldest_goes_first() -> None:
    shelf = Shelf()
    for number in range(MAX_RESPONSES + 2):
        shelf.keep({"id": f"resp_{number}", "output": []}, [], [])
    assert shelf.answer(call("resp_2"))["id"] == "resp_2"
    for id in ("resp_0", "resp_1"):
        with pytest.raises(ProviderRefusal) as caught:
            shelf.answer(call(id))
        assert caught.value.status == 404


def test_large_ones_take_the_place_of_many() -> None:
    shelf = Shelf()
    item: Json = {"text": "x" * (module.MAX_BYTES // 3)}
    for number in range(4):
        shelf.keep({"id": f"resp_{number}", "output": [item]}, [], [])
    assert shelf.history("resp_0") is None
    assert shelf.history("resp_3") == [item]


def test_a_deleted_one_is_gone_and_what_followed_it_goes_on() -> None:
    shelf = Shelf()
    first = asked(shelf, input="One.")
    second = asked(shelf, input="Two.", previous_response_id=first["id"])
    assert shelf.answer(call(first["id"], "DELETE"))["deleted"] is True
    third = asked(shelf, input=[{"role": "user", "content": "Three."}], previous_response_id=second["id"])
    history = shelf.history(third["id"])
    assert history is not None
    said = [item["content"][0]["text"] for item in history if item.get("role") == "user"]
    assert said == ["Two.", "Three."]


def test_items_are_listed_in_pages() -> None:
    shelf = Shelf()
    items = [{"role": "user", "content": str(number)} for number in range(25)]
    id = asked(shelf, input=items)["id"]

    def page(**query: str) -> tuple[list[str], Json]:
        found = shelf.answer(call(f"{id}/input_items", **query))
        return [item["content"][0]["text"] for item in found["data"]], found

    newest, listed = page()
    assert newest == [str(number) for number in range(24, 4, -1)]
    assert listed["has_more"] is True
    rest, last = page(after=listed["last_id"])
    assert rest == ["4", "3", "2", "1", "0"]
    assert last["has_more"] is False
    assert page(order="asc", limit="2")[0] == ["0", "1"]
    for wrong in ({"limit": "0"}, {"limit": "101"}, {"limit": "many"}, {"order": "up"}, {"after": "msg_x"}):
        with pytest.raises(InvalidValue) as caught:
            page(**wrong)
        assert caught.value.param in wrong


def test_events_come_again_after_the_one_that_was_seen() -> None:
    shelf = Shelf()
    made = Response(shelf, Question({"model": "m", "input": "Hello."}, "demo", 5))
    told = list(made.chunks())
    id = told[-1]["response"]["id"]
    assert list(shelf.events(call(id))) == told
    assert list(shelf.events(call(id, starting_after="4"))) == told[5:]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"text": {"format": {"type": "json_schema", "schema": {}}}}, "text.format.name"),
        ({"text": {"format": {"type": "yaml"}}}, "text.format.type"),
        ({"tools": [{"type": "function", "name": 5}]}, "tools[0].name"),
        ({"previous_response_id": "resp_x"}, "previous_response_id"),
    ],
)
def test_a_refusal_names_the_field_as_the_client_wrote_it(fields: Json, param: str) -> None:
    with pytest.raises(ProviderRefusal) as caught:
        asked(Shelf(), **fields)
    assert caught.value.param == param
    assert "max_tokens" not in caught.value.message
