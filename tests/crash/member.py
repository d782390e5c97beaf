"""The processes of the crash test: one submits, others work, all on the same files, and each may be told to die."""

import asyncio
import os
import random
import signal
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from shared.access.caller import Caller
from shared.adapters.local_consumer import EventBatch, deliver
from shared.adapters.local_events import LocalEvents
from shared.adapters.sqlite import SqliteStore
from shared.bootstrap import build_services
from shared.clock import SystemClock
from shared.errors import StoreUnavailable
from shared.inference.operations import CHAT_COMPLETIONS
from shared.jobs.consumer import NotRecorded
from shared.jobs.ids import id_of_key
from shared.jobs.job import Queue
from shared.jobs.messages import Received
from shared.services import Services
from shared.settings import Settings
from tests.crash.faults import FaultyPublisher, FaultyStore

SPEED = 30.0
"""How much faster the clock of the test runs: a lease of a minute is over after two seconds."""
PROJECT = "default"
GROUP = "workers"


class FastClock:
    """All processes agree on it: it counts from one moment of the real clock."""

    def __init__(self, base: float) -> None:
        self._base = base

    def time(self) -> float:
        return self._base + (time.time() - self._base) * SPEED

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass
class Fate:
    """What befalls a process: it is killed right after the write `name` for the `at`-th time, or after `seconds`.

    `lost` is the share of writes that are applied but whose answer is lost.
    """

    name: str | None = None
    at: int = 1
    seconds: float | None = None
    lost: float = 0.0
    seed: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def mortal(self) -> bool:
        return self.name is not None or self.seconds is not None

    async def befall(self, name: str, id: str) -> None:
        self.counts[name] = self.counts.get(name, 0) + 1
        if name == self.name and self.counts[name] == self.at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.lost and name not in ("event", "other") and self._random.random() < self.lost:
            raise StoreUnavailable("the answer was lost")

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)


def services_of(directory: Path, base: float, fate: Fate) -> tuple[Services, LocalEvents]:
    clock = FastClock(base)
    # The log's leases are of the real time, as its readers' sleeps are.
    events = LocalEvents(directory / "events.sqlite3", clock=SystemClock())
    services = build_services(
        Settings(mode="local", local_dir=directory, job_concurrency=4, log_level="error"),
        clock=clock,
        store=FaultyStore(SqliteStore(directory / "data.sqlite3", clock=clock), after=fate.befall),
        publisher=FaultyPublisher(events, after=fate.befall),
        demo_pause=0.02,
    )
    return services, events


def body(number: int, receiver: str) -> dict[str, object]:
    # Some are long enough for beats, and some call an upstream that fails the first time.
    text = f"Say the number {number}. " + "And then go on. " * (250 if number % 20 == 0 else 0)
    return {
        "model": "flaky" if number % 5 == 1 else "demo-chat",
        "messages": [{"role": "user", "content": text}],
        "priority": 1 + number % 10,
        "webhook_url": receiver,
        "async_retry_delay": 0.1,
        "timeout_seconds": 3600,
    }


def submit(directory: str, base: float, fate: Fate, receiver: str, numbers: list[int]) -> None:
    """Submits jobs under keys, so that what was submitted before a death is found again."""

    async def work() -> None:
        services, _ = services_of(Path(directory), base, fate)
        await services.prepare()
        caller = Caller(PROJECT, "key")
        for number in numbers:
            submission = services.submissions.read(caller, CHAT_COMPLETIONS, body(number, receiver), {})
            id = id_of_key(PROJECT, f"key-{number}")
            if await services.submissions.known(submission, id) is None:
                await services.submissions.create(submission, id)
        await services.close()

    asyncio.run(_doomed(work(), fate))


def work(directory: str, base: float, fate: Fate) -> None:
    """Works until it is killed."""

    async def run() -> None:
        services, events = services_of(Path(directory), base, fate)
        await services.prepare()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(_sweep(services))
            for queue, hub in (
                (Queue.NORMAL, services.settings.jobs_hub),
                (Queue.PRIORITY, services.settings.priority_jobs_hub),
            ):
                tasks.create_task(_consume(services, events, queue, hub))

    asyncio.run(_doomed(run(), fate))


async def _doomed(work: object, fate: Fate) -> None:
    if fate.seconds is not None:
        asyncio.get_running_loop().call_later(fate.seconds, os.kill, os.getpid(), signal.SIGKILL)
    await work  # type: ignore[misc]


async def _sweep(services: Services) -> None:
    while True:
        with suppress(StoreUnavailable):
            await services.sweeper.tick()
        await asyncio.sleep(0.2)


async def _consume(services: Services, events: LocalEvents, queue: Queue, hub: str) -> None:
    async def handle(batch: EventBatch) -> None:
        received = [
            Received(
                hub, str(one.partition), one.sequence, one.enqueued_at, one.event.body, one.event.properties
            )
            for one in batch.events
        ]
        await services.consumer.consume(queue, received)

    async with events.consumer(hub, GROUP, lease=2.0, poll=0.05) as consumer:
        await deliver(consumer, handle, hold=NotRecorded, pause=0.2)
