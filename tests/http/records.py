"""What the proxy wrote down of a call that no one waited for."""

import asyncio

from shared import Json
from tests.proxy import Proxy


async def wait_for_record(proxy: Proxy, status: int, timeout: float = 5.0) -> Json:
    """The first record, once it is written; it must have this status. Raises TimeoutError."""
    async with asyncio.timeout(timeout):
        while not (records := await proxy.requests()):
            await asyncio.sleep(0.01)
    assert records[0]["status"] == status, records[0]
    return records[0]
