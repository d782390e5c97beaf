"""Everything that functions call, put together by `bootstrap`."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from shared.access.audit import AuditLog
from shared.access.key_admin import KeyAdmin
from shared.access.key_ring import KeyRing
from shared.access.projects import ProjectAdmin
from shared.catalog.admin import ModelAdmin
from shared.catalog.cache import CatalogCache
from shared.health.book import HealthBook
from shared.health.prober import Prober
from shared.health.ready import ReadyReport
from shared.inference.pipeline import Inference
from shared.jobs.consumer import Consumer
from shared.jobs.dead_letter_admin import DeadLetterAdmin
from shared.jobs.figures import Figures
from shared.jobs.intake import Intake
from shared.jobs.payloads import Payloads
from shared.jobs.service import Jobs
from shared.jobs.settlement import Settlement
from shared.jobs.store import JobStore
from shared.jobs.submission import Submissions
from shared.jobs.sweeper import Sweeper
from shared.jobs.wakeups import Wakeups
from shared.openapi.declared import Declared
from shared.ports import Clock, DocumentStore, EventLog, EventPublisher
from shared.realtime.live import Live
from shared.realtime.opening import Openings
from shared.responses.background import BackgroundResponses
from shared.responses.response_jobs import ResponseJobs
from shared.responses.service import Responses
from shared.secrets import CachedSecrets
from shared.settings import Settings
from shared.signed_ids import SignedIds
from shared.usage.recorder import UsageRecorder
from shared.usage.report import UsageReport
from shared.webhooks.delivery import Webhooks


@dataclass(slots=True)
class Services:
    """The services of one app. They make their clients at the first use, inside the running loop."""

    settings: Settings
    clock: Clock
    store: DocumentStore
    secrets: CachedSecrets
    signed_ids: SignedIds
    catalog: CatalogCache
    models: ModelAdmin
    keys: KeyRing
    key_admin: KeyAdmin
    projects: ProjectAdmin
    audit: AuditLog
    usage: UsageRecorder
    usage_report: UsageReport
    health: HealthBook
    prober: Prober
    readiness: ReadyReport
    inference: Inference
    openings: Openings
    live: Live
    job_store: JobStore
    payloads: Payloads
    publisher: EventPublisher
    wakeups: Wakeups
    submissions: Submissions
    jobs: Jobs
    webhooks: Webhooks
    settlement: Settlement
    sweeper: Sweeper
    figures: Figures
    consumer: Consumer
    intake: Intake
    dead_letters: DeadLetterAdmin
    responses: Responses
    background: BackgroundResponses
    response_jobs: ResponseJobs
    event_log: EventLog | None
    """The log of the hubs, where this app reads it itself: in local mode."""
    preparation: Callable[[], Awaitable[None]]
    """What has to be there before the first request: in local mode, the demo models."""
    closing: tuple[Callable[[], Awaitable[None]], ...] = ()
    warming: Callable[[], Awaitable[None]] | None = None
    routes: tuple[str, ...] = ()
    functions: dict[str, Declared] = field(default_factory=dict)
    """The HTTP functions of the app by name, as they declare themselves when they are registered."""
    prepared: bool = False
    _preparing: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def prepare(self) -> None:
        """Runs the preparation once; requests that come meanwhile wait for it."""
        async with self._preparing:
            if not self.prepared:
                await self.preparation()
                self.prepared = True

    async def warm_up(self) -> None:
        """Loads, off the event loop, what the first call would otherwise wait for."""
        if self.warming is not None:
            await self.warming()

    async def close(self) -> None:
        """Writes what waits to be written, then closes every client. Nothing here may fail the others."""
        for close in self.closing:
            await close()
