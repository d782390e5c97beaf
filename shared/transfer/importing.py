"""Records into the store: what is the same stays untouched, and nothing is ever deleted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared import Json
from shared.access.audit import AuditLog
from shared.access.caller import DEFAULT_PROJECT, Caller
from shared.access.projects import ProjectAdmin
from shared.access.writes import rewrite, stamp, store_errors
from shared.errors import CatalogUnavailable, DocumentExists, ProxyError
from shared.ports import Clock, DocumentStore, Stored
from shared.transfer.records import Record, Refused, kind_of, read_record, stored_part

Outcome = Literal["created", "changed", "unchanged", "refused"]
OUTCOMES: tuple[Outcome, ...] = ("created", "changed", "unchanged", "refused")

COMMAND_LINE = Caller(DEFAULT_PROJECT, "command-line", "admin")
"""Who imports, in the audit log: whoever may write to the database needs no key of this proxy."""

_RACED = "others are changing it just now, and theirs is kept: import the file again"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a record, or in a dry run what would. `detail` is a reason or what differs."""

    outcome: Outcome
    detail: str = ""


class CatalogImport:
    """Writes records one by one; each change is an audit entry before it is made, as in `/manage`.

    A write is bound to the version that it was compared with. With `dry_run` nothing is written.
    """

    def __init__(
        self,
        store: DocumentStore,
        projects: ProjectAdmin,
        audit: AuditLog,
        clock: Clock,
        *,
        dry_run: bool = False,
    ) -> None:
        self._store = store
        self._projects = projects
        self._audit = audit
        self._clock = clock
        self._dry_run = dry_run
        self._seen: set[tuple[str, str]] = set()

    async def take(self, record: Record) -> Result:
        """Creates, changes or leaves one document. Raises `CatalogUnavailable` where the store cannot go on."""
        place = (record.container.name, record.id)
        if place in self._seen:
            return Result("refused", "an earlier line has this id")
        self._seen.add(place)
        try:
            with store_errors():
                return await self._take(record)
        except CatalogUnavailable:
            raise
        except ProxyError as error:
            return Result("refused", error.message.rstrip("."))

    async def _take(self, record: Record) -> Result:
        current = await self._store.get(record.container, record.id)
        if current is None:
            if not self._dry_run:
                await self._prepare(record, "create", sorted(record.body))
                if not await self._create(record):
                    return Result("refused", _RACED)
            return Result("created")
        if current.body.get("deleted_at"):
            await self._replace(record, current, "create", sorted(record.body))
            return Result("created", "it was deleted, and works again")
        differing = _differing(record, current)
        if not differing:
            return Result("unchanged")
        try:
            await self._replace(record, current, "update", differing)
        except CatalogUnavailable:
            raise
        except ProxyError as error:
            return Result("refused", _RACED if error.status in (404, 412) else error.message.rstrip("."))
        return Result("changed", ", ".join(differing))

    async def _prepare(self, record: Record, action: str, fields: list[str]) -> None:
        kind = "model" if record.kind == "group" else record.kind
        detail: Json = {"import": True, "fields": fields}
        await self._audit.record(COMMAND_LINE, f"{kind}.{action}", record.id, detail)
        await self._projects.ensure(record.projects)

    async def _create(self, record: Record) -> bool:
        """Whether it is there by this write; False: somebody else made one meanwhile."""
        document = stamp(record.body, self._clock)
        try:
            await self._store.create(record.container, document)
        except DocumentExists:
            # Perhaps it was this write, and only its answer was lost.
            found = await self._store.get(record.container, record.id)
            return found is not None and found.body.get("revision") == document["revision"]
        return True

    async def _replace(self, record: Record, current: Stored, action: str, fields: list[str]) -> None:
        if self._dry_run:
            return
        await self._prepare(record, action, fields)
        kept = {name: current.body[name] for name in ("created_at", "updated_at") if _is_time(current, name)}
        document = stamp({**record.body, **kept}, self._clock)
        await rewrite(self._store, record.container, current, lambda _: document, current.etag, record.kind)


def _differing(record: Record, current: Stored) -> list[str]:
    """Names of the fields that an import would change; empty where it would change nothing."""
    try:
        # Defaults that a document of another hand leaves out are no difference.
        stored = read_record(kind_of(record.container, current.body), stored_part(current.body)).body
    except Refused:
        stored = current.body
    return record.differing(stored)


def _is_time(stored: Stored, name: str) -> bool:
    """Whether a time can be read: another hand than ours may have written the document."""
    try:
        return datetime.fromisoformat(stored.body[name]).tzinfo is not None
    except (KeyError, TypeError, ValueError):
        return False
