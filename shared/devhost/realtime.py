"""The realtime WebSocket: what the local host serves and Azure Functions does not."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.types import Message, Receive, Scope, Send

from shared import VERSION
from shared.access.caller import ANONYMOUS, Caller
from shared.access.credentials import presented_key
from shared.devhost.routes import decoded_path
from shared.errors import Forbidden, InternalError, NotFound, ProxyError
from shared.inference.headers import answer_headers
from shared.realtime.asked import Asked
from shared.realtime.live import LiveSession
from shared.realtime.relay import Closed, Frame
from shared.request_ids import request_id
from shared.services import Services
from shared.wire.parameters import FORWARDED_HEADERS

PATHS = frozenset(("/v1/realtime", "/v1/audio/realtime", "/openai/realtime", "/openai/v1/realtime"))
PROTOCOL = "realtime"
"""The subprotocol that OpenAI's clients offer beside the one that carries their key."""
SESSION_HEADER = "x-llmproxy-session-id"

_KEY_PROTOCOL = "openai-insecure-api-key."
_BETA_PROTOCOL = "openai-beta."
_TRAVELLING_QUERY = ("call_id", "intent")

_logger = logging.getLogger("llmproxy.realtime")


@dataclass(frozen=True, slots=True)
class Handshake:
    """What a client says as it asks for a WebSocket. Names of headers are in lower case."""

    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    protocols: tuple[str, ...]

    @staticmethod
    def of(scope: Scope) -> "Handshake":
        raw = scope.get("raw_path") or scope["path"].encode()
        return Handshake(
            decoded_path(raw.decode("latin-1")).rstrip("/").lower(),
            dict(parse_qsl(scope["query_string"].decode("latin-1"))),
            {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
            tuple(scope.get("subprotocols", ())),
        )

    def after(self, prefix: str) -> str | None:
        """What follows `prefix` in the first subprotocol that begins with it."""
        return next((text.removeprefix(prefix) for text in self.protocols if text.startswith(prefix)), None)

    def forwarded(self) -> dict[str, str]:
        """The headers that travel on; browsers can set none and say the beta's as a subprotocol."""
        found = {name: self.headers[name] for name in FORWARDED_HEADERS if name in self.headers}
        beta = self.after(_BETA_PROTOCOL)
        if beta is not None and "openai-beta" not in found:
            found["openai-beta"] = beta.replace("-", "=", 1)
        return found


class RealtimeDoor:
    """Lets clients in, as an ASGI application for WebSockets: who is refused gets an HTTP answer instead."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        handshake = Handshake.of(scope)
        id = request_id(handshake.headers.get("x-request-id"))
        try:
            live = await self._open(handshake, id)
        except ProxyError as error:
            await _refuse(send, error, id)
            return
        except Exception:
            _logger.exception("a realtime session could not be opened, request %s", id)
            await _refuse(send, InternalError(), id)
            return
        headers = {**answer_headers(live.record, {}), SESSION_HEADER: live.session.id}
        protocol = PROTOCOL if PROTOCOL in handshake.protocols else None
        client = ClientSocket(receive, send)
        try:
            await send(
                {"type": "websocket.accept", "subprotocol": protocol, "headers": _headers(headers, id)}
            )
        except OSError:
            await self._services.live.abandon(live)
            return
        await self._services.live.run(live, client)

    async def _open(self, handshake: Handshake, id: str) -> LiveSession:
        if handshake.path not in PATHS:
            raise NotFound("There is no WebSocket at this address.")
        services = self._services
        caller = await self._authenticate(handshake)
        model = handshake.query.get("model") or handshake.query.get("deployment")
        asked = Asked(caller, id, model, handshake.forwarded())
        query = {name: handshake.query[name] for name in _TRAVELLING_QUERY if handshake.query.get(name)}
        if "call_id" in query:
            pin, call_id = await services.openings.pinned(query["call_id"], caller)
            return await services.live.open(replace(asked, pin=pin), {"call_id": call_id})
        return await services.live.open(asked, query)

    async def _authenticate(self, handshake: Handshake) -> Caller:
        """The caller by any of the ways in which realtime clients send a key; two that differ are refused."""
        services, headers = self._services, handshake.headers
        if not services.prepared:
            await services.prepare()
        keys = (headers.get("api-key"), headers.get("x-api-key"))
        others = (handshake.after(_KEY_PROTOCOL), handshake.query.get("api-key"))
        if not (services.settings.require_keys or any(keys) or any(others)):
            _refuse_other_origins(headers)
            return ANONYMOUS
        presented = presented_key(headers.get("authorization"), *keys, *others)
        return services.keys.fresh(presented) or await services.keys.authenticate(presented)


def _refuse_other_origins(headers: Mapping[str, str]) -> None:
    """Without keys a page of any site could connect: browsers let it, and say where it comes from."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise Forbidden("A page of another origin needs a key.")


class ClientSocket:
    """The client's side of a relay."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._closed: Closed | None = None

    async def receive(self) -> Frame | Closed:
        if self._closed is not None:
            return self._closed
        message: Message = await self._receive()
        if message["type"] != "websocket.receive":
            self._closed = Closed(int(message.get("code", 1006)), message.get("reason") or "")
            return self._closed
        text: str | None = message.get("text")
        return text if text is not None else bytes(message["bytes"])

    async def send(self, frame: Frame) -> None:
        if isinstance(frame, str):
            await self._send({"type": "websocket.send", "text": frame})
        else:
            await self._send({"type": "websocket.send", "bytes": frame})

    async def close(self, closed: Closed) -> None:
        if self._closed is None:
            self._closed = closed
            await self._send({"type": "websocket.close", "code": closed.code, "reason": closed.reason})


async def _refuse(send: Send, error: ProxyError, id: str) -> None:
    """Answers the handshake with the error's status and envelope, as every other request is answered."""
    body = orjson.dumps(error.envelope())
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **error.headers,
    }
    try:
        await send(
            {
                "type": "websocket.http.response.start",
                "status": error.status,
                "headers": _headers(headers, id),
            }
        )
        await send({"type": "websocket.http.response.body", "body": body})
    except OSError:
        return


def _headers(headers: Mapping[str, str], id: str) -> list[tuple[bytes, bytes]]:
    every = {**headers, "x-request-id": id, "x-llmproxy-version": VERSION}
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in every.items()]
