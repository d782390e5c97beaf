"""Dead letters: events of a jobs hub that are no job and never will be, kept so that someone may look at them."""

import base64
import logging
import re
import secrets
from collections.abc import Callable
from contextlib import suppress

import orjson

from shared import Json
from shared.clock import iso
from shared.containers import DAY_SECONDS, DEAD_LETTERS
from shared.errors import DocumentAbsent, DocumentChanged, DocumentExists, DocumentTooLarge, StoreUnavailable
from shared.jobs.messages import Malformed, Received
from shared.ports import Clock, DocumentStore, Query, Stored, Where
from shared.telemetry.logging import log_event

DAYS = 30
"""Days that a dead letter is kept."""
LETTER_ID = re.compile(r"[0-9]{13}-[0-9a-f]{32}")
"""Milliseconds since 1970 at which the hub took the event, and what stands for its place there."""
_LATEST = 253_402_300_799
"""The last second that has a day: of the year 9999."""
_LONGEST_TEXT = 1_400_000
"""Characters of JSON for a body that is kept as text; an item of the store is at most 2 MB."""
_TRIES = 5

_logger = logging.getLogger("llmproxy.jobs")


class DeadLetters:
    """The container `dead_letters`. Every method raises `StoreUnavailable` when the store cannot serve it.

    A letter's document is small; the event's body lies in a document beside it, so that a list need not read it.
    An event's letter has the same id at every delivery.
    """

    def __init__(self, store: DocumentStore, clock: Clock, namespace: str) -> None:
        """`namespace` is that of the hubs."""
        self._store = store
        self._clock = clock
        self._namespace = namespace

    async def bury(self, letter: Malformed) -> str:
        """Keeps the event; gives the letter's id. Safe to repeat.

        An event that was put back and comes here again is no new letter: the old one can be put back once more.
        """
        received, now = letter.received, self._clock.time()
        place = received.place_in(self._namespace).removeprefix("job_")
        if received.dead_letter is not None and await self._returned(received.dead_letter, place, letter):
            return received.dead_letter
        taken = received.enqueued_at if 0 < received.enqueued_at <= _LATEST else now
        id = f"{int(taken * 1000):013d}-{place}"
        body: Json = {
            "id": id,
            "day": day_of(id),
            "sort_key": id,
            "reason": str(letter.reason),
            "detail": letter.detail,
            "hub": received.hub,
            "partition": received.partition,
            "sequence": received.sequence,
            "enqueued_at": iso(taken),
            "buried_at": iso(now),
            "properties": dict(received.properties),
            "body_bytes": len(received.body),
            "put_back": 0,
            "returned": 0,
            "revision": secrets.token_hex(8),
        }
        await self._keep(id, received)
        with suppress(DocumentExists):
            await self._store.create(DEAD_LETTERS, body, time_to_live=DAYS * DAY_SECONDS)
            self._log(id, letter)
        return id

    async def page(self, limit: int, after: str | None) -> list[Json]:
        """Up to `limit` letters, the newest first; `after` is the id of the last one seen."""
        found: list[Json] = []
        now = self._clock.time()
        # A hub's clock may be ahead of ours by a little.
        newest = iso(now + DAY_SECONDS)[:10] if after is None else day_of(after)
        for age in range(-1, DAYS + 1):
            day = iso(now - age * DAY_SECONDS)[:10]
            if day <= newest and len(found) < limit:
                where = (Where("sort_key", ">", ""),)
                query = Query(where, "sort_key", True, limit - len(found), after, partition=day)
                found += [stored.body for stored in await self._store.query(DEAD_LETTERS, query)]
        return found

    async def get(self, id: str) -> Stored | None:
        if not LETTER_ID.fullmatch(id) or int(id[:13]) > _LATEST * 1000:
            return None
        return await self._store.get(DEAD_LETTERS, id, day_of(id))

    async def body(self, id: str) -> bytes | None:
        """The event's body; None if it was too large to be kept."""
        content = await self._store.get(DEAD_LETTERS, f"{id}-body", day_of(id))
        if content is None:
            return None
        if "text" in content.body:
            return str(content.body["text"]).encode()
        return base64.b64decode(content.body["base64"])

    async def change(self, id: str, change: Callable[[Json], Json]) -> Json | None:
        """Writes what `change` makes of the letter, however many write at once; None if there is none."""
        for _ in range(_TRIES):
            stored = await self.get(id)
            if stored is None:
                return None
            body = {**change(stored.body), "revision": secrets.token_hex(8)}
            try:
                await self._store.replace(DEAD_LETTERS, body, stored.etag, time_to_live=DAYS * DAY_SECONDS)
            except DocumentAbsent:
                return None
            except DocumentChanged:
                found = await self.get(id)
                if found is None or found.body["revision"] != body["revision"]:
                    continue
            return body
        raise StoreUnavailable("a dead letter is being changed by others")

    async def _returned(self, id: str, place: str, letter: Malformed) -> bool:
        """Notes that what was put back is a dead letter again. False if it never was one."""
        again = False

        def change(body: Json) -> Json:
            nonlocal again
            again = body.get("returned_from") != place
            reason = {"reason": str(letter.reason), "detail": letter.detail}
            # The same event may be delivered twice: it came back once.
            count = {"returned": body["returned"] + again, "returned_from": place}
            return {**body, **reason, **count}

        if await self.change(id, change) is None:
            return False
        if again:
            self._log(id, letter)
        return True

    async def _keep(self, id: str, received: Received) -> None:
        body: Json = {"id": f"{id}-body", "day": day_of(id), **_content(received.body)}
        with suppress(DocumentExists, DocumentTooLarge):
            await self._store.create(DEAD_LETTERS, body, time_to_live=DAYS * DAY_SECONDS)

    def _log(self, id: str, letter: Malformed) -> None:
        log_event(
            _logger,
            logging.WARNING,
            "dead_letter",
            document=id,
            error_code=str(letter.reason),
            message=f"{letter.received.hub}: {letter.detail}",
        )


def day_of(id: str) -> str:
    """The UTC day that a letter's id holds."""
    return iso(int(id[:13]) / 1000)[:10]


def _content(data: bytes) -> Json:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = None
    if text is not None and len(orjson.dumps(text)) <= _LONGEST_TEXT:
        return {"text": text}
    return {"base64": base64.b64encode(data).decode()}
