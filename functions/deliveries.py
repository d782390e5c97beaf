"""A batch of events as Azure's host hands it to a function, read into what the core knows of an event."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import azure.functions as func

from shared.jobs.messages import Property, Received

_CONTEXTS = ("PartitionContext", "TriggerPartitionContext")


def received_events(hub: str, events: Sequence[func.EventHubEvent]) -> list[Received]:
    """The events in their order. What the host did not say of one is left open; it never raises for that.

    Each event of a batch carries the same description of all of them, in arrays
    (https://learn.microsoft.com/azure/azure-functions/functions-bindings-event-hubs-trigger).
    """
    described = _described(events)
    partition = next((text for name in _CONTEXTS if (text := _partition(described.get(name)))), "")
    return [
        Received(
            hub,
            partition,
            _sequence(_at(described, "SequenceNumberArray", index), event),
            _enqueued_at(_at(described, "EnqueuedTimeUtcArray", index), event),
            event.get_body(),
            _properties(_at(described, "PropertiesArray", index)),
        )
        for index, event in enumerate(events)
    ]


def _described(events: Sequence[func.EventHubEvent]) -> Mapping[str, Any]:
    for event in events:
        try:
            # Reading it parses what the host sent.
            found = event.metadata
        except ValueError:
            return {}
        return found or {}
    return {}


def _at(described: Mapping[str, Any], name: str, index: int) -> Any:
    array = described.get(name)
    return array[index] if isinstance(array, list) and index < len(array) else None


def _partition(context: Any) -> str:
    id = context.get("PartitionId") if isinstance(context, Mapping) else None
    return str(id) if isinstance(id, str | int) else ""


def _sequence(listed: Any, event: func.EventHubEvent) -> int | None:
    for value in (event.sequence_number, listed):
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def _enqueued_at(listed: Any, event: func.EventHubEvent) -> float:
    time: Any = event.enqueued_time
    if time is None and isinstance(listed, str):
        try:
            time = datetime.fromisoformat(listed)
        except ValueError:
            return 0.0
    if not isinstance(time, datetime):
        return 0.0
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()


def _properties(listed: Any) -> dict[str, Property]:
    if not isinstance(listed, Mapping):
        return {}
    return {
        str(name): value if isinstance(value, str | int | float | bool) else str(value)
        for name, value in listed.items()
        if value is not None
    }
