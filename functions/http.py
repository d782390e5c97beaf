"""What every HTTP function does: request id, caller, error envelope, disconnects, and the headers of each answer."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import TypeAlias

import orjson
from azurefunctions.extensions.http.fastapi import Request, Response

from functions.cors import cors_of
from functions.exchange import Exchange
from functions.replies import PlainReply, Reply, SseReply, empty_response, json_response
from shared import VERSION
from shared.access.caller import ANONYMOUS, Caller
from shared.access.credentials import presented_key
from shared.errors import (
    AdminRequired,
    ClientGone,
    InternalError,
    MethodNotAllowed,
    ProxyError,
    UpstreamError,
)
from shared.openapi.declared import Access, Declared
from shared.services import Services
from shared.telemetry.logging import log_event

__all__ = ["METHODS", "Access", "Exchange", "PlainReply", "Reply", "SseReply", "endpoint", "json_response"]

METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
"""Every method: the host answers one that no function takes with an empty 404."""

Handler: TypeAlias = Callable[[Exchange], Awaitable[Reply]]
Function: TypeAlias = Callable[[Request], Awaitable[Response]]

WATCH_AFTER = 0.25
"""Seconds after which a plain call begins to look whether its client is still there."""

_VERSION_HEADER = (b"x-llmproxy-version", VERSION.encode())

_logger = logging.getLogger("llmproxy.http")


def endpoint(
    services: Services,
    *methods: str,
    access: Access,
    methods_at: Callable[[Exchange], Sequence[str]] | None = None,
) -> Callable[[Handler], Function]:
    """Makes a handler into the function that Azure calls. Whatever goes wrong ends in OpenAI's envelope.

    `OPTIONS` needs no key and is answered here; `methods_at` says which methods an address takes, where a function
    has addresses that differ in that.
    """
    cors = cors_of(services.settings)

    def decorate(handler: Handler) -> Function:
        services.functions[handler.__name__] = Declared(methods, access)

        async def function(req: Request) -> Response:
            exchange = Exchange(req, services)
            try:
                if not services.prepared:
                    await services.prepare()
                here = methods if methods_at is None else methods_at(exchange)
                if exchange.method == "OPTIONS":
                    reply: Reply = empty_response(204, {"allow": ", ".join(here)})
                elif exchange.method not in here:
                    raise MethodNotAllowed(exchange.method, ", ".join(here))
                else:
                    if access != "open":
                        exchange.caller = await authenticate(exchange, access)
                    reply = await handler(exchange)
            except ProxyError as error:
                reply = error_reply(error)
            except asyncio.CancelledError:
                reply = error_reply(ClientGone())
            except Exception:
                _logger.exception("unhandled error in %s, request %s", handler.__name__, exchange.request_id)
                reply = error_reply(InternalError())
            finish(exchange, reply)
            if cors is not None:
                cors.add_headers(exchange, reply)
            return reply

        function.__name__ = handler.__name__
        function.__qualname__ = handler.__qualname__
        function.__module__ = handler.__module__
        function.__doc__ = handler.__doc__
        return function

    return decorate


async def authenticate(exchange: Exchange, access: Access) -> Caller:
    """The caller by the key that the request carries. Raises a 401, 403 or 503."""
    services = exchange.services
    authorization = exchange.header("authorization")
    api_key, x_api_key = exchange.header("api-key"), exchange.header("x-api-key")
    if access == "inference" and not services.settings.require_keys and not (api_key or x_api_key):
        return ANONYMOUS
    presented = presented_key(authorization, api_key, x_api_key)
    caller = services.keys.fresh(presented) or await services.keys.authenticate(presented)
    if access == "admin" and not caller.admin:
        raise AdminRequired("This address needs an administrator's key.")
    return caller


def error_reply(error: ProxyError) -> PlainReply:
    """The envelope, with `Retry-After` (whole seconds, RFC 9110) where the error says when to come back."""
    if isinstance(error, UpstreamError) and error.retry_after and "retry-after" not in error.headers:
        error.headers["retry-after"] = str(math.ceil(error.retry_after))
    return PlainReply(orjson.dumps(error.envelope()), error.status, error.headers)


def finish(exchange: Exchange, reply: Reply) -> None:
    """Adds what every answer carries, and logs the request."""
    elapsed = (exchange.services.clock.monotonic() - exchange.started) * 1000
    reply.raw_headers += (
        (b"x-request-id", exchange.request_id.encode()),
        (b"openai-processing-ms", b"%d" % elapsed),
        _VERSION_HEADER,
    )
    if _logger.isEnabledFor(logging.DEBUG) or reply.status_code >= 400:
        log_event(
            _logger,
            logging.DEBUG if reply.status_code < 400 else logging.INFO,
            "http",
            request_id=exchange.request_id,
            method=exchange.method,
            path=exchange.request.scope["path"],
            status=reply.status_code,
            project=exchange.caller.project,
            key_id=exchange.caller.key_id,
            duration_ms=round(elapsed, 1),
        )


class WhileClientStays:
    """Cancels what runs inside when the client leaves, and raises `ClientGone`. The body must have been read.

    Nothing tells a function that its client left before it has answered, so a task has to wait for the
    message; most calls are over before it is worth starting one.
    """

    __slots__ = ("_exchange", "_gone", "_timer", "_watcher", "_worker")

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._worker = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self._gone = False
        self._timer = asyncio.get_running_loop().call_later(WATCH_AFTER, self._start)

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()
        cancelled = self._gone and isinstance(error, asyncio.CancelledError)
        if cancelled and self._worker is not None and self._worker.uncancel() == 0:
            raise ClientGone from None

    def _start(self) -> None:
        self._watcher = asyncio.get_running_loop().create_task(self._watch())

    async def _watch(self) -> None:
        while (await self._exchange.request.receive())["type"] != "http.disconnect":
            pass
        self._gone = True
        if self._worker is not None:
            self._worker.cancel()
