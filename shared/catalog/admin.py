"""What `/manage/models` does: documents of models and groups, checked before they are stored."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import orjson

from shared import Json
from shared.access.caller import Caller
from shared.access.merge_patch import merge_patch
from shared.access.paging import envelope, known_only, page_limit
from shared.access.patches import editable_patch
from shared.access.writes import if_match, require_match, rewrite, stamp, store_errors
from shared.catalog.cache import CatalogCache
from shared.catalog.documents import Group, Limits, Model, parse_document
from shared.catalog.invalid import InvalidDocument
from shared.catalog.redaction import without_secrets
from shared.clock import iso
from shared.containers import MODELS
from shared.errors import (
    CatalogUnavailable,
    Conflict,
    DocumentChanged,
    DocumentExists,
    InvalidRequest,
    InvalidValue,
    MissingParameter,
    ModelNotFound,
    PreconditionFailed,
    UnsupportedParameter,
)
from shared.ports import Clock, DocumentStore, Query, Stored
from shared.settings import Settings

_SERVERS_OWN = ("created_at", "updated_at", "revision")
_SHOWN_ONLY = ("object", "warnings", "status")

logger = logging.getLogger("llmproxy.catalog")


class Audit(Protocol):
    async def record(self, caller: Caller, action: str, target: str, detail: Json) -> None:
        """Notes a change that is about to happen. Raises where it cannot: the change must then not happen."""
        ...


class Projects(Protocol):
    async def ensure(self, ids: Iterable[str]) -> None:
        """Makes those of the projects that there are not."""
        ...


Status = Callable[[str], Awaitable[Json | None]]
"""The health of the model with this id, or None where nothing is known."""


class ModelAdmin:
    """Creates, lists, reads, changes and deletes documents. Raises children of `ProxyError` only.

    Each change is an audit entry before it is made, and this instance's catalog has it at once. Methods that
    answer with a `Stored` give the document as `/manage` shows it, with `warnings` where there are any.
    """

    def __init__(
        self,
        store: DocumentStore,
        cache: CatalogCache,
        audit: Audit,
        projects: Projects,
        clock: Clock,
        settings: Settings,
        *,
        status: Status | None = None,
    ) -> None:
        self._store = store
        self._cache = cache
        self._audit = audit
        self._projects = projects
        self._clock = clock
        self._endpoint_hosts = settings.endpoint_hosts
        self._status = status

    async def create(self, caller: Caller, body: Json) -> Stored:
        """Adds a document. Raises `Conflict` if the id is taken, `InvalidRequest` if it could not serve."""
        written = {name: value for name, value in body.items() if name not in (*_SHOWN_ONLY, *_SERVERS_OWN)}
        document = self._checked(written)
        stamped = stamp({**written, "created_at": iso(self._clock.time())}, self._clock)
        with store_errors():
            if await self._store.get(MODELS, document.id) is not None:
                raise _taken(document.id)
            await self._audit.record(caller, "model.create", document.id, {"fields": sorted(written)})
            await self._ensure_projects(document)
            try:
                stored = await self._store.create(MODELS, stamped)
            except DocumentExists:
                # Perhaps it was this write, and only its answer was lost.
                found = await self._store.get(MODELS, document.id)
                if found is None or found.body.get("revision") != stamped["revision"]:
                    raise _taken(document.id) from None
                stored = found
        await self._reload()
        return await self._shown(stored)

    async def list(self, query: Mapping[str, str]) -> Json:
        """A page of documents by id: `limit` (1 to 1,000), `after` (an id)."""
        known_only(query, ("limit", "after"))
        limit = page_limit(query)
        with store_errors():
            found = await self._store.query(MODELS, Query(limit=limit + 1, after=query.get("after") or None))
        return envelope([(await self._shown(stored)).body for stored in found], limit)

    async def get(self, id: str) -> Stored:
        """The document, with the model's `status`. Raises `ModelNotFound`."""
        shown = await self._shown(await self._read(id))
        if self._status is not None:
            with store_errors():
                shown.body["status"] = await self._status(id)
        return shown

    async def update(self, caller: Caller, id: str, patch: Json, match: str | None = None) -> Stored:
        """Applies a JSON Merge Patch; `match` is the `If-Match` header.

        Raises `ModelNotFound`, `PreconditionFailed`, or an `InvalidRequest` if the outcome could not serve.
        """
        current = await self._read(id)
        etag = if_match(match)
        require_match(current, etag, "model")
        wanted = {name: value for name, value in patch.items() if name not in _SHOWN_ONLY}

        def change(body: Json) -> Json:
            fixed = {name: body[name] for name in ("id", *_SERVERS_OWN) if name in body}
            merged = _readable_times(merge_patch(body, editable_patch(wanted, fixed, ())))
            self._checked(merged)
            return stamp(merged, self._clock)

        document = self._checked(change(current.body))
        with store_errors():
            await self._audit.record(caller, "model.update", id, {"fields": sorted(wanted)})
            await self._ensure_projects(document)
            stored = await rewrite(self._store, MODELS, current, change, etag, "model")
        await self._reload()
        return await self._shown(stored)

    async def delete(self, caller: Caller, id: str, match: str | None = None) -> None:
        """Removes the document. Raises `ModelNotFound`, `PreconditionFailed`."""
        current = await self._read(id)
        etag = if_match(match)
        require_match(current, etag, "model")
        with store_errors():
            await self._audit.record(caller, "model.delete", id, {})
            try:
                await self._store.delete(MODELS, id, etag=etag)
            except DocumentChanged:
                raise PreconditionFailed("The model has changed: 'If-Match' no longer holds.") from None
        await self._reload()

    async def _read(self, id: str) -> Stored:
        with store_errors():
            stored = await self._store.get(MODELS, id)
        if stored is None:
            raise ModelNotFound(f"There is no model '{id[:256]}' in the catalog.")
        return stored

    def _checked(self, body: Json) -> Model | Group:
        try:
            orjson.dumps(body)
        except orjson.JSONEncodeError:
            raise InvalidValue("The document holds numbers or a nesting that cannot be stored.") from None
        try:
            return parse_document(body, strict=True, endpoint_hosts=self._endpoint_hosts)[0]
        except InvalidDocument as invalid:
            raise _refusal(invalid) from None

    async def _ensure_projects(self, document: Model | Group) -> None:
        if isinstance(document, Model) and document.projects:
            await self._projects.ensure(document.projects)

    async def _reload(self) -> None:
        """This instance follows at once. Where the store fails just now, it follows like the others."""
        try:
            await self._cache.refresh()
        except CatalogUnavailable:
            logger.warning("The catalog was changed but cannot be read again yet")

    async def _shown(self, stored: Stored) -> Stored:
        body = without_secrets({name: value for name, value in stored.body.items() if name != "revision"})
        try:
            document, warnings = parse_document(
                stored.body, strict=False, endpoint_hosts=self._endpoint_hosts
            )
        except InvalidDocument as invalid:
            warnings = [f"this document is not served: {invalid}"]
        else:
            warnings += [*self._dangling(document), *_not_enforced(document)]
        shown: Json = {"object": body.get("kind") or "model", **body}
        if warnings:
            shown["warnings"] = warnings
        return Stored(shown, stored.etag)

    def _dangling(self, document: Model | Group) -> Sequence[str]:
        """Names of models that the catalog, as this instance last saw it, does not have."""
        catalog = self._cache.fresh()
        if catalog is None:
            return []
        named = {"fallbacks": document.fallbacks}
        if isinstance(document, Group):
            named["members"] = tuple(member.id for member in document.members)
        else:
            named["context_window_fallbacks"] = document.context_window_fallbacks
            named["content_policy_fallbacks"] = document.content_policy_fallbacks
        return [
            f"{field}: there is no model '{id}'"
            for field, ids in named.items()
            for id in ids
            if id not in catalog.models and (field == "members" or id not in catalog.groups)
        ]


def _not_enforced(document: Model | Group) -> list[str]:
    if isinstance(document, Group):
        return []
    return [
        f"limits.{name} is not enforced yet"
        for name in Limits.model_fields
        if getattr(document.limits, name) is not None
    ]


def _readable_times(body: Json) -> Json:
    """`body` without times that nobody can read, which only another hand than ours can have written."""
    kept = dict(body)
    for name in ("created_at", "updated_at"):
        try:
            datetime.fromisoformat(kept.get(name, ""))
        except (TypeError, ValueError):
            kept.pop(name, None)
    return kept


def _taken(id: str) -> Conflict:
    return Conflict(f"The model '{id}' exists already.", param="id")


def _refusal(invalid: InvalidDocument) -> InvalidRequest:
    param = invalid.param or None
    if invalid.fault == "missing":
        return MissingParameter(invalid.param)
    if invalid.fault == "unknown":
        return UnsupportedParameter(f"Unknown parameter: '{param}'.", param=param)
    subject = f"Invalid value for '{param}'" if param else "Invalid document"
    return InvalidValue(f"{subject}: {invalid.reason}.", param=param)
