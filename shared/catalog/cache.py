"""The catalog in memory: never too old while the store answers, and still there while it does not."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from shared.catalog.capabilities import CapabilityBook
from shared.catalog.catalog import Catalog
from shared.catalog.documents import Group, Model, parse_document
from shared.catalog.invalid import InvalidDocument
from shared.containers import MODELS
from shared.errors import CatalogUnavailable, StoreError
from shared.ports import Clock, DocumentStore, Query, Stored

PAGE = 200
"""Documents that are read at once."""
REFRESH_AFTER = 2 / 3
"""The part of the maximum age after which the catalog is read again in the background."""
FIRST_PATIENCE = 15.0
"""Seconds that a request waits for the first load, which may have to connect to the store."""
PATIENCE = 3.0
"""Seconds that a request waits for a newer catalog before it takes the old one."""
PATIENCE_IN_OUTAGE = 1.0
"""Seconds that a request waits when the try before has failed."""
LONGEST_PAUSE = 10.0
"""Seconds between tries while the store cannot be reached; the first pause is one second."""
PAGE_TIMEOUT = 10.0
"""Seconds that the store may take for one page."""
_TURN = 50
"""Documents that are parsed before others get a turn on the loop."""

logger = logging.getLogger("llmproxy.catalog")


@dataclass(frozen=True, slots=True)
class _Entry:
    """A version of a document and what became of it; None is a document that cannot serve."""

    etag: str
    document: Model | Group | None


class CatalogCache:
    """Serves the catalog out of memory and reads it from the store when it gets old.

    `max_age` is in seconds, counted from the moment the reading began. `capabilities` is for listings.
    """

    def __init__(
        self,
        store: DocumentStore,
        clock: Clock,
        *,
        max_age: float = 30.0,
        endpoint_hosts: Sequence[str] = (),
        patience: float = PATIENCE,
        first_patience: float = FIRST_PATIENCE,
    ) -> None:
        self.capabilities = CapabilityBook()
        self._store = store
        self._clock = clock
        self._max_age = max_age
        self._refresh_after = max_age * REFRESH_AFTER
        self._endpoint_hosts = tuple(endpoint_hosts)
        self._patience = patience
        self._first_patience = first_patience
        self._catalog: Catalog | None = None
        self._entries: dict[str, _Entry] = {}
        self._loaded_at = 0.0
        self._pause = 0.0
        self._retry_at = float("-inf")
        self._loading: asyncio.Task[bool] | None = None
        self._listeners: list[Callable[[Catalog], None]] = []

    def fresh(self) -> Catalog | None:
        """The catalog if it can be had at once; None where `current` has to wait for the store.

        Starts reading in the background when the catalog gets old: call it from the event loop.
        """
        catalog = self._catalog
        if catalog is None:
            return None
        now = self._clock.monotonic()
        age = now - self._loaded_at
        if age > self._refresh_after and now >= self._retry_at:
            if age > self._max_age:
                return None
            self._start()
        return catalog

    async def current(self) -> Catalog:
        """The catalog. Waits for the store only where the one in memory is too old, and not for long.

        An older one goes on serving while the store cannot be reached. Raises `CatalogUnavailable` where
        there is none.
        """
        catalog = self.fresh()
        if catalog is not None:
            return catalog
        if self._catalog is None and self._clock.monotonic() < self._retry_at:
            raise _unavailable(self._pause)
        loading = self._start()
        patience = self._first_patience if self._catalog is None else self._patience
        if self._pause:
            patience = min(patience, PATIENCE_IN_OUTAGE)
        # `wait` leaves the loading alone when it is cancelled or out of patience: others may wait too.
        done, _ = await asyncio.wait({loading}, timeout=patience)
        if not done:
            self._back_off()
        if self._catalog is None:
            raise _unavailable(self._pause)
        return self._catalog

    async def refresh(self) -> Catalog:
        """Reads the store, beginning after this call. Raises `CatalogUnavailable` where it cannot be read."""
        if self._loading is not None and not self._loading.done():
            await asyncio.wait({self._loading})
        loading = self._start()
        await asyncio.wait({loading})
        if self._catalog is None or loading.cancelled() or not loading.result():
            raise _unavailable(self._pause)
        return self._catalog

    def on_load(self, listener: Callable[[Catalog], None]) -> None:
        """Calls `listener` with each catalog that differs from the one before, and at once with the present.

        It is called on the event loop and must return quickly.
        """
        self._listeners.append(listener)
        if self._catalog is not None:
            _tell(listener, self._catalog)

    async def close(self) -> None:
        if self._loading is not None and not self._loading.done():
            self._loading.cancel()
            await asyncio.wait({self._loading})

    def _start(self) -> asyncio.Task[bool]:
        if self._loading is None or self._loading.done():
            self._loading = asyncio.ensure_future(self._load())
        return self._loading

    async def _load(self) -> bool:
        """Whether the catalog could be read."""
        began = self._clock.monotonic()
        try:
            entries = await self._read()
        except (StoreError, TimeoutError) as error:
            if not self._pause:
                logger.warning("The catalog cannot be read: %s", type(error).__name__)
            self._back_off()
            return False
        except Exception:
            # A fault of ours must not take the models away that served a moment ago.
            logger.exception("The catalog cannot be read")
            self._back_off()
            return False
        self._loaded_at = began
        self._pause, self._retry_at = 0.0, float("-inf")
        if self._catalog is None or entries != self._entries:
            self._entries = entries
            documents = [entry.document for entry in entries.values() if entry.document is not None]
            self._catalog = Catalog(documents)
            for listener in self._listeners:
                _tell(listener, self._catalog)
        return True

    async def _read(self) -> dict[str, _Entry]:
        entries: dict[str, _Entry] = {}
        last: str | None = None
        while True:
            async with asyncio.timeout(PAGE_TIMEOUT):
                page = await self._store.query(MODELS, Query(limit=PAGE, after=last))
            for number, stored in enumerate(page):
                last = str(stored.body["id"])
                known = self._entries.get(last)
                if known is not None and known.etag == stored.etag:
                    entries[last] = known
                    continue
                entries[last] = _Entry(stored.etag, self._parsed(last, stored))
                if number % _TURN == _TURN - 1:
                    await asyncio.sleep(0)
            if len(page) < PAGE:
                return entries

    def _parsed(self, id: str, stored: Stored) -> Model | Group | None:
        """The document, or None with one warning: this version of it is not looked at again."""
        try:
            document, oddities = parse_document(
                stored.body, strict=False, endpoint_hosts=self._endpoint_hosts
            )
        except InvalidDocument as error:
            logger.warning("The catalog document %r is skipped: %s", id, error)
            return None
        if oddities:
            logger.warning("The catalog document %r is odd: %s", id, "; ".join(oddities))
        return document

    def _back_off(self) -> None:
        self._pause = min(LONGEST_PAUSE, self._pause * 2 or 1.0)
        self._retry_at = self._clock.monotonic() + self._pause


def _unavailable(pause: float) -> CatalogUnavailable:
    return CatalogUnavailable("The catalog of models cannot be read at the moment.", retry_after=pause)


def _tell(listener: Callable[[Catalog], None], catalog: Catalog) -> None:
    try:
        listener(catalog)
    except Exception:
        logger.exception("A listener of the catalog failed")
