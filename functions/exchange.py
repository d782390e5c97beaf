"""One HTTP request on its way through a function: what handlers read of it."""

from collections.abc import AsyncIterator, Mapping

import orjson
from starlette.requests import Request

from shared import Json
from shared.access.caller import ANONYMOUS, Caller
from shared.errors import ClientGone, InvalidJson, RequestTooLarge
from shared.request_ids import request_id
from shared.services import Services

MAX_DEPTH = 200
"""Levels of arrays and objects in a body: orjson writes 254 of them, and no request needs that many."""


class Exchange:
    """The request, who asks, and what the answer's headers need. `started` is monotonic, in seconds."""

    __slots__ = ("_body", "_headers", "caller", "method", "request", "request_id", "services", "started")

    def __init__(self, request: Request, services: Services) -> None:
        self.request = request
        self.services = services
        self.method: str = request.method
        self.started = services.clock.monotonic()
        self.caller: Caller = ANONYMOUS
        self._headers: dict[bytes, bytes] = dict(request.scope["headers"])
        self._body: bytes | None = None
        self.request_id = request_id(self.header("x-request-id"))

    def header(self, name: str) -> str | None:
        """A header by its lower-case name; None where it is absent."""
        value = self._headers.get(name.encode("latin-1"))
        return None if value is None else value.decode("latin-1")

    @property
    def query(self) -> Mapping[str, str]:
        return self.request.query_params

    def raw_path_param(self, name: str) -> str:
        """A part of the path as the host gives it: decoded, but for `%2F`."""
        value = self.request.path_params.get(name)
        return value if isinstance(value, str) else ""

    def path_param(self, name: str) -> str:
        """A part of the path, wholly decoded; empty where it is absent."""
        return with_slashes(self.raw_path_param(name))

    async def body(self, limit: int | None = None) -> bytes:
        """The whole body, of `limit` bytes or what the settings allow. Raises `RequestTooLarge`, `ClientGone`."""
        if self._body is None:
            most = self.services.settings.max_json_bytes
            self._body = await self._read_body(most if limit is None else min(limit, most))
        return self._body

    async def _read_body(self, limit: int) -> bytes:
        part, more = await self._receive(0, limit)
        if not more:
            return part
        parts, size = [part], len(part)
        while more:
            part, more = await self._receive(size, limit)
            parts.append(part)
            size += len(part)
        return b"".join(parts)

    async def parts(self, limit: int) -> AsyncIterator[bytes]:
        """The body as it arrives. Raises `RequestTooLarge` as soon as it is over the limit, and `ClientGone`."""
        size, more = 0, True
        while more:
            part, more = await self._receive(size, limit)
            size += len(part)
            if part:
                yield part

    async def _receive(self, received: int, limit: int) -> tuple[bytes, bool]:
        """The next part of the body, and whether more may come."""
        if not received:
            length = self._headers.get(b"content-length")
            if length is not None and length.isdigit() and int(length) > limit:
                raise _too_large(limit)
        message = await self.request.receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        if received + len(part) > limit:
            raise _too_large(limit)
        return part, message.get("more_body", False)

    async def json_object(self, limit: int | None = None) -> Json:
        """The body as a JSON object. Raises `InvalidJson`, and what `body` raises."""
        body = await self.body(limit)
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            raise InvalidJson(
                "The body is empty; a JSON object is needed." if not body else "The body is not valid JSON."
            ) from None
        if not isinstance(content, dict):
            raise InvalidJson("The body must be a JSON object.")
        if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _is_deeper(content, MAX_DEPTH):
            raise InvalidJson(f"The body is nested more than {MAX_DEPTH} levels deep.")
        return content


def with_slashes(part: str) -> str:
    """A part of a path as the host gives it, wholly decoded: the host leaves `%2F` alone."""
    return part.replace("%2F", "/").replace("%2f", "/") if "%" in part else part


def _is_deeper(content: object, depth: int) -> bool:
    level = [content]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)  # type: ignore[attr-defined]
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"The body is larger than {limit} bytes.")
