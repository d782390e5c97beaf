"""Realtime on the wire: the model in a body, the offer, and the sum of what responses used."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from shared.errors import InvalidRequest
from shared.wire.realtime import Tally, model_at, read_offer, secret_model_path, with_model
from shared.wire.usage import Usage

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.text(max_size=5),
    lambda inner: (
        some.lists(inner, max_size=3)
        | some.dictionaries(
            some.sampled_from(["session", "model", "type", "audio", "input"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


def done(**usage: Any) -> str:
    return json.dumps({"type": "response.done", "response": {"usage": usage}})


def test_what_the_responses_report_is_added_up() -> None:
    tally = Tally()
    tally.note(done(input_tokens=10, output_tokens=4, input_token_details={"cached_tokens": 6}))
    tally.note('{"type": "response.output_text.delta", "delta": "the event \\"response.done\\""}')
    tally.note(b'{"type": "response.done"}')
    tally.note(done(input_tokens=1, output_tokens=2, output_token_details={"reasoning_tokens": 1}))
    assert tally.usage == Usage(prompt=11, completion=6, cached=6, reasoning=1)


def test_without_a_report_there_is_no_usage() -> None:
    tally = Tally()
    tally.note('not JSON, but with "response.done" in it')
    tally.note('{"type": "response.done"}')
    tally.note('{"type": "response.done", "response": {"usage": null}}')
    tally.note('["response.done"]')
    assert tally.usage is None


@given(some.dictionaries(some.sampled_from(["session", "model", "type", "audio"]), JSON, max_size=4))
def test_a_model_that_was_put_in_is_found_there_and_the_body_is_left_alone(body: dict[str, Any]) -> None:
    before = json.dumps(body)
    path = secret_model_path(body)
    assert model_at(with_model(body, path, "gpt-realtime"), path) == "gpt-realtime"
    assert json.dumps(body) == before


@given(some.dictionaries(some.sampled_from(["session", "model"]), JSON, max_size=2))
def test_no_body_makes_the_search_for_a_model_fail_otherwise_than_with_400(body: dict[str, Any]) -> None:
    try:
        named = model_at(body, secret_model_path(body))
    except InvalidRequest:
        return
    assert named is None or isinstance(named, str)


@given(JSON, JSON)
def test_no_offer_fails_otherwise_than_with_400(sdp: Any, session: Any) -> None:
    try:
        offer = read_offer(sdp, session)
    except InvalidRequest:
        return
    assert offer.sdp == sdp
    assert isinstance(offer.session, dict)


def test_a_session_may_be_json_an_object_or_left_out() -> None:
    assert read_offer("v=0", '{"model": "m"}').session == {"model": "m"}
    assert read_offer("v=0", {"model": "m"}).session == {"model": "m"}
    assert read_offer("v=0", None).session == {}
    with pytest.raises(InvalidRequest):
        read_offer("v=0", "")
