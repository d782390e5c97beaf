"""A small Cosmos DB for tests: the part of the REST interface that the real SDK uses for the proxy's store.

Plain HTTP on loopback (HTTPS with an SSL context). It refuses what the real gateway refuses where that is
cheap to know, spreads each container over two physical partitions, and has faults on demand. Protocol:
https://learn.microsoft.com/rest/api/cosmos-db/.
"""

import asyncio
import json
import re
import ssl
import zlib
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self
from urllib.parse import unquote

from aiohttp import web

from shared import Json
from shared.clock import SystemClock
from shared.containers import CONTAINERS
from shared.ports import Clock
from tests.emulators.cosmos_items import Items, Refused
from tests.emulators.cosmos_queries import BadQuery, parse

Kind = Literal["account", "metadata", "read", "create", "upsert", "replace", "delete", "patch", "query"]
DOCUMENTS: frozenset[Kind] = frozenset({"read", "create", "upsert", "replace", "delete", "patch", "query"})
EMULATOR_KEY = "dGhlIGtleSBvZiBhIHRlc3Qgc2VydmVy"

_ADDRESS = re.compile(
    r"/(?:dbs(?:/(?P<database>[^/]+)(?:/colls(?:/(?P<container>[^/]+)"
    r"(?:/(?P<feed>docs|pkranges)(?:/(?P<id>[^/]+))?)?)?)?)?)?/?"
)
_RANGES: list[Json] = [
    {"id": "0", "minInclusive": "", "maxExclusive": "7F", "parents": [], "_rid": "r0", "status": "online"},
    {"id": "1", "minInclusive": "7F", "maxExclusive": "FF", "parents": [], "_rid": "r1", "status": "online"},
]
_CROSS_PARTITION_NOT_SERVABLE = 1004
_OWNER_ABSENT = 1003


@dataclass(frozen=True)
class Seen:
    """One request, as it arrived."""

    kind: Kind
    method: str
    path: str
    container: str | None
    id: str | None
    authorization: str


@dataclass
class Fault:
    """What happens to the next `times` requests of `kinds`. `status` None loses the answer after the work."""

    kinds: frozenset[Kind]
    times: int
    status: int | None = None
    sub_status: int | None = None
    retry_after: float | None = None


