"""What the core asks of the world outside, as Protocols. Adapters implement them; only `bootstrap` knows which."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from shared import Json
from shared.containers import Container

Scalar = str | int | float | bool | None
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "in", "contains"]


@dataclass(frozen=True, slots=True)
class Stored:
    """A document and the ETag of this version of it. `body` is the caller's own copy."""

    body: Json
    etag: str


@dataclass(frozen=True, slots=True)
class Where:
    """One condition. `field` may be dotted (`usage.total`).

    `in` takes a tuple of scalars; `contains` asks whether the field, an array, holds the value.
    A field that is absent meets no condition (not even `!=`).
    """

    field: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """Conditions that must all hold, one order by a unique string field, a limit, and where to go on.

    `after` is the `order_by` value of the last document seen. Without `partition` all partitions are asked.
    """

    where: tuple[Where, ...] = ()
    order_by: str = "id"
    descending: bool = False
    limit: int = 100
    after: str | None = None
    partition: str | None = None


class DocumentStore(Protocol):
    """The only way to the database, with exactly the semantics that Cosmos DB can give.

    Every call raises `StoreUnavailable` (or its child `StoreThrottled`) when the store cannot serve it, after
    the adapter's own short retries. `time_to_live` is in seconds from the write. A document's `id` may hold
    any character and comes back as it was. Items over 2 MB raise `DocumentTooLarge`.
    """

    async def get(self, container: Container, id: str, partition: str | None = None) -> Stored | None:
        """The document, or None. `partition` may be left out where the container is partitioned by id."""
        ...

    async def create(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        """Adds it. Raises `DocumentExists`."""
        ...

    async def create_many(
        self, container: Container, bodies: Sequence[Json], *, time_to_live: int | None = None
    ) -> None:
        """Adds up to 100 documents of one partition and leaves alone those whose id exists: safe to repeat."""
        ...

    async def replace(
        self, container: Container, body: Json, etag: str, *, time_to_live: int | None = None
    ) -> Stored:
        """Writes if the stored version is still `etag`. Raises `DocumentChanged` or `DocumentAbsent`.

        A write that was applied but whose answer was lost raises `DocumentChanged` on the retry: a writer
        that must know puts something of its own into the document and reads again.
        """
        ...

    async def upsert(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        """Writes whatever is there."""
        ...

    async def keep(
        self, container: Container, id: str, partition: str | None = None, *, time_to_live: int
    ) -> bool:
        """Lets it live that long from now, whatever it is; a new version. False if it is not there."""
        ...

    async def delete(
        self, container: Container, id: str, partition: str | None = None, *, etag: str | None = None
    ) -> bool:
        """Removes it; False if it was not there. With `etag`, raises `DocumentChanged` if it moved on."""
        ...

    async def increment(
        self,
        container: Container,
        initial: Json,
        amounts: Mapping[str, int | float],
        *,
        time_to_live: int | None = None,
    ) -> None:
        """Adds `amounts` to numeric top-level fields of the document with `initial`'s id.

        Where there is none, creates `initial` with the amounts. Not repeated after a lost answer: at most once.
        """
        ...

    async def query(self, container: Container, query: Query) -> list[Stored]: ...

    async def ping(self) -> None:
        """One cheap round trip. Raises `StoreUnavailable`."""
        ...

    async def close(self) -> None: ...


class SecretStore(Protocol):
    async def get(self, name: str) -> str:
        """The secret's current text. Raises `SecretNotFound`, `SecretsUnavailable`."""
        ...

    async def close(self) -> None: ...


class TokenSource(Protocol):
    async def token(self, scope: str) -> str:
        """A bearer token of the app's own identity for `scope`. Raises `SecretsUnavailable`."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Event:
    """What is published to a hub. `id` becomes the message's id, and is no key: the same event may arrive twice.

    `properties` travel beside the body (up to 1,000,000 bytes), so that a reader can look at them without it;
    a whole number among them has at most 32 bits, with its sign.
    """

    id: str
    body: bytes
    properties: Mapping[str, str | int | float | bool] = field(default_factory=dict)


class EventPublisher(Protocol):
    """The only way to a hub's log of events. What is published is delivered at least once."""

    async def publish(self, hub: str, events: Sequence[Event]) -> None:
        """Returns when the hub has them all. They may go to any partition, and keep their order within one.

        Raises `EventTooLarge`, with none of them published, or `EventsUnavailable`, in bounded time and with
        any of them published or not: to publish them again is safe, for every reader must bear an event twice.
        """
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event at its place in a hub's log. `enqueued_at` is in seconds since 1970, UTC."""

    partition: int
    sequence: int
    enqueued_at: float
    event: Event


class Subscription(Protocol):
    async def close(self, grace: float) -> None:
        """No further batches. Those under way have `grace` seconds to end, then they are cancelled and come again."""
        ...


class EventLog(Protocol):
    """A log that this process reads itself, where no host does."""

    def subscribe(
        self,
        hub: str,
        consumers: str,
        handler: Callable[[Sequence[LoggedEvent]], Awaitable[None]],
        *,
        batch_size: int,
        held: bool,
        pause: float,
    ) -> Subscription:
        """Gives the events of the hub to `handler`, in batches of one partition each, from now on.

        A batch that fails is left behind, as Azure's host does; where it is `held`, it is given again after
        `pause` seconds, without end. All subscriptions of one group `consumers` share the hub's partitions.
        """
        ...


class Clock(Protocol):
    def time(self) -> float:
        """Seconds since 1970, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        ...
