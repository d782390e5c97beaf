"""A Key Vault of the tests: the part of its REST API that reads secrets, over HTTPS, with its challenge.

After https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret and
https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses.
"""

import asyncio
import ssl
import uuid
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import trustme
from aiohttp import web

from shared import Json

TENANT = "11111111-2222-3333-4444-555555555555"
RESOURCE = "https://vault.azure.net"


@dataclass
class KeyVaultServer:
    """What the vault holds and how it behaves; a test changes it while the server runs.

    `faults` are answers that are given instead, one a request: (status, headers, body). While `silent` is set
    no answer comes, until the server stops.
    """

    url: str
    certificate_authority: Path
    token: str = "token-of-the-app"
    texts: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)
    forbidden: set[str] = field(default_factory=set)
    faults: deque[tuple[int, dict[str, str], Json]] = field(default_factory=deque)
    silent: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    challenges: int = 0
    asked: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            self.challenges += 1
            challenge = (
                f'Bearer authorization="https://login.microsoftonline.com/{TENANT}", resource="{RESOURCE}"'
            )
            return _error(
                401,
                "Unauthorized",
                "AKV10000: Request is missing a Bearer or PoP token.",
                challenge=challenge,
            )
        if "api-version" not in request.query:
            return _error(400, "BadParameter", "The api-version parameter is missing.")
        name = request.match_info["name"]
        self.asked.append(name)
        if self.silent:
            await self.stopping.wait()
        if self.faults:
            status, headers, body = self.faults.popleft()
            return web.json_response(body, status=status, headers=headers)
        if name in self.forbidden:
            return _error(403, "Forbidden", "The caller may not read secrets.", inner="ForbiddenByRbac")
        if name in self.disabled:
            return _error(
                403, "Forbidden", "Operation get is not allowed on a disabled secret.", inner="SecretDisabled"
            )
        if name not in self.texts:
            return _error(404, "SecretNotFound", f"A secret with (name/id) {name} was not found.")
        return web.json_response(
            {
                "value": self.texts[name],
                "id": f"{self.url}/secrets/{name}/{uuid.uuid4().hex}",
                "attributes": {"enabled": True, "created": 1, "updated": 1, "recoveryLevel": "Recoverable"},
            }
        )


def _error(
    status: int, code: str, message: str, *, inner: str | None = None, challenge: str | None = None
) -> web.Response:
    error: Json = {"code": code, "message": message}
    if inner:
        error["innererror"] = {"code": inner}
    headers = {"WWW-Authenticate": challenge} if challenge else {}
    return web.json_response({"error": error}, status=status, headers=headers)


@asynccontextmanager
async def key_vault_server(directory: Path) -> AsyncIterator[KeyVaultServer]:
    """Serves a vault on this machine. `directory` takes the certificate of its authority."""
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    authority_file = directory / "authority.pem"
    authority.cert_pem.write_to_path(str(authority_file))

    server = KeyVaultServer("", authority_file)
    app = web.Application()
    app.router.add_get("/secrets/{name}", server.answer)
    app.router.add_get("/secrets/{name}/", server.answer)
    app.router.add_get("/secrets/{name}/{version}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        _, port = runner.addresses[0][:2]
        server.url = f"https://localhost:{port}"
        yield server
    finally:
        server.stopping.set()
        await runner.cleanup()
