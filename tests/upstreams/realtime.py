"""OpenAI's realtime API, and Azure's addresses of it, as a recording upstream: HTTP flows and the WebSocket.

Shapes after OpenAI's API reference, "Realtime"; addresses of Azure after its reference (`/openai/v1/realtime/…`,
dated `/openai/realtime?api-version=&deployment=` and `/openai/realtimeapi/sessions`).
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import WSMsgType, web
from multidict import CIMultiDictProxy

ANSWER = "v=0\r\no=- 2 2 IN IP4 127.0.0.1\r\ns=answer\r\n"
USAGE = {
    "total_tokens": 150,
    "input_tokens": 100,
    "output_tokens": 50,
    "input_token_details": {"cached_tokens": 40, "text_tokens": 60, "audio_tokens": 40},
    "output_token_details": {"text_tokens": 20, "audio_tokens": 30},
}
SOCKETS = ("/v1/realtime", "/openai/realtime", "/openai/v1/realtime")


@dataclass(eq=False)
class Posted:
    """One HTTP request. `form` has the parts of a multipart body by name: (content type, text)."""

    path: str
    query: dict[str, str]
    headers: CIMultiDictProxy[str]
    raw: bytes
    form: dict[str, tuple[str, str]] = field(default_factory=dict)

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


@dataclass(eq=False)
class Connection:
    """One WebSocket. `events` are the client's text frames, decoded; `closed` is set when it is over."""

    path: str
    query: dict[str, str]
    headers: CIMultiDictProxy[str]
    socket: web.WebSocketResponse
    request: web.Request
    events: list[Any] = field(default_factory=list)
    frames: list[bytes] = field(default_factory=list)
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    code: int | None = None
    reason: str = ""

    async def say(self, **event: Any) -> None:
        await self.socket.send_str(json.dumps(event))

    def break_off(self) -> None:
        assert self.request.transport is not None
        self.request.transport.abort()


Conversation = Callable[[Connection], Awaitable[None]]


class RealtimeUpstream:
    """Answers as a provider does. `conversation`, if set, is held instead of the usual one on each WebSocket.

    A handshake sets `asked` and waits until `open` is. `refusal` is given instead of an upgrade, `failure` instead
    of an HTTP answer.
    """

    def __init__(self) -> None:
        self.posts: list[Posted] = []
        self.connections: list[Connection] = []
        self.conversation: Conversation | None = None
        self.refusal: Callable[[], web.Response] | None = None
        self.failure: Callable[[], web.Response] | None = None
        self.asked, self.open = asyncio.Event(), asyncio.Event()
        self.open.set()
        self.location = "/v1/realtime/calls/rtc_u0_upstream"
        self.url = ""
        self._arrived = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def connected(self, count: int = 1) -> Connection:
        """The last of `count` WebSockets, when it is there."""
        async with asyncio.timeout(5), self._arrived:
            await self._arrived.wait_for(lambda: len(self.connections) >= count)
        return self.connections[count - 1]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *failure: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if not (request.headers.get("authorization") or request.headers.get("api-key")):
            return web.json_response({"error": {"message": "You need a key."}}, status=401)
        if request.headers.get("upgrade", "").lower() == "websocket":
            return await self._converse(request)
        return await self._post(request)

    async def _post(self, request: web.Request) -> web.Response:
        posted = Posted(request.path, dict(request.query), request.headers, b"")
        if request.content_type == "multipart/form-data":
            async for part in await request.multipart():
                content = await part.read()  # type: ignore[union-attr]
                posted.form[str(part.name)] = (part.headers["Content-Type"], content.decode())  # type: ignore[union-attr]
        else:
            posted.raw = await request.read()
        self.posts.append(posted)
        if self.failure is not None:
            return self.failure()
        tail = request.path.rpartition("/")[2]
        if tail == "client_secrets":
            session = {"object": "realtime.session", "id": "sess_upstream", **posted.body.get("session", {})}
            return web.json_response(
                {"value": "ek_ephemeral", "expires_at": 1_760_000_600, "session": session},
                headers={"openai-organization": "org-upstream", "x-ratelimit-limit-requests": "500"},
            )
        if tail in ("sessions", "transcription_sessions"):
            secret = {"value": "ek_ephemeral", "expires_at": 1_760_000_600}
            return web.json_response({"id": "sess_upstream", **posted.body, "client_secret": secret})
        if tail == "calls":
            return web.Response(
                text=ANSWER, status=201, content_type="application/sdp", headers={"Location": self.location}
            )
        return web.Response(status=200)

    async def _converse(self, request: web.Request) -> web.StreamResponse:
        if self.refusal is not None:
            return self.refusal()
        if request.path not in SOCKETS:
            return web.json_response({"error": {"message": "Resource not found", "code": "404"}}, status=404)
        self.asked.set()
        await self.open.wait()
        protocols = request.headers.get("sec-websocket-protocol", "")
        socket = web.WebSocketResponse(
            protocols=[name.strip() for name in protocols.split(",") if name], max_msg_size=2**25
        )
        await socket.prepare(request)
        connection = Connection(request.path, dict(request.query), request.headers, socket, request)
        async with self._arrived:
            self.connections.append(connection)
            self._arrived.notify_all()
        try:
            await (self.conversation or _usual)(connection)
        finally:
            connection.code = socket.close_code
            connection.closed.set()
        return socket


async def _usual(connection: Connection) -> None:
    """Greets, answers each `response.create` in words, and says back what is binary."""
    await connection.say(type="session.created", event_id="event_1", session={"id": "sess_upstream"})
    while True:
        message = await connection.socket.receive()
        if message.type is WSMsgType.CLOSE or message.type not in (WSMsgType.TEXT, WSMsgType.BINARY):
            connection.reason = str(message.extra or "") if message.type is WSMsgType.CLOSE else ""
            return
        if message.type is WSMsgType.BINARY:
            connection.frames.append(message.data)
            await connection.socket.send_bytes(message.data)
            continue
        event = json.loads(message.data)
        connection.events.append(event)
        if event["type"] == "response.create":
            for word in ("Good", " day"):
                await connection.say(type="response.output_text.delta", event_id="event_2", delta=word)
            await connection.say(
                type="response.done",
                event_id="event_3",
                response={
                    "id": "resp_1",
                    "object": "realtime.response",
                    "status": "completed",
                    "usage": USAGE,
                },
            )
        elif event["type"] == "input_audio_buffer.append":
            await connection.say(type="input_audio_buffer.committed", length=len(event["audio"]))
