"""A proxy and an upstream for each test."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.http.outages import Site, running_site
from tests.proxy import Proxy, running_proxy
from tests.upstreams.openai import OpenAIUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[OpenAIUpstream]:
    async with OpenAIUpstream() as running:
        yield running


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    async with running_proxy(
        tmp_path, idle_timeout=1.0, first_token_timeout=1.0, call_timeout=5.0, heartbeat_interval=0.3
    ) as running:
        yield running


@pytest.fixture
async def site(tmp_path: Path, upstream: OpenAIUpstream) -> AsyncIterator[Site]:
    async with running_site(tmp_path, upstream) as running:
        yield running
