"""The proxy as it runs in Azure: Cosmos DB and Key Vault over the wire, any number of instances on them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from azure.core.credentials import AccessToken, AccessTokenInfo, TokenRequestOptions

from shared.adapters.key_vault import KeyVaultSecrets
from shared.clock import ManualClock
from shared.ports import DocumentStore
from shared.secrets import PROXY_SECRETS
from tests.contract.stores import DATABASE, cosmos_store
from tests.emulators.cosmos_server import EMULATOR_KEY, CosmosServer
from tests.emulators.key_vault_server import KeyVaultServer, key_vault_server
from tests.proxy import Proxy, running_proxy

ADMIN_KEY = "the-administrators-key-of-this-deployment"
UPSTREAM_KEY = "fake-upstream-credential-0123456789"


class Identity:
    """A credential of the app that a vault accepts, and its source of tokens."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        return AccessToken(self.text, int(time.time()) + 3600)

    async def get_token_info(
        self, *scopes: str, options: TokenRequestOptions | None = None
    ) -> AccessTokenInfo:
        return AccessTokenInfo(self.text, int(time.time()) + 3600)

    async def token(self, scope: str) -> str:
        self.scopes.append(scope)
        return self.text

    async def close(self) -> None: ...


@dataclass
class AzureWorld:
    """One Cosmos DB account, one vault, one clock. `store` writes behind the proxy's back."""

    cosmos: CosmosServer
    vault: KeyVaultServer
    store: DocumentStore
    directory: Path
    clock: ManualClock = field(default_factory=ManualClock)

    @asynccontextmanager
    async def instance(self, **settings: Any) -> AsyncIterator[Proxy]:
        """One more instance of the app."""
        identity = Identity(self.vault.token)
        secrets = KeyVaultSecrets(
            self.vault.url,
            identity,
            client_options={
                "connection_verify": str(self.vault.certificate_authority),
                "verify_challenge_resource": False,
                "retry_backoff_factor": 0,
            },
        )
        async with running_proxy(
            self.directory,
            clock=self.clock,
            secret_store=secrets,
            tokens=identity,
            mode="azure",
            cosmos_endpoint=self.cosmos.endpoint,
            cosmos_emulator_key=EMULATOR_KEY,
            key_vault_url=self.vault.url,
            event_hubs_namespace="jobs.servicebus.windows.net",
            **settings,
        ) as proxy:
            yield proxy

    def vault_goes_away(self) -> None:
        self.vault.faults.extend([(503, {}, {"error": {"code": "Busy", "message": "x"}})] * 500)

    def vault_comes_back(self) -> None:
        self.vault.faults.clear()


@asynccontextmanager
async def azure_world(directory: Path) -> AsyncIterator[AzureWorld]:
    clock = ManualClock()
    async with (
        CosmosServer(clock=clock) as cosmos,
        key_vault_server(directory) as vault,
        cosmos_store(cosmos) as store,
    ):
        vault.texts.update({name: f"{name}-of-this-deployment-0123456789" for name in PROXY_SECRETS})
        vault.texts["llmproxy-admin-key"] = ADMIN_KEY
        vault.texts["UPSTREAM-KEY"] = UPSTREAM_KEY
        yield AzureWorld(cosmos, vault, store, directory, clock)


async def until(condition: Any, seconds: float = 5.0) -> None:
    """Waits until `condition()` holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)


__all__ = ["ADMIN_KEY", "DATABASE", "UPSTREAM_KEY", "AzureWorld", "azure_world", "until"]
