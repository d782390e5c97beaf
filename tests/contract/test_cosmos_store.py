"""What only Cosmos DB can do to us: throttle, fail, vanish, and lose the answer to what it did."""

import asyncio
import inspect
import json
import logging
import ssl
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
import trustme

from shared.adapters.cosmos import CosmosStore
from shared.adapters.cosmos_errors import read_failure
from shared.containers import AUDIT, CONTAINERS, COUNTERS, MODELS
from shared.errors import (
    DocumentAbsent,
    DocumentChanged,
    DocumentExists,
    DocumentTooLarge,
    StoreError,
    StoreThrottled,
    StoreUnavailable,
)
from shared.ports import Query
from tests.contract.stores import DATABASE, cosmos_store
from tests.emulators.cosmos_server import EMULATOR_KEY, CosmosServer


@pytest_asyncio.fixture
async def server() -> AsyncIterator[CosmosServer]:
    async with CosmosServer() as running:
        yield running


@pytest_asyncio.fixture
async def store(server: CosmosServer) -> AsyncIterator[CosmosStore]:
    async with cosmos_store(server, deadline=2.0) as opened:
        yield opened


async def test_short_throttling_is_waited_out(server: CosmosServer, store: CosmosStore) -> None:
    server.fail_next(429, times=2, retry_after=0.03)
    begun = time.monotonic()
    await store.create(MODELS, {"id": "a"})
    assert time.monotonic() - begun >= 0.06
    assert server.count("create") == 3


async def test_throttling_longer_than_the_deadline_is_passed_on_at_once(
    server: CosmosServer, store: CosmosStore
) -> None:
    server.fail_next(429, times=10, retry_after=30.0)
    begun = time.monotonic()
    with pytest.raises(StoreThrottled) as raised:
        await store.get(MODELS, "a")
    assert raised.value.retry_after == 30.0
    assert time.monotonic() - begun < 1
    assert server.count() == 1


async def test_throttling_that_does_not_end_stops_the_tries(server: CosmosServer, store: CosmosStore) -> None:
    server.fail_next(429, times=100, retry_after=0.01)
    with pytest.raises(StoreThrottled):
        await store.increment(COUNTERS, {"id": "c"}, {"n": 1})
    assert server.count() == 4


@pytest.mark.parametrize("status", [408, 410, 449, 500, 503])
async def test_a_passing_failure_is_not_noticed(
    server: CosmosServer, store: CosmosStore, status: int
) -> None:
    created = await store.create(MODELS, {"id": "a", "n": 1})
    server.fail_next(status)
    assert await store.get(MODELS, "a") == created
    server.fail_next(status)
    replaced = await store.replace(MODELS, {"id": "a", "n": 2}, created.etag)
    server.fail_next(status)
    assert await store.query(MODELS, Query()) == [replaced]
    server.fail_next(status)
    assert await store.delete(MODELS, "a")


@pytest.mark.parametrize("status", [429, 449])
async def test_an_increment_that_was_surely_not_applied_is_sent_again(
    server: CosmosServer, store: CosmosStore, status: int
) -> None:
    server.fail_next(status, times=2, retry_after=0.0)
    await store.increment(COUNTERS, {"id": "c"}, {"n": 1})
    found = await store.get(COUNTERS, "c")
    assert found is not None
    assert found.body["n"] == 1


@pytest.mark.parametrize("status", [408, 500, 503])
async def test_an_increment_that_may_have_been_applied_is_not_sent_again(
    server: CosmosServer, store: CosmosStore, status: int
) -> None:
    server.fail_next(status)
    with pytest.raises(StoreUnavailable):
        await store.increment(COUNTERS, {"id": "c"}, {"n": 1})
    assert server.count() == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_refused_identity_is_an_unavailable_store_and_not_tried_again(
    server: CosmosServer, store: CosmosStore, status: int
) -> None:
    server.fail_next(status)
    with pytest.raises(StoreUnavailable):
        await store.get(MODELS, "a")
    assert server.count() == 1


async def test_connections_refused_are_an_unavailable_store_within_two_seconds_and_it_recovers(
    server: CosmosServer, store: CosmosStore
) -> None:
    await store.create(MODELS, {"id": "a"})
    await server.refuse()
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await store.get(MODELS, "a")
    with pytest.raises(StoreUnavailable):
        await store.ping()
    assert time.monotonic() - begun < 2
    await server.listen()
    assert await store.get(MODELS, "a") is not None


