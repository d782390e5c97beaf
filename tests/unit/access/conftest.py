from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from tests.unit.access.worlds import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    clock = ManualClock()
    world = World(SqliteStore(tmp_path / "data.db", clock=clock), clock)
    yield world
    await world.close()
