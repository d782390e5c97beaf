"""A recorder, its reports, and a database that can go away."""

from dataclasses import replace

from shared import Json
from shared.access.audit import AuditLog
from shared.access.caller import Caller
from shared.clock import ManualClock
from shared.containers import COUNTERS, USAGE
from shared.ports import DocumentStore, Query
from shared.usage.recompute import all_pages
from shared.usage.recorder import UsageRecorder
from shared.usage.records import UsageRecord
from shared.usage.report import UsageReport
from shared.wire.usage import Usage
from tests.unit.access.worlds import Outages

ADMIN = Caller("default", "admin", "admin")
DAYS = 30
TODAY = "2027-01-15"

PLAIN = UsageRecord(
    request_id="request-1",
    project="search",
    key_id="k1",
    operation="ChatCompletion",
    status=200,
    model_requested="fast",
    model="gpt",
    provider="OpenAI",
    user="u1",
    usage=Usage(10, 5, 4, 2),
    cost_usd=0.0000123,
    time_to_first_token_ms=12.3456,
    duration_ms=100.0,
    attempts=1,
)


class Books:
    def __init__(self, store: DocumentStore, clock: ManualClock) -> None:
        self.clock = clock
        self.base = store
        self.store = Outages(store)
        self.recorder = self.new_recorder()
        self.report = UsageReport(self.store, self.recorder, AuditLog(self.store, clock, 365), clock, DAYS)

    def new_recorder(self, *, capacity: int = 50_000, flush_interval: float = 3600.0) -> UsageRecorder:
        """One that writes when it is told to, unless `flush_interval` says otherwise."""
        return UsageRecorder(
            self.store, self.clock, days=DAYS, flush_interval=flush_interval, capacity=capacity
        )

    def record(self, **changes: object) -> None:
        self.recorder.record(replace(PLAIN, **changes))  # type: ignore[arg-type]

    async def written(self) -> list[Json]:
        """All records, oldest first."""
        query = Query(order_by="sort_key")
        return [stored.body async for stored in all_pages(self.base, USAGE, query)]

    async def sums(self) -> dict[str, Json]:
        """All sums, by id."""
        found = await self.base.query(COUNTERS, Query(limit=1000))
        return {stored.body["id"]: stored.body for stored in found}

    async def close(self) -> None:
        self.store.down = False
        await self.recorder.close()
        await self.base.close()