async def test_a_store_that_was_never_there_is_unavailable_and_found_when_it_comes(
    server: CosmosServer, store: CosmosStore
) -> None:
    await server.refuse()
    with pytest.raises(StoreUnavailable):
        await store.get(MODELS, "a")
    await server.listen()
    assert await store.get(MODELS, "a") is None


async def test_an_answer_that_does_not_come_ends_at_the_deadline_for_all_who_wait(
    server: CosmosServer,
) -> None:
    async with cosmos_store(server, deadline=0.3) as store:
        server.hanging = True
        begun = time.monotonic()
        outcomes = await asyncio.gather(
            *(store.get(MODELS, str(n)) for n in range(20)), return_exceptions=True
        )
        assert all(isinstance(outcome, StoreUnavailable) for outcome in outcomes)
        assert time.monotonic() - begun < 2
        server.hanging = False
        assert await store.get(MODELS, "a") is None


@pytest.mark.parametrize("operation", ["get", "query", "replace", "increment"])
async def test_a_hanging_store_does_not_hold_a_call(server: CosmosServer, operation: str) -> None:
    async with cosmos_store(server, deadline=0.3) as store:
        created = await store.create(COUNTERS, {"id": "a"})
        server.hanging = True
        calls: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "get": lambda: store.get(COUNTERS, "a"),
            "query": lambda: store.query(COUNTERS, Query()),
            "replace": lambda: store.replace(COUNTERS, {"id": "a"}, created.etag),
            "increment": lambda: store.increment(COUNTERS, {"id": "a"}, {"n": 1}),
        }
        with pytest.raises(StoreUnavailable):
            await calls[operation]()


async def test_a_create_whose_answer_was_lost_succeeds(server: CosmosServer, store: CosmosStore) -> None:
    server.lose_next_answer()
    created = await store.create(MODELS, {"id": "a/b", "writer": "us"})
    assert created.body == {"id": "a/b", "writer": "us"}
    assert await store.get(MODELS, "a/b") == created
    assert server.count("create") == 2


async def test_a_create_whose_answer_was_lost_does_not_take_anothers_document_for_its_own(
    server: CosmosServer, store: CosmosStore
) -> None:
    await store.create(MODELS, {"id": "a", "writer": "they"})
    server.lose_next_answer(kinds=frozenset({"create"}))
    with pytest.raises(DocumentExists):
        await store.create(MODELS, {"id": "a", "writer": "us"})


async def test_a_replace_whose_answer_was_lost_looks_like_a_lost_race(
    server: CosmosServer, store: CosmosStore
) -> None:
    created = await store.create(MODELS, {"id": "a", "writer": "before"})
    server.lose_next_answer()
    with pytest.raises(DocumentChanged):
        await store.replace(MODELS, {"id": "a", "writer": "us"}, created.etag)
    found = await store.get(MODELS, "a")
    assert found is not None
    assert found.body["writer"] == "us"


async def test_an_increment_whose_answer_was_lost_is_applied_once(
    server: CosmosServer, store: CosmosStore
) -> None:
    await store.create(COUNTERS, {"id": "c", "n": 0})
    server.lose_next_answer()
    with pytest.raises(StoreUnavailable):
        await store.increment(COUNTERS, {"id": "c"}, {"n": 5})
    found = await store.get(COUNTERS, "c")
    assert found is not None
    assert found.body["n"] == 5


async def test_a_first_increment_whose_answer_was_lost_is_applied_once(
    server: CosmosServer, store: CosmosStore
) -> None:
    server.lose_next_answer(kinds=frozenset({"create"}))
    with pytest.raises(StoreUnavailable):
        await store.increment(COUNTERS, {"id": "c"}, {"n": 5})
    found = await store.get(COUNTERS, "c")
    assert found is not None
    assert found.body["n"] == 5


async def test_an_increment_of_what_comes_and_goes_gives_up(server: CosmosServer, store: CosmosStore) -> None:
    await store.create(COUNTERS, {"id": "c", "n": 1})
    server.fail_next(404, times=100, kinds=frozenset({"patch"}))
    with pytest.raises(StoreUnavailable):
        await store.increment(COUNTERS, {"id": "c"}, {"n": 1})
    assert server.count("patch", "create") < 10


