"""What is read of a stream of typed events: when it commits, when it is whole, what it used."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared import Json
from shared.errors import ProviderRefusal, ProviderServerError, ProviderTimeout, ProxyError
from shared.responses.reading import ResponsesReading, error_event
from shared.wire.events import Event

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def event(type: Any, **fields: Any) -> Event:
    chunk: Json = {"type": type, **fields}
    return Event(orjson.dumps(chunk), chunk, str(type).encode())


@pytest.mark.parametrize(
    ("said", "commits"),
    [
        (event("response.created", response={}), False),
        (event("response.queued", response={}), False),
        (event("response.in_progress", response={}), False),
        (event("response.output_item.added", item={"type": "message"}), False),
        (event("response.output_item.added", item={"type": "reasoning"}), False),
        (event("response.content_part.added", part={}), False),
        (event("response.output_text.delta", delta=""), False),
        (event(None), False),
        (event("response.output_text.delta", delta="a"), True),
        (event("response.refusal.delta", delta="a"), True),
        (event("response.reasoning_summary_text.delta", delta="a"), True),
        (event("response.reasoning_text.delta", delta="a"), True),
        (event("response.function_call_arguments.delta", delta="{"), True),
        (event("response.output_item.added", item={"type": "function_call"}), True),
        (event("response.output_item.added", item={"type": "web_search_call"}), True),
        (event("response.image_generation_call.partial_image", partial_image_b64="x"), True),
        (event("response.completed", response={}), True),
        (event("response.incomplete", response={}), True),
        (event("response.of_a_kind_to_come"), True),
    ],
)
def test_what_carries_something_commits(said: Event, commits: bool) -> None:
    assert ResponsesReading({}).carries(said) is commits


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"code": "server_error", "message": "x"}, ProviderServerError, 502),
        ({"code": "rate_limit_exceeded", "message": "x"}, ProviderRefusal, 429),
        ({"code": "invalid_prompt", "message": "x"}, ProviderRefusal, 400),
        ({"code": "image_too_large", "message": "x"}, ProviderRefusal, 400),
        (None, ProviderServerError, 502),
        ("broken", ProviderServerError, 502),
    ],
)
def test_a_response_that_failed_at_once_is_an_error(error: Any, kind: type[ProxyError], status: int) -> None:
    with pytest.raises(kind) as caught:
        ResponsesReading({}).carries(event("response.failed", response={"error": error}))
    assert caught.value.status == status


def test_only_the_event_that_ends_it_makes_it_whole() -> None:
    reading = ResponsesReading({})
    for said in (event("response.created"), event("response.output_text.delta", delta="abcd")):
        reading.note(said)
        assert not reading.complete(marked=True)
    usage = {"input_tokens": 5, "output_tokens": 7, "input_tokens_details": {"cached_tokens": 2}}
    reading.note(event("response.completed", response={"usage": usage}))
    assert reading.complete(marked=False)
    assert reading.ending == b""
    assert reading.complete(marked=True)
    assert reading.ending == b"data: [DONE]\n\n"
    used = reading.usage()
    assert used is not None
    assert (used.prompt, used.completion, used.cached) == (5, 7, 2)
    assert reading.characters == 4


def test_text_is_counted_once_and_sound_not_at_all() -> None:
    reading = ResponsesReading({})
    reading.note(event("response.audio.delta", delta="AAAA"))
    reading.note(event("response.output_text.delta", delta="abcd"))
    output = [{"type": "message", "content": [{"type": "output_text", "text": "abcd"}]}]
    reading.note(event("response.completed", response={"output": output}))
    assert reading.characters == 4
    assert reading.usage() is None


def test_an_error_has_the_number_after_the_last() -> None:
    reading = ResponsesReading({})
    reading.note(event("response.created", sequence_number=41))
    name, data = error_event(ProviderTimeout("Too slow."), reading).split(b"\n")[:2]
    assert name == b"event: error"
    assert orjson.loads(data.removeprefix(b"data: ")) == {
        "type": "error",
        "code": "provider_timeout",
        "message": "Too slow.",
        "param": None,
        "sequence_number": 42,
    }


@given(st.dictionaries(st.sampled_from(["type", "response", "item", "delta", "sequence_number"]), JSON), JSON)
def test_no_event_is_too_strange(chunk: Json, response: Any) -> None:
    reading = ResponsesReading({})
    for kind in (chunk.get("type"), "response.completed", "response.output_item.added", "x.delta"):
        said = event(kind, **{**{k: v for k, v in chunk.items() if k != "type"}, "response": response})
        reading.note(said)
        assert reading.carries(said) in (True, False)
        assert reading.shown(said).endswith(b"\n\n")
