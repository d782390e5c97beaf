"""What the app writes in Azure's worker."""

from tests.worker.conftest import Client

CALLS = 5


async def test_a_healthy_call_costs_no_line_of_the_worker_or_the_web_server(client: Client) -> None:
    await client.get("/health")
    before = len(client.app.lines)
    for _ in range(CALLS):
        assert (await client.get("/health"))[0] == 200
    # This one is written, so that all before it has been read.
    await client.get("/nothing-at-all")
    while not any("/nothing-at-all" in line for line in client.app.lines):
        await client.get("/health")
    new = [line for line in client.app.lines[before:] if "nothing-at-all" not in line]
    assert new == []


async def test_the_key_is_in_no_line(client: Client, admin_key: str) -> None:
    await client.get("/v1/models")
    assert not [line for line in client.app.lines if admin_key in line]


async def test_no_invocation_failed(client: Client) -> None:
    await client.get("/health")
    assert await client.host("/failures") == []
