"""Create, list, get, update and delete, the same for every kind of document under `/manage`."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from functions.http import Exchange, Reply, json_response
from shared import Json
from shared.access.caller import Caller
from shared.errors import MethodNotAllowed
from shared.ports import Stored


class Administration(Protocol):
    """What a service offers for one kind of document. `match` is the `If-Match` header."""

    async def create(self, caller: Caller, body: Json) -> Stored: ...

    async def list(self, query: Mapping[str, str]) -> Json: ...

    async def get(self, id: str) -> Stored: ...

    async def update(self, caller: Caller, id: str, patch: Json, match: str | None = None) -> Stored: ...

    async def delete(self, caller: Caller, id: str, match: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True)
class Collection:
    """`kind` is what an answer calls a document (`model`)."""

    kind: str
    admin: Administration


async def serve_collection(exchange: Exchange, collection: Collection, id: str) -> Reply:
    """Answers for the whole collection where `id` is empty, else for one document.

    `PATCH` is a JSON Merge Patch; `PATCH` and `DELETE` obey `If-Match`; a document comes with its `ETag`.
    """
    admin, caller, method = collection.admin, exchange.caller, exchange.method
    if not id:
        if method == "POST":
            return _document(await admin.create(caller, await exchange.json_object()), 201)
        if method == "GET":
            return json_response(await admin.list(exchange.query))
        raise MethodNotAllowed(method, "GET, POST")
    match = exchange.header("if-match")
    if method == "GET":
        return _document(await admin.get(id))
    if method == "PATCH":
        return _document(await admin.update(caller, id, await exchange.json_object(), match))
    if method == "DELETE":
        await admin.delete(caller, id, match)
        return json_response({"object": f"{collection.kind}.deleted", "id": id, "deleted": True})
    raise MethodNotAllowed(method, "GET, PATCH, DELETE")


def _document(stored: Stored, status: int = 200) -> Reply:
    return json_response(stored.body, status, {"etag": stored.etag})
