"""The document store in Azure Cosmos DB (NoSQL), through its own SDK.

The SDK is imported and its client made at the first call. Its own retries are switched off: it would send an
increment again whose answer was lost, and sleep as long as a throttled account says. Ours are in `_attempt`.
"""

import asyncio
import importlib
import json
import math
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from shared import Json
from shared.adapters import document_rules as rules
from shared.adapters.cosmos_errors import read_failure
from shared.adapters.cosmos_sql import never_true, select
from shared.adapters.document_ids import ORIGINAL_ID, decode_id, encode_id
from shared.containers import CONTAINERS, MODELS, Container
from shared.errors import DocumentAbsent, DocumentExists, StoreThrottled, StoreUnavailable
from shared.ports import Query, Stored

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential
    from azure.cosmos.aio import ContainerProxy, CosmosClient

T = TypeVar("T")

FIRST_WAIT = 0.05
CREATES_AT_ONCE = 8


class CosmosStore:
    """`DocumentStore` on Cosmos DB.

    `credential` is an asynchronous credential of azure-identity, which its owner closes, or an emulator's
    key. A call ends within `deadline` seconds, after at most `tries` tries.

    A write whose answer was lost is sent again, except an increment: a create then finds its own document and
    succeeds if the stored body is the same as its own (else `DocumentExists`), a replace raises
    `DocumentChanged`, a delete may say False.
    """

    def __init__(
        self,
        endpoint: str,
        database: str,
        credential: "AsyncTokenCredential | str",
        *,
        deadline: float = 5.0,
        tries: int = 4,
    ) -> None:
        self._endpoint = endpoint
        self._database = database
        self._credential = credential
        self._deadline = deadline
        self._tries = tries
        self._client: CosmosClient | None = None
        self._opening = asyncio.Lock()
        self._closed = False

    async def get(self, container: Container, id: str, partition: str | None = None) -> Stored | None:
        key = _partition_key(container, rules.partition_for(container, id, partition))

        async def read(items: "ContainerProxy") -> Json:
            return await items.read_item(encode_id(id), partition_key=key)

        try:
            return _stored(await self._attempt(container, read))
        except DocumentAbsent:
            return None

    async def create(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        item = _item(container, body, time_to_live)
        doubts: list[Exception] = []
        try:
            return _stored(
                await self._attempt(container, lambda items: items.create_item(item), doubts=doubts)
            )
        except DocumentExists:
            if not doubts:
                raise
            there = await self.get(container, rules.id_of(body), rules.partition_of(container, body))
            if there is None or there.body != json.loads(rules.document_text(container, body)):
                raise
            return there

    async def create_many(
        self, container: Container, bodies: Sequence[Json], *, time_to_live: int | None = None
    ) -> None:
        """One create each: a transactional batch fails as a whole where one id exists."""
        rules.check_together(container, bodies)
        items = [_item(container, body, time_to_live) for body in bodies]
        places = asyncio.Semaphore(CREATES_AT_ONCE)

        async def add(item: Json) -> None:
            async with places:
                try:
                    await self._attempt(container, lambda items: items.create_item(item))
                except DocumentExists:
                    return

        for outcome in await asyncio.gather(*map(add, items), return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def replace(
        self, container: Container, body: Json, etag: str, *, time_to_live: int | None = None
    ) -> Stored:
        item = _item(container, body, time_to_live)

        async def write(items: "ContainerProxy") -> Json:
            return await items.replace_item(item["id"], item, **_if_match(etag))

        return _stored(await self._attempt(container, write))

    async def upsert(self, container: Container, body: Json, *, time_to_live: int | None = None) -> Stored:
        item = _item(container, body, time_to_live)
        return _stored(await self._attempt(container, lambda items: items.upsert_item(item)))

    async def keep(
        self, container: Container, id: str, partition: str | None = None, *, time_to_live: int
    ) -> bool:
        key = _partition_key(container, rules.partition_for(container, id, partition))
        rules.lifetime(container, time_to_live)
        operations = [{"op": "set", "path": "/ttl", "value": time_to_live}]

        async def keep(items: "ContainerProxy") -> None:
            await items.patch_item(encode_id(id), partition_key=key, patch_operations=operations)

        try:
            await self._attempt(container, keep)
        except DocumentAbsent:
            return False
        return True

    async def delete(
        self, container: Container, id: str, partition: str | None = None, *, etag: str | None = None
    ) -> bool:
        key = _partition_key(container, rules.partition_for(container, id, partition))
        condition = {} if etag is None else _if_match(etag)

        async def remove(items: "ContainerProxy") -> None:
            await items.delete_item(encode_id(id), partition_key=key, **condition)

        try:
            await self._attempt(container, remove)
        except DocumentAbsent:
            return False
        return True

    async def increment(
        self,
        container: Container,
        initial: Json,
        amounts: Mapping[str, int | float],
        *,
        time_to_live: int | None = None,
    ) -> None:
        rules.check_amounts(container, amounts)
        item = _item(container, rules.incremented(initial, amounts), time_to_live)
        key = item[container.partition]
        operations = [{"op": "incr", "path": f"/{name}", "value": amounts[name]} for name in amounts]

        async def add(items: "ContainerProxy") -> None:
            await items.patch_item(item["id"], partition_key=key, patch_operations=operations)

        for _ in range(2):
            try:
                await self._attempt(container, add, once=True)
                return
            except DocumentAbsent:
                pass
            try:
                await self._attempt(container, lambda items: items.create_item(item), once=True)
                return
            except DocumentExists:
                # Someone else was first: add to theirs.
                continue
        raise StoreUnavailable(f"{container.name}: the document to increment comes and goes.")

    async def query(self, container: Container, query: Query) -> list[Stored]:
        text, parameters = select(container, query)
        if never_true(query):
            return []
        where: dict[str, Any] = {}
        if query.partition is not None:
            where["partition_key"] = _partition_key(container, query.partition)

        async def page(items: "ContainerProxy") -> list[Stored]:
            found: list[Stored] = []
            async for item in items.query_items(
                text, parameters=parameters, max_item_count=query.limit, **where
            ):
                found.append(_stored(item))
                if len(found) == query.limit:
                    break
            return found

        return await self._attempt(container, page)

    async def ping(self) -> None:
        await self._attempt(MODELS, lambda items: items.read())

    async def close(self) -> None:
        self._closed = True
        async with self._opening:
            client, self._client = self._client, None
            if client is not None:
                await client.close()

    async def create_containers(self) -> None:
        """Makes what is missing of database and containers in an emulator; in Azure, the Bicep does."""
        from azure.cosmos import PartitionKey

        await self._import()
        client = await self._open()
        database = await client.create_database_if_not_exists(self._database)
        for container in CONTAINERS:
            await database.create_container_if_not_exists(
                container.name,
                PartitionKey(path=f"/{container.partition}"),
                default_ttl=container.time_to_live,
            )

    async def _attempt(
        self,
        container: Container,
        step: Callable[["ContainerProxy"], Awaitable[T]],
        *,
        once: bool = False,
        doubts: list[Exception] | None = None,
    ) -> T:
        """Runs `step` until it succeeds, fails for good, or time or tries are spent.

        With `once` it is not run again after a failure that may have been applied; such failures are added to
        `doubts`.
        """
        await self._import()
        try:
            async with asyncio.timeout(self._deadline) as limit:
                client = await self._open()
                items = client.get_database_client(self._database).get_container_client(container.name)
                number = 0
                while True:
                    number += 1
                    try:
                        return await step(items)
                    except Exception as error:
                        failure = read_failure(error)
                        if failure is None:
                            raise
                        if failure.doubt and doubts is not None:
                            doubts.append(error)
                        wait = _wait(number, failure.error)
                        spent = asyncio.get_running_loop().time() + wait >= (limit.when() or math.inf)
                        if not failure.again or (failure.doubt and once) or number >= self._tries or spent:
                            raise failure.error from error
                    await asyncio.sleep(wait)
        except TimeoutError:
            raise StoreUnavailable(f"Cosmos DB did not answer within {self._deadline:g} s.") from None

    async def _import(self) -> None:
        """The SDK takes most of a second to import: in a thread, and not on the call's time."""
        if self._client is None:
            await asyncio.to_thread(importlib.import_module, "azure.cosmos.aio")

    async def _open(self) -> "CosmosClient":
        async with self._opening:
            if self._closed:
                raise StoreUnavailable("The store is closed.")
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> "CosmosClient":
        from azure.cosmos.aio import CosmosClient
        from azure.cosmos.documents import ConnectionPolicy

        policy = ConnectionPolicy()
        # As an argument of the client, 0 would mean the default of nine.
        policy.RetryOptions = type(policy.RetryOptions)(max_retry_attempt_count=0)
        client = CosmosClient(
            self._endpoint,
            self._credential,
            connection_policy=policy,
            connection_timeout=math.ceil(self._deadline),
            read_timeout=self._deadline,
            retry_connect=0,
            retry_read=0,
            retry_status=0,
            # An emulator tells of addresses at which it cannot be reached.
            enable_endpoint_discovery=not isinstance(self._credential, str),
            enable_compact_utf8_item_writes=True,
        )
        try:
            return await client.__aenter__()
        except BaseException as error:
            await client.close()
            failure = read_failure(error) if isinstance(error, Exception) else None
            if failure is None:
                raise
            raise failure.error from error


def _item(container: Container, body: Json, time_to_live: int | None) -> Json:
    """The document as Cosmos DB keeps it."""
    rules.document_text(container, body)
    rules.lifetime(container, time_to_live)
    id = rules.id_of(body)
    item = {**body, "id": encode_id(id)}
    if decode_id(item["id"]) != id:
        item[ORIGINAL_ID] = id
    if time_to_live is not None:
        item["ttl"] = time_to_live
    return item


def _stored(item: Mapping[str, Any]) -> Stored:
    body = {name: value for name, value in item.items() if name not in rules.SYSTEM_FIELDS}
    body["id"] = item.get(ORIGINAL_ID) or decode_id(item["id"])
    return Stored(body, item["_etag"])


def _partition_key(container: Container, partition: str) -> str:
    return encode_id(partition) if container.partition == "id" else partition


def _if_match(etag: str) -> dict[str, Any]:
    from azure.core import MatchConditions

    return {"etag": etag, "match_condition": MatchConditions.IfNotModified}


def _wait(number: int, error: Exception) -> float:
    """Seconds before the next try: what Cosmos DB says, else twice as long each time, spread out."""
    if isinstance(error, StoreThrottled):
        return error.retry_after
    return FIRST_WAIT * 2.0**number * random.uniform(0.5, 1.0)  # noqa: S311 - not for secrecy
