"""A chat told as a response: the events add up to the whole, whatever the chat said."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import Json
from shared.errors import InvalidRequest
from shared.responses.bridge import Bridge, responses_usage
from shared.responses.chat import chat_request
from shared.responses.writer import response_head

HEAD = response_head({"instructions": "Be brief."}, "resp_1", "m", 5)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
DELTAS = st.lists(
    st.one_of(
        st.builds(lambda text: {"content": text}, st.text(min_size=1, max_size=5)),
        st.builds(lambda text: {"refusal": text}, st.text(min_size=1, max_size=5)),
        st.builds(lambda text: {"reasoning_content": text}, st.text(min_size=1, max_size=5)),
        st.builds(
            lambda index, text: {
                "tool_calls": [{"index": index, "function": {"name": "f", "arguments": text}}]
            },
            st.integers(0, 2),
            st.text(max_size=5),
        ),
    ),
    max_size=12,
)


def told(deltas: list[Json], finish_reason: str = "stop") -> tuple[list[Json], Bridge]:
    bridge = Bridge(HEAD)
    events = bridge.begin()
    for delta in deltas:
        events += bridge.chunk({"choices": [{"index": 0, "delta": delta}]})
    events += bridge.chunk({"choices": [{"index": 0, "delta": {}, "finish_reason": finish_reason}]})
    return events + bridge.end(), bridge


@given(DELTAS)
def test_the_events_add_up_to_the_response(deltas: list[Json]) -> None:
    events, bridge = told(deltas)
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    items: dict[int, Json] = {}
    texts: dict[int, str] = {}
    for event in events:
        index: int = event.get("output_index", -1)
        if event["type"] == "response.output_item.added":
            assert index == len(items)
            items[index] = event["item"]
        elif event["type"].endswith(".delta"):
            assert event["item_id"] == items[index]["id"]
            texts[index] = texts.get(index, "") + event["delta"]
        elif event["type"].endswith(("text.done", "refusal.done", "arguments.done")):
            said = event.get("text", event.get("refusal", event.get("arguments")))
            assert said == texts.get(index, "")
        elif event["type"] == "response.output_item.done":
            items[index] = event["item"]
    assert [items[index] for index in sorted(items)] == bridge.response["output"]
    said = "".join(delta.get("content", "") for delta in deltas)
    written = "".join(
        part.get("text", "")
        for item in bridge.response["output"]
        if item["type"] == "message"
        for part in item["content"]
    )
    assert written == said


@pytest.mark.parametrize(
    ("finish_reason", "status", "reason"),
    [
        ("stop", "completed", None),
        ("tool_calls", "completed", None),
        ("length", "incomplete", "max_output_tokens"),
        ("content_filter", "incomplete", "content_filter"),
    ],
)
def test_why_a_chat_ended_is_the_status(finish_reason: str, status: str, reason: str | None) -> None:
    events, bridge = told([{"content": "a"}], finish_reason)
    assert events[-1]["type"] == f"response.{status}"
    assert bridge.response["status"] == bridge.response["output"][0]["status"] == status
    assert bridge.response["incomplete_details"] == ({"reason": reason} if reason else None)


def test_calls_that_are_written_at_once_keep_apart() -> None:
    def part(index: int, **fields: Any) -> Json:
        return {"tool_calls": [{"index": index, **fields}]}

    _, bridge = told(
        [
            part(0, id="a", function={"name": "one", "arguments": ""}),
            part(1, id="b", function={"name": "two", "arguments": "{"}),
            part(0, function={"arguments": "{}"}),
            part(1, function={"arguments": "}"}),
        ]
    )
    shown = [(item["call_id"], item["name"], item["arguments"]) for item in bridge.response["output"]]
    assert shown == [("a", "one", "{}"), ("b", "two", "{}")]


def test_usage_is_told_in_the_words_of_responses() -> None:
    assert responses_usage(None) is None
    chat = {
        "prompt_tokens": 5,
        "completion_tokens": 7,
        "prompt_tokens_details": {"cached_tokens": 2},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }
    assert responses_usage(chat) == {
        "input_tokens": 5,
        "input_tokens_details": {"cached_tokens": 2},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 3},
        "total_tokens": 12,
    }


def test_calls_of_tools_belong_to_the_message_before_them() -> None:
    calls = [
        {"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"}
        for id in ("call_1", "call_2")
    ]
    results = [{"type": "function_call_output", "call_id": id, "output": "x"} for id in ("call_1", "call_2")]
    said = {"role": "assistant", "content": [{"type": "output_text", "text": "One moment."}]}
    messages = chat_request({"input": [said, *calls, *results, {"role": "developer", "content": "y"}]}).body[
        "messages"
    ]
    assert [message["role"] for message in messages] == ["assistant", "tool", "tool", "system"]
    assert messages[0]["content"] == "One moment."
    assert [call["id"] for call in messages[0]["tool_calls"]] == ["call_1", "call_2"]


def test_what_says_nothing_is_not_told_as_dropped() -> None:
    request = chat_request(
        {
            "input": "x",
            "truncation": "disabled",
            "store": False,
            "include": [],
            "tools": [],
            "tool_choice": "auto",
            "text": {"format": {"type": "text"}},
            "background": False,
            "max_tool_calls": None,
        }
    )
    assert request.dropped == []
    assert request.body == {"messages": [{"role": "user", "content": "x"}]}


@given(
    st.dictionaries(
        st.sampled_from(
            ["input", "instructions", "tools", "tool_choice", "text", "reasoning", "include", "top_k"]
        ),
        JSON,
    )
)
def test_no_request_is_too_strange(body: Json) -> None:
    with suppress(InvalidRequest):
        assert isinstance(chat_request(body).body["messages"], list)
