"""Functions that read hubs: what the local host hands to them, and what it does when they fail."""

import asyncio
import json
import typing
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import azure.functions as func
import pytest
from azure.functions.meta import Datum

from functions.deliveries import received_events
from shared.adapters.local_events import LocalEvents
from shared.devhost.events import HubReaders, hub_events
from shared.devhost.functions import HubTarget, read_functions
from shared.ports import Event, LoggedEvent

HUB = "jobs"
Handler = typing.Callable[[typing.List[func.EventHubEvent]], typing.Awaitable[None]]  # noqa: UP006


def logged(*bodies: bytes, **properties: Any) -> list[LoggedEvent]:
    return [
        LoggedEvent(2, number, 1_800_000_000.25 + number, Event(f"e{number}", body, properties))
        for number, body in enumerate(bodies)
    ]


def app_with(handler: Handler, *, retries: str | None = None, **trigger: Any) -> func.FunctionApp:
    app = func.FunctionApp()
    if retries is not None:
        handler = app.retry(strategy="fixed_delay", max_retry_count=retries, delay_interval="00:00:00.01")(
            handler
        )
    binding = {"cardinality": func.Cardinality.MANY, "data_type": func.DataType.BINARY, **trigger}
    app.event_hub_message_trigger(arg_name="events", connection="Hubs", event_hub_name=HUB, **binding)(
        handler
    )
    return app


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[LocalEvents]:
    log = LocalEvents(tmp_path / "events.sqlite3", partitions=1)
    yield log
    await log.close()


async def reading(log: LocalEvents, targets: Sequence[HubTarget], batch_size: int = 8) -> HubReaders:
    readers = HubReaders(log, targets, batch_size, 0.05)
    readers.start()
    return readers


# What a batch looks like


def test_an_event_says_where_it_lies_and_what_came_with_it() -> None:
    events = hub_events(HUB, "group", logged(b"one", b"\xff", priority=3, urgent=True, by="größe"))
    assert [type(event) for event in events] == [func.EventHubEvent, func.EventHubEvent]
    found = received_events(HUB, events)
    assert [(event.hub, event.partition, event.sequence, event.body) for event in found] == [
        (HUB, "2", 0, b"one"),
        (HUB, "2", 1, b"\xff"),
    ]
    assert [event.enqueued_at for event in found] == [1_800_000_000.25, 1_800_000_001.25]
    assert found[1].properties == {"priority": 3, "urgent": True, "by": "größe"}


def test_what_a_host_leaves_out_is_left_open() -> None:
    (found,) = received_events(HUB, [func.EventHubEvent(body=b"{}")])
    assert (found.partition, found.sequence, found.enqueued_at, found.properties) == ("", None, 0.0, {})


ODD: list[dict[str, Any]] = [
    {"PropertiesArray": [[1], None, "x"]},
    {"PropertiesArray": {"a": 1}, "SequenceNumberArray": 4, "PartitionContext": "2"},
    {"PropertiesArray": [], "PartitionContext": {}, "TriggerPartitionContext": None},
    {"EnqueuedTimeUtcArray": ["never", 7, None], "SequenceNumberArray": ["1", True, None]},
]


@pytest.mark.parametrize("metadata", ODD)
def test_odd_descriptions_cost_no_event(metadata: dict[str, Any]) -> None:
    events = [event_with(metadata) for _ in range(3)]
    found = received_events(HUB, events)
    assert [event.body for event in found] == [b"{}"] * 3
    assert {(event.partition, event.sequence, event.enqueued_at) for event in found} == {("", None, 0.0)}


def test_descriptions_that_are_no_json_cost_no_event() -> None:
    event = func.EventHubEvent(body=b"{}", trigger_metadata={"PropertiesArray": Datum("no json", "json")})
    assert received_events(HUB, [event])[0].properties == {}


