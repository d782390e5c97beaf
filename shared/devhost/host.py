"""The local host as an ASGI application on top of a FunctionApp."""

import asyncio
import gc
import logging
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import azure.functions as func
from azurefunctions.extensions.http.fastapi import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from shared.devhost.functions import batch_size, read_functions, route_prefix
from shared.devhost.realtime import RealtimeDoor
from shared.devhost.routes import Matcher, decoded_path
from shared.services import Services

if TYPE_CHECKING:
    from shared.devhost.events import HubReaders

COLLECT = (20_000, 50, 100)
"""When the garbage collector runs. Calls leave few circles, and looking for them is work in each request."""
HOST_JSON = Path(__file__).resolve().parents[2] / "host.json"

_logger = logging.getLogger("llmproxy.devhost")


class FunctionHost:
    """Serves the HTTP functions of an app, runs its timers and reads its hubs, from start-up to shutdown."""

    def __init__(self, app: func.FunctionApp, services: Services, host_json: Path = HOST_JSON) -> None:
        routes, self.timers, self.hubs = read_functions(app, route_prefix(host_json))
        self.routes = sorted({f"/{route.template}" for route in routes})
        self._matcher = Matcher(routes)
        self._services = services
        self._realtime = RealtimeDoor(services)
        self._batch_size = batch_size(host_json)
        self._readers: HubReaders | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            response = await self._invoke(scope, receive)
            # Only the server cancels, when it ends and has waited long enough: it then closes the connection.
            with suppress(asyncio.CancelledError):
                await response(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await self._realtime(scope, receive, send)

    async def _invoke(self, scope: Scope, receive: Receive) -> Response:
        found = self._matcher.find(scope["method"], decoded_path(scope["raw_path"].decode("latin-1")))
        if found is None:
            return Response(status_code=404)
        route, parameters = found
        scope["path_params"] = dict(parameters)
        target = route.target
        try:
            response: Response = await target.function(**{target.argument: Request(scope, receive)})
        except Exception:
            _logger.exception("the function %s failed", route.name)
            return PlainTextResponse("Internal Server Error", status_code=500)
        return response

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.start()
        except Exception as error:
            _logger.exception("the start failed")
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self.stop()
        await send({"type": "lifespan.shutdown.complete"})

    async def start(self) -> None:
        await self._services.prepare()
        if self.timers:
            from shared.devhost.timers import run_timers

            self._tasks.append(asyncio.create_task(run_timers(self.timers)))
        self.read_hubs()
        self._tasks.append(asyncio.create_task(self._warm_up()))

    async def stop(self) -> None:
        await self.leave_hubs()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._services.close()

    def read_hubs(self) -> None:
        if self.hubs and self._services.event_log is not None:
            from shared.devhost.events import HubReaders

            self._readers = HubReaders(self._services.event_log, self.hubs, self._batch_size)
            self._readers.start()

    async def leave_hubs(self) -> None:
        readers, self._readers = self._readers, None
        if readers is not None:
            await readers.stop()

    async def _warm_up(self) -> None:
        """What is loaded by then stays for good: the garbage collector need not look at it again, and less often."""
        await self._services.warm_up()
        gc.collect()
        gc.freeze()
        gc.set_threshold(*COLLECT)
