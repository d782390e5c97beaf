"""Google's token endpoint as a recording upstream, and service accounts that log in there."""

import base64
from functools import cache
from typing import Any
from urllib.parse import parse_qs

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.upstreams.behaviours import Behaviour, Reply
from tests.upstreams.server import Received, Upstream

GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class GoogleLogin(Upstream):
    """Exchanges a signed assertion (RFC 7523) for a token that names the service account: `ya29.<email>`."""

    def __init__(self) -> None:
        super().__init__()
        self._keys: dict[str, rsa.RSAPublicKey] = {}

    def service_account(self, email: str, project: str = "some-project") -> str:
        """The JSON text of a service account whose key is known here."""
        key = _key_of(email)
        self._keys[email] = key.public_key()
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        account = {
            "type": "service_account",
            "project_id": project,
            "private_key_id": "0001",
            "private_key": text.decode(),
            "client_email": email,
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }
        return orjson.dumps(account).decode()

    def answer(self, request: Received) -> Behaviour:
        form = parse_qs(request.raw.decode())
        if request.path != "/token" or form.get("grant_type") != [GRANT]:
            return Reply({"error": "unsupported_grant_type"}, status=400)
        email = self._signer(form["assertion"][0])
        if email is None:
            return Reply(
                {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}, status=400
            )
        return Reply({"access_token": token_of(email), "expires_in": 3599, "token_type": "Bearer"})

    def _signer(self, assertion: str) -> str | None:
        signed, _, signature = assertion.rpartition(".")
        email = str(_decoded(signed.partition(".")[2])["iss"])
        key = self._keys.get(email)
        if key is None:
            return None
        try:
            key.verify(_bytes(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return None
        return email


@cache
def _key_of(email: str) -> rsa.RSAPrivateKey:
    """Made once for each account: it takes long."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def token_of(email: str) -> str:
    return f"ya29.{email}"


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _decoded(text: str) -> Any:
    return orjson.loads(_bytes(text))
