from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from tests.unit.usage.books import Books


@pytest.fixture
async def books(tmp_path: Path) -> AsyncIterator[Books]:
    clock = ManualClock()
    books = Books(SqliteStore(tmp_path / "data.db", clock=clock), clock)
    yield books
    await books.close()
