"""A whole proxy for a test: the functions of the app on the local host, over a real socket."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from functions import create_app
from shared import Json
from shared.bootstrap import build_services
from shared.devhost.host import FunctionHost
from shared.devhost.server import server
from shared.ports import Clock, DocumentStore, EventPublisher, SecretStore, TokenSource
from shared.services import Services
from shared.settings import Settings


@dataclass
class Proxy:
    """A running proxy. `key` is the administrator's."""

    url: str
    key: str
    services: Services
    http: aiohttp.ClientSession
    directory: Path

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = "",
        headers: dict[str, str] | None = None,
        data: bytes | None = None,
    ) -> "Reply":
        """One request; `key=None` sends none, and the default is the administrator's."""
        sent = dict(headers or {})
        if key is not None:
            sent.setdefault("Authorization", f"Bearer {key or self.key}")
        if body is not None:
            data = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        async with self.http.request(method, self.url + path, data=data, headers=sent) as response:
            return Reply(
                response.status, {k.lower(): v for k, v in response.headers.items()}, await response.read()
            )

    async def add_model(self, id: str, upstream: str, **fields: Any) -> Json:
        """Adds an OpenAI-compatible model (or what `fields` make of it) that calls `upstream`."""
        parameters = {"endpoint": upstream, **fields.pop("parameters", {})}
        body = {
            "id": id,
            "code": fields.pop("code", id),
            "provider": "OpenAICompatible",
            "model_type": "OpenAICompatible",
            "operations": ["ChatCompletion"],
            "parameters": parameters,
            **fields,
        }
        reply = await self.call("POST", "/manage/models", body)
        assert reply.status == 201, reply.body
        return dict(reply.json())

    async def add_key(self, **fields: Any) -> str:
        reply = await self.call("POST", "/manage/keys", {"project": "team", **fields})
        assert reply.status == 201, reply.body
        return str(reply.json()["key"])

    def add_secret(self, name: str, value: str) -> None:
        path = self.directory / "secrets.json"
        content = json.loads(path.read_text())
        content[name] = value
        path.write_text(json.dumps(content))

    async def requests(self) -> list[Json]:
        """All usage records, newest first."""
        await self.services.usage.flush()
        reply = await self.call("GET", "/manage/requests")
        assert reply.status == 200, reply.body
        return list(reply.json()["data"])


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> Json:
        error = self.json()["error"]
        assert set(error) == {"message", "type", "param", "code"}
        return dict(error)


@asynccontextmanager
async def running_proxy(
    directory: Path,
    *,
    clock: Clock | None = None,
    store: DocumentStore | None = None,
    secret_store: SecretStore | None = None,
    tokens: TokenSource | None = None,
    publisher: EventPublisher | None = None,
    events: bool = False,
    **settings: Any,
) -> AsyncIterator[Proxy]:
    """Starts the proxy on a free port and ends it. `settings` are fields of `Settings`.

    With `events` it reads the hubs of its log, so that jobs run.
    """
    chosen: dict[str, Any] = {"mode": "local", "local_dir": directory, **settings}
    services = build_services(
        Settings(**chosen),
        clock=clock,
        store=store,
        secret_store=secret_store,
        tokens=tokens,
        publisher=publisher,
    )
    host = FunctionHost(create_app(services), services)
    # The timers have tests of their own; here a minute that begins would ask the upstreams between two steps.
    host.timers.clear()
    if not events:
        host.hubs.clear()
    running = server(host)
    listener = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(running.serve(sockets=[listener]))
    while not running.started and not serving.done():
        await asyncio.sleep(0.005)
    if serving.done():
        await serving
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    try:
        async with aiohttp.ClientSession() as http:
            yield Proxy(url, await services.secrets.get("llmproxy-admin-key"), services, http, directory)
    finally:
        running.should_exit = True
        running.force_exit = False
        await serving
        listener.close()
