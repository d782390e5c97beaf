"""The local host's web server."""

import asyncio
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import azure.functions as func
import uvicorn

from shared.devhost.banner import banner
from shared.devhost.coalescing import CoalescingProtocol
from shared.devhost.host import FunctionHost
from shared.realtime.upstream import MAX_FRAME
from shared.secrets import ADMIN_KEY
from shared.services import Services
from shared.telemetry.logging import configure_logging

Ready = Callable[[], Awaitable[None]]

SWITCH_INTERVAL = 0.0005
"""Seconds that a thread may hold the interpreter's lock while another waits; Python's default is ten times that."""
KEEP_ALIVE = 75
"""Seconds; longer than the clients', which drop theirs after 5 (httpx) to 60."""
PING_TIMEOUT = 60.0
"""Seconds in which a WebSocket's client answers a ping; one whose frames wait for the provider answers late."""
FAREWELL = 3
"""Seconds that open requests have to end once the server is asked to stop."""


class Server(uvicorn.Server):
    """uvicorn's server, which calls `ready` once it takes requests."""

    def __init__(self, config: uvicorn.Config, ready: Ready | None) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and self._ready is not None:
            await self._ready()


def server(host: FunctionHost, ready: Ready | None = None) -> Server:
    """The web server for a function host, not yet started."""
    config = uvicorn.Config(
        host,
        lifespan="on",
        http=CoalescingProtocol,
        ws="websockets-sansio",
        ws_max_size=MAX_FRAME,
        ws_ping_timeout=PING_TIMEOUT,
        ws_per_message_deflate=False,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=FAREWELL,
    )
    return Server(config, ready)


def serve(app: func.FunctionApp, services: Services, listener: socket.socket, *, quiet: bool) -> int:
    """Serves an app until Ctrl-C or SIGTERM. Returns the exit status."""
    return run(FunctionHost(app, services), services, listener, quiet=quiet)


def run(host: FunctionHost, services: Services, listener: socket.socket, *, quiet: bool) -> int:
    """As `serve`, for a function host that is there."""
    configure_logging(services.settings.log_level, stream=sys.stderr, known_secrets=services.secrets.texts)
    # The database's thread must not keep the event loop waiting for the interpreter's lock.
    sys.setswitchinterval(SWITCH_INTERVAL)
    # uvicorn ends in good order on either, then raises the signal once more for whoever was there before it.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, signal.SIG_IGN)
    address = address_of(listener)

    async def ready() -> None:
        print(address if quiet else await greeting(address, host, services), flush=True)

    running = server(host, ready)
    running.config.load()
    with asyncio.Runner(loop_factory=running.config.get_loop_factory()) as runner:
        runner.run(running.serve(sockets=[listener]))
    return 0 if running.started else 3


def address_of(listener: socket.socket) -> str:
    """The address to open in a browser for a bound socket."""
    host, port = listener.getsockname()[:2]
    # "Every address of this machine" is none that all clients can connect to.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def greeting(address: str, host: FunctionHost, services: Services) -> str:
    """The banner for what this app serves."""
    catalog = await services.catalog.current()
    directory = Path(services.settings.local_dir)
    demo = [model.id for model in catalog.models.values() if model.provider == "Demo" and model.enabled]
    return banner(
        address,
        host.routes,
        sorted(demo),
        await services.secrets.get(ADMIN_KEY),
        directory / "admin-key",
        directory / "secrets.json",
    )
