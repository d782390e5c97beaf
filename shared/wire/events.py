"""Events of a stream, and what every operation's stream must be able to tell of itself."""

from typing import NamedTuple, Protocol

from shared import Json
from shared.wire.usage import Usage


class Event(NamedTuple):
    """One event of a stream: `data` is its JSON as bytes, without `data: `; `chunk` the same, decoded.

    `name` is the `event` field, empty where the format has none.
    """

    data: bytes
    chunk: Json
    name: bytes = b""


class Reading(Protocol):
    """What one stream has said so far. Pure: events in, answers out.

    `characters` counts the text of the answer, for the estimate where no usage comes; `ending` is what is sent
    after a complete stream.
    """

    characters: int
    ending: bytes

    def note(self, event: Event) -> None:
        """Takes an event in."""
        ...

    def carries(self, event: Event) -> bool:
        """Whether the event commits the stream: from here on errors go in-band."""
        ...

    def shown(self, event: Event) -> bytes | None:
        """The event as the client gets it, encoded; None where it is the proxy's alone."""
        ...

    def complete(self, marked: bool) -> bool:
        """Whether the answer is whole, `marked` saying that the provider sent its own end mark."""
        ...

    def usage(self) -> Usage | None:
        """The usage that the provider reported."""
        ...
