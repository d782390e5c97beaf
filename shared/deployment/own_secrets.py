"""The proxy's own secrets: made in the vault where they are missing, rotated, never shown."""

import secrets
from collections.abc import Iterable

from shared.deployment.vault import DeployerVault

NAMES = ("llmproxy-admin-key", "llmproxy-signing-key", "llmproxy-webhook-master")
"""The smoke test's key is not among them: the proxy itself has to make it (`smoke_access`)."""

PREVIOUS = "-previous"
"""What the name of a secret's predecessor ends with: the proxy takes both while it is there."""

_RANDOM_BYTES = 32


class StillInUse(Exception):
    """The secret before the current one is still there. The message says what to do, in one line."""


def ensure_secrets(vault: DeployerVault, names: Iterable[str] = NAMES) -> list[str]:
    """Makes those that are missing, 32 random bytes each, and gives their names. What is there is kept.

    Where two deployments do so at once, the version that was written last is everyone's.
    """
    made = []
    for name in names:
        if vault.get(name) is None:
            vault.set(name, _text())
            made.append(name)
    return made


def rotate_secret(vault: DeployerVault, name: str) -> list[str]:
    """Keeps the current text as the previous one, makes a new one, and says what was written.

    Whoever is stopped between the two can do it again. Raises `StillInUse` where that would end the text
    before the current one, which someone may use.
    """
    current, previous = vault.get(name), vault.get(name + PREVIOUS)
    if current is None:
        return [f"made {made}" for made in ensure_secrets(vault, (name,))]
    if previous is not None and previous != current:
        raise StillInUse(f"{name}{PREVIOUS} is still there: delete it when no one uses it any more")
    vault.set(name + PREVIOUS, current)
    vault.set(name, _text())
    return [f"made a new {name}; the one before works as {name}{PREVIOUS} until you delete that"]


def _text() -> str:
    return secrets.token_urlsafe(_RANDOM_BYTES)
