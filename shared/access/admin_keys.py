"""The first admin key, which comes from the secret store and not from the database."""

import asyncio
import hmac
import logging
from math import inf

from shared.access.caller import DEFAULT_PROJECT, Caller
from shared.access.key_format import digest
from shared.errors import SecretError, SecretNotFound
from shared.ports import Clock, SecretStore
from shared.secrets import ADMIN_KEY

ADMIN_KEY_PREVIOUS = "llmproxy-admin-key-previous"
SHORTEST = 32
ADMIN = Caller(DEFAULT_PROJECT, "admin", "admin")

_log = logging.getLogger("llmproxy.access")


class AdminKeys:
    """Knows the digests of the admin key and, while it is rotated, of the one before.

    `max_age` is in seconds. The secret store is expected to cache: it is asked again on each doubt.
    """

    def __init__(self, secrets: SecretStore, clock: Clock, max_age: float) -> None:
        self._secrets = secrets
        self._clock = clock
        self._max_age = max_age
        self._digests: tuple[bytes, ...] | None = None
        self._read_at = -inf
        self._reading: asyncio.Task[None] | None = None
        self._warned: set[str] = set()

    def fresh(self, presented: bytes) -> bool:
        """Whether `presented`, a digest, is the admin key's, as far as is known without waiting."""
        age = self._clock.monotonic() - self._read_at
        if self._digests is None or age > self._max_age:
            return False
        if age > self._max_age * 2 / 3:
            self._read()
        return self._holds(presented)

    async def matches(self, presented: bytes) -> bool | None:
        """Whether it is the admin key, after asking the secret store; None where that cannot be told."""
        if self.fresh(presented):
            return True
        await asyncio.shield(self._read())
        return None if self._digests is None else self._holds(presented)

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)

    def _holds(self, presented: bytes) -> bool:
        found = False
        for known in self._digests or ():
            found |= hmac.compare_digest(known, presented)
        return found

    def _read(self) -> asyncio.Task[None]:
        if self._reading is None or self._reading.done():
            self._reading = asyncio.get_running_loop().create_task(self._read_both())
        return self._reading

    async def _read_both(self) -> None:
        try:
            found = [await self._one(ADMIN_KEY), await self._one(ADMIN_KEY_PREVIOUS)]
        except SecretError as error:
            # What is known goes on working; who was never known is told to come back.
            _log.warning("the admin key cannot be read: %s", type(error).__name__)
            return
        self._digests = tuple(item for item in found if item is not None)
        self._read_at = self._clock.monotonic()

    async def _one(self, name: str) -> bytes | None:
        try:
            text = (await self._secrets.get(name)).strip()
        except SecretNotFound:
            return None
        if len(text) < SHORTEST:
            if name not in self._warned:
                self._warned.add(name)
                _log.warning("the secret %s is ignored: it has fewer than %d characters", name, SHORTEST)
            return None
        return digest(text)
