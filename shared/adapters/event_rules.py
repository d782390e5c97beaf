"""What every event log asks of an event, so that local mode refuses what Azure would."""

from collections.abc import Sequence

from shared.errors import EventError, EventTooLarge
from shared.ports import Event

MAX_BODY_BYTES = 1_000_000
"""Event Hubs takes 1 MB with all that goes along (https://learn.microsoft.com/azure/event-hubs/event-hubs-quotas)."""
MAX_PROPERTY_BYTES = 16_384
"""Names and values of one event together, which leaves room for what the protocol adds."""


MAX_NUMBER = 2**31 - 1
"""Azure's client sends whole numbers in 32 bits, with a sign."""


def check_events(events: Sequence[Event]) -> None:
    """Raises `EventTooLarge`, and `EventError` for a property that cannot be sent."""
    for event in events:
        if len(event.body) > MAX_BODY_BYTES:
            raise EventTooLarge(f"An event's body has {len(event.body)} bytes; a hub takes {MAX_BODY_BYTES}.")
        size = sum(len(name.encode()) + len(str(value).encode()) for name, value in event.properties.items())
        if size + len(event.id.encode()) > MAX_PROPERTY_BYTES:
            raise EventTooLarge(f"An event's properties have {size} bytes; a hub takes {MAX_PROPERTY_BYTES}.")
        for name, value in event.properties.items():
            if isinstance(value, int) and not -MAX_NUMBER <= value <= MAX_NUMBER:
                raise EventError(f"The property {name} of an event is beyond 32 bits.")
