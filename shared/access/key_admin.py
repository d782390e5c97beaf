"""What `/manage/keys` does: make, show, change, rotate and revoke keys."""

from collections.abc import Mapping
from datetime import datetime

from shared import Json
from shared.access.audit import AuditLog
from shared.access.caller import Caller
from shared.access.key_fields import EDITABLE, KeyFields, Rotation, key_view
from shared.access.key_format import KeyParts, digest, new_id, new_secret
from shared.access.key_ring import KeyRing
from shared.access.limits import without_orphans
from shared.access.merge_patch import merge_patch
from shared.access.paging import envelope, known_only, page_limit
from shared.access.patches import editable_patch
from shared.access.projects import ProjectAdmin
from shared.access.validation import validated
from shared.access.writes import if_match, read, require_match, rewrite, stamp, store_errors
from shared.clock import iso
from shared.containers import DAY_SECONDS, KEYS
from shared.errors import DocumentExists, InternalError, InvalidValue
from shared.ports import Clock, DocumentStore, Query, Stored, Where

TOMBSTONE_SECONDS = DAY_SECONDS
"""How long a deleted key leaves its mark, for the other instances to see that it is gone."""


class KeyAdmin:
    """Every method raises children of `ProxyError` only; each change is an audit entry before it is made.

    Methods that answer with a `Stored` give the view that `/manage` shows, with the document's ETag. The
    views of `create` and `rotate` hold `key`, the whole key: nothing keeps it, so it is never shown again.
    """

    def __init__(
        self, store: DocumentStore, ring: KeyRing, projects: ProjectAdmin, audit: AuditLog, clock: Clock
    ) -> None:
        self._store = store
        self._ring = ring
        self._projects = projects
        self._audit = audit
        self._clock = clock

    async def create(self, caller: Caller, body: Json) -> Stored:
        fields = validated(KeyFields, body)
        now = self._clock.time()
        if fields.expires_at is not None and datetime.fromisoformat(fields.expires_at).timestamp() <= now:
            raise InvalidValue("'expires_at' is in the past.", param="expires_at")
        key = KeyParts(new_id(), new_secret())
        times: Json = {"created_at": iso(now), "updated_at": iso(now)}
        own: Json = {"id": key.id, "secret_sha256": digest(key.secret).hex()}
        document = stamp({**own, **fields.model_dump(), **times}, self._clock)
        with store_errors():
            await self._audit.record(caller, "key.create", key.id, body)
            await self._projects.ensure((fields.project,))
            stored = await self._create(document)
        self._ring.learn(stored.body)
        return Stored({**key_view(stored.body), "key": key.text}, stored.etag)

    async def list(self, query: Mapping[str, str]) -> Json:
        """A page of keys by id: `limit` (1 to 1,000), `after` (an id), `project_id`."""
        known_only(query, ("limit", "after", "project_id"))
        limit = page_limit(query)
        # The mark of a deleted key has no role.
        where = [Where("role", "in", ("user", "admin"))]
        if query.get("project_id"):
            where.append(Where("project", "=", query["project_id"]))
        with store_errors():
            found = await self._store.query(
                KEYS, Query(tuple(where), limit=limit + 1, after=query.get("after") or None)
            )
        return envelope([key_view(stored.body) for stored in found], limit)

    async def get(self, id: str) -> Stored:
        with store_errors():
            stored = await read(self._store, KEYS, id, "key")
        return Stored(key_view(stored.body), stored.etag)

    async def update(self, caller: Caller, id: str, patch: Json, match: str | None = None) -> Stored:
        """Applies a JSON Merge Patch; `match` is the `If-Match` header."""

        def change(body: Json) -> Json:
            wanted = editable_patch(patch, key_view(body), EDITABLE)
            editable = {name: body[name] for name in EDITABLE if body.get(name) is not None}
            fields = validated(KeyFields, without_orphans(patch, merge_patch(editable, wanted)))
            return stamp({**body, **fields.model_dump()}, self._clock)

        etag = if_match(match)
        with store_errors():
            current = await read(self._store, KEYS, id, "key")
            changed = change(current.body)
            require_match(current, etag, "key")
            await self._audit.record(caller, "key.update", id, patch)
            await self._projects.ensure((changed["project"],))
            stored = await rewrite(self._store, KEYS, current, change, etag, "key")
        self._ring.learn(stored.body)
        return Stored(key_view(stored.body), stored.etag)

    async def rotate(self, caller: Caller, id: str, body: Json, match: str | None = None) -> Stored:
        """Gives the key a new secret; the one before works for `grace_seconds` (a day) more."""
        rotation = validated(Rotation, body)
        key = KeyParts(id, new_secret())
        until = iso(self._clock.time() + rotation.grace_seconds)

        def change(body: Json) -> Json:
            before: Json = {"previous_sha256": body["secret_sha256"], "previous_until": until}
            return stamp({**body, **before, "secret_sha256": digest(key.secret).hex()}, self._clock)

        etag = if_match(match)
        with store_errors():
            current = await read(self._store, KEYS, id, "key")
            require_match(current, etag, "key")
            await self._audit.record(caller, "key.rotate", id, rotation.model_dump())
            stored = await rewrite(self._store, KEYS, current, change, etag, "key")
        self._ring.learn(stored.body)
        return Stored({**key_view(stored.body), "key": key.text}, stored.etag)

    async def delete(self, caller: Caller, id: str, match: str | None = None) -> None:
        """Revokes the key for good. A mark stays for a day: the other instances ask only for what changed."""

        def change(body: Json) -> Json:
            gone: Json = {"id": id, "project": body["project"], "updated_at": body["updated_at"]}
            return stamp({**gone, "deleted_at": iso(self._clock.time())}, self._clock)

        etag = if_match(match)
        with store_errors():
            current = await read(self._store, KEYS, id, "key")
            require_match(current, etag, "key")
            await self._audit.record(caller, "key.delete", id, {})
            stored = await rewrite(
                self._store, KEYS, current, change, etag, "key", time_to_live=TOMBSTONE_SECONDS
            )
        self._ring.learn(stored.body)

    async def _create(self, document: Json) -> Stored:
        try:
            return await self._store.create(KEYS, document)
        except DocumentExists:
            # The id is random: it is there because our own write's answer was lost.
            found = await self._store.get(KEYS, document["id"])
            if found is None or found.body.get("revision") != document["revision"]:
                raise InternalError from None
            return found
