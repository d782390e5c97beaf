"""The HTTP client of all calls to others: pooled, without cookies, redirects or a proxy from the environment."""

import asyncio
import socket
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from shared.catalog.endpoints import refuse_address
from shared.errors import ProviderUnreachable

if TYPE_CHECKING:
    import aiohttp
    from aiohttp.abc import AbstractResolver, ResolveResult
    from aiohttp.client_proto import ResponseHandler
    from aiohttp.connector import AddrInfoType
    from aiohttp.tracing import Trace

_REFUSAL_BYTES = 64 * 1024
_REFUSAL_SECONDS = 5.0


@dataclass(slots=True)
class Sent:
    """What became known of one request: whether it went out on a connection that had been used before."""

    reused: bool = True


sending: ContextVar[Sent | None] = ContextVar("sending", default=None)
"""The request that this task is sending: the connector notes in it what kind of connection it gave."""


class RefusedUpgrade(Exception):
    """A server answered the wish for a WebSocket with something else. `body` is the beginning of what it said."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.headers = headers
        self.body = body


class HttpClient:
    """Makes its session at the first use, inside the running loop, and imports aiohttp only then.

    `resolver` makes what looks host names up; left out, it is the system's resolver, in a thread. `guard` is
    asked of every address at the time of the connection, and raises where there must be none. With
    `untrusted`, for addresses that clients name, bodies stay compressed and no connection is used twice.
    One for `upgrades` opens WebSockets and nothing else: every other answer raises `RefusedUpgrade`, a
    redirect too, which would carry the credential elsewhere.
    """

    def __init__(
        self,
        max_connections: int = 1000,
        *,
        resolver: "Callable[[], AbstractResolver] | None" = None,
        guard: Callable[[str], None] | None = None,
        untrusted: bool = False,
        upgrades: bool = False,
    ) -> None:
        self._max_connections = max_connections
        self._resolver = resolver
        self._guard = guard or refuse_provider
        self._untrusted = untrusted
        self._upgrades = upgrades
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> "aiohttp.ClientSession":
        if self._session is None or self._session.closed:
            options = _upgrades_only() if self._upgrades else {}
            self._session = _make_session(
                self._max_connections, self._resolver, self._guard, self._untrusted, options
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
            await asyncio.sleep(0)


def refuse_provider(address: str) -> None:
    """The guard of calls to providers: no link-local and no metadata address."""
    if refuse_address(address):
        raise ProviderUnreachable("The provider's host name leads to an address that is refused.")


def _upgrades_only() -> dict[str, Any]:
    """A session's options that end a call whose answer is no upgrade, with what the server said."""
    import aiohttp

    async def refuse(response: aiohttp.ClientResponse) -> None:
        if response.status == 101:
            return
        try:
            async with asyncio.timeout(_REFUSAL_SECONDS):
                body = await response.content.read(_REFUSAL_BYTES)
        except (aiohttp.ClientError, OSError, TimeoutError):
            body = b""
        response.close()
        raise RefusedUpgrade(response.status, response.headers, body)

    async def redirected(
        session: aiohttp.ClientSession, context: object, params: aiohttp.TraceRequestRedirectParams
    ) -> None:
        await refuse(params.response)

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(redirected)
    return {"raise_for_status": refuse, "trace_configs": [trace]}


def _make_session(
    max_connections: int,
    make_resolver: "Callable[[], AbstractResolver] | None",
    guard: Callable[[str], None],
    untrusted: bool,
    options: dict[str, Any],
) -> "aiohttp.ClientSession":
    import aiohttp
    from aiohttp.abc import AbstractResolver

    class GuardedResolver(AbstractResolver):
        """Refuses names that lead to an address that the guard refuses, at the time of the connection."""

        def __init__(self) -> None:
            self._inner = (make_resolver or aiohttp.ThreadedResolver)()

        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
        ) -> "list[ResolveResult]":
            found = await self._inner.resolve(host, port, family)
            for result in found:
                guard(result["host"])
            return found

        async def close(self) -> None:
            await self._inner.close()

    def allowed_socket(address: "AddrInfoType") -> socket.socket:
        """A socket for one address, the last thing before the connection: nothing may lead past this check.

        A literal address is asked of no resolver.
        """
        family, kind, protocol, _, target = address
        guard(str(target[0]))
        return socket.socket(family, kind, protocol)

    class Connector(aiohttp.TCPConnector):
        """Tells when it makes a connection: only one that was used before may have been closed meanwhile."""

        async def _create_connection(
            self, req: aiohttp.ClientRequest, traces: "list[Trace]", timeout: aiohttp.ClientTimeout
        ) -> "ResponseHandler":
            sent = sending.get()
            if sent is not None:
                sent.reused = False
            return await super()._create_connection(req, traces, timeout)

    return aiohttp.ClientSession(
        connector=Connector(
            limit=max_connections,
            ttl_dns_cache=60,
            keepalive_timeout=None if untrusted else 55,
            force_close=untrusted,
            resolver=GuardedResolver(),
            socket_factory=allowed_socket,
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        skip_auto_headers=("User-Agent",),
        read_bufsize=2**18,
        auto_decompress=not untrusted,
        **options,
    )
