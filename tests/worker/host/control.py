"""What a test asks of the host beside HTTP calls: its functions, the timers, what waits, what failed."""

import asyncio
import json
from dataclasses import asdict

from aiohttp import web

from tests.worker.host.events import batch
from tests.worker.host.front import Front
from tests.worker.host.library import Library
from tests.worker.host.messages import TypedData

PUNCTUAL = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": None, "IsPastDue": False}
"""What the host tells a timer function that runs in time."""
SETTLE = 2.0
"""Seconds."""


class Control:
    """Listens apart from the app, so that no path of the app's is taken.

    `GET /functions` lists `{name, bindings}`, `POST /timers/{name}` runs a timer and gives its failure or
    null, `POST /hubs/{name}` hands a batch of events to a function and gives the same, `GET /waiting` lists the
    HTTP invocations under way, `GET /failures` those that failed.
    """

    def __init__(self, library: Library, front: Front) -> None:
        self._library = library
        self._front = front
        application = web.Application()
        application.add_routes(
            [
                web.get("/functions", self._functions),
                web.post("/timers/{name}", self._timer),
                web.post("/hubs/{name}", self._hub),
                web.get("/waiting", self._waiting),
                web.get("/failures", self._failures),
            ]
        )
        self._runner = web.AppRunner(application, access_log=None)

    async def start(self) -> str:
        """Listens on a free port of loopback; the address."""
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _functions(self, request: web.Request) -> web.Response:
        listed = [
            {"name": function.name, "bindings": function.bindings}
            for function in self._library.functions.values()
        ]
        return web.json_response(listed)

    async def _timer(self, request: web.Request) -> web.Response:
        function = self._library.functions.get(request.match_info["name"])
        if function is None or function.trigger["type"] != "timerTrigger":
            return web.Response(status=404)
        failure = await self._library.invoke(function.name, TypedData(json=json.dumps(PUNCTUAL)))
        return web.json_response(asdict(failure) if failure else None)

    async def _hub(self, request: web.Request) -> web.Response:
        function = self._library.functions.get(request.match_info["name"])
        if function is None or function.trigger["type"] != "eventHubTrigger":
            return web.Response(status=404)
        events = await request.json()
        data, metadata = batch(function.trigger, events)
        failure = await self._library.invoke(function.name, data, metadata=metadata)
        return web.json_response(asdict(failure) if failure else None)

    async def _waiting(self, request: web.Request) -> web.Response:
        # An invocation ends a moment after its answer: give those that are about to the time.
        if self._front.waiting:
            await asyncio.wait(list(self._front.waiting), timeout=SETTLE)
        return web.json_response(list(self._front.waiting.values()))

    async def _failures(self, request: web.Request) -> web.Response:
        return web.json_response([asdict(failure) for failure in self._library.failures])
