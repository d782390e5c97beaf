"""Who changed what: one entry for each change, written before it."""

import secrets

from shared import Json
from shared.access.caller import Caller
from shared.clock import iso
from shared.containers import AUDIT, DAY_SECONDS
from shared.errors import CatalogUnavailable, StoreError, StoreUnavailable
from shared.ports import Clock, DocumentStore


class AuditLog:
    """Writes to the container `audit`; entries are kept for `days`."""

    def __init__(self, store: DocumentStore, clock: Clock, days: int) -> None:
        self._store = store
        self._clock = clock
        self._time_to_live = days * DAY_SECONDS

    async def record(self, caller: Caller, action: str, target: str, detail: Json) -> None:
        """Notes that `caller` is about to do `action` (`key.create`) to `target`, an id.

        `detail` says what changes and must hold no secret. Raises `CatalogUnavailable` where the entry cannot
        be written: the change must then not happen.
        """
        now = self._clock.time()
        time = iso(now)
        entry = {
            "id": f"{int(now * 1000):013d}-{secrets.token_hex(8)}",
            "day": time[:10],
            "time": time,
            "project": caller.project,
            "key_id": caller.key_id,
            "action": action,
            "target": target,
            "detail": detail,
        }
        try:
            # A repeated write is harmless: the id is the entry's own.
            await self._store.create_many(AUDIT, [entry], time_to_live=self._time_to_live)
        except StoreError as error:
            raise CatalogUnavailable(
                "The audit log cannot be written, so nothing was changed.",
                retry_after=error.retry_after if isinstance(error, StoreUnavailable) else None,
            ) from None
