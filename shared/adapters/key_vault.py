"""Secrets of a Key Vault, through Azure's own client."""

import asyncio
import importlib
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from shared.adapters.azure_identity import TokenCredential
from shared.errors import SecretError, SecretNotFound, SecretsUnavailable
from shared.secrets import usable_text
from shared.single_flight import SingleFlight

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError
    from azure.keyvault.secrets.aio import SecretClient

_CLIENT_MODULE = "azure.keyvault.secrets.aio"
_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
_CODE = re.compile(r"[A-Za-z]{1,64}")
_DISABLED = "SecretDisabled"
"""Key Vault's inner code, with a 403, for a secret that an operator switched off. It counts as absent: it
must not go on being served as if the vault were away."""
_DEADLINE = 10.0
"""Seconds for one secret, with the client's own tries and the identity's token."""
_CLIENT_OPTIONS: Mapping[str, Any] = {
    "retry_total": 2,
    "retry_backoff_factor": 0.2,
    "retry_backoff_max": 2,
    "connection_timeout": 3,
    "read_timeout": 5,
    "logging_enable": False,
}


class KeyVaultSecrets:
    """A `SecretStore` on Key Vault. Each `get` asks for the current version: `CachedSecrets` goes before."""

    def __init__(
        self,
        vault_url: str,
        credential: TokenCredential,
        *,
        deadline: float = _DEADLINE,
        client_options: Mapping[str, Any] | None = None,
    ) -> None:
        """`deadline` is in seconds. `client_options` are further arguments of Azure's `SecretClient`."""
        self._vault_url = vault_url
        self._credential = credential
        self._deadline = deadline
        self._client_options = {**_CLIENT_OPTIONS, **(client_options or {})}
        self._client: SecretClient | None = None
        self._making: SingleFlight[SecretClient] = SingleFlight()

    async def get(self, name: str) -> str:
        if not _NAME.fullmatch(name):
            raise SecretNotFound("A vault has no secret whose name is not letters, digits and hyphens.")
        try:
            async with asyncio.timeout(self._deadline):
                client = self._client or await self._making.join("client", self._make)
                secret = await client.get_secret(name)
        except Exception as error:
            raise _mapped(name, error) from None
        return usable_text(name, secret.value)

    async def close(self) -> None:
        await self._making.close()
        if self._client is not None:
            client, self._client = self._client, None
            await client.close()

    async def _make(self) -> "SecretClient":
        # In a thread: the import takes most of a second, and requests are being served meanwhile.
        module = await asyncio.to_thread(importlib.import_module, _CLIENT_MODULE)
        client: SecretClient = module.SecretClient(self._vault_url, self._credential, **self._client_options)
        self._client = client
        return client


def _mapped(name: str, error: Exception) -> SecretError:
    """Our error for one of Azure's client, which is not kept: its text may hold what was sent or answered."""
    from azure.core.exceptions import (
        ClientAuthenticationError,
        HttpResponseError,
        ResourceNotFoundError,
        ServiceRequestError,
        ServiceResponseError,
    )

    if isinstance(error, ResourceNotFoundError):
        return SecretNotFound(f"The vault has no secret {name}.")
    if isinstance(error, HttpResponseError):
        reason = _reason(error)
        if reason == _DISABLED:
            return SecretNotFound(f"The secret {name} is disabled in the vault.")
        if isinstance(error, ClientAuthenticationError) or error.status_code in (401, 403):
            return SecretsUnavailable(f"The vault does not let the app's identity read {name} ({reason}).")
        return SecretsUnavailable(f"The vault answered {error.status_code} for {name} ({reason}).")
    if isinstance(error, TimeoutError):
        return SecretsUnavailable(f"The vault did not answer in time for {name}.")
    if isinstance(error, ServiceRequestError | ServiceResponseError):
        return SecretsUnavailable(f"The vault cannot be reached for {name}.")
    return SecretsUnavailable(f"The vault could not be asked for {name} ({type(error).__name__}).")


def _reason(error: "HttpResponseError") -> str:
    """The vault's own code, the inner one where there is one: one word (`ForbiddenByRbac`), or the class."""
    detail = error.error
    inner = detail.innererror if detail is not None else None
    code = (inner.get("code") if isinstance(inner, Mapping) else None) or (detail.code if detail else None)
    return code if isinstance(code, str) and _CODE.fullmatch(code) else type(error).__name__
