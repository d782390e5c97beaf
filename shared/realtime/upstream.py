"""Providers that serve realtime: the HTTP calls that open a session, and its WebSocket."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from shared.errors import InvalidProviderResponse, ProviderTimeout, ProviderUnreachable
from shared.inference.deadlines import Deadlines
from shared.providers.calls import Call
from shared.providers.demo.realtime import DemoSession
from shared.providers.http_client import HttpClient, RefusedUpgrade
from shared.providers.openai_errors import error_of
from shared.providers.openai_wire import OpenAIWire
from shared.realtime.addresses import socket_address
from shared.realtime.relay import ABNORMAL, Closed, Frame, Side
from shared.telemetry.redaction import REDACTED

if TYPE_CHECKING:
    import aiohttp

MAX_FRAME = 16 * 1024 * 1024
"""Bytes of the largest message in either direction."""
_CLOSING = 1.0
"""Seconds in which a provider answers our close frame before the connection is dropped."""


class RealtimeUpstream:
    """Opens WebSockets to providers, with their credentials and behind the same guard as every call.

    The sockets have a client of their own: the calls' connections are pooled, these are not given back.
    """

    def __init__(self, wire: OpenAIWire, client: HttpClient) -> None:
        self.wire = wire
        self._client = client

    async def connect(self, call: Call, limits: Deadlines, query: Mapping[str, str]) -> Side:
        """The open session. Raises an `UpstreamError` where the provider refuses or does not answer."""
        if call.model.provider == "Demo":
            return DemoSession(call.model)
        import aiohttp

        headers, secret = await self.wire.headers(call.model, call.headers)
        try:
            async with asyncio.timeout(limits.connect + limits.first_token):
                socket = await self._client.session().ws_connect(
                    socket_address(call.model, query),
                    headers=headers,
                    max_msg_size=MAX_FRAME,
                    timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSING),
                )
        except RefusedUpgrade as refused:
            raise error_of(refused.status, refused.body, refused.headers, secret) from None
        except TimeoutError:
            raise ProviderTimeout("The provider did not open the session in time.") from None
        except aiohttp.WSServerHandshakeError:
            raise InvalidProviderResponse("The provider's handshake is not that of a WebSocket.") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise ProviderUnreachable(
                f"The provider could not be reached ({type(error).__name__})."
            ) from None
        return ProviderSocket(socket, secret)

    async def close(self) -> None:
        await self._client.close()


@dataclass(slots=True)
class ProviderSocket:
    """The provider's side of a relay. `secret` is what no frame may carry to the client."""

    socket: "aiohttp.ClientWebSocketResponse"
    secret: str | None

    async def receive(self) -> Frame | Closed:
        import aiohttp

        message = await self.socket.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            return self._clean(message.data)
        if message.type is aiohttp.WSMsgType.BINARY:
            return bytes(message.data)
        if message.type is aiohttp.WSMsgType.CLOSE:
            return Closed(int(message.data), self._clean(str(message.extra or "")))
        return Closed(self.socket.close_code or ABNORMAL)

    def _clean(self, text: str) -> str:
        """A provider that repeats what it was sent must not tell the client our credential."""
        secret = self.secret
        return text.replace(secret, REDACTED) if secret and secret in text else text

    async def send(self, frame: Frame) -> None:
        if isinstance(frame, str):
            await self.socket.send_str(frame)
        else:
            await self.socket.send_bytes(frame)

    async def close(self, closed: Closed) -> None:
        await self.socket.close(code=closed.code, message=closed.reason.encode())
