"""Marks as they are in the store."""

from collections.abc import Mapping
from contextlib import suppress

from shared.containers import HEALTH
from shared.errors import StoreError
from shared.health.marks import Mark, read_mark
from shared.ports import Clock, DocumentStore, Query
from shared.single_flight import SingleFlight

PAGE = 500


class StoredMarks:
    """Reads all marks at most once in `max_age` seconds; while the store is away, the last ones go on."""

    def __init__(self, store: DocumentStore, clock: Clock, max_age: float = 10.0) -> None:
        self._store = store
        self._clock = clock
        self._max_age = max_age
        self._marks: Mapping[str, Mark] = {}
        self._read_at: float | None = None
        self._reading: SingleFlight[None] = SingleFlight()

    async def current(self) -> Mapping[str, Mark]:
        """By model id. Never raises for the store's sake: marks carry their own time."""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= self._max_age:
            await self._reading.join("", self._refresh)
        return self._marks

    async def close(self) -> None:
        await self._reading.close()

    async def _refresh(self) -> None:
        with suppress(StoreError):  # The readiness report says by itself that the database is away.
            self._marks = await read_marks(self._store)
        self._read_at = self._clock.monotonic()


async def read_marks(store: DocumentStore) -> Mapping[str, Mark]:
    """Every mark, page after page. Raises `StoreError`."""
    marks: dict[str, Mark] = {}
    after: str | None = None
    while True:
        page = await store.query(HEALTH, Query(limit=PAGE, after=after))
        for stored in page:
            mark = read_mark(stored.body)
            if mark is not None:
                marks[mark.id] = mark
        if len(page) < PAGE:
            return marks
        after = page[-1].body["id"]


async def write_mark(store: DocumentStore, mark: Mark) -> None:
    """Writes over what is there: the last one who looked is right. Raises `StoreError`."""
    await store.upsert(HEALTH, mark.document())
