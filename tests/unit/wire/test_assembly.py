"""A streamed answer put together is what the same call would have answered at once."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import Json
from shared.errors import ProxyError
from shared.wire.assembly import ChatAssembly, ResponseAssembly
from shared.wire.events import Event


def event(chunk: Json) -> Event:
    return Event(orjson.dumps(chunk), chunk)


def chunk(*choices: Json, **top: Any) -> Event:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-x"}
    return event({**head, **top, "choices": list(choices)})


def delta(index: int = 0, finish: str | None = None, **fields: Any) -> Json:
    return {"index": index, "delta": fields, "finish_reason": finish}


def assembled(*events: Event) -> Json:
    assembly = ChatAssembly()
    for one in events:
        assembly.note(one)
    return assembly.content


def test_text_is_joined_and_the_usage_is_kept() -> None:
    content = assembled(
        chunk(delta(role="assistant", content="")),
        chunk(delta(content="Hel")),
        chunk(delta(content="lo"), usage=None),
        chunk(delta(finish="stop")),
        chunk(usage={"prompt_tokens": 1, "completion_tokens": 2}),
    )
    assert content == {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-x",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2},
    }


def test_several_choices_keep_apart_and_come_in_their_order() -> None:
    content = assembled(
        chunk(delta(1, content="b")),
        chunk(delta(0, content="a")),
        chunk(delta(0, "stop"), delta(1, "length")),
    )
    told = [
        (choice["index"], choice["message"]["content"], choice["finish_reason"])
        for choice in content["choices"]
    ]
    assert told == [(0, "a", "stop"), (1, "b", "length")]


def test_tool_calls_grow_by_their_index() -> None:
    def call(index: int, arguments: str, **fields: Any) -> Json:
        name = {"name": fields.pop("name")} if "name" in fields else {}
        return {"index": index, **fields, "function": {**name, "arguments": arguments}}

    content = assembled(
        chunk(delta(tool_calls=[call(0, "", id="call_a", type="function", name="weather")])),
        chunk(delta(tool_calls=[call(0, '{"city":')])),
        chunk(delta(tool_calls=[call(1, "{}", id="call_b", type="function", name="time")])),
        chunk(delta(tool_calls=[call(0, '"Oslo"}', id="", type="function")])),
        chunk(delta(finish="tool_calls")),
    )
    assert content["choices"][0]["message"]["tool_calls"] == [
        {"id": "call_a", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Oslo"}'}},
        {"id": "call_b", "type": "function", "function": {"name": "time", "arguments": "{}"}},
    ]
    assert content["choices"][0]["message"]["content"] is None


def test_refusals_reasoning_and_fields_no_one_has_heard_of_stay() -> None:
    content = assembled(
        chunk(delta(reasoning_content="Th")),
        chunk(delta(reasoning_content="ink", refusal="N")),
        chunk(delta(refusal="o", provider_field={"a": 1}), citations=["x"]),
        chunk(delta(finish="stop")),
    )
    message = content["choices"][0]["message"]
    assert (message["reasoning_content"], message["refusal"]) == ("Think", "No")
    assert message["provider_field"] == {"a": 1}
    assert content["citations"] == ["x"]


def test_log_probabilities_go_on_from_chunk_to_chunk() -> None:
    first = {**delta(content="a"), "logprobs": {"content": [{"token": "a"}], "refusal": None}}
    second = {**delta(content="b"), "logprobs": {"content": [{"token": "b"}], "refusal": None}}
    content = assembled(chunk(first), chunk(second), chunk({**delta(finish="stop"), "logprobs": None}))
    assert content["choices"][0]["logprobs"] == {
        "content": [{"token": "a"}, {"token": "b"}],
        "refusal": None,
    }


def test_a_text_completion_is_put_together_too() -> None:
    content = assembled(
        event({"id": "1", "object": "text_completion", "choices": [{"index": 0, "text": "on"}]}),
        event(
            {
                "id": "1",
                "object": "text_completion",
                "choices": [{"index": 0, "text": "ce", "finish_reason": "stop"}],
            }
        ),
    )
    assert content["object"] == "text_completion"
    assert content["choices"] == [{"index": 0, "text": "once", "finish_reason": "stop"}]


def test_the_id_is_the_first_that_is_one() -> None:
    azure = event(
        {"id": "", "object": "", "model": "", "created": 0, "choices": [], "prompt_filter_results": []}
    )
    content = assembled(azure, chunk(delta(content="a")), chunk(delta(finish="stop"), id="another"))
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-x"}
    assert {name: content[name] for name in head} == head


def test_what_came_in_pieces_does_not_change_the_chunks() -> None:
    first = chunk(delta(content="a", tool_calls=[{"index": 0, "id": "c", "function": {"arguments": "{"}}]))
    second = chunk(delta(content="b", tool_calls=[{"index": 0, "function": {"arguments": "}"}}]))
    before = orjson.dumps([first.chunk, second.chunk])
    assert assembled(first, second)["choices"][0]["message"]["content"] == "ab"
    assert orjson.dumps([first.chunk, second.chunk]) == before


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(("index", "content", "function", "arguments", "id")), inner, max_size=3
        )
    ),
    max_leaves=6,
)
_CHOICE = st.dictionaries(
    st.sampled_from(("index", "delta", "text", "logprobs", "finish_reason")), _JSON, max_size=4
)
_DELTA = st.dictionaries(st.sampled_from(("role", "content", "tool_calls")), _JSON, max_size=3)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"choices": _JSON | st.lists(_CHOICE | _DELTA.map(lambda delta: {"index": 0, "delta": delta}))},
            optional={"id": _JSON, "object": _JSON, "usage": _JSON},
        ),
        max_size=5,
    )
)
def test_no_chunk_is_too_strange(chunks: list[Json]) -> None:
    written = orjson.dumps(assembled(*map(event, chunks)))
    assert isinstance(orjson.loads(written)["choices"], list)


def test_a_response_is_what_its_last_event_holds() -> None:
    assembly = ResponseAssembly()
    assembly.note(event({"type": "response.created", "response": {"id": "r", "status": "in_progress"}}))
    assembly.note(event({"type": "response.output_text.delta", "delta": "x"}))
    assembly.note(event({"type": "response.completed", "response": {"id": "r", "status": "completed"}}))
    assert assembly.content == {"id": "r", "status": "completed"}


def test_a_response_that_failed_is_an_error() -> None:
    failed = {"id": "r", "status": "failed", "error": {"code": "server_error", "message": "broke"}}
    with pytest.raises(ProxyError, match="broke"):
        ResponseAssembly().note(event({"type": "response.failed", "response": failed}))
