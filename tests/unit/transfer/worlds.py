"""A store with what administrators made in it, and files in and out of it."""

from pathlib import Path

from shared import Json
from shared.access.audit import AuditLog
from shared.access.key_admin import KeyAdmin
from shared.access.key_ring import KeyRing
from shared.access.projects import ProjectAdmin
from shared.adapters.sqlite import SqliteStore
from shared.catalog.admin import ModelAdmin
from shared.catalog.cache import CatalogCache
from shared.clock import ManualClock
from shared.containers import AUDIT, Container
from shared.ports import DocumentStore, Query
from shared.settings import Settings
from shared.transfer.exporting import export_catalog
from shared.transfer.importing import CatalogImport, Result
from shared.transfer.lines import read_file
from shared.transfer.records import read_record
from tests.unit.access.worlds import ADMIN, Outages, Vault
from tests.unit.catalog.worlds import OPENAI


class World:
    """`store` can fail, as `Outages` says."""

    def __init__(self, path: Path, store: DocumentStore | None = None) -> None:
        self.clock = ManualClock()
        self.store = Outages(store or SqliteStore(path, clock=self.clock))
        self.audit = AuditLog(self.store, self.clock, 365)
        self.projects = ProjectAdmin(self.store, self.audit, self.clock)
        self.ring = KeyRing(self.store, Vault(), self.clock)
        self.keys = KeyAdmin(self.store, self.ring, self.projects, self.audit, self.clock)
        cache = CatalogCache(self.store, self.clock)
        self.models = ModelAdmin(self.store, cache, self.audit, self.projects, self.clock, Settings())
        self._cache = cache

    async def furnish(self) -> str:
        """Something of everything. Returns a key."""
        await self.projects.create(ADMIN, {"id": "search", "name": "Search", "budget_usd": 5.0, "rpm": 10})
        await self.models.create(ADMIN, {**OPENAI, "id": "b/ü", "metadata": {"z": 1.0, "a": [None, 0.1]}})
        await self.models.create(ADMIN, {**OPENAI, "id": "a", "private": True, "projects": ["secret"]})
        group = {"kind": "group", "id": "all", "members": ["a", {"id": "b/ü", "weight": 2.0}]}
        await self.models.create(ADMIN, group)
        fields: Json = {"project": "search", "models": ["all"], "expires_at": "2028-01-01T00:00:00Z"}
        made = await self.keys.create(ADMIN, fields)
        rotated = await self.keys.rotate(ADMIN, made.body["id"], {})
        gone = await self.keys.create(ADMIN, {"name": "gone"})
        await self.keys.delete(ADMIN, gone.body["id"])
        return str(rotated.body["key"])

    async def export(self) -> bytes:
        export = await export_catalog(self.store)
        assert not export.left_out
        assert not export.doubtful
        return export.content

    async def take(self, content: bytes, *, dry_run: bool = False) -> dict[str, Result]:
        """What became of each line of a file whose lines are all sound, by kind and id."""
        takes = CatalogImport(self.store, self.projects, self.audit, self.clock, dry_run=dry_run)
        results = {}
        for line in read_file(content).lines:
            assert line.document is not None
            body = {name: value for name, value in line.document.items() if name != "kind"}
            record = read_record(line.document["kind"], body)
            results[f"{record.kind} {record.id}"] = await takes.take(record)
        return results

    async def all(self, container: Container) -> list[Json]:
        order = "id"
        return [found.body for found in await self.store.query(container, Query(order_by=order, limit=1000))]

    async def actions(self) -> list[tuple[str, str]]:
        return [(entry["action"], entry["target"]) for entry in await self.all(AUDIT)]

    async def close(self) -> None:
        await self.ring.close()
        await self._cache.close()
        await self.store.close()
