"""The host's HTTP side: routes a request to a function and forwards it to the worker's own server."""

import asyncio
import uuid

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector, web
from yarl import URL

from tests.worker.host.library import Library
from tests.worker.host.messages import RpcHttp, TypedData
from tests.worker.host.routes import HttpRoute, HttpRoutes

HOP_BY_HOP = frozenset(("connection", "host", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"))
SILENCE = ClientTimeout(total=None, sock_read=230)
"""Azure's balancer gives up on a response that is silent for 230 s."""


class Front:
    """Two messages lead to one answer, as in Azure: the invocation, and the request itself over HTTP.

    `waiting` holds the HTTP invocations that have not ended: one that stays there would be ended by the
    function time-out only, together with the whole process.
    """

    def __init__(self, library: Library, route_prefix: str) -> None:
        self.waiting: dict[asyncio.Task[object], str] = {}
        self._library = library
        self._worker = library.http_address
        self._routes = HttpRoutes(
            [
                HttpRoute.of(
                    function.name,
                    route_prefix,
                    function.trigger.get("route") or function.name,
                    function.trigger.get("methods") or [],
                )
                for function in library.functions.values()
                if function.trigger["type"] == "httpTrigger"
            ]
        )
        self._client: ClientSession | None = None
        self._runner: web.ServerRunner | None = None

    async def start(self, port: int) -> str:
        """Listens on loopback; the address."""
        self._client = ClientSession(
            connector=TCPConnector(limit=0),
            auto_decompress=False,
            cookie_jar=DummyCookieJar(),
            timeout=SILENCE,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        )
        self._runner = web.ServerRunner(web.Server(self._handle, handler_cancellation=True, access_log=None))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
        if self._client is not None:
            await self._client.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw_path, _, query = request.raw_path.partition("?")
        found = self._routes.find(request.method, raw_path)
        if found is None:
            return web.Response(status=404)
        function, parameters = found
        invocation = str(uuid.uuid4())
        data = TypedData(
            http=RpcHttp(
                method=request.method,
                url=str(request.url),
                headers=dict(request.headers),
                params=parameters,
                query=dict(request.query),
                body=TypedData(bytes=b""),
            )
        )
        running = asyncio.create_task(self._library.invoke(function, data, invocation))
        self.waiting[running] = f"{request.method} {request.raw_path}"
        running.add_done_callback(self.waiting.pop)
        address = URL(f"{self._worker}{raw_path}{'?' + query if query else ''}", encoded=True)
        return await self._forward(request, address, invocation)

    async def _forward(self, request: web.BaseRequest, address: URL, invocation: str) -> web.StreamResponse:
        headers = [pair for pair in request.headers.items() if pair[0].lower() not in HOP_BY_HOP]
        headers.append(("x-ms-invocation-id", invocation))
        body = request.content.iter_any() if request.body_exists else None
        assert self._client is not None
        response: web.StreamResponse | None = None
        try:
            async with self._client.request(
                request.method, address, headers=headers, allow_redirects=False, data=body
            ) as answer:
                kept = [pair for pair in answer.headers.items() if pair[0].lower() not in HOP_BY_HOP]
                response = web.StreamResponse(status=answer.status, headers=kept)
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except ClientError:
            if response is None:
                return web.Response(status=502)
            # A stream of the worker's that broke must look broken to the client too.
            if request.transport is not None:
                request.transport.abort()
            return response