async def test_creating_many_through_lost_answers_and_throttling_leaves_each_once(
    server: CosmosServer, store: CosmosStore
) -> None:
    server.lose_next_answer(times=3)
    server.fail_next(429, times=3, retry_after=0.01)
    await store.create_many(AUDIT, [{"id": f"{n:02}", "day": "d", "n": n} for n in range(30)])
    found = await store.query(AUDIT, Query(partition="d"))
    assert [document.body["n"] for document in found] == list(range(30))


async def test_creating_many_that_failed_half_way_can_be_repeated(
    server: CosmosServer, store: CosmosStore
) -> None:
    bodies = [{"id": f"{n:02}", "day": "d"} for n in range(20)]
    server.fail_next(403, times=5)
    with pytest.raises(StoreUnavailable):
        await store.create_many(AUDIT, bodies)
    await store.create_many(AUDIT, bodies)
    assert len(await store.query(AUDIT, Query(partition="d"))) == 20


async def test_a_missing_database_is_not_taken_for_a_missing_document(server: CosmosServer) -> None:
    store = CosmosStore(server.endpoint, "elsewhere", EMULATOR_KEY)
    with pytest.raises(StoreUnavailable):
        await store.get(MODELS, "a")
    with pytest.raises(StoreUnavailable):
        await store.delete(MODELS, "a")
    with pytest.raises(StoreUnavailable):
        await store.query(MODELS, Query())
    with pytest.raises(StoreUnavailable):
        await store.ping()
    await store.close()


async def test_the_containers_can_be_made_where_they_are_missing(server: CosmosServer) -> None:
    store = CosmosStore(server.endpoint, "fresh", EMULATOR_KEY)
    await store.create_containers()
    await store.create_containers()
    for container in CONTAINERS:
        assert await store.query(container, Query()) == []
    await store.ping()
    await store.close()


async def test_a_closed_store_is_unavailable(store: CosmosStore) -> None:
    await store.ping()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.get(MODELS, "a")


async def test_one_partition_costs_one_request_to_list(server: CosmosServer, store: CosmosStore) -> None:
    await store.create_many(AUDIT, [{"id": str(n), "day": "d"} for n in range(5)])
    server.requests.clear()
    await store.query(AUDIT, Query(partition="d"))
    assert server.count() == 1


async def test_nothing_of_cosmos_shows_in_a_body(store: CosmosStore) -> None:
    body = {"id": "x" * 256, "n": 1}
    created = await store.create(COUNTERS, body, time_to_live=60)
    listed = await store.query(COUNTERS, Query())
    assert [created.body, listed[0].body] == [body, body]


async def test_documents_that_others_wrote_are_read_under_their_own_ids(
    server: CosmosServer, store: CosmosStore
) -> None:
    from azure.cosmos.aio import CosmosClient

    async with CosmosClient(server.endpoint, EMULATOR_KEY, enable_endpoint_discovery=False) as client:
        items = client.get_database_client(DATABASE).get_container_client(MODELS.name)
        for id in ("gpt-4o", "openai~2Fgpt-4o", "two words", "a~b", "~zz"):
            await items.create_item({"id": id, "name": id})
    found = await store.query(MODELS, Query())
    assert {document.body["id"] for document in found} == {
        "gpt-4o",
        "openai/gpt-4o",
        "two words",
        "a~b",
        "~zz",
    }
    assert await store.get(MODELS, "openai/gpt-4o") is not None


class Credential:
    """A credential that issues tokens without asking anyone."""

    def __init__(self, failing: bool = False) -> None:
        self.failing = failing
        self.scopes: list[str] = []

    async def get_token(self, *scopes: str, **_: Any) -> Any:
        from azure.core.credentials import AccessToken
        from azure.core.exceptions import ClientAuthenticationError

        self.scopes += scopes
        if self.failing:
            raise ClientAuthenticationError("secret-of-the-identity is wrong")
        return AccessToken("token-of-the-identity", int(time.time()) + 3600)

    async def close(self) -> None:
        return None

    async def __aenter__(self) -> "Credential":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


@pytest_asyncio.fixture
async def secure_server() -> AsyncIterator[CosmosServer]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    async with CosmosServer(tls=context) as running:
        running.provision(DATABASE)
        yield running


