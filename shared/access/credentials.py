"""The key that a request presents, out of the three headers that may carry it."""

from shared.errors import InvalidApiKey, MissingApiKey


def presented_key(authorization: str | None, *others: str | None) -> str:
    """The one key among `Authorization: Bearer <key>` and `others`: `api-key`, `X-API-Key`, and what else carries it.

    Raises `MissingApiKey` where there is none, `InvalidApiKey` where two differ or the scheme is not Bearer.
    The scheme's name is case-insensitive (RFC 9110, section 11.1).
    """
    found = ""
    for text in (_bearer(authorization), *others):
        key = text.strip() if text else ""
        if not key:
            continue
        if found and key != found:
            raise InvalidApiKey("The request carries two different API keys.")
        found = key
    if not found:
        raise MissingApiKey(
            "No API key was provided. Send it as 'Authorization: Bearer <key>', 'api-key' or 'X-API-Key'."
        )
    return found


def _bearer(authorization: str | None) -> str:
    if not authorization or not authorization.strip():
        return ""
    scheme, _, key = authorization.strip().partition(" ")
    if scheme.lower() != "bearer":
        raise InvalidApiKey("The Authorization header must have the form 'Bearer <key>'.")
    return key
