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


DEFECTS = {
    "test_what_is_not_there_is_none": "@vercel/cosmosdb-server answers 500 for a read of an absent document",
    "test_a_document_lives_as_long_as_it_was_given": "@vercel/cosmosdb-server knows no time to live",
    "test_a_container_may_set_the_time_to_live": "@vercel/cosmosdb-server knows no time to live",
    "test_a_write_begins_the_time_to_live_anew": "@vercel/cosmosdb-server knows no time to live",
    "test_a_document_is_kept_longer_or_shorter_or_at_last": "@vercel/cosmosdb-server knows no time to live",
}
"""Tests that fail on the emulator by its own fault, and why."""


@dataclass(frozen=True)
class Subject:
    """A store under test. `clock` is what its time to live goes by, if we made it."""

    store: DocumentStore
    clock: ManualClock


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
    yield Subject(store, ManualClock())
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
