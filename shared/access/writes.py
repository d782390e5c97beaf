"""Writes of administrators: errors of the store in the words of the API, and no lost race believed unseen."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from shared import Json
from shared.clock import iso
from shared.containers import Container
from shared.errors import (
    CatalogUnavailable,
    Conflict,
    DocumentAbsent,
    DocumentChanged,
    DocumentTooLarge,
    NotFound,
    PreconditionFailed,
    RequestTooLarge,
    StoreUnavailable,
)
from shared.ports import Clock, DocumentStore, Stored

_TRIES = 5


@contextmanager
def store_errors() -> Iterator[None]:
    """Turns what a store raises into what a caller may see."""
    try:
        yield
    except StoreUnavailable as error:
        raise CatalogUnavailable(
            "The store cannot be reached at the moment.", retry_after=error.retry_after
        ) from None
    except DocumentTooLarge:
        raise RequestTooLarge("The document is too large to be stored.") from None


def if_match(header: str | None) -> str | None:
    """The ETag that a change is bound to: None for no header and for `*` (RFC 9110, section 13.1.1)."""
    text = (header or "").strip()
    return None if text in ("", "*") else text


def stamp(body: Json, clock: Clock) -> Json:
    """A new version of a document: a later `updated_at` than before, whatever the clock says, and a new mark.

    The mark (`revision`) tells a writer whether a lost race was its own write, whose answer was lost.
    """
    before = body.get("updated_at")
    now = clock.time()
    if isinstance(before, str):
        now = max(now, datetime.fromisoformat(before).timestamp() + 0.001)
    return {**body, "updated_at": iso(now), "revision": secrets.token_hex(8)}


def require_match(current: Stored, etag: str | None, kind: str) -> None:
    """Raises `PreconditionFailed` unless `etag` is that of the document, or None."""
    if etag is not None and etag != current.etag:
        raise PreconditionFailed(f"The {kind} has changed: 'If-Match' no longer holds.")


async def read(store: DocumentStore, container: Container, id: str, kind: str) -> Stored:
    """The document. Raises `NotFound`, also for one that is only the mark of a deletion."""
    stored = await store.get(container, id)
    if stored is None or stored.body.get("deleted_at"):
        raise NotFound(f"There is no {kind} '{id}'.")
    return stored


async def rewrite(
    store: DocumentStore,
    container: Container,
    current: Stored,
    change: Callable[[Json], Json],
    etag: str | None,
    kind: str,
    *,
    time_to_live: int | None = None,
) -> Stored:
    """Replaces `current` by `change(body)`, which is called again for a newer body unless `etag` binds it.

    Raises `PreconditionFailed` if `etag` no longer holds, `NotFound` if the document went away, `Conflict`
    if others were always faster.
    """
    require_match(current, etag, kind)
    for _ in range(_TRIES):
        body = change(current.body)
        try:
            return await store.replace(container, body, current.etag, time_to_live=time_to_live)
        except DocumentAbsent:
            raise NotFound(f"There is no {kind} '{body['id']}'.") from None
        except DocumentChanged:
            found = await store.get(container, str(body["id"]))
        if found is not None and found.body.get("revision") == body["revision"]:
            return found
        if found is None or found.body.get("deleted_at"):
            raise NotFound(f"There is no {kind} '{body['id']}'.")
        require_match(found, etag, kind)
        current = found
    raise Conflict(f"The {kind} is being changed by others; try again.")
