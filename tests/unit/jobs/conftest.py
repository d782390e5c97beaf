from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from tests.unit.jobs.aftermath import Aftermath
from tests.unit.webhooks.receiver import Receiver


@pytest.fixture
async def aftermath(tmp_path: Path) -> AsyncIterator[Aftermath]:
    clock = ManualClock()
    async with Receiver() as receiver:
        world = Aftermath(SqliteStore(tmp_path / "data.db", clock=clock), clock, receiver)
        yield world
        await world.close()
