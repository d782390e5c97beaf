"""Runs Event Hub functions on the local log, with the batches that Azure's host would hand to them."""

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import azure.functions as func
from azure.functions.eventhub import EventHubTriggerConverter
from azure.functions.meta import Datum

from shared.clock import iso
from shared.devhost.functions import HubTarget
from shared.ports import EventLog, LoggedEvent, Subscription

FAREWELL = 3.0
"""Seconds that batches under way have to end once the host is asked to stop."""
NAMESPACE = "local"


class HubReaders:
    """One reader of a hub for each function, as a host has it. `farewell` is in seconds."""

    def __init__(
        self, log: EventLog, targets: Sequence[HubTarget], batch_size: int, farewell: float = FAREWELL
    ) -> None:
        self._log = log
        self._targets = targets
        self._batch_size = batch_size
        self._farewell = farewell
        self._subscriptions: list[Subscription] = []

    def start(self) -> None:
        self._subscriptions = [self._subscribe(target) for target in self._targets]

    async def stop(self) -> None:
        """What does not end in time comes again, to whoever reads the hub next."""
        closing = (subscription.close(self._farewell) for subscription in self._subscriptions)
        await asyncio.gather(*closing)
        self._subscriptions = []

    def _subscribe(self, target: HubTarget) -> Subscription:
        async def invoke(events: Sequence[LoggedEvent]) -> None:
            await target.function(**{target.argument: hub_events(target.hub, target.consumers, events)})

        return self._log.subscribe(
            target.hub,
            target.consumers,
            invoke,
            batch_size=self._batch_size,
            held=target.held,
            pause=target.pause,
        )


def hub_events(hub: str, consumers: str, events: Sequence[LoggedEvent]) -> list[func.EventHubEvent]:
    """The events as Azure's library makes them of what its host sends: each describes the whole batch."""
    context = {
        "FullyQualifiedNamespace": NAMESPACE,
        "EventHubName": hub,
        "ConsumerGroup": consumers,
        "PartitionId": str(events[0].partition),
    }
    times = [iso(event.enqueued_at) for event in events]
    numbers = [event.sequence for event in events]
    described: dict[str, Any] = {
        "PartitionContext": context,
        "TriggerPartitionContext": {**context, "IsCheckpointingAfterInvocation": True},
        "PartitionKeyArray": [None for _ in events],
        "OffsetArray": [str(number) for number in numbers],
        "SequenceNumberArray": numbers,
        "EnqueuedTimeUtcArray": times,
        "PropertiesArray": [dict(event.event.properties) for event in events],
        "SystemPropertiesArray": [
            {"SequenceNumber": number, "Offset": str(number), "PartitionKey": None, "EnqueuedTimeUtc": time}
            for number, time in zip(numbers, times, strict=True)
        ],
    }
    bodies = Datum(SimpleNamespace(bytes=[event.event.body for event in events]), "collection_bytes")
    metadata = {name: Datum(json.dumps(value), "json") for name, value in described.items()}
    return EventHubTriggerConverter.decode_multiple_events(bodies, metadata)
