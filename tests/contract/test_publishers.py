"""Publishers without HTTP, over a real connection: the page's own example, and what becomes of it."""

import asyncio
import gc
import re
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.containers import MODELS, PROJECTS
from shared.jobs.job import Status
from shared.jobs.messages import Received
from tests.emulators.event_hubs_codec import APPLICATION_PROPERTIES, DATA, sections
from tests.emulators.event_hubs_server import EventHubsServer, event_hubs_server
from tests.unit.jobs.intake_world import build_world, model

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "jobs.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## Without HTTP\n")[1].split("\n## ")[0]
[EXAMPLE] = re.findall(r"^```python\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
CLIENT = 'EventHubProducerClient(NAMESPACE, "chat-jobs", DefaultAzureCredential())'
HUB = "chat-jobs"


@pytest.fixture
async def server() -> AsyncIterator[EventHubsServer]:
    async with event_hubs_server({HUB: 2}) as running:
        yield running
    gc.collect()


def received(server: EventHubsServer) -> list[Received]:
    """What lies in the hub, as its readers get it."""
    found = []
    for number, partition in enumerate(server.hubs[HUB].partitions):
        for stored in partition.events:
            parts = {part.code: part.value for part in sections(stored.message)}
            place = str(number), stored.sequence, stored.enqueued / 1000
            found.append(Received(HUB, *place, parts[DATA], parts[APPLICATION_PROPERTIES]))
    return found


async def test_the_pages_example_makes_jobs(server: EventHubsServer, tmp_path: Path) -> None:
    assert CLIENT in EXAMPLE
    here = (
        f"EventHubProducerClient.from_connection_string({server.connection_string!r}, eventhub_name={HUB!r})"
    )
    example = EXAMPLE.replace(CLIENT, here)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", example], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    events = received(server)
    assert [event.properties for event in events] == [{"priority": 4}] * 2
    world = await build_world(tmp_path)
    await world.outages.create(MODELS, model("gpt-4o-mini"))
    await world.outages.create(PROJECTS, {"id": "research"})
    jobs = [await world.take(event) for event in events]
    await world.services.close()
    assert [(job.id, job.status) for job in jobs if job] == [
        ("questions-0", Status.QUEUED),
        ("questions-1", Status.QUEUED),
    ]
