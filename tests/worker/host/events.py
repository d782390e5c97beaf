"""A batch of a hub's events, as the host's extension describes it to the worker.

The names are those of the binding contract of `EventHubTriggerBindingStrategy` (Azure/azure-sdk-for-net).
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from tests.worker.host.messages import CollectionBytes, TypedData


def batch(
    trigger: Mapping[str, Any], events: Sequence[Mapping[str, Any]]
) -> tuple[TypedData, dict[str, TypedData]]:
    """The bodies and the trigger's metadata. An event is `{body (base64), properties, sequence, enqueued_at}`."""
    context = {
        "FullyQualifiedNamespace": "name.servicebus.windows.net",
        "EventHubName": trigger["eventHubName"],
        "ConsumerGroup": trigger["consumerGroup"],
        "PartitionId": "3",
    }
    described: dict[str, Any] = {
        "PartitionContext": context,
        "TriggerPartitionContext": {"IsCheckpointingAfterInvocation": True, **context},
        "PartitionKeyArray": [None for _ in events],
        "OffsetArray": [str(event["sequence"] * 100) for event in events],
        "SequenceNumberArray": [event["sequence"] for event in events],
        "EnqueuedTimeUtcArray": [event["enqueued_at"] for event in events],
        "PropertiesArray": [event["properties"] for event in events],
        "SystemPropertiesArray": [
            {
                "SequenceNumber": event["sequence"],
                "Offset": str(event["sequence"] * 100),
                "PartitionKey": None,
                "EnqueuedTimeUtc": event["enqueued_at"],
            }
            for event in events
        ],
    }
    bodies = CollectionBytes(bytes=[base64.b64decode(event["body"]) for event in events])
    metadata = {name: TypedData(json=json.dumps(value)) for name, value in described.items()}
    return TypedData(collection_bytes=bodies), metadata
