"""The timer functions, called as Azure's host calls them."""

import asyncio

from tests.upstreams.openai import OpenAIUpstream
from tests.worker.conftest import Client

STORED_FOR = 10
"""Seconds for which an app shows the marks that it read last: others may have asked for them a moment ago."""


async def test_the_probe_asks_each_model_and_stores_its_health(
    client: Client, upstream: OpenAIUpstream
) -> None:
    async with client.model(upstream, "probed") as model:
        assert await client.run_timer("probe_models") is None
        probe = await upstream.wait_requests(1)
        assert (probe.method, probe.path) == ("GET", "/v1/models")
        async with asyncio.timeout(STORED_FOR + 5):
            while (await client.get(f"/manage/models/{model}"))[1]["status"]["status"] != "healthy":
                await asyncio.sleep(0.2)
