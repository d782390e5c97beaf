"""Tokens of the app's own identity."""

import asyncio
import os
import subprocess
import sys
import threading
from typing import Any

import pytest
from aiohttp import web
from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions

from shared.adapters.azure_identity import AzureIdentity
from shared.clock import ManualClock
from shared.errors import SecretsUnavailable

SCOPE = "https://cognitiveservices.azure.com/.default"


class ScriptedCredential:
    """Gives `token-1`, `token-2`, … that last an hour of `clock`; can be held back and can fail."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.scopes: list[str] = []
        self.failing = False
        self.open = asyncio.Event()
        self.open.set()
        self.closed = False

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        self.scopes.extend(scopes)
        number = len(self.scopes)
        await self.open.wait()
        if self.failing:
            raise RuntimeError("client_secret=not-to-be-shown was refused")
        return AccessToken(f"token-{number}", int(self.clock.time()) + 3600)

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        token = await self.get_token(*scopes)
        return AccessTokenInfo(token.token, token.expires_on)

    async def close(self) -> None:
        self.closed = True


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def credential(clock: ManualClock) -> ScriptedCredential:
    return ScriptedCredential(clock)


@pytest.fixture
def identity(clock: ManualClock, credential: ScriptedCredential) -> AzureIdentity:
    return AzureIdentity("client", clock, build=lambda client_id: credential)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_token_is_kept_for_its_scope(identity: AzureIdentity, credential: ScriptedCredential) -> None:
    assert await identity.token(SCOPE) == "token-1"
    assert await identity.token(SCOPE) == "token-1"
    assert await identity.token("https://other/.default") == "token-2"
    assert credential.scopes == [SCOPE, "https://other/.default"]


async def test_many_requests_for_a_token_make_one_call(
    identity: AzureIdentity, credential: ScriptedCredential
) -> None:
    assert await asyncio.gather(*(identity.token(SCOPE) for _ in range(20))) == ["token-1"] * 20
    assert credential.scopes == [SCOPE]


async def test_a_request_that_leaves_does_not_fail_the_others(
    identity: AzureIdentity, credential: ScriptedCredential
) -> None:
    credential.open.clear()
    first = asyncio.create_task(identity.token(SCOPE))
    async with asyncio.timeout(5):
        while not credential.scopes:
            await asyncio.sleep(0.001)
    second = asyncio.create_task(identity.token(SCOPE))
    await settled()
    first.cancel()
    credential.open.set()
    assert await second == "token-1"
    assert credential.scopes == [SCOPE]


async def test_a_new_token_is_fetched_in_the_background_before_the_old_one_ends(
    identity: AzureIdentity, credential: ScriptedCredential, clock: ManualClock
) -> None:
    await identity.token(SCOPE)
    clock.advance(3600 - 301)
    assert await identity.token(SCOPE) == "token-1"
    assert len(credential.scopes) == 1
    clock.advance(2)
    credential.open.clear()
    assert await identity.token(SCOPE) == "token-1"
    credential.open.set()
    await settled()
    assert await identity.token(SCOPE) == "token-2"


async def test_a_token_that_is_about_to_end_is_not_handed_out(
    identity: AzureIdentity, credential: ScriptedCredential, clock: ManualClock
) -> None:
    await identity.token(SCOPE)
    clock.advance(3600 - 20)
    assert await identity.token(SCOPE) == "token-2"


async def test_a_token_that_is_still_good_outlives_a_failing_identity(
    identity: AzureIdentity, credential: ScriptedCredential, clock: ManualClock
) -> None:
    await identity.token(SCOPE)
    credential.failing = True
    clock.advance(3600 - 200)
    for _ in range(50):
        assert await identity.token(SCOPE) == "token-1"
        await settled()
    assert len(credential.scopes) == 2  # one failed try, and then a pause
    clock.advance(201)
    with pytest.raises(SecretsUnavailable):
        await identity.token(SCOPE)


async def test_a_failure_names_scope_and_class_and_is_not_repeated_at_once(
    identity: AzureIdentity, credential: ScriptedCredential, clock: ManualClock
) -> None:
    credential.failing = True
    for _ in range(10):
        with pytest.raises(
            SecretsUnavailable, match=r"no token for https://cog\S+ \(RuntimeError\)"
        ) as failed:
            await identity.token(SCOPE)
        assert "not-to-be-shown" not in str(failed.value)
    assert len(credential.scopes) == 1
    credential.failing = False
    clock.advance(5)
    assert await identity.token(SCOPE) == "token-2"


async def test_the_log_says_why_without_the_credential(
    identity: AzureIdentity, credential: ScriptedCredential, caplog: pytest.LogCaptureFixture
) -> None:
    credential.failing = True
    with pytest.raises(SecretsUnavailable):
        await identity.token(SCOPE)
    (record,) = (record for record in caplog.records if record.name == "llmproxy.identity")
    assert "was refused" in record.getMessage()
    assert "not-to-be-shown" not in record.getMessage()


async def test_azures_clients_get_a_credential_that_is_made_at_its_first_use(
    clock: ManualClock, credential: ScriptedCredential
) -> None:
    made: list[tuple[str, bool]] = []

    def build(client_id: str) -> ScriptedCredential:
        made.append((client_id, threading.current_thread() is threading.main_thread()))
        return credential

    identity = AzureIdentity("client", clock, build=build)
    first, second = identity.credential(), identity.credential()
    assert made == []
    await asyncio.gather(first.get_token(SCOPE), second.get_token_info(SCOPE), identity.token(SCOPE))
    assert made == [("client", False)]


async def test_closing_a_clients_credential_leaves_the_others_theirs(
    identity: AzureIdentity, credential: ScriptedCredential
) -> None:
    shared = identity.credential()
    await shared.get_token(SCOPE)
    await shared.close()
    assert not credential.closed
    await identity.close()
    assert credential.closed


async def test_a_credential_that_cannot_be_made_is_unavailable(clock: ManualClock) -> None:
    def build(client_id: str) -> ScriptedCredential:
        raise ImportError("azure.identity")

    with pytest.raises(SecretsUnavailable, match="ImportError"):
        await AzureIdentity("", clock, build=build).token(SCOPE)


async def test_an_identity_that_was_never_used_closes_quietly(clock: ManualClock) -> None:
    await AzureIdentity("", clock).close()


@pytest.fixture
async def managed_identity(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The token service that App Service and Functions run beside an app, after Microsoft's
    "REST endpoint reference" in https://learn.microsoft.com/azure/app-service/overview-managed-identity."""
    asked: list[dict[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append({**request.query, "header": request.headers.get("X-IDENTITY-HEADER", "")})
        return web.json_response(
            {
                "access_token": "token-of-the-app",
                "expires_on": "4102444800",
                "resource": request.query["resource"],
                "token_type": "Bearer",
                "client_id": request.query.get("client_id", ""),
            }
        )

    app = web.Application()
    app.router.add_get("/msi/token", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    for name in ("AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET", "AZURE_TENANT_ID", "AZURE_FEDERATED_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/msi/token")
    monkeypatch.setenv("IDENTITY_HEADER", "header-of-the-host")
    yield asked
    await runner.cleanup()


async def test_on_azure_the_token_comes_from_the_managed_identity(
    managed_identity: list[dict[str, str]],
) -> None:
    identity = AzureIdentity("11111111-2222-3333-4444-555555555555")
    assert await identity.token(SCOPE) == "token-of-the-app"
    assert await identity.token(SCOPE) == "token-of-the-app"
    await identity.close()
    (asked,) = managed_identity
    assert asked["resource"] == "https://cognitiveservices.azure.com"
    assert asked["client_id"] == "11111111-2222-3333-4444-555555555555"
    assert asked["header"] == "header-of-the-host"


def test_neither_azures_identity_nor_its_vault_is_imported_before_it_is_needed() -> None:
    program = (
        "import sys, shared.adapters.azure_identity as identity, shared.adapters.key_vault as vault\n"
        "vault.KeyVaultSecrets('https://v.vault.azure.net', identity.AzureIdentity('x').credential())\n"
        "print([name for name in sys.modules if name.startswith(('azure', 'msal'))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.strip() == "[]"
