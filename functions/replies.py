"""Answers, as lean ASGI responses: their headers are encoded once and nothing is looked up twice."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import anyio
import orjson
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from shared.errors import ProxyError
from shared.inference.download import DownloadSession
from shared.inference.stream import GRACE, StreamSession

JSON_TYPE = "application/json"
_SSE_HEADERS = {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-cache",
    "x-accel-buffering": "no",
}


class PlainReply(Response):
    """A whole body with its headers."""

    def __init__(
        self, body: bytes, status: int = 200, headers: Mapping[str, str] | None = None, type: str = JSON_TYPE
    ) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [
            (b"content-length", str(len(body)).encode()),
            (b"content-type", type.encode()),
        ]
        if headers:
            self.raw_headers += _encoded(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body})


class SseReply(StreamingResponse):
    """The events of a `StreamSession`. When the client leaves, the session is closed at once.

    A connection whose reader is stuck past the deadline is given up without a proper end, so that what the client
    has is never taken for complete.
    """

    def __init__(
        self, session: StreamSession, headers: Mapping[str, str], uploads: AsyncExitStack | None = None
    ) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = _encoded({**_SSE_HEADERS, **headers})
        self._session = session
        self._uploads = uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        watcher = asyncio.create_task(self._close_when_client_leaves(receive))
        try:
            async with asyncio.timeout_at(self._session.deadline + GRACE):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for batch in self._session.batches():
                    await send({"type": "http.response.body", "body": batch, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError):
            return
        finally:
            watcher.cancel()
            await self._session.close()
            if self._uploads is not None:
                await self._uploads.aclose()

    async def _close_when_client_leaves(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await self._session.close()


class BytesReply(StreamingResponse):
    """The bytes of a `DownloadSession`. When they break off, so does the connection, without a proper end."""

    def __init__(self, session: DownloadSession, headers: Mapping[str, str]) -> None:
        self.status_code = 200
        self.background = None
        self.raw_headers = _encoded({"content-type": session.content_type, **headers})
        self._session = session

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sender = asyncio.current_task()
        watcher = asyncio.create_task(_cancel_when_client_leaves(receive, sender))
        try:
            async with asyncio.timeout_at(self._session.deadline + GRACE):
                await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
                async for chunk in self._session.chunks():
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        except (TimeoutError, OSError, ProxyError, asyncio.CancelledError):
            return
        finally:
            watcher.cancel()
            with anyio.CancelScope(shield=True):
                await self._session.close()


Reply: TypeAlias = PlainReply | SseReply | BytesReply


async def _cancel_when_client_leaves(receive: Receive, sender: "asyncio.Task[None] | None") -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    if sender is not None:
        sender.cancel()


def json_response(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> PlainReply:
    """JSON with a status. Raises `TypeError` for what is no JSON."""
    return PlainReply(orjson.dumps(content), status, headers)


def empty_response(status: int, headers: Mapping[str, str]) -> PlainReply:
    """An answer without content: 204 and 304 have neither a length nor a type (RFC 9110, 8.6)."""
    reply = PlainReply(b"", status)
    reply.raw_headers = _encoded(headers)
    return reply


def _encoded(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1", "replace"))
        for name, value in headers.items()
    ]
