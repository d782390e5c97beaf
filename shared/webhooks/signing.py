"""A project's secrets, and the headers that they sign (https://www.standardwebhooks.com, specification 1.0.0)."""

import base64
import hashlib
import hmac
import math
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.errors import ProviderUnavailable, SecretError, SecretNotFound
from shared.ports import SecretStore
from shared.secrets import WEBHOOK_MASTER

PREVIOUS_MASTER = f"{WEBHOOK_MASTER}-previous"
"""While the master is rotated, each message is signed with what follows from the one before as well."""
_PURPOSE = b"llmproxy webhook secret\0"
_ID_PURPOSE = b"llmproxy webhook id"


def project_secret(master: str, project: str) -> str:
    """The secret with which a project's receivers verify: `whsec_` and base64 of 32 bytes.

    It follows from the master and the project alone (HMAC-SHA256, RFC 2104): there is nothing to store, and
    no project's secret tells of another's.
    """
    derived = hmac.new(master.encode(), _PURPOSE + project.encode(), hashlib.sha256).digest()
    return "whsec_" + base64.b64encode(derived).decode()


def message_id(*parts: str) -> str:
    """The id of the message about `parts` (project, job, event…): the same for every try, in every process.

    `msg_` and 32 characters of base32, so that none is a full stop: an id with one could make the signature
    of one message hold for another.
    """
    framed = b"".join(len(part.encode()).to_bytes(4, "big") + part.encode() for part in parts)
    digest = hashlib.sha256(_ID_PURPOSE + framed).digest()[:20]
    return "msg_" + base64.b32encode(digest).decode().lower()


def signed_headers(id: str, at: float, payload: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The three headers of one try. `at` is the time of the try, in seconds since 1970, not of the event.

    Receivers refuse a try that is minutes old. One signature for each of `secrets`, of which one must match.
    """
    # Late: most instances never send one.
    from standardwebhooks import Webhook

    text = payload.decode()
    when = datetime.fromtimestamp(math.floor(at), UTC)
    signatures = [Webhook(secret).sign(id, when, text) for secret in secrets]
    return {
        "webhook-id": id,
        "webhook-timestamp": str(math.floor(at)),
        "webhook-signature": " ".join(signatures),
    }


class WebhookSecrets:
    """The secrets of projects, out of the secret `llmproxy-webhook-master`."""

    def __init__(self, secrets: SecretStore) -> None:
        self._secrets = secrets

    async def current(self, project: str) -> str:
        """What a receiver of this project should be given. Raises `ProviderUnavailable` without the master."""
        try:
            return project_secret(await self._secrets.get(WEBHOOK_MASTER), project)
        except SecretError:
            raise _no_master() from None

    async def signing(self, project: str) -> tuple[str, ...]:
        """The secrets to sign with, the current one first. Raises `ProviderUnavailable`.

        Also where it cannot be told whether there is a previous one: a receiver that has only that would
        refuse the message for good.
        """
        current = await self.current(project)
        try:
            previous = await self._secrets.get(PREVIOUS_MASTER)
        except SecretNotFound:
            return (current,)
        except SecretError:
            raise _no_master() from None
        return tuple(dict.fromkeys((current, project_secret(previous, project))))


def _no_master() -> ProviderUnavailable:
    return ProviderUnavailable("The proxy's key for signing webhooks cannot be read.")
