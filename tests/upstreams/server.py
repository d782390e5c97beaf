"""A recording HTTP server on loopback: what it was asked, what it answers by itself, and what a test scripts.

async with OpenAIUpstream() as upstream:
    upstream.script(Reply(status=429, headers={"retry-after": "2"}), HangUp())
    ...                                  # two requests fail, the third is answered as usual
    assert upstream.requests[-1].body["model"] == "gpt-4o"
"""

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeAlias

import orjson
from aiohttp import web
from multidict import CIMultiDictProxy

from tests.upstreams.behaviours import Behaviour, Hang, HangUp, Reply, SoundReply, StreamReply, filled


@dataclass(eq=False, slots=True)
class Received:
    """One request as it came over the wire. `peer` is the client's address, one per connection.

    `disconnected` is set when the client went away before the answer was complete, `answered` when it was.
    """

    method: str
    path: str
    query: dict[str, str]
    headers: CIMultiDictProxy[str]
    raw: bytes
    peer: str
    disconnected: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def body(self) -> Any:
        """The decoded JSON body; raises if it is none."""
        return orjson.loads(self.raw)


Script: TypeAlias = Behaviour | Callable[[Received], Behaviour]


class Upstream:
    """The base: subclasses say in `answer` what a healthy provider would. With `tls` it speaks https."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.requests: list[Received] = []
        self.url = ""
        self._scripted: deque[Script] = deque()
        self._always: Script | None = None
        self._arrived = asyncio.Condition()
        self._runner: web.ServerRunner | None = None

    def answer(self, request: Received) -> Behaviour:
        """What this provider says when nothing is scripted."""
        raise NotImplementedError

    def script(self, *behaviours: Script) -> None:
        """The next requests are answered so, one each; after them, the default again."""
        self._scripted.extend(behaviours)

    def always(self, behaviour: Script | None) -> None:
        """Every request that finds no script is answered so, until `always(None)`."""
        self._always = behaviour

    @property
    def connections(self) -> int:
        """How many connections brought a request."""
        return len({request.peer for request in self.requests})

    async def wait_requests(self, count: int, timeout: float = 5.0) -> Received:
        """Waits until `count` requests have come in all, and gives the last. Raises TimeoutError."""
        async with asyncio.timeout(timeout), self._arrived:
            await self._arrived.wait_for(lambda: len(self.requests) >= count)
        return self.requests[count - 1]

    async def wait_disconnected(self, timeout: float = 1.0, request: Received | None = None) -> None:
        """Waits until the client of `request` (the last one) left before the answer's end.

        Raises TimeoutError.
        """
        async with asyncio.timeout(timeout):
            await (request or self.requests[-1]).disconnected.wait()

    async def __aenter__(self) -> Self:
        # A client that leaves must cancel the handler: that is how the disconnect is recorded.
        server = web.Server(self._handle, handler_cancellation=True)
        self._runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if self._tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(self, *failure: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        received = await self._record(request)
        async with _watched(received):
            script: Script | None = self._scripted.popleft() if self._scripted else self._always
            scripted = script(received) if callable(script) else script
            if isinstance(scripted, HangUp):
                return _hung_up(request)
            if isinstance(scripted, Hang):
                await (scripted.released or asyncio.Event()).wait()
                scripted = None
            default = self.answer(received)
            behaviour = default if scripted is None else filled(scripted, default)
            if isinstance(behaviour, StreamReply):
                return await _stream(request, behaviour)
            if isinstance(behaviour, SoundReply):
                return await _sound(request, behaviour)
            assert isinstance(behaviour, Reply)
            return await _reply(request, behaviour)

    async def _record(self, request: web.BaseRequest) -> Received:
        peer = request.transport.get_extra_info("peername") if request.transport else None
        received = Received(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=request.headers,
            raw=await request.read(),
            peer=f"{peer[0]}:{peer[1]}" if peer else "",
        )
        async with self._arrived:
            self.requests.append(received)
            self._arrived.notify_all()
        return received


@asynccontextmanager
async def _watched(received: Received) -> AsyncIterator[None]:
    try:
        yield
    except (asyncio.CancelledError, ConnectionError):
        received.disconnected.set()
        raise
    received.answered.set()


def _hung_up(request: web.BaseRequest) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _reply(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    body = reply.body if isinstance(reply.body, bytes) else orjson.dumps(reply.body)
    response = web.Response(
        body=body, status=reply.status, headers={"content-type": reply.content_type, **reply.headers}
    )
    await response.prepare(request)
    await response.write_eof()
    if reply.hang_up and request.transport is not None:
        request.transport.close()
    return response


async def _sound(request: web.BaseRequest, reply: SoundReply) -> web.StreamResponse:
    response = web.StreamResponse(headers={"content-type": reply.content_type, **reply.headers})
    if reply.length is None:
        response.enable_chunked_encoding()
    else:
        response.content_length = reply.length
    await response.prepare(request)
    for piece in reply.pieces:
        await response.write(piece)
    if reply.released is not None:
        await reply.released.wait()
    if reply.ending == "stall":
        await asyncio.Event().wait()
    if reply.ending == "cut" and request.transport is not None:
        request.transport.close()
        return response
    await response.write_eof()
    return response


async def _stream(request: web.BaseRequest, reply: StreamReply) -> web.StreamResponse:
    response = web.StreamResponse(
        status=reply.status, headers={"content-type": reply.content_type, **reply.headers}
    )
    response.enable_chunked_encoding()
    await response.prepare(request)
    for position, item in enumerate(reply.chosen()):
        if position == reply.hold_after and reply.released is not None:
            await reply.released.wait()
        if reply.pause:
            await asyncio.sleep(reply.pause)
        data = reply.encode(item)
        size = reply.slices or len(data)
        for start in range(0, len(data), size):
            await response.write(data[start : start + size])
    if reply.ending == "stall":
        await asyncio.Event().wait()
    if reply.ending == "cut" and request.transport is not None:
        # No last chunk: the client sees a transfer that broke.
        request.transport.close()
        return response
    await response.write_eof()
    return response
