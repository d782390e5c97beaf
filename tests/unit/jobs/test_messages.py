"""Events of a jobs hub: what each is taken for, whatever it holds."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.jobs.ids import JOB_ID
from shared.jobs.job import Job, JobOptions
from shared.jobs.messages import Cancel, Direct, Malformed, Message, Reason, Received, Wake, read_message
from shared.jobs.wakeups import wakeup

NAMESPACE = "name.servicebus.windows.net"
QUESTION = {"model": "m", "messages": [{"role": "user", "content": "Hello"}]}


def received(body: Any, **more: Any) -> Received:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    place: dict[str, Any] = {
        "hub": "chat-jobs",
        "partition": "3",
        "sequence": 7,
        "enqueued_at": 1_800_000_000.5,
    }
    return Received(**{**place, "body": data, **more})


def read(body: Any, **more: Any) -> Message:
    return read_message(received(body, **more), NAMESPACE)


def direct(body: Any, **more: Any) -> Direct:
    message = read(body, **more)
    assert isinstance(message, Direct)
    return message


def malformed(body: Any) -> Malformed:
    message = read(body)
    assert isinstance(message, Malformed)
    return message


def test_a_published_wake_up_is_read_as_one() -> None:
    job = Job("job_1", "team", "k", "ChatCompletion", "m", "f", JobOptions(priority=2), 0.0)
    event = wakeup(job)
    message = read(event.body, properties=event.properties)
    assert isinstance(message, Wake)
    assert (message.id, message.project, message.priority) == ("job_1", "team", 2)


def test_a_message_that_runs_and_has_a_body_is_a_job_of_its_own() -> None:
    message = direct({"action": "run", "execution_id": "a", "project_id": "team", **QUESTION})
    assert message.body == QUESTION
    assert message.fault is None


@pytest.mark.parametrize("id_field", ["execution_id", "request_id"])
def test_a_cancellation_names_its_job(id_field: str) -> None:
    message = read({"action": "cancel", id_field: "a", "project_id": "team"})
    assert isinstance(message, Cancel)
    assert (message.id, message.project) == ("a", "team")


@pytest.mark.parametrize(
    "body",
    [
        {"project_id": "team", "execution_id": "a", **QUESTION},
        {"project_id": "team", "request_id": "a", "payload": QUESTION},
        {"project_id": "team", "execution_id": "a", "request_params": QUESTION},
        {"payload": {"project_id": "team", "request_id": "a", **QUESTION}},
        {"project_id": "team", "execution_id": "a", "request_id": "a", "payload": None, **QUESTION},
        {
            "project_id": "team",
            "payload": {"execution_id": "a", "messages": QUESTION["messages"]},
            "model": "m",
        },
    ],
)
def test_a_body_lies_at_the_top_or_inside(body: Any) -> None:
    message = direct(body)
    assert (message.id, message.project, message.body) == ("a", "team", QUESTION)
    assert message.fault is None


def test_a_message_without_an_id_gets_one_from_where_it_lies() -> None:
    body = {"project_id": "team", **QUESTION}
    first = direct(body)
    assert JOB_ID.fullmatch(first.id)
    assert direct(body).id == first.id
    others = [
        direct(body, **place).id
        for place in ({"hub": "x"}, {"partition": "4"}, {"sequence": 8}, {"enqueued_at": 1_800_000_001.5})
    ]
    assert len({first.id, *others}) == 5
    elsewhere = read_message(received(body), "other.servicebus.windows.net")
    assert isinstance(elsewhere, Direct)
    assert elsewhere.id != first.id


def test_messages_whose_place_is_not_known_are_told_apart_by_what_they_hold() -> None:
    one = {"project_id": "team", **QUESTION}
    other = {**one, "model": "other"}
    nowhere: dict[str, Any] = {"sequence": None, "enqueued_at": 0.0}
    assert direct(one, **nowhere).id == direct(one, **nowhere).id != direct(other, **nowhere).id


def test_what_was_put_back_twice_has_one_id_wherever_it_lies() -> None:
    body = {"project_id": "team", **QUESTION}
    again = {"dead_letter_id": "1800000000500-aa"}
    first, second = direct(body, properties=again), direct(body, properties=again, sequence=99, partition="0")
    assert first.id == second.id != direct(body).id


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe{}", b"not json", b"[]", b'"text"', b"null", b"12", b'{"a": NaN}']
)
def test_what_is_no_json_object_is_a_dead_letter(body: bytes) -> None:
    assert malformed(body).reason is Reason.NOT_JSON


@pytest.mark.parametrize(
    "project", [None, "", 12, True, ["team"], {"id": "team"}, "x" * 129, "a\nb", "a\u0000"]
)
def test_a_project_that_is_none_is_a_dead_letter(project: Any) -> None:
    assert malformed({"project_id": project, "execution_id": "a", **QUESTION}).reason is Reason.NO_PROJECT
    assert (
        malformed({"project_id": project, "execution_id": "a", "action": "cancel"}).reason
        is Reason.NO_PROJECT
    )


def test_a_message_without_a_project_or_with_two_is_a_dead_letter() -> None:
    assert malformed(QUESTION).reason is Reason.NO_PROJECT
    two = {"project_id": "team", "payload": {"project_id": "other", **QUESTION}}
    assert malformed(two).reason is Reason.NO_PROJECT


@pytest.mark.parametrize("id", ["", "a b", "a/b", "ä", "x" * 129, 12, True, ["a"], {"a": 1}, "a\n"])
def test_an_id_that_is_none_is_a_dead_letter(id: Any) -> None:
    assert malformed({"project_id": "team", "execution_id": id, **QUESTION}).reason is Reason.BAD_ID
    assert (
        malformed({"project_id": "team", "payload": {"request_id": id, **QUESTION}}).reason is Reason.BAD_ID
    )


def test_two_ids_are_a_dead_letter_and_so_is_a_cancellation_without_one() -> None:
    two = {"project_id": "team", "execution_id": "a", "request_id": "b", **QUESTION}
    assert malformed(two).reason is Reason.BAD_ID
    apart = {"project_id": "team", "execution_id": "a", "payload": {"execution_id": "b", **QUESTION}}
    assert malformed(apart).reason is Reason.BAD_ID
    assert malformed({"project_id": "team", "action": "cancel"}).reason is Reason.BAD_ID


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"payload": "text"}, "payload"),
        ({"request_params": [1]}, "request_params"),
        ({"payload": QUESTION, "request_params": QUESTION}, "payload"),
        ({"payload": QUESTION, "request_params": "text"}, "request_params"),
        ({"payload": QUESTION, "model": "other"}, "model"),
        ({"action": "start", **QUESTION}, "action"),
        ({"action": ["run"], **QUESTION}, "action"),
        ({"action": "run", "payload": {"action": "cancel", **QUESTION}}, "action"),
    ],
)
def test_a_message_that_cannot_be_understood_is_still_a_job(body: Any, param: str) -> None:
    message = direct({"project_id": "team", "execution_id": "a", **body})
    assert message.id == "a"
    assert message.fault is not None
    assert message.fault.param == param


@pytest.mark.parametrize(
    ("properties", "body", "priority"),
    [
        ({"priority": 1}, {"priority": 9}, 1),
        ({"priority": "2"}, {}, 2),
        ({}, {"priority": 9}, 9),
        ({}, {"payload": {"priority": 8}}, 8),
        ({"priority": 99}, {"priority": 3}, 3),
        ({"priority": True}, {"priority": [1]}, 5),
        ({}, {"priority": "high"}, 3),
        ({"priority": "low"}, {"priority": 1}, 8),
        ({"priority": "³"}, {}, 5),
        ({}, {}, 5),
    ],
)
def test_the_events_properties_order_a_batch_and_else_the_body(
    properties: Any, body: Any, priority: int
) -> None:
    assert direct({"project_id": "team", **body}, properties=properties).priority == priority


def test_a_large_message_is_read() -> None:
    large = {"project_id": "team", "model": "m", "messages": [{"role": "user", "content": "x" * 1_000_000}]}
    assert len(direct(large).body["messages"][0]["content"]) == 1_000_000


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["cancel", "run", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    ["action", "project_id", "execution_id", "request_id", "priority", "payload", "request_params"]
)


@given(st.binary(max_size=50) | st.dictionaries(NAMES, VALUES).map(lambda body: json.dumps(body).encode()))
def test_whatever_comes_is_one_of_the_four(body: bytes) -> None:
    message = read(body)
    if not isinstance(message, Malformed):
        assert JOB_ID.fullmatch(message.id)
        assert 0 < len(message.project) <= 128
