"""A catalog, providers and a store that the tests of health share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shared.adapters.sqlite import SqliteStore
from shared.catalog.catalog import Catalog
from shared.catalog.documents import Group, Model, parse_document
from shared.clock import ManualClock
from shared.errors import CatalogUnavailable, SecretNotFound, SecretsUnavailable, UnsupportedOperation
from shared.health.marks import Mark
from shared.health.stored import read_marks
from shared.providers.calls import Answer, Call, Download, Events
from tests.unit.access.worlds import Outages


def model(id: str, provider: str = "Demo", **fields: Any) -> Model:
    """A model that needs nothing; `provider` `OpenAI` makes it one of OpenAI's."""
    body = {
        "id": id,
        "code": id,
        "provider": provider,
        "model_type": "OpenAINative" if provider == "OpenAI" else provider,
        "operations": ["ChatCompletion"],
        **({"parameters": {"secret_name": "A-NAME"}} if provider == "OpenAI" else {}),
        **fields,
    }
    document, _ = parse_document(body, strict=True)
    assert isinstance(document, Model)
    return document


class FixedCatalog:
    """A `CatalogSource` that holds what it was given; with nothing, it is unavailable."""

    def __init__(self, *documents: Model | Group) -> None:
        self.documents: tuple[Model | Group, ...] | None = documents

    async def current(self) -> Catalog:
        if self.documents is None:
            raise CatalogUnavailable("The catalog cannot be read.")
        return Catalog(self.documents)


class ScriptedProvider:
    """A `Provider` whose signs of life are written down beforehand, per model id.

    A value is what `probe` returns or raises; models that are not named answer True. `sent` are the calls
    that cost something, which `answers` may let fail. `gate` holds probes up while it is closed.
    """

    def __init__(self, clock: ManualClock, latency: float = 0.05) -> None:
        self.probes: dict[str, bool | BaseException] = {}
        self.answers: dict[str, BaseException] = {}
        self.probed: list[str] = []
        self.sent: list[Call] = []
        self.running = self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.latency = latency
        self._clock = clock

    async def download(self, call: Call) -> Download:
        raise AssertionError("health asks for no bytes")

    async def probe(self, model: Model) -> bool:
        self.probed.append(model.id)
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.gate.wait()
        finally:
            self.running -= 1
        self._clock.advance(self.latency)
        outcome = self.probes.get(model.id, True)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    async def send(self, call: Call) -> Answer:
        self.sent.append(call)
        if call.model.id in self.answers:
            raise self.answers[call.model.id]
        return Answer(b"{}", {})

    async def open(self, call: Call) -> Events:
        raise UnsupportedOperation("Probes do not stream.")

    async def close(self) -> None:
        """There is nothing to close."""


class NamedSecrets:
    """A `SecretStore` of fixed names."""

    def __init__(self, *names: str) -> None:
        self.names = set(names)
        self.down = False

    async def get(self, name: str) -> str:
        if self.down:
            raise SecretsUnavailable("The vault cannot be reached.")
        if name not in self.names:
            raise SecretNotFound(name)
        return "x" * 40

    async def close(self) -> None:
        """There is nothing to close."""


@asynccontextmanager
async def store_of(directory: Path, clock: ManualClock) -> AsyncIterator[Outages]:
    real = SqliteStore(directory / "store.db", clock=clock)
    try:
        yield Outages(real)
    finally:
        await real.close()


async def stored(store: Outages, id: str) -> Mark | None:
    return (await read_marks(store)).get(id)


async def until(condition: Callable[[], bool]) -> None:
    """Lets others run until the condition holds."""
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.001)
