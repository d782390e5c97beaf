"""What went wrong with a call to Cosmos DB, read once from whatever the SDK raised.

The statuses are those of https://learn.microsoft.com/rest/api/cosmos-db/http-status-codes-for-cosmosdb.
"""

import re
from dataclasses import dataclass
from typing import Any

from shared.errors import (
    DocumentAbsent,
    DocumentChanged,
    DocumentExists,
    DocumentTooLarge,
    StoreError,
    StoreThrottled,
    StoreUnavailable,
)

READ_SESSION_NOT_AVAILABLE = 1002
OWNER_ABSENT = 1003

_DOCUMENTS = re.compile(r"/colls/[^/]+/docs(/|$)")

DEFAULT_RETRY_AFTER = 1.0
"""Seconds, where a 429 does not say."""


@dataclass(frozen=True, slots=True)
class Failure:
    """What the caller gets. `again`: the same call may succeed soon. `doubt`: it may have been applied."""

    error: StoreError
    again: bool = False
    doubt: bool = False


def read_failure(error: Exception) -> Failure | None:
    """None for what is a mistake in our own code."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError, HttpResponseError

    if isinstance(error, ClientAuthenticationError):
        return Failure(StoreUnavailable("The app's identity got no token for Cosmos DB."))
    if isinstance(error, HttpResponseError) and error.status_code:
        return _of_status(error.status_code, error)
    if isinstance(error, AzureError):
        # The SDK calls a connection that broke while it waited for the answer a failed request, too.
        return Failure(
            StoreUnavailable("Cosmos DB did not answer."), again=True, doubt=not _never_sent(error)
        )
    if isinstance(error, OSError):
        return Failure(StoreUnavailable("Cosmos DB cannot be reached."), again=True, doubt=True)
    return None


def _of_status(status: int, error: Any) -> Failure:
    sub_status = getattr(error, "sub_status", None)
    if status == 404:
        return _absent(sub_status, error)
    if status == 409:
        return Failure(DocumentExists("The id is taken."))
    if status == 412:
        return Failure(DocumentChanged("The document moved on."))
    if status == 413:
        return Failure(DocumentTooLarge("Cosmos DB takes at most 2 MB a document."))
    if status == 429:
        return Failure(StoreThrottled("Cosmos DB is throttling.", _retry_after(error)), again=True)
    if status == 449:
        return Failure(StoreUnavailable("Cosmos DB is busy with this document."), again=True)
    if status in (401, 403):
        return Failure(
            StoreUnavailable(f"Cosmos DB refused the app's identity ({_code(status, sub_status)}).")
        )
    if status in (408, 410) or status >= 500 or status < 400:
        return Failure(
            StoreUnavailable(f"Cosmos DB failed ({_code(status, sub_status)})."), again=True, doubt=True
        )
    return Failure(StoreError(f"Cosmos DB refused the call ({_code(status, sub_status)})."))


def _absent(sub_status: int | None, error: Any) -> Failure:
    if sub_status == READ_SESSION_NOT_AVAILABLE:
        return Failure(StoreUnavailable("Cosmos DB is behind what it told us."), again=True)
    request = getattr(getattr(error, "response", None), "request", None)
    # A missing database must not look like a missing document: every key would be unknown.
    if sub_status == OWNER_ABSENT or (request is not None and not _DOCUMENTS.search(request.url)):
        return Failure(StoreUnavailable("The database or container does not exist in Cosmos DB."))
    return Failure(DocumentAbsent("There is no such document."))


def _never_sent(error: Any) -> bool:
    import aiohttp

    inner = getattr(error, "inner_exception", None)
    return isinstance(inner, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)


def _retry_after(error: Any) -> float:
    headers = getattr(error, "headers", None) or {}
    try:
        return max(0.0, float(headers.get("x-ms-retry-after-ms", "")) / 1000)
    except ValueError:
        return DEFAULT_RETRY_AFTER


def _code(status: int, sub_status: int | None) -> str:
    return f"{status}/{sub_status}" if sub_status else str(status)
