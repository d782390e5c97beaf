"""Our ids in the place of the provider's: in answers, events and errors, and nowhere else."""

from dataclasses import dataclass
from typing import Any, cast

import orjson
import pytest

from shared import Json
from shared.catalog.documents import Model
from shared.errors import InvalidProviderResponse, ProviderServerError
from shared.providers.calls import Answer
from shared.responses.labels import PREFIX, ResponseLabels
from shared.signed_ids import Signer
from shared.wire.events import Event

SIGNER = Signer("key")


@dataclass
class Named:
    id: str


MODEL, OTHER = cast(Model, Named("m")), cast(Model, Named("n"))


def labels() -> ResponseLabels:
    return ResponseLabels(SIGNER, "p", {("m", "resp_0"): "resp_ours"})


def answer(content: Json) -> Answer:
    return Answer(orjson.dumps(content), content)


def test_an_answer_says_where_it_lies() -> None:
    content = {
        "id": "resp_1",
        "object": "response",
        "previous_response_id": "resp_0",
        "output": [{"id": "msg_1"}],
    }
    shown = labels().answer(answer(content), MODEL)
    assert SIGNER.read(PREFIX, shown.content["id"], "p") == ("m", "resp_1")
    assert shown.content == {**content, "id": shown.content["id"], "previous_response_id": "resp_ours"}
    assert orjson.loads(shown.body) == shown.content


def test_words_that_mention_the_id_stay() -> None:
    text = 'The id is "resp_1", or so.'
    content = {
        "id": "resp_1",
        "object": "response",
        "output": [{"text": text, "arguments": '{"id":"resp_1"}'}],
    }
    shown = labels().answer(answer(content), MODEL)
    assert orjson.loads(shown.body)["output"] == content["output"]


def test_an_id_written_with_escapes_is_found_too() -> None:
    body = b'{"id":"resp\\u005f1","object":"response"}'
    shown = labels().answer(Answer(body, orjson.loads(body)), MODEL)
    assert b"005f" not in shown.body
    assert SIGNER.read(PREFIX, orjson.loads(shown.body)["id"], "p") == ("m", "resp_1")


@pytest.mark.parametrize(
    "content", [{"object": "list", "first_id": "msg_1"}, {"object": "response"}, {"id": 5}]
)
def test_what_holds_no_id_of_a_response_stays_as_it_is(content: Json) -> None:
    given = answer(content)
    assert labels().answer(given, MODEL) is given


@pytest.mark.parametrize("name", ["response", "response_id"])
def test_events_carry_the_same_id_as_the_answer(name: str) -> None:
    value: Any = {"id": "resp_1", "previous_response_id": "resp_0"} if name == "response" else "resp_1"
    chunk = {"type": "x", name: value}
    shown = labels().event(Event(orjson.dumps(chunk), chunk, b"x"), MODEL)
    told = shown.chunk[name]["id"] if name == "response" else shown.chunk[name]
    assert told == SIGNER.sign(PREFIX, ("m", "resp_1"), "p")
    assert orjson.loads(shown.data) == shown.chunk
    assert shown.name == b"x"


def test_an_event_without_one_is_not_written_anew() -> None:
    chunk = {"type": "response.output_text.delta", "delta": "a", "item_id": "msg_1"}
    event = Event(b'{"as": "it came"}', chunk)
    assert labels().event(event, MODEL) is event


def test_the_same_id_at_two_providers_is_two() -> None:
    both = labels()
    ids = {both.answer(answer({"id": "resp_1"}), model).content["id"] for model in (MODEL, OTHER)}
    assert len(ids) == 2


def test_an_endless_id_is_no_id() -> None:
    with pytest.raises(InvalidProviderResponse):
        labels().answer(answer({"id": "x" * 5000}), MODEL)


def test_an_error_names_what_the_client_knows() -> None:
    error = ProviderServerError("There is no resp_0.")
    labels().error(error)
    assert error.message == "There is no resp_ours."
