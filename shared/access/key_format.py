"""What a key looks like: `llmp_<id>_<secret>`, both base62 of fixed length."""

import hashlib
import secrets
from typing import NamedTuple

PREFIX = "llmp_"
ID_LENGTH = 16
SECRET_LENGTH = 43
"""Base62 digits that hold 256 bits."""

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_AT = len(PREFIX) + ID_LENGTH + 1
_LENGTH = _SECRET_AT + SECRET_LENGTH


class KeyParts(NamedTuple):
    id: str
    secret: str

    @property
    def text(self) -> str:
        """The key as its holder sends it."""
        return f"{PREFIX}{self.id}_{self.secret}"


def new_id() -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(ID_LENGTH))


def new_secret() -> str:
    """256 random bits, as 43 base62 digits."""
    number = secrets.randbits(256)
    digits = []
    for _ in range(SECRET_LENGTH):
        number, digit = divmod(number, 62)
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))


def split_key(presented: str) -> KeyParts | None:
    """Id and secret of a text that is shaped like a key; None for any other text."""
    if len(presented) != _LENGTH or not presented.startswith(PREFIX) or presented[_SECRET_AT - 1] != "_":
        return None
    parts = KeyParts(presented[len(PREFIX) : _SECRET_AT - 1], presented[_SECRET_AT:])
    # Of ASCII, the letters and digits are just the alphabet.
    if not (presented.isascii() and parts.id.isalnum() and parts.secret.isalnum()):
        return None
    return parts


def digest(secret: str) -> bytes:
    """SHA-256: enough for a secret of 256 random bits, which no dictionary holds."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
