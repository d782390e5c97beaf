"""The local host's web server and what it prints when it is ready."""

import asyncio
import socket
import sys
from pathlib import Path

import azure.functions as func
import uvicorn

from shared.devhost.coalescing import CoalescingProtocol
from shared.devhost.host import FunctionHost
from shared.secrets import ADMIN_KEY
from shared.services import Services
from shared.telemetry.logging import configure_logging

SWITCH_INTERVAL = 0.0005
"""Seconds that a thread may hold the interpreter's lock while another waits; Python's default is ten times that."""
KEEP_ALIVE = 75
"""Seconds; longer than the clients', which drop theirs after 5 (httpx) to 60."""


def server(host: FunctionHost) -> uvicorn.Server:
    """The web server for a function host, not yet started."""
    return uvicorn.Server(
        uvicorn.Config(
            host,
            lifespan="on",
            http=CoalescingProtocol,
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=3,
        )
    )


def serve(app: func.FunctionApp, services: Services, listener: socket.socket, *, quiet: bool) -> int:
    """Serves until Ctrl-C. Returns the exit status."""
    configure_logging(services.settings.log_level, stream=sys.stderr, known_secrets=services.secrets.texts)
    # The database's thread must not keep the event loop waiting for the interpreter's lock.
    sys.setswitchinterval(SWITCH_INTERVAL)
    host = FunctionHost(app, services)
    running = server(host)
    running.config.load()
    address = "http://{}:{}".format(*listener.getsockname()[:2])

    async def run() -> None:
        serving = asyncio.ensure_future(running.serve(sockets=[listener]))
        while not running.started and not serving.done():
            await asyncio.sleep(0.01)
        if running.started:
            print(address if quiet else await banner(address, host, services), flush=True)
        await serving

    with asyncio.Runner(loop_factory=running.config.get_loop_factory()) as runner:
        try:
            runner.run(run())
        except KeyboardInterrupt:
            pass
    return 0 if running.started else 3


async def banner(address: str, host: FunctionHost, services: Services) -> str:
    """What a first start shows: the address, the routes, the demo models and the administrator's key."""
    catalog = await services.catalog.current()
    demo = [model.id for model in catalog.models.values() if model.provider == "Demo"]
    key_file = Path(services.settings.local_dir) / "admin-key"
    return "\n".join(
        [
            "",
            f"  LLM Proxy is ready at {address}",
            "",
            "  Routes       " + "\n               ".join(host.routes),
            "  Demo models  " + (", ".join(demo) or "none"),
            f"  Admin key    {await services.secrets.get(ADMIN_KEY)}   (also in {key_file})",
            "",
            f'  curl {address}/v1/chat/completions -H "Authorization: Bearer $(cat {key_file})" \\',
            "    -H 'content-type: application/json' \\",
            '    -d \'{"model": "demo-chat", "messages": [{"role": "user", "content": "Hello"}]}\'',
            "",
            "  Ctrl-C ends it.",
            "",
        ]
    )
