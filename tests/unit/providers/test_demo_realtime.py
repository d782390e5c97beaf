"""The demo model's realtime session: real events in the order of OpenAI's, and none that it cannot keep up with."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as some

from shared.catalog.documents import Model, parse_document
from shared.devhost.demo_models import demo_models
from shared.providers.demo.realtime import DemoSession
from shared.realtime.relay import Closed


def session() -> DemoSession:
    body = next(body for body in demo_models() if body["id"] == "demo-realtime")
    model, _ = parse_document(body, strict=True)
    assert isinstance(model, Model)
    return DemoSession(model)


async def told(running: DemoSession, *events: Any) -> list[Any]:
    """What the model says to these events, greeting included."""
    for event in events:
        await running.send(json.dumps(event))
    found = []
    while not running._events.empty():
        frame = await running.receive()
        assert not isinstance(frame, Closed)
        found.append(json.loads(frame))
    return found


async def test_a_response_comes_in_the_order_of_openais_events() -> None:
    text = [{"type": "input_text", "text": "How are you?"}]
    item = {"type": "message", "role": "user", "content": text}
    events = await told(
        session(), {"type": "conversation.item.create", "item": item}, {"type": "response.create"}
    )
    kinds = list(dict.fromkeys(event["type"] for event in events))
    assert kinds == [
        "session.created",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
    ]
    answer = next(event["text"] for event in events if event["type"] == "response.output_text.done")
    assert "How are you?" in answer
    assert "".join(event.get("delta", "") for event in events) == answer
    assert events[-1]["response"]["usage"]["output_tokens"] > 0
    assert len({event["event_id"] for event in events}) == len(events)


async def test_what_it_does_not_know_is_an_error_event() -> None:
    unknown: list[Any] = [
        {"type": "nothing"},
        {"type": "session.update"},
        {"type": "conversation.item.create"},
        [],
        5,
    ]
    for event in unknown:
        assert [event["type"] for event in await told(session(), event)] == ["session.created", "error"]


async def test_the_model_cannot_be_changed() -> None:
    change = {"type": "session.update", "session": {"model": "another"}}
    assert (await told(session(), change))[1]["error"][
        "message"
    ] == "The model of a session cannot be changed."


@given(some.lists(some.text(max_size=30) | some.binary(max_size=30), max_size=10))
async def test_no_frame_breaks_a_session(frames: list[Any]) -> None:
    running = session()
    for frame in frames:
        await running.send(frame)
    assert len(await told(running)) == 1 + len(frames)
