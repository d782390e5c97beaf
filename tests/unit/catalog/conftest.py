from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from tests.unit.catalog.worlds import GatedStore


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[GatedStore]:
    store = GatedStore(SqliteStore(tmp_path / "data.db"))
    yield store
    await store.close()
