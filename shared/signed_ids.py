"""Ids that carry what they stand for, signed: later calls find it without a store, and no one can make one up.

An id is its prefix and base64url of `version, (length, part)…, signature`. The signature is HMAC-SHA256 (RFC 2104)
cut to 128 bits, over the prefix, the project and the parts: an id works for its own project alone.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence

from shared.errors import NotFound, ProviderUnavailable, SecretError, SecretNotFound
from shared.ports import SecretStore
from shared.secrets import SIGNING_KEY

PREVIOUS_KEY = f"{SIGNING_KEY}-previous"
"""While the key is rotated, ids that the one before has signed still hold."""
MAX_ID = 4096
"""Characters of an id that are looked at: far more than a model's id and a provider's make together."""
_VERSION = b"\x01"
_SIGNATURE_BYTES = 16
_LENGTH_BYTES = 2
_PURPOSE = b"llmproxy signed id"


class Signer:
    """Signs with one key. Nothing here waits."""

    def __init__(self, key: str) -> None:
        self._key = key.encode()

    def sign(self, prefix: str, parts: Sequence[str], project: str) -> str:
        """The id for `parts`, each at most 65,535 bytes in UTF-8."""
        payload = _VERSION + b"".join(_framed(part.encode()) for part in parts)
        signed = payload + self._signature(prefix, payload, project)
        return prefix + base64.urlsafe_b64encode(signed).rstrip(b"=").decode()

    def read(self, prefix: str, id: str, project: str) -> tuple[str, ...] | None:
        """The parts of an id that this key has signed for this project; None of any other."""
        signed = _decoded(id.removeprefix(prefix)) if id.startswith(prefix) and len(id) <= MAX_ID else None
        if signed is None or len(signed) <= _SIGNATURE_BYTES:
            return None
        payload, signature = signed[:-_SIGNATURE_BYTES], signed[-_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(prefix, payload, project)):
            return None
        return _parts(payload)

    def _signature(self, prefix: str, payload: bytes, project: str) -> bytes:
        message = _PURPOSE + _framed(prefix.encode()) + _framed(project.encode()) + payload
        return hmac.new(self._key, message, hashlib.sha256).digest()[:_SIGNATURE_BYTES]


class SignedIds:
    """Makes and reads signed ids under the secret `llmproxy-signing-key`."""

    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets

    async def signer(self) -> Signer:
        """Signs at once, for those who cannot wait later. Raises `ProviderUnavailable` without the key."""
        try:
            return Signer(await self._secrets.get(SIGNING_KEY))
        except SecretError:
            raise ProviderUnavailable("The proxy's key for signing ids cannot be read.") from None

    async def sign(self, prefix: str, parts: Sequence[str], project: str) -> str:
        """The id for `parts`. Raises `ProviderUnavailable` without the key."""
        return (await self.signer()).sign(prefix, parts, project)

    async def verify(
        self, prefix: str, id: str, project: str, *, param: str | None = None
    ) -> tuple[str, ...]:
        """The parts of an id. Raises `NotFound`, in the same words whatever is wrong with it.

        `ProviderUnavailable` where the key cannot be read. `param` is the field that named the id.
        """
        parts = (await self.signer()).read(prefix, id, project)
        if parts is None:
            previous = await self._previous()
            parts = previous.read(prefix, id, project) if previous else None
        if parts is None:
            raise no_such_id(id, param)
        return parts

    async def _previous(self) -> Signer | None:
        try:
            return Signer(await self._secrets.get(PREVIOUS_KEY))
        except SecretNotFound:
            return None
        except SecretError:
            raise ProviderUnavailable("The proxy's key for signing ids cannot be read.") from None


def no_such_id(id: str, param: str | None = None) -> NotFound:
    """What is said of an id that is no one's, another project's, or of something that is gone."""
    return NotFound(f"There is nothing with the id '{id[:256]}'.", param=param)


def _framed(data: bytes) -> bytes:
    return len(data).to_bytes(_LENGTH_BYTES, "big") + data


def _decoded(text: str) -> bytes | None:
    """base64url without padding; None of what is not exactly what we would write."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.urlsafe_b64encode(data).rstrip(b"=").decode() == text else None


def _parts(payload: bytes) -> tuple[str, ...] | None:
    if payload[:1] != _VERSION:
        return None
    parts, at = [], 1
    while at < len(payload):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(payload[at:start], "big")
        parts.append(payload[start:at].decode())
    return tuple(parts)
