"""What an instance remembers of one key: small, and all that a check needs."""

import hmac
from dataclasses import dataclass
from datetime import datetime
from sys import intern
from typing import Literal

from shared import Json
from shared.access.caller import Caller
from shared.errors import ExpiredApiKey, InvalidApiKey

REFUSED = "Incorrect API key provided."


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A key's record as of `updated_at`; times are seconds since 1970. A deleted key is not enabled."""

    caller: Caller
    secret: bytes
    previous: bytes | None
    previous_until: float
    expires_at: float | None
    enabled: bool
    updated_at: float

    @staticmethod
    def from_document(body: Json) -> "KnownKey":
        """Reads a document of `keys`. Raises KeyError, TypeError, ValueError or AttributeError if broken."""
        caller = Caller(intern(str(body.get("project", ""))), str(body["id"]))
        updated_at = epoch(body["updated_at"])
        if body.get("deleted_at"):
            return KnownKey(caller, b"", None, 0.0, None, False, updated_at)
        models: list[str] | None = body.get("models")
        role: Literal["user", "admin"] = "admin" if body["role"] == "admin" else "user"
        allowed = None if models is None else frozenset(intern(str(model)) for model in models)
        previous = body.get("previous_sha256")
        return KnownKey(
            caller=Caller(caller.project, caller.key_id, role, allowed, body.get("budget_usd") is not None),
            secret=bytes.fromhex(body["secret_sha256"]),
            previous=bytes.fromhex(previous) if previous else None,
            previous_until=epoch(body["previous_until"]) if previous else 0.0,
            expires_at=epoch(body["expires_at"]) if body.get("expires_at") else None,
            enabled=body["enabled"] is True,
            updated_at=updated_at,
        )

    def matches(self, presented: bytes, now: float) -> bool:
        """Whether `presented`, a digest, is of the secret, or of the one before while its grace lasts."""
        if hmac.compare_digest(self.secret, presented):
            return True
        previous = self.previous
        return previous is not None and now < self.previous_until and hmac.compare_digest(previous, presented)

    def usable(self, now: float) -> bool:
        return self.enabled and (self.expires_at is None or now < self.expires_at)

    def admit(self, now: float) -> Caller:
        """The caller. Raises `InvalidApiKey` for a disabled key, `ExpiredApiKey` for an expired one."""
        if not self.enabled:
            raise InvalidApiKey(REFUSED)
        if not self.usable(now):
            raise ExpiredApiKey("This API key has expired.")
        return self.caller


def epoch(time: str) -> float:
    """Seconds since 1970 of an ISO 8601 time with its zone."""
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError("a time needs its zone")
    return moment.timestamp()
