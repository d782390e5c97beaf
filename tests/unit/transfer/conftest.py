from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.unit.transfer.worlds import World


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path / "one.db")
    yield world
    await world.close()


@pytest.fixture
async def other(tmp_path: Path) -> AsyncIterator[World]:
    """Another store, empty."""
    world = World(tmp_path / "other.db")
    world.clock.advance(86_400)
    yield world
    await world.close()
