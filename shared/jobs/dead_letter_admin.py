"""What `/manage/dead-letters` does: shows dead letters, and puts one back into its hub."""

import base64
from collections.abc import Mapping, Sequence

from shared import Json
from shared.access.audit import AuditLog
from shared.access.caller import Caller
from shared.access.paging import envelope, known_only, page_limit
from shared.access.writes import store_errors
from shared.clock import iso
from shared.errors import (
    CatalogUnavailable,
    Conflict,
    EventError,
    EventTooLarge,
    InvalidValue,
    NotFound,
    RequestTooLarge,
)
from shared.jobs.dead_letters import LETTER_ID, DeadLetters
from shared.jobs.messages import DEAD_LETTER
from shared.ports import Clock, Event, EventPublisher

_MAX_NUMBER = 2**31 - 1
_SHOWN = (
    "id",
    "reason",
    "detail",
    "hub",
    "partition",
    "sequence",
    "enqueued_at",
    "buried_at",
    "properties",
    "body_bytes",
    "put_back_at",
)


class DeadLetterAdmin:
    """Every method raises children of `ProxyError` only. `hubs` are the jobs hubs, the normal one first."""

    def __init__(
        self,
        letters: DeadLetters,
        publisher: EventPublisher,
        audit: AuditLog,
        clock: Clock,
        hubs: Sequence[str],
    ) -> None:
        self._letters = letters
        self._publisher = publisher
        self._audit = audit
        self._clock = clock
        self._hubs = hubs

    async def list(self, query: Mapping[str, str]) -> Json:
        """A page of letters, the newest first, without their bodies: `limit` (1 to 1,000), `after` (an id)."""
        known_only(query, ("limit", "after"))
        limit, after = page_limit(query), query.get("after") or None
        if after is not None and not LETTER_ID.fullmatch(after):
            raise InvalidValue("'after' must be the id of a dead letter.", param="after")
        with store_errors():
            found = await self._letters.page(limit + 1, after)
        return envelope([_shown(body) for body in found], limit)

    async def get(self, id: str) -> Json:
        """One letter with the event's body: as `body` if it is text, else as `body_base64`."""
        with store_errors():
            letter = await self._read(id)
            content = await self._letters.body(id)
        return {**_shown(letter), **_content(content)}

    async def put_back(self, caller: Caller, id: str) -> Json:
        """Publishes the event once more, as it was. If it becomes a job, it is one job however often that is done.

        Raises `Conflict` for one that was put back already, unless it has become a dead letter again.
        """
        with store_errors():
            letter = await self._read(id)
            if _under_way(letter):
                raise Conflict(f"The dead letter '{id}' was put back already.")
            content = await self._letters.body(id)
            if content is None:
                raise Conflict(f"The body of the dead letter '{id}' was too large to be kept.")
            hub = letter["hub"] if letter["hub"] in self._hubs else self._hubs[0]
            await self._audit.record(
                caller, "dead_letter.retry", id, {"hub": hub, "reason": letter["reason"]}
            )
        await self._publish(hub, Event(id, content, {**_sendable(letter["properties"]), DEAD_LETTER: id}))
        now = iso(self._clock.time())

        def change(body: Json) -> Json:
            return {**body, "put_back": body["put_back"] + 1, "put_back_at": now}

        with store_errors():
            return _shown(await self._letters.change(id, change) or change(letter))

    async def _read(self, id: str) -> Json:
        stored = await self._letters.get(id)
        if stored is None:
            raise NotFound(f"There is no dead letter '{id[:64]}'.")
        return stored.body

    async def _publish(self, hub: str, event: Event) -> None:
        try:
            await self._publisher.publish(hub, [event])
        except EventTooLarge:
            raise RequestTooLarge("The event is larger than what can be published again.") from None
        except EventError as error:
            raise CatalogUnavailable(f"The event cannot be published at the moment: {error}") from None


def _under_way(letter: Json) -> bool:
    """Whether it was put back once more often than it has come here again."""
    return bool(letter["put_back"] > letter["returned"])


def _shown(letter: Json) -> Json:
    view: Json = {"object": "dead_letter", "status": "put_back" if _under_way(letter) else "dead"}
    return {**view, **{name: letter.get(name) for name in _SHOWN}}


def _content(data: bytes | None) -> Json:
    if data is None:
        return {"body": None}
    try:
        return {"body": data.decode()}
    except UnicodeDecodeError:
        return {"body": None, "body_base64": base64.b64encode(data).decode()}


def _sendable(properties: Mapping[str, str | int | float | bool]) -> dict[str, str | int | float | bool]:
    """A hub takes whole numbers of 32 bits only; a larger one comes back as text."""
    large = {
        name: str(value)
        for name, value in properties.items()
        if isinstance(value, int) and not -_MAX_NUMBER <= value <= _MAX_NUMBER
    }
    return {**properties, **large}