class CosmosServer:
    """`async with CosmosServer() as server:` listens at `server.endpoint`.

    `requests` and `count()` say what was asked. `down` drops each connection; `hanging` answers nothing until
    it is False again; `fail_next()` and `lose_next_answer()` spoil single requests.
    """

    def __init__(self, *, clock: Clock | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Seen] = []
        self.down = False
        self._clock = clock or SystemClock()
        self._tls = tls
        self._faults: list[Fault] = []
        self._databases: dict[str, dict[str, Items]] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def endpoint(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}/"

    @property
    def hanging(self) -> bool:
        return not self._flowing.is_set()

    @hanging.setter
    def hanging(self, value: bool) -> None:
        if value:
            self._flowing.clear()
        else:
            self._flowing.set()

    def count(self, *kinds: Kind) -> int:
        """Requests of these kinds; of all kinds for documents where none is named."""
        wanted = frozenset(kinds) or DOCUMENTS
        return sum(seen.kind in wanted for seen in self.requests)

    def fail_next(
        self,
        status: int,
        times: int = 1,
        *,
        kinds: frozenset[Kind] = DOCUMENTS,
        sub_status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Answers the next requests with `status` and does nothing else. `retry_after` is in seconds."""
        self._faults.append(Fault(kinds, times, status, sub_status, retry_after))

    def lose_next_answer(self, times: int = 1, *, kinds: frozenset[Kind] = DOCUMENTS) -> None:
        """Does what the next requests ask and drops their connections without an answer."""
        self._faults.append(Fault(kinds, times))

    def heal(self) -> None:
        """Forgets every fault."""
        self._faults.clear()
        self.down = self.hanging = False

    def provision(self, database: str) -> None:
        """Makes the database with all of the proxy's containers, as the deployment does."""
        self._databases[database] = {
            container.name: Items(
                container.name, f"/{container.partition}", container.time_to_live, self._clock
            )
            for container in CONTAINERS
        }

    async def listen(self) -> None:
        """Listens, at the same port as before if there was one."""
        application = web.Application(client_max_size=8 * 1024 * 1024)
        application.router.add_route("*", "/{tail:.*}", self._answer)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=self._tls, reuse_address=True)
        await site.start()
        self._port = self._runner.addresses[0][1]

    async def refuse(self) -> None:
        """Stops listening: connections are refused until `listen()`."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.heal()
        await self.refuse()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        match = _ADDRESS.fullmatch(request.rel_url.raw_path)
        if match is None:
            return _refusal(Refused(400, "No such address."))
        names = {name: unquote(text) if text else None for name, text in match.groupdict().items()}
        kind = _kind(request, names)
        authorization = unquote(request.headers.get("Authorization", ""))
        self.requests.append(
            Seen(kind, request.method, request.path, names["container"], names["id"], authorization)
        )
        if self.down:
            return _cut(request)
        await self._flowing.wait()
        fault = self._next_fault(kind)
        if fault is not None and fault.status is not None:
            return _refusal(Refused(fault.status, "On demand.", fault.sub_status), fault.retry_after)
        try:
            if not authorization.startswith(("type=master&", "type=aad&")):
                raise Refused(401, "The authorization header is missing.")
            answer = await self._serve(request, kind, names)
        except Refused as refused:
            answer = _refusal(refused)
        except (BadQuery, json.JSONDecodeError) as error:
            answer = _refusal(Refused(400, str(error)))
        return _cut(request) if fault is not None else answer

    def _next_fault(self, kind: Kind) -> Fault | None:
        for fault in self._faults:
            if kind in fault.kinds:
                fault.times -= 1
                if fault.times == 0:
                    self._faults.remove(fault)
                return fault
        return None

    async def _serve(self, request: web.Request, kind: Kind, names: dict[str, str | None]) -> web.Response:
        if kind == "account":
            region = {"name": "Loopback", "databaseAccountEndpoint": self.endpoint}
            return _json(
                {
                    "id": "loopback",
                    "writableLocations": [region],
                    "readableLocations": [region],
                    "enableMultipleWriteLocations": False,
                    "userConsistencyPolicy": {"defaultConsistencyLevel": "Session"},
                }
            )
        if kind == "metadata":
            return await self._serve_metadata(request, names)
        items = self._container(names)
        body = await request.read()
        if kind == "query":
            return self._serve_query(request, items, json.loads(body))
        partition = _partition(request)
        if partition is None:
            raise Refused(400, "The partition key is missing.")
        key = (partition, names["id"] or "")
        if kind == "create":
            return _document(items.create(partition, body), 201)
        if kind == "upsert":
            return _document(items.upsert(partition, body))
        if kind == "replace":
            return _document(items.replace(key, body, request.headers.get("If-Match")))
        if kind == "patch":
            if request.content_type != "application/json-patch+json":
                raise Refused(400, "A patch is JSON Patch.")
            return _document(items.patch(key, json.loads(body)["operations"]))
        if kind == "delete":
            items.delete(key, request.headers.get("If-Match"))
            return web.Response(status=204)
        return _document(items.read(key))

    async def _serve_metadata(self, request: web.Request, names: dict[str, str | None]) -> web.Response:
        database, container = names["database"], names["container"]
        if database is None:
            name = (await request.json())["id"]
            if name in self._databases:
                raise Refused(409, "The database exists.")
            self._databases[name] = {}
            return _json({"id": name, "_rid": name}, 201)
        if database not in self._databases:
            raise Refused(404, "There is no such database.", _OWNER_ABSENT if container else 0)
        if request.method == "POST":
            wanted = await request.json()
            if wanted["id"] in self._databases[database]:
                raise Refused(409, "The container exists.")
            path = wanted["partitionKey"]["paths"][0]
            items = Items(wanted["id"], path, wanted.get("defaultTtl"), self._clock)
            self._databases[database][items.name] = items
            return _json(items.definition(), 201)
        if container is None:
            return _json({"id": database, "_rid": database})
        items = self._databases[database].get(container) or self._container(names, sub_status=0)
        if names["feed"] == "pkranges":
            # A client reads changes until there are none.
            if request.headers.get("If-None-Match"):
                return web.Response(status=304, headers={"etag": '"1"'})
            answer = {"_rid": items.rid, "PartitionKeyRanges": _RANGES, "_count": len(_RANGES)}
            return _json(answer, headers={"etag": '"1"'})
        return _json(items.definition())

    def _container(self, names: dict[str, str | None], sub_status: int = _OWNER_ABSENT) -> Items:
        containers = self._databases.get(names["database"] or "", {})
        items = containers.get(names["container"] or "")
        if items is None:
            raise Refused(404, "Owner resource does not exist", sub_status)
        return items

    def _serve_query(self, request: web.Request, items: Items, asked: Json) -> web.Response:
        parsed = parse(asked["query"], asked.get("parameters", ()))
        if request.headers.get("x-ms-cosmos-is-query-plan-request", "").lower() == "true":
            return _json(parsed.plan())
        partition = _partition(request)
        range_id = request.headers.get("x-ms-documentdb-partitionkeyrangeid")
        if partition is None and range_id is None:
            # The gateway merges no ordered answers: the client must ask for a plan and do that by itself.
            raise Refused(400, "Cross partition query is not servable.", _CROSS_PARTITION_NOT_SERVABLE)
        documents = [
            document
            for home, document in items.live()
            if (partition is None or home == partition) and (range_id is None or _range_of(home) == range_id)
        ]
        found = parsed.run(documents)
        start = int(request.headers.get("x-ms-continuation", "0"))
        size = int(request.headers.get("x-ms-max-item-count", "100"))
        page = found[start : start + size]
        headers = {"x-ms-continuation": str(start + size)} if start + size < len(found) else {}
        return _json({"_rid": items.rid, "Documents": page, "_count": len(page)}, headers=headers)


def _kind(request: web.Request, names: dict[str, str | None]) -> Kind:
    if names["database"] is None and request.method == "GET":
        return "account"
    if names["feed"] != "docs":
        return "metadata"
    if request.method == "POST":
        headers = request.headers
        if headers.get("x-ms-documentdb-isquery") or headers.get("x-ms-cosmos-is-query-plan-request"):
            return "query"
        return "upsert" if headers.get("x-ms-documentdb-is-upsert", "").lower() == "true" else "create"
    kinds: dict[str, Kind] = {"PUT": "replace", "PATCH": "patch", "DELETE": "delete"}
    return kinds.get(request.method, "read")


def _partition(request: web.Request) -> str | None:
    text = request.headers.get("x-ms-documentdb-partitionkey")
    if text is None:
        return None
    values = json.loads(text)
    if len(values) != 1 or not isinstance(values[0], str):
        raise Refused(400, "The partition key is not one text.")
    return str(values[0])


def _range_of(partition: str) -> str:
    return str(zlib.crc32(partition.encode()) % len(_RANGES))


def _document(document: Json, status: int = 200) -> web.Response:
    return _json(document, status, {"etag": document["_etag"]})


def _json(answer: Json, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response(answer, status=status, headers={"x-ms-request-charge": "1", **(headers or {})})


def _refusal(refused: Refused, retry_after: float | None = None) -> web.Response:
    headers = {} if refused.sub_status is None else {"x-ms-substatus": str(refused.sub_status)}
    if retry_after is not None:
        headers["x-ms-retry-after-ms"] = str(round(retry_after * 1000))
    return _json({"code": str(refused.status), "message": refused.message}, refused.status, headers)


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
