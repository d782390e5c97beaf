"""Projects: what keys and private models belong to."""

import secrets
from collections.abc import Iterable, Mapping

from shared import Json
from shared.access.audit import AuditLog
from shared.access.caller import DEFAULT_PROJECT, Caller
from shared.access.limits import LimitFields, limit_warnings, without_orphans
from shared.access.merge_patch import merge_patch
from shared.access.paging import envelope, known_only, page_limit
from shared.access.patches import editable_patch
from shared.access.validation import Label, Metadata, ProjectId, StrictBody, validated
from shared.access.writes import if_match, read, require_match, rewrite, stamp, store_errors
from shared.clock import iso
from shared.containers import KEYS, MODELS, PROJECTS
from shared.errors import Conflict, DocumentChanged, DocumentExists, NotFound, PreconditionFailed
from shared.ports import Clock, DocumentStore, Query, Stored, Where


class ProjectFields(LimitFields):
    """The editable fields of a project."""

    name: Label | None = None
    metadata: Metadata = {}


class _NewProject(ProjectFields):
    id: ProjectId


class _ProjectIds(StrictBody):
    projects: list[ProjectId]


_EDITABLE = tuple(ProjectFields.model_fields)


def project_view(body: Mapping[str, object]) -> Json:
    """A project as `/manage` shows it."""
    view: Json = {"object": "project", "id": body["id"]}
    for name in ("name", "rpm", "tpm", "max_parallel", "budget_usd", "budget_period"):
        view[name] = body.get(name)
    for name in ("metadata", "created_at", "updated_at"):
        view[name] = body.get(name)
    warnings = limit_warnings(view)
    return {**view, "warnings": warnings} if warnings else view


async def require_project(store: DocumentStore, id: str, param: str | None = None) -> None:
    """Raises `NotFound`, for `param`, where there is no such project, and `StoreUnavailable`.

    The default project is there from the beginning, whether its document is or not.
    """
    if id != DEFAULT_PROJECT and await store.get(PROJECTS, id) is None:
        raise NotFound(f"There is no project '{id}'.", param=param)


class ProjectAdmin:
    """What `/manage/projects` does. Every method raises children of `ProxyError` only.

    Each change is an audit entry before it is made. Methods that answer with a `Stored` give the view that
    `/manage` shows, with the document's ETag.
    """

    def __init__(self, store: DocumentStore, audit: AuditLog, clock: Clock) -> None:
        self._store = store
        self._audit = audit
        self._clock = clock

    async def ensure(self, ids: Iterable[str]) -> None:
        """Makes those of the projects that there are not: the first key or model that names one makes it."""
        for id in dict.fromkeys(validated(_ProjectIds, {"projects": list(ids)}).projects):
            with store_errors():
                if await self._store.get(PROJECTS, id) is None:
                    try:
                        await self._store.create(PROJECTS, self._document(id, {}))
                    except DocumentExists:
                        continue

    async def create(self, caller: Caller, body: Json) -> Stored:
        fields = validated(_NewProject, body)
        with store_errors():
            if await self._store.get(PROJECTS, fields.id) is not None:
                raise Conflict(f"The project '{fields.id}' exists already.", param="id")
            document = self._document(fields.id, fields.model_dump())
            await self._audit.record(caller, "project.create", fields.id, body)
            try:
                stored = await self._store.create(PROJECTS, document)
            except DocumentExists:
                found = await self._store.get(PROJECTS, fields.id)
                if found is None or found.body.get("revision") != document["revision"]:
                    raise Conflict(f"The project '{fields.id}' exists already.", param="id") from None
                stored = found
        return _shown(stored)

    async def list(self, query: Mapping[str, str]) -> Json:
        """A page of projects by id: `limit` (1 to 1,000), `after` (an id)."""
        known_only(query, ("limit", "after"))
        limit = page_limit(query)
        await self.ensure((DEFAULT_PROJECT,))
        with store_errors():
            found = await self._store.query(
                PROJECTS, Query(limit=limit + 1, after=query.get("after") or None)
            )
        return envelope([project_view(stored.body) for stored in found], limit)

    async def get(self, id: str) -> Stored:
        return _shown(await self._read(id))

    async def update(self, caller: Caller, id: str, patch: Json, match: str | None = None) -> Stored:
        """Applies a JSON Merge Patch; `match` is the `If-Match` header."""
        current = await self._read(id)

        def change(body: Json) -> Json:
            wanted = editable_patch(patch, project_view(body), _EDITABLE)
            editable = {name: body[name] for name in _EDITABLE if body.get(name) is not None}
            fields = validated(ProjectFields, without_orphans(patch, merge_patch(editable, wanted)))
            return stamp({**body, **fields.model_dump()}, self._clock)

        change(current.body)
        etag = if_match(match)
        require_match(current, etag, "project")
        with store_errors():
            await self._audit.record(caller, "project.update", id, patch)
            return _shown(await rewrite(self._store, PROJECTS, current, change, etag, "project"))

    async def delete(self, caller: Caller, id: str, match: str | None = None) -> None:
        """Removes it. Raises `Conflict` while a key or a model names it; `default` stays always."""
        current = await self._read(id)
        etag = if_match(match)
        require_match(current, etag, "project")
        if id == DEFAULT_PROJECT:
            raise Conflict(f"The project '{DEFAULT_PROJECT}' cannot be deleted.")
        with store_errors():
            keys = Query((Where("project", "=", id), Where("role", "in", ("user", "admin"))), limit=1)
            if await self._store.query(KEYS, keys):
                raise Conflict(f"The project '{id}' still has keys.")
            models = Query((Where("projects", "contains", id),), limit=1)
            if await self._store.query(MODELS, models):
                raise Conflict(f"The project '{id}' still has models.")
            await self._audit.record(caller, "project.delete", id, {})
            try:
                await self._store.delete(PROJECTS, id, etag=etag)
            except DocumentChanged:
                raise PreconditionFailed("The project has changed: 'If-Match' no longer holds.") from None

    async def _read(self, id: str) -> Stored:
        if id == DEFAULT_PROJECT:
            await self.ensure((id,))
        with store_errors():
            return await read(self._store, PROJECTS, id, "project")

    def _document(self, id: str, fields: Json) -> Json:
        now = iso(self._clock.time())
        defaults = ProjectFields().model_dump()
        own: Json = {"id": id, "created_at": now, "updated_at": now, "revision": secrets.token_hex(8)}
        return {**defaults, **fields, **own}


def _shown(stored: Stored) -> Stored:
    return Stored(project_view(stored.body), stored.etag)
