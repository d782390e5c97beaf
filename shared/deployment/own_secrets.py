"""The proxy's own secrets: made in the vault where they are missing, never shown."""

import secrets
from collections.abc import Iterable

from shared.deployment.vault import DeployerVault

NAMES = ("llmproxy-admin-key", "llmproxy-signing-key", "llmproxy-webhook-master")
"""The smoke test's key is not among them: the proxy itself has to make it (`smoke_access`)."""

_RANDOM_BYTES = 32


def ensure_secrets(vault: DeployerVault, names: Iterable[str] = NAMES) -> list[str]:
    """Makes those that are missing, 32 random bytes each, and gives their names. What is there is kept.

    Where two deployments do so at once, the version that was written last is everyone's.
    """
    made = []
    for name in names:
        if vault.get(name) is None:
            vault.set(name, secrets.token_urlsafe(_RANDOM_BYTES))
            made.append(name)
    return made
