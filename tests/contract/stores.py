"""The document stores that the contract suite runs against."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from shared.adapters.cosmos import CosmosStore
from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from shared.ports import DocumentStore
from tests.emulators.cosmos_server import EMULATOR_KEY, CosmosServer

DATABASE = "llmproxy"
FOREIGN_EMULATOR = "TEST_COSMOS_ENDPOINT"
"""Names the address of an emulator that others wrote; `tests/emulators/run.sh` sets it."""


@dataclass(frozen=True)
class Subject:
    """A store under test. `clock` is what its time to live goes by, None where that cannot be moved."""

    store: DocumentStore
    clock: ManualClock | None


@asynccontextmanager
async def sqlite(directory: Path) -> AsyncIterator[Subject]:
    clock = ManualClock()
    store = SqliteStore(directory / "store.db", clock=clock)
    yield Subject(store, clock)
    await store.close()


@asynccontextmanager
async def cosmos(_: Path) -> AsyncIterator[Subject]:
    clock = ManualClock()
    async with CosmosServer(clock=clock) as server, cosmos_store(server) as store:
        yield Subject(store, clock)


@asynccontextmanager
async def foreign(_: Path) -> AsyncIterator[Subject]:
    store = CosmosStore(os.environ[FOREIGN_EMULATOR], DATABASE, EMULATOR_KEY)
    await store.create_containers()
    yield Subject(store, None)
    await store.close()


@asynccontextmanager
async def cosmos_store(server: CosmosServer, *, deadline: float = 5.0) -> AsyncIterator[CosmosStore]:
    """The Cosmos DB adapter on a test server that has the containers."""
    server.provision(DATABASE)
    store = CosmosStore(server.endpoint, DATABASE, EMULATOR_KEY, deadline=deadline)
    yield store
    server.heal()
    await store.close()


Opening = Callable[[Path], AbstractAsyncContextManager[Subject]]
OPENINGS: dict[str, Opening] = (
    {"emulator": foreign} if FOREIGN_EMULATOR in os.environ else {"sqlite": sqlite, "cosmos": cosmos}
)
