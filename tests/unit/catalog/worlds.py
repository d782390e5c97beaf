"""Documents and stores that the tests of the catalog share."""

import asyncio
from collections.abc import Iterable, Mapping

from shared import Json
from shared.access.caller import Caller
from shared.catalog.documents import Group, Model, parse_document
from shared.containers import Container
from shared.ports import DocumentStore, Query, Stored
from tests.unit.access.worlds import Outages

OPENAI: Json = {
    "id": "m",
    "provider": "OpenAI",
    "model_type": "OpenAINative",
    "code": "gpt-4o",
    "operations": ["ChatCompletion"],
    "parameters": {"secret_name": "OPENAI_API_KEY"},
}
AZURE: Json = {
    "id": "m",
    "provider": "Azure",
    "model_type": "AzureOpenAI",
    "code": "gpt-4o",
    "operations": ["ChatCompletion"],
    "parameters": {"endpoint": "https://unit.openai.azure.com/", "secret_name": "AZURE_KEY"},
}
VERTEX: Json = {
    "id": "m",
    "provider": "Google",
    "model_type": "GoogleVertex",
    "code": "gemini-2.5-flash",
    "operations": ["ChatCompletion"],
    "parameters": {"gcp_project": "unit-project"},
}


def changed(base: Json, change: Mapping[str, object]) -> Json:
    """`base` with fields set; `parameters.x` sets one inside `parameters`."""
    body = {**base, "parameters": dict(base["parameters"])}
    for name, value in change.items():
        field, _, inner = name.partition(".")
        if inner:
            body[field][inner] = value
        else:
            body[field] = value
    return body


def model(id: str = "m", base: Json = OPENAI, **fields: object) -> Model:
    document, _ = parse_document({**base, "id": id, **fields}, strict=True)
    assert isinstance(document, Model)
    return document


def group(id: str, *members: object, **fields: object) -> Group:
    body = {"kind": "group", "id": id, "members": list(members), **fields}
    document, _ = parse_document(body, strict=True)
    assert isinstance(document, Group)
    return document


def caller(project: str = "default", *models: str, admin: bool = False) -> Caller:
    """A caller whose key lists `models`; none means all."""
    return Caller(project, "key", "admin" if admin else "user", frozenset(models) if models else None)


class GatedStore(Outages):
    """A store whose queries wait at a gate, which stands open at first."""

    def __init__(self, store: DocumentStore) -> None:
        super().__init__(store)
        self.gate = asyncio.Event()
        self.gate.set()

    async def query(self, container: Container, query: Query) -> list[Stored]:
        self.calls["asked"] += 1
        await self.gate.wait()
        return await super().query(container, query)


class NotedProjects:
    """`Projects` that only remembers which were asked for."""

    def __init__(self) -> None:
        self.ensured: list[str] = []

    async def ensure(self, ids: Iterable[str]) -> None:
        self.ensured += ids
