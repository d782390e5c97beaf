"""The worker's own web application, made so that each request reaches the function that waits for it.

Azure's worker gets a call twice: as an invocation, and as a request to its own web server, which it makes of
the classes below. A request that this server answers by itself leaves the invocation waiting until a time-out
ends the process. A plain `FastAPI()` does so for `/docs`, `/redoc`, `/openapi.json` and
`/docs/oauth2-redirect`, for a path with a line break, and for a method that it does not know. So the classes
are changed before the worker uses them, which is after it has imported `function_app`.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import uvicorn
from azurefunctions.extensions.http.fastapi import Request, Response, web
from starlette.routing import request_response
from starlette.types import Receive, Scope, Send

Function: TypeAlias = Callable[[Request], Awaitable[Response]]

KEEP_ALIVE = 300
"""Seconds. The host keeps idle connections to the worker; one that closes under a call fails that call."""


class EveryPath:
    """The ASGI application: all requests are for the one function that the worker gives."""

    def __init__(self, function: Function) -> None:
        self._answer = request_response(function)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # The worker writes the host's path parameters into this.
        scope["path_params"] = {}
        await self._answer(scope, receive, send)


def _without_pages(app: Any) -> None:
    app.web_app = None


def _route(app: Any, function: Function) -> Function:
    app.web_app = EveryPath(function)
    return function


async def _serve(server: Any) -> None:
    # A line for each request costs a third of the CPU, and ours says more.
    config = uvicorn.Config(
        server.web_app,
        host=server.hostname,
        port=server.port,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=KEEP_ALIVE,
    )
    await uvicorn.Server(config).serve()


def leave_out_pages() -> None:
    """From here on the worker's web server has no pages, no paths and no log of its own."""
    web.WebApp.__init__ = _without_pages
    web.WebApp.route = _route
    web.WebServer.serve = _serve
