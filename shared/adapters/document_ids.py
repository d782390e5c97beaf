"""Ids as Cosmos DB can hold them, reversibly.

Cosmos DB refuses `/ \\ # ?` in an id, limits it to 1,023 bytes and recommends plain ASCII, since the id is a
part of an address (https://learn.microsoft.com/azure/cosmos-db/concepts-limits). So letters, digits and
`- _ . : @ |` stay as they are, and every other byte of the id's UTF-8 becomes `~XX` (a dot at either end too:
`.` and `..` vanish from addresses). What would be longer than 255 characters becomes `~~` and a SHA-256; such
a document keeps its id in the field `ORIGINAL_ID`. Both stores order by the encoded id, so they page alike.
"""

import hashlib
import re
import string

ORIGINAL_ID = "_original_id"
LONGEST = 255
_DIGEST = "~~"
_EMPTY = "~"
_SAFE = frozenset((string.ascii_letters + string.digits + "-_.:@|").encode())
_PLAIN = re.compile(r"[A-Za-z0-9\-_:@|](?:[A-Za-z0-9\-_.:@|]{0,253}[A-Za-z0-9\-_:@|])?")
"""What stays as it is: nearly every id that this app makes itself."""
_ESCAPE = re.compile(r"~([0-9A-F]{2})")


def encode_id(id: str) -> str:
    """The id under which a document is stored."""
    if _PLAIN.fullmatch(id):
        return id
    if not id:
        return _EMPTY
    raw = id.encode("utf-8", "surrogatepass")
    last = len(raw) - 1
    encoded = "".join(
        chr(byte) if byte in _SAFE and not (byte == 0x2E and place in (0, last)) else f"~{byte:02X}"
        for place, byte in enumerate(raw)
    )
    if len(encoded) > LONGEST:
        return _DIGEST + hashlib.sha256(raw).hexdigest()
    return encoded


def decode_id(encoded: str) -> str:
    """The id that `encode_id` was given. One that it cannot have made, as by hand, stays as it is."""
    if encoded == _EMPTY:
        return ""
    raw = _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), encoded)
    try:
        decoded = raw.encode("latin-1").decode("utf-8", "surrogatepass")
    except UnicodeError:
        return encoded
    return decoded if encode_id(decoded) == encoded else encoded
