"""A database that can go away, a vault, and what is built upon them."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence

from shared import Json
from shared.access.audit import AuditLog
from shared.access.caller import Caller
from shared.access.key_admin import KeyAdmin
from shared.access.key_ring import KeyRing
from shared.access.projects import ProjectAdmin
from shared.clock import ManualClock
from shared.containers import AUDIT, Container
from shared.errors import (
    DocumentChanged,
    DocumentExists,
    DocumentTooLarge,
    SecretNotFound,
    SecretsUnavailable,
    StoreUnavailable,
)
from shared.ports import Clock, DocumentStore, Query, Stored

ADMIN_TEXT = "an-admin-key-of-more-than-32-characters"
LOOKUP_INTERVAL = 0.02
ADMIN = Caller("default", "admin", "admin")


class Outages:
    """A `DocumentStore` in front of another: counts calls, and fails as a store does.

    `down` fails every call; `hanging` leaves queries without an answer; `refused` names containers whose
    writes fail; `lose` counts batches whose answer is lost after they were applied, `lost_races` writes that
    were applied and look like a lost race; `too_large` is the `request_id` of a document that is refused;
    `failing` maps an operation to the error that it raises.
    """

    def __init__(self, store: DocumentStore) -> None:
        self._store = store
        self.down = False
        self.hanging = False
        self.refused: set[Container] = set()
        self.lose = 0
        self.lost_races = 0
        self.too_large = ""
        self.failing: dict[str, Exception] = {}
        self.calls: Counter[str] = Counter()
        self.documents_read = 0
        self.written: list[Json] = []

    def _enter(self, operation: str, container: Container | None = None) -> None:
        self.calls[operation] += 1
        if operation in self.failing:
            raise self.failing[operation]
        if self.down or (container in self.refused and operation not in ("get", "query")):
            raise StoreUnavailable("the store is away")

    def _race_is_lost(self, container: Container) -> bool:
        if self.lost_races and container is not AUDIT:
            self.lost_races -= 1
            return True
        return False

    def _leave(self) -> None:
        if self.lose:
            self.lose -= 1
            raise StoreUnavailable("the answer is lost")

    async def get(self, container: Container, id: str, partition: str | None = None) -> Stored | None:
        self._enter("get")
        return await self._store.get(container, id, partition)

    async def create(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        self._enter("create", container)
        self.written.append(body)
        stored = await self._store.create(container, body, time_to_live=time_to_live)
        if self._race_is_lost(container):
            raise DocumentExists("the id is taken")
        return stored

    async def create_many(
        self, container: Container, bodies: Sequence[Json], *, time_to_live: int | None = None
    ) -> None:
        self._enter("create_many", container)
        self.written.extend(bodies)
        if any(body.get("request_id") == self.too_large for body in bodies):
            raise DocumentTooLarge("a document is over 2 MB")
        await self._store.create_many(container, bodies, time_to_live=time_to_live)
        self._leave()

    async def replace(
        self, container: Container, body: Json, etag: str, *, time_to_live: int | None = None
    ) -> Stored:
        self._enter("replace", container)
        self.written.append(body)
        stored = await self._store.replace(container, body, etag, time_to_live=time_to_live)
        if self._race_is_lost(container):
            raise DocumentChanged("the document moved on")
        return stored

    async def upsert(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        self._enter("upsert", container)
        return await self._store.upsert(container, body, time_to_live=time_to_live)

    async def keep(
        self, container: Container, id: str, partition: str | None = None, *, time_to_live: int
    ) -> bool:
        self._enter("keep", container)
        return await self._store.keep(container, id, partition, time_to_live=time_to_live)

    async def delete(
        self, container: Container, id: str, partition: str | None = None, *, etag: str | None = None
    ) -> bool:
        self._enter("delete", container)
        return await self._store.delete(container, id, partition, etag=etag)

    async def increment(
        self,
        container: Container,
        initial: Json,
        amounts: Mapping[str, int | float],
        *,
        time_to_live: int | None = None,
    ) -> None:
        self._enter("increment", container)
        await self._store.increment(container, initial, amounts, time_to_live=time_to_live)

    async def query(self, container: Container, query: Query) -> list[Stored]:
        self._enter("query")
        if self.hanging:
            await asyncio.Event().wait()
        found = await self._store.query(container, query)
        self.documents_read += len(found)
        return found

    async def ping(self) -> None:
        self._enter("ping")
        await self._store.ping()

    async def close(self) -> None:
        await self._store.close()


class Vault:
    """A `SecretStore` out of a dictionary."""

    def __init__(self, secrets: dict[str, str] | None = None) -> None:
        self.secrets = {"llmproxy-admin-key": ADMIN_TEXT} if secrets is None else secrets
        self.down = False
        self.reads = 0

    async def get(self, name: str) -> str:
        self.reads += 1
        if self.down:
            raise SecretsUnavailable("the vault is away")
        if name not in self.secrets:
            raise SecretNotFound(name)
        return self.secrets[name]

    async def close(self) -> None: ...


class World:
    """One database and one vault, and any number of instances on them."""

    def __init__(self, store: DocumentStore, clock: ManualClock) -> None:
        self.clock = clock
        self.base = store
        self.store = Outages(store)
        self.vault = Vault()
        self.rings: list[KeyRing] = []
        self.ring = self.new_ring()
        self.audit = AuditLog(self.store, clock, 365)
        self.projects = ProjectAdmin(self.store, self.audit, clock)
        self.keys = KeyAdmin(self.store, self.ring, self.projects, self.audit, clock)

    def new_ring(self, *, clock: Clock | None = None, patience: float = 3.0, page: int = 1000) -> KeyRing:
        """Another instance's."""
        ring = KeyRing(
            self.store,
            self.vault,
            clock or self.clock,
            lookup_interval=LOOKUP_INTERVAL,
            patience=patience,
            page=page,
        )
        self.rings.append(ring)
        return ring

    async def new_key(self, **fields: object) -> Json:
        return (await self.keys.create(ADMIN, dict(fields))).body

    async def close(self) -> None:
        for ring in self.rings:
            await ring.close()
        await self.base.close()
