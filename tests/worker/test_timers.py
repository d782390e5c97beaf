"""The timer functions, called as Azure's host calls them."""

from tests.upstreams.openai import OpenAIUpstream
from tests.worker.conftest import Client


async def test_the_probe_asks_each_model_and_stores_its_health(
    client: Client, upstream: OpenAIUpstream
) -> None:
    async with client.model(upstream, "probed") as model:
        assert await client.run_timer("probe_models") is None
        probe = await upstream.wait_requests(1)
        assert (probe.method, probe.path) == ("GET", "/v1/models")
        status, shown = await client.get(f"/manage/models/{model}")
    assert status == 200
    assert shown["status"]["status"] == "healthy"