async def test_an_identity_signs_with_its_token_and_outages_end_as_quickly(
    secure_server: CosmosServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credential = Credential()
    store = CosmosStore(secure_server.endpoint, DATABASE, credential, deadline=2.0)
    await secure_server.refuse()
    with pytest.raises(StoreUnavailable):
        await store.ping()
    await secure_server.listen()
    created = await store.create(MODELS, {"id": "a"})
    assert secure_server.requests[-1].authorization == "type=aad&ver=1.0&sig=token-of-the-identity"
    secure_server.fail_next(503)
    assert await store.get(MODELS, "a") == created
    secure_server.lose_next_answer()
    with pytest.raises(StoreUnavailable):
        await store.increment(COUNTERS, {"id": "c"}, {"n": 1})
    assert secure_server.count("patch") == 1
    secure_server.down = True
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        await store.get(MODELS, "a")
    assert time.monotonic() - begun < 3
    secure_server.down = False
    assert await store.get(MODELS, "a") == created
    await store.close()
    assert "token-of-the-identity" not in caplog.text


async def test_an_identity_without_a_token_is_an_unavailable_store_that_tells_no_secret(
    secure_server: CosmosServer,
) -> None:
    store = CosmosStore(secure_server.endpoint, DATABASE, Credential(failing=True))
    with pytest.raises(StoreUnavailable) as raised:
        await store.get(MODELS, "a")
    assert "secret" not in str(raised.value)
    await store.close()


def _exceptions(module: ModuleType) -> list[type[Exception]]:
    return [
        found
        for _, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, Exception) and found.__module__ == module.__name__
    ]


def test_no_exception_of_the_sdk_is_left_unmapped() -> None:
    import azure.core.exceptions
    import azure.cosmos.exceptions

    kinds = _exceptions(azure.core.exceptions) + _exceptions(azure.cosmos.exceptions)
    assert len(kinds) > 15
    for kind in kinds:
        if issubclass(kind, ValueError):
            continue  # how the SDK's own models fail; no call of ours uses them
        error = kind.__new__(kind)
        for name in ("status_code", "sub_status", "inner_exception", "response"):
            setattr(error, name, None)
        failure = read_failure(error)
        assert failure is not None, kind
        assert isinstance(failure.error, StoreError)


@pytest.mark.parametrize(
    ("status", "sub_status", "expected"),
    [
        (400, None, StoreError),
        (401, None, StoreUnavailable),
        (403, None, StoreUnavailable),
        (404, None, DocumentAbsent),
        (404, 1002, StoreUnavailable),
        (404, 1003, StoreUnavailable),
        (408, None, StoreUnavailable),
        (409, None, DocumentExists),
        (412, None, DocumentChanged),
        (413, None, DocumentTooLarge),
        (429, None, StoreThrottled),
        (449, None, StoreUnavailable),
        (500, None, StoreUnavailable),
        (503, None, StoreUnavailable),
    ],
)
def test_each_status_has_one_meaning(status: int, sub_status: int | None, expected: type[StoreError]) -> None:
    from azure.cosmos.exceptions import CosmosHttpResponseError

    failure = read_failure(CosmosHttpResponseError(status, "message", sub_status=sub_status))  # type: ignore[no-untyped-call]
    assert failure is not None
    assert type(failure.error) is expected


def test_our_own_mistakes_are_not_taken_for_the_stores() -> None:
    for error in (KeyError("x"), TypeError("x"), ValueError("x")):
        assert read_failure(error) is None


def test_the_sdk_is_imported_at_first_use_only() -> None:
    program = (
        "import json, sys; from shared.adapters.cosmos import CosmosStore; import shared.adapters.sqlite;"
        "CosmosStore('http://127.0.0.1/', 'database', 'key');"
        "print(json.dumps([name for name in sys.modules if name.startswith('azure')]))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout) == []


async def test_the_server_counts_what_it_was_asked(server: CosmosServer, store: CosmosStore) -> None:
    await store.create(MODELS, {"id": "a"})
    await store.get(MODELS, "a")
    await store.query(MODELS, Query(partition="a"))
    assert [server.count("create"), server.count("read"), server.count("query"), server.count()] == [
        1,
        1,
        1,
        3,
    ]
