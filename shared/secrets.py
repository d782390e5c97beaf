"""Secrets by name: what a name may be, and a cache that answers while the vault does not."""

import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from shared.errors import SecretError, SecretNotFound, SecretsUnavailable
from shared.ports import Clock, SecretStore
from shared.single_flight import SingleFlight
from shared.telemetry.logging import log_event

_logger = logging.getLogger("llmproxy.secrets")

ADMIN_KEY = "llmproxy-admin-key"
SIGNING_KEY = "llmproxy-signing-key"
WEBHOOK_MASTER = "llmproxy-webhook-master"
SMOKE_KEY = "llmproxy-smoke-key"
PROXY_SECRETS = (ADMIN_KEY, SIGNING_KEY, WEBHOOK_MASTER, SMOKE_KEY)
"""The proxy's own secrets. While one is rotated, `<name>-previous` may exist beside it."""

RESERVED_PREFIX = "llmproxy-"
_ENVIRONMENT_PREFIXES = ("os.environ/", "$")
_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")

_REFRESH_AHEAD = 0.8
"""The part of its maximum age after which a secret that is asked for is fetched again in the background."""
_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_LONGEST_PAUSE_WITHOUT_TEXT = 5.0


def secret_name(reference: str) -> str:
    """The vault's name for `A_NAME`, `$A_NAME`, `os.environ/A_NAME` or `A-NAME` itself: `A-NAME`.

    A vault knows letters, digits and hyphens, 1 to 127 of them (Key Vault's naming rules); underscores become
    hyphens. Raises `ValueError`, which does not repeat the reference: someone may have put the secret there.
    """
    name = reference.strip()
    for prefix in _ENVIRONMENT_PREFIXES:
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
            break
    name = name.replace("_", "-")
    if not _NAME.fullmatch(name):
        raise ValueError("a secret's name has 1 to 127 letters, digits, hyphens or underscores")
    return name


def is_reserved(name: str) -> bool:
    """Whether a name or reference means one of the proxy's own secrets. Vaults do not tell case apart."""
    try:
        name = secret_name(name)
    except ValueError:
        return False
    return name.lower().startswith(RESERVED_PREFIX)


def usable_text(name: str, text: str | None) -> str:
    """A stored text as it is used: without the line end that command lines add. Raises `SecretNotFound`."""
    stripped = (text or "").strip()
    if not stripped:
        raise SecretNotFound(f"The secret {name} is empty.")
    return stripped


@dataclass(slots=True)
class _Entry:
    """What is known of one secret: its text, or that there is none, and until when (clock's monotonic).

    From `refresh_at` on it is asked for again in the background, from `trusted_until` on before it is used.
    """

    text: str | None = field(repr=False)
    refresh_at: float
    trusted_until: float
    failures: int = 0
    problem: str = ""


class CachedSecrets:
    """A `SecretStore` that remembers.

    - A secret is fresh for `max_age` seconds. One that is in use is fetched again in the background before
      that, so that a request does not wait for the vault.
    - Several who ask for one secret make one call; one of them who leaves does not disturb the others.
    - While the vault cannot be reached, the last known text is served, and the vault is asked again after a
      pause that grows to half a minute.
    - That a secret does not exist is believed for `absence_age` seconds. One that was deleted or disabled
      is served no longer than `max_age` after that.
    """

    def __init__(
        self,
        source: SecretStore,
        clock: Clock,
        max_age: float = 300.0,
        *,
        absence_age: float = 5.0,
        capacity: int = 1024,
    ) -> None:
        self._source = source
        self._clock = clock
        self._max_age = max_age
        self._absence_age = min(absence_age, max_age)
        self._capacity = capacity
        self._entries: dict[str, _Entry] = {}
        self._flights: SingleFlight[_Entry] = SingleFlight()

    def peek(self, name: str) -> str | None:
        """The text if it is at hand, else None: then `get` tells why. Call it from the event loop."""
        entry = self._entries.get(name)
        if entry is None or entry.text is None:
            return None
        now = self._clock.monotonic()
        if now >= entry.refresh_at:
            self._flights.start(name, lambda: self._fetch(name))
        return entry.text if now < entry.trusted_until else None

    async def get(self, name: str) -> str:
        """The secret's text, at most `max_age` old unless the vault cannot be reached."""
        text = self.peek(name)
        if text is not None:
            return text
        entry = self._entries.get(name)
        if entry is None or self._clock.monotonic() >= entry.trusted_until:
            entry = await self._flights.join(name, lambda: self._fetch(name))
        if entry.text is not None:
            return entry.text
        if entry.failures:
            raise SecretsUnavailable(entry.problem)
        raise SecretNotFound(entry.problem)

    def forget(self, name: str) -> None:
        """Asks the vault at the next use, and takes no older answer for it."""
        self._entries.pop(name, None)
        self._flights.forget(name)

    def texts(self) -> Iterable[str]:
        """Every text at hand, for those who remove secrets from what they write."""
        entries = list(self._entries.values())  # a copy: the log asks from other threads too
        return [entry.text for entry in entries if entry.text is not None]

    async def close(self) -> None:
        await self._flights.close()
        self._entries.clear()
        await self._source.close()

    async def _fetch(self, name: str) -> _Entry:
        try:
            text = await self._source.get(name)
        except SecretNotFound as error:
            entry = self._absent(str(error))
        except SecretError as error:
            entry = self._unreachable(self._entries.get(name), str(error))
            log_event(_logger, logging.WARNING, "secret_unavailable", secret=name, message=str(error))
        else:
            now = self._clock.monotonic()
            entry = _Entry(text, now + self._max_age * _REFRESH_AHEAD, now + self._max_age)
        if self._flights.current(name):
            self._keep(name, entry)
        return entry

    def _absent(self, problem: str) -> _Entry:
        until = self._clock.monotonic() + self._absence_age
        return _Entry(None, until, until, problem=problem)

    def _unreachable(self, known: _Entry | None, problem: str) -> _Entry:
        now = self._clock.monotonic()
        failures = known.failures + 1 if known else 1
        pause = _FIRST_PAUSE * 2.0 ** min(failures - 1, 10)
        if known is None or known.text is None:
            until = now + min(pause, _LONGEST_PAUSE_WITHOUT_TEXT)
            return _Entry(None, until, until, failures, problem)
        refresh_at = now + min(pause, _LONGEST_PAUSE)
        # Trusted until well after the next try began: during an outage no request waits for the vault.
        trusted_until = max(known.trusted_until, refresh_at + _LONGEST_PAUSE)
        return _Entry(known.text, refresh_at, trusted_until, failures, problem)

    def _keep(self, name: str, entry: _Entry) -> None:
        self._entries.pop(name, None)  # the one that was fetched last stands last, and goes last
        self._entries[name] = entry
        while len(self._entries) > self._capacity:
            del self._entries[next(iter(self._entries))]
