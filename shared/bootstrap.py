"""Settings to Services: the only module that knows the adapters."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, cast

from shared import Json
from shared.access.audit import AuditLog
from shared.access.key_admin import KeyAdmin
from shared.access.key_ring import KeyRing
from shared.access.projects import ProjectAdmin
from shared.adapters.azure_identity import AzureIdentity
from shared.catalog.admin import ModelAdmin
from shared.catalog.cache import CatalogCache
from shared.catalog.catalog import Catalog
from shared.clock import SystemClock
from shared.health.book import HealthBook
from shared.health.prober import Prober
from shared.health.ready import ReadyReport
from shared.inference.pipeline import Inference
from shared.inference.record import Ledger
from shared.jobs.consumer import Consumer
from shared.jobs.dead_letter_admin import DeadLetterAdmin
from shared.jobs.dead_letters import DeadLetters
from shared.jobs.figures import Figures
from shared.jobs.intake import Intake
from shared.jobs.job import Queue
from shared.jobs.outbox import Outbox
from shared.jobs.payloads import Payloads
from shared.jobs.service import Jobs
from shared.jobs.settlement import Settlement
from shared.jobs.store import JobStore
from shared.jobs.submission import Submissions
from shared.jobs.sweeper import Sweeper
from shared.jobs.wakeups import Wakeups
from shared.jobs.worker import Worker
from shared.ports import Clock, DocumentStore, EventLog, EventPublisher, SecretStore, TokenSource
from shared.providers.demo import DemoProvider
from shared.providers.http_client import HttpClient
from shared.providers.openai_wire import OpenAIWire
from shared.providers.registry import Loadable, Providers
from shared.realtime.live import Live
from shared.realtime.opening import Openings
from shared.realtime.sessions import Sessions
from shared.realtime.upstream import RealtimeUpstream
from shared.responses.background import BackgroundResponses
from shared.responses.held import HeldResponses
from shared.responses.ids import ResponseIds
from shared.responses.previous import PreviousResponses
from shared.responses.response_jobs import ResponseJobs
from shared.responses.service import Responses
from shared.secrets import PROXY_SECRETS, CachedSecrets
from shared.services import Services
from shared.settings import Settings
from shared.signed_ids import SignedIds
from shared.usage.recorder import UsageRecorder
from shared.usage.report import UsageReport
from shared.webhooks.delivery import Webhooks

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

LOCAL_SECRET_AGE = 1.0
"""Seconds: an edited `.local/secrets.json` takes effect at once, without a restart."""


def build_services(
    settings: Settings,
    *,
    clock: Clock | None = None,
    store: DocumentStore | None = None,
    secret_store: SecretStore | None = None,
    tokens: TokenSource | None = None,
    publisher: EventPublisher | None = None,
    demo_pause: float = 0.0,
) -> Services:
    """All services over the adapters that the settings ask for. Every adapter can be given instead.

    `demo_pause` is in seconds before each event that a demo model streams.
    """
    clock = clock or SystemClock()
    identity = AzureIdentity(settings.identity_client_id)
    tokens = tokens or identity
    store = store or _store(settings, identity)
    publisher = publisher or _publisher(settings, identity, clock)
    secrets = CachedSecrets(
        secret_store or _secret_store(settings, identity),
        clock,
        min(settings.secret_max_age, LOCAL_SECRET_AGE) if settings.local else settings.secret_max_age,
    )
    signed_ids = SignedIds(secrets)
    catalog = CatalogCache(
        store, clock, max_age=settings.catalog_max_age, endpoint_hosts=settings.endpoint_hosts
    )
    audit = AuditLog(store, clock, settings.audit_days)
    projects = ProjectAdmin(store, audit, clock)
    keys = KeyRing(store, secrets, clock, max_age=settings.catalog_max_age)
    usage = UsageRecorder(store, clock, days=settings.usage_days)
    health = HealthBook(store, clock)
    native = OpenAIWire(HttpClient(settings.max_connections), secrets, tokens)
    providers = _providers(native, secrets, tokens, DemoProvider(clock, pause=demo_pause))
    catalog.on_load(_litellm_loader(providers))
    inference = Inference(settings, clock, catalog, providers.of, Ledger(clock, usage, health))
    upstream = RealtimeUpstream(native, HttpClient(settings.max_connections, upgrades=True))
    job_store, payloads = JobStore(store), Payloads(store)
    response_ids = ResponseIds(signed_ids)
    held_responses = HeldResponses(job_store, clock)
    previous = PreviousResponses(response_ids, held_responses)
    responses = Responses(response_ids, previous)
    background = BackgroundResponses(previous, payloads)
    wakeups = Wakeups(
        publisher, {Queue.PRIORITY: settings.priority_jobs_hub, Queue.NORMAL: settings.jobs_hub}
    )
    submissions = Submissions(inference, job_store, payloads, wakeups, clock, settings.local)
    webhooks = Webhooks(secrets, clock, local=settings.local)
    outbox = Outbox(webhooks, background, clock, settings.public_url)
    settlement = Settlement(job_store, payloads, usage, outbox, clock)
    worker = Worker(store, job_store, payloads, inference, background, settlement, clock)
    figures = Figures(store, job_store, clock)
    jobs = Jobs(submissions, job_store, payloads, clock, figures=figures, worker=worker)
    letters = DeadLetters(store, clock, settings.event_hubs_namespace)
    intake = Intake(submissions, jobs, letters, store, job_store, payloads, clock, settings.local)
    consumer = Consumer(
        worker,
        job_store,
        intake,
        clock,
        namespace=settings.event_hubs_namespace,
        concurrency=settings.job_concurrency,
    )
    sweeper = Sweeper(
        job_store,
        payloads,
        settlement,
        wakeups,
        clock,
        run_due=consumer.run_due if settings.jobs_on_timer else None,
    )
    return Services(
        settings=settings,
        clock=clock,
        store=store,
        secrets=secrets,
        signed_ids=signed_ids,
        responses=responses,
        background=background,
        response_jobs=ResponseJobs(
            ids=response_ids,
            held=held_responses,
            previous=previous,
            responses=responses,
            background=background,
            submissions=submissions,
            jobs=jobs,
            store=job_store,
            payloads=payloads,
            inference=inference,
            clock=clock,
        ),
        catalog=catalog,
        models=ModelAdmin(
            store, catalog, audit, projects, clock, settings, status=_model_status(catalog, health)
        ),
        keys=keys,
        key_admin=KeyAdmin(store, keys, projects, audit, clock),
        projects=projects,
        audit=audit,
        usage=usage,
        usage_report=UsageReport(store, usage, audit, clock, settings.usage_days),
        health=health,
        prober=Prober(catalog, providers.of, store, clock),
        readiness=ReadyReport(catalog, health, secrets, store, clock),
        inference=inference,
        openings=Openings(inference, native, signed_ids),
        job_store=job_store,
        payloads=payloads,
        publisher=publisher,
        wakeups=wakeups,
        submissions=submissions,
        jobs=jobs,
        webhooks=webhooks,
        settlement=settlement,
        sweeper=sweeper,
        figures=figures,
        consumer=consumer,
        intake=intake,
        dead_letters=DeadLetterAdmin(
            letters, publisher, audit, clock, (settings.jobs_hub, settings.priority_jobs_hub)
        ),
        live=Live(inference, upstream, Sessions(clock)),
        event_log=_event_log(settings, publisher),
        preparation=_preparation(settings, store, secrets),
        warming=_warm_up,
        closing=(
            consumer.close,
            jobs.close,
            figures.close,
            webhooks.close,
            usage.close,
            health.close,
            keys.close,
            providers.close,
            upstream.close,
            catalog.close,
            secrets.close,
            publisher.close,
            store.close,
            identity.close,
        ),
    )


def _store(settings: Settings, identity: AzureIdentity) -> DocumentStore:
    if settings.local:
        from shared.adapters.sqlite import SqliteStore

        return SqliteStore(settings.local_dir / "data.sqlite3")
    from shared.adapters.cosmos import CosmosStore

    return CosmosStore(
        settings.cosmos_endpoint,
        settings.cosmos_database,
        settings.cosmos_emulator_key or cast("AsyncTokenCredential", identity.credential()),
    )


def _publisher(settings: Settings, identity: AzureIdentity, clock: Clock) -> EventPublisher:
    if settings.local:
        from shared.adapters.local_events import LocalEvents

        return LocalEvents(settings.local_dir / "events.sqlite3", clock=clock)
    from shared.adapters.event_hubs import EventHubs

    if settings.event_hubs_emulator:
        return EventHubs(settings.event_hubs_emulator)
    return EventHubs(settings.event_hubs_namespace, identity.credential())


def _event_log(settings: Settings, publisher: EventPublisher) -> EventLog | None:
    if not settings.local:
        return None
    from shared.adapters.local_events import LocalEvents

    return publisher if isinstance(publisher, LocalEvents) else None


def _secret_store(settings: Settings, identity: AzureIdentity) -> SecretStore:
    if settings.local:
        from shared.adapters.local_secrets import LocalSecrets

        local = LocalSecrets(settings.local_dir / "secrets.json")
        local.ensure(PROXY_SECRETS)
        return local
    from shared.adapters.key_vault import KeyVaultSecrets

    return KeyVaultSecrets(settings.key_vault_url, identity.credential())


def _providers(
    native: OpenAIWire, secrets: SecretStore, tokens: TokenSource, demo: DemoProvider
) -> Providers:
    def litellm() -> Loadable:
        from shared.providers.litellm_lane.provider import LiteLLMProvider

        return LiteLLMProvider(secrets, tokens)

    return Providers(native, demo, litellm)


def _litellm_loader(providers: Providers) -> Callable[[Catalog], None]:
    """Starts the slow import of litellm as soon as the catalog is seen to hold a model that needs it."""

    def on_load(catalog: Catalog) -> None:
        for model in catalog.models.values():
            if model.enabled and not model.native and model.provider != "Demo":
                providers.preload_litellm()
                return

    return on_load


def _model_status(catalog: CatalogCache, health: HealthBook) -> Callable[[str], Awaitable[Json | None]]:
    async def status(id: str) -> Json | None:
        model = (await catalog.current()).models.get(id)
        return await health.status(model) if model else None

    return status


def _preparation(
    settings: Settings, store: DocumentStore, secrets: SecretStore
) -> Callable[[], Awaitable[None]]:
    async def nothing() -> None:
        return None

    async def local() -> None:
        from shared.devhost.first_start import prepare_local

        await prepare_local(settings.local_dir, store, secrets)

    return local if settings.local else nothing


async def _warm_up() -> None:
    """The HTTP client takes a third of a second to import: load it before the first call needs it."""

    def load() -> None:
        import aiohttp  # noqa: F401

    await asyncio.to_thread(load)
