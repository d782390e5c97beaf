from collections.abc import AsyncIterator

import pytest

from tests.unit.providers.lane import Lane, open_lane


@pytest.fixture
async def lane() -> AsyncIterator[Lane]:
    async with open_lane() as opened:
        yield opened