def event_with(metadata: dict[str, Any]) -> func.EventHubEvent:
    described = {name: Datum(json.dumps(value), "json") for name, value in metadata.items()}
    return func.EventHubEvent(body=b"{}", trigger_metadata=described)


def test_the_arrays_serve_where_the_event_itself_says_nothing() -> None:
    metadata = {
        "TriggerPartitionContext": {"PartitionId": 7},
        "SequenceNumberArray": [41],
        "EnqueuedTimeUtcArray": ["2027-01-15T08:00:00.5"],
        "PropertiesArray": [{"a": None, "b": [1], "c": 1.5}],
    }
    (found,) = received_events(HUB, [event_with(metadata)])
    assert (found.partition, found.sequence, found.enqueued_at) == ("7", 41, 1_800_000_000.5)
    assert found.properties == {"b": "[1]", "c": 1.5}


# What the host does


def test_a_function_is_read_with_its_hub_its_group_and_its_patience() -> None:
    async def run(events: typing.List[func.EventHubEvent]) -> None: ...  # noqa: UP006

    (target,) = read_functions(app_with(run, consumer_group="mine", retries="-1"), "").hubs
    assert (target.name, target.hub, target.consumers) == ("run", HUB, "mine")
    assert (target.held, target.pause) == (True, 0.01)
    (target,) = read_functions(app_with(run, retries="3"), "").hubs
    assert (target.consumers, target.held) == ("$Default", False)


def test_a_function_that_takes_events_singly_is_refused() -> None:
    async def run(event: func.EventHubEvent) -> None: ...

    with pytest.raises(ValueError, match="run"):
        read_functions(app_with(typing.cast(Handler, run), cardinality=func.Cardinality.ONE), "")


async def test_a_function_gets_batches_of_the_size_that_was_asked_for(log: LocalEvents) -> None:
    sizes: list[int] = []
    done = asyncio.Event()

    async def run(events: typing.List[func.EventHubEvent]) -> None:  # noqa: UP006
        sizes.append(len(events))
        if sum(sizes) == 10:
            done.set()

    await log.publish(HUB, [Event("e", b"{}") for _ in range(10)])
    readers = await reading(log, read_functions(app_with(run), "").hubs, 4)
    async with asyncio.timeout(10):
        await done.wait()
    await readers.stop()
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize(("retries", "runs"), [(None, 1), ("-1", 3)])
async def test_a_batch_that_fails_comes_again_only_with_a_retry_policy_without_end(
    log: LocalEvents, retries: str | None, runs: int
) -> None:
    seen: list[bytes] = []
    done = asyncio.Event()

    async def run(events: typing.List[func.EventHubEvent]) -> None:  # noqa: UP006
        seen.append(events[0].get_body())
        if seen[-1] == b"last":
            done.set()
        elif len(seen) < 3:
            raise RuntimeError

    await log.publish(HUB, [Event("e", b"first"), Event("e", b"last")])
    readers = await reading(log, read_functions(app_with(run, retries=retries), "").hubs, 1)
    async with asyncio.timeout(10):
        await done.wait()
    await readers.stop()
    assert seen == [b"first"] * runs + [b"last"]


async def test_what_does_not_end_with_the_host_comes_to_the_next(log: LocalEvents) -> None:
    began: asyncio.Queue[bytes] = asyncio.Queue()
    stuck = True

    async def run(events: typing.List[func.EventHubEvent]) -> None:  # noqa: UP006
        began.put_nowait(events[0].get_body())
        if stuck:
            await asyncio.Event().wait()

    targets = read_functions(app_with(run), "").hubs
    await log.publish(HUB, [Event("e", b"first")])
    async with asyncio.timeout(10):
        for _ in range(2):
            readers = await reading(log, targets)
            assert await began.get() == b"first"
            await readers.stop()
            stuck = False
        readers = await reading(log, targets)
        await log.publish(HUB, [Event("e", b"second")])
        assert await began.get() == b"second"
        await readers.stop()
