"""The one HTTP client to providers: pooled, without cookies, redirects or a proxy from the environment."""

import asyncio
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.catalog.endpoints import refuse_address
from shared.errors import ProviderUnreachable

if TYPE_CHECKING:
    from types import SimpleNamespace

    import aiohttp
    from aiohttp.abc import ResolveResult


@dataclass(slots=True)
class Sent:
    """What became known of one request: whether it went out on a connection that had been used before."""

    reused: bool = False


class HttpClient:
    """Makes its session at the first use, inside the running loop, and imports aiohttp only then."""

    def __init__(self, max_connections: int = 1000) -> None:
        self._max_connections = max_connections
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> "aiohttp.ClientSession":
        if self._session is None or self._session.closed:
            self._session = _make_session(self._max_connections)
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)


def _make_session(max_connections: int) -> "aiohttp.ClientSession":
    import aiohttp
    from aiohttp.abc import AbstractResolver

    class GuardedResolver(AbstractResolver):
        """Refuses names that lead to a link-local or metadata address, at the time of the connection."""

        def __init__(self) -> None:
            self._inner = aiohttp.ThreadedResolver()

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> "list[ResolveResult]":
            found = await self._inner.resolve(host, port, family)
            for result in found:
                if refuse_address(result["host"]):
                    raise ProviderUnreachable("The provider's host name leads to an address that is refused.")
            return found

        async def close(self) -> None:
            await self._inner.close()

    trace = aiohttp.TraceConfig()

    async def reused(_session: aiohttp.ClientSession, context: "SimpleNamespace", _params: object) -> None:
        sent = context.trace_request_ctx
        if isinstance(sent, Sent):
            sent.reused = True

    trace.on_connection_reuseconn.append(reused)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=max_connections, ttl_dns_cache=60, keepalive_timeout=55, resolver=GuardedResolver()
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[trace],
        auto_decompress=True,
        skip_auto_headers=("User-Agent",),
        read_bufsize=2**18,
    )
