"""Daily sums made again from the records they are sums of."""

from collections.abc import AsyncIterator
from datetime import date, timedelta

from shared import Json
from shared.containers import COUNTERS, DAY_SECONDS, USAGE, Container
from shared.errors import Conflict, DocumentAbsent, DocumentChanged, DocumentExists
from shared.ports import Clock, DocumentStore, Query, Stored, Where
from shared.usage.records import partition
from shared.usage.rollups import AMOUNTS, KIND, RollUp, RollUps

_PAGE = 1000
_PASSES = 5


async def all_pages(store: DocumentStore, container: Container, query: Query) -> AsyncIterator[Stored]:
    """Every document of a query, page after page."""
    after = query.after
    while True:
        page = await store.query(
            container,
            Query(query.where, query.order_by, query.descending, _PAGE, after, query.partition),
        )
        for stored in page:
            yield stored
        if len(page) < _PAGE:
            return
        after = page[-1].body[query.order_by]


class Recomputation:
    """Corrects the sums of a day.

    A day that is over comes out exact. While calls are still being recorded, a record may be there a moment
    before it is counted: such a day may be corrected again later.
    """

    def __init__(self, store: DocumentStore, clock: Clock, days: int) -> None:
        self._store = store
        self._clock = clock
        self._days = days

    async def run(self, day: date, project: str | None = None) -> tuple[int, int]:
        """Returns how many records there are and how many sums were wrong; `Conflict` on a busy day."""
        corrected: set[str] = set()
        for _ in range(_PASSES):
            # The sums come first: one that is incremented meanwhile has another ETag when it is replaced.
            sums = {stored.body["id"]: stored async for stored in self._sums(day, project)}
            right = RollUps()
            count = 0
            async for stored in self._records(day, project):
                right.add_all((stored.body,))
                count += 1
            wrong, moved = await self._correct(sums, right, day)
            corrected |= wrong
            if not moved:
                return count, len(corrected)
        raise Conflict("Usage of this day is still being written; try again later.")

    async def _correct(self, sums: dict[str, Stored], right: RollUps, day: date) -> tuple[set[str], bool]:
        wrong: set[str] = set()
        moved = False
        for id, roll_up in right.by_id.items():
            stored = sums.pop(id, None)
            if stored is not None and _equal(stored.body, roll_up):
                continue
            wrong.add(id)
            document, time_to_live = roll_up.document(), self._time_to_live(day)
            try:
                if stored is None:
                    await self._store.create(COUNTERS, document, time_to_live=time_to_live)
                else:
                    await self._store.replace(COUNTERS, document, stored.etag, time_to_live=time_to_live)
            except (DocumentExists, DocumentChanged, DocumentAbsent):
                moved = True
        for id, stored in sums.items():
            wrong.add(id)
            try:
                await self._store.delete(COUNTERS, id, etag=stored.etag)
            except (DocumentChanged, DocumentAbsent):
                moved = True
        return wrong, moved

    def _sums(self, day: date, project: str | None) -> AsyncIterator[Stored]:
        where = [Where("kind", "=", KIND), Where("day", "=", day.isoformat())]
        if project is not None:
            where.append(Where("project", "=", project))
        return all_pages(self._store, COUNTERS, Query(tuple(where)))

    def _records(self, day: date, project: str | None) -> AsyncIterator[Stored]:
        where = (Where("day", "=", day.isoformat()),)
        own = partition(project, day.isoformat()) if project is not None else None
        return all_pages(self._store, USAGE, Query(where, order_by="sort_key", partition=own))

    def _time_to_live(self, day: date) -> int:
        end = (day - date(1970, 1, 1) + timedelta(days=1)).days * DAY_SECONDS
        return max(1, int(end + self._days * DAY_SECONDS - self._clock.time()))


def _equal(body: Json, roll_up: RollUp) -> bool:
    return all(body.get(name) == roll_up.amounts[name] for name in AMOUNTS)
