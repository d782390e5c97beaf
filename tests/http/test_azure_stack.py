"""The whole app as in Azure, with Cosmos DB and Key Vault over the wire: it serves, and goes on serving."""

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared.containers import KEYS, MODELS, USAGE
from shared.ports import Query
from tests.azure import UPSTREAM_KEY, AzureWorld, azure_world
from tests.emulators.cosmos_server import CosmosServer
from tests.proxy import Proxy, Reply
from tests.upstreams.openai import OpenAIUpstream

MESSAGES = [{"role": "user", "content": "Hello"}]
UNKNOWN = "llmp_" + "0" * 16 + "_" + "0" * 43


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[AzureWorld]:
    async with azure_world(tmp_path) as opened:
        yield opened


@pytest.fixture
async def proxy(world: AzureWorld) -> AsyncIterator[Proxy]:
    async with world.instance() as running:
        yield running


async def chat(proxy: Proxy, key: str = "", model: str = "m", **fields: Any) -> Reply:
    body = {"model": model, "messages": MESSAGES, **fields}
    return await proxy.call("POST", "/v1/chat/completions", body, key=key)


async def add_model(proxy: Proxy, upstream: OpenAIUpstream, id: str = "m", **fields: Any) -> None:
    await proxy.add_model(id, upstream.url, parameters={"secret_name": "UPSTREAM-KEY"}, **fields)


# It serves


async def test_a_new_deployment_is_alive_and_ready(proxy: Proxy) -> None:
    alive = await proxy.call("GET", "/health", key=None)
    assert (alive.status, alive.json()["status"]) == (200, "healthy")
    ready = await proxy.call("GET", "/health/ready")
    assert (ready.status, ready.json()["status"]) == (200, "ready")
    assert ready.json()["secrets"] == {"status": "ok", "missing": []}
    assert ready.json()["models"]["total"] == 0
    assert (await proxy.call("GET", "/health/ready", key=None)).error["code"] == "missing_api_key"


async def test_a_model_and_a_key_made_through_manage_serve_at_once(
    world: AzureWorld, proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await add_model(proxy, upstream, costs={"input": 0.5, "output": 1.5})
    key = await proxy.add_key(models=["m"])
    plain = await chat(proxy, key)
    assert plain.status == 200
    assert plain.headers["x-llmproxy-model"] == "m"
    assert float(plain.headers["x-llmproxy-cost-usd"]) > 0
    streamed = await chat(proxy, key, stream=True)
    assert streamed.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert streamed.body.endswith(b"data: [DONE]\n\n")
    assert {request.headers["authorization"] for request in upstream.requests} == {f"Bearer {UPSTREAM_KEY}"}

    records = await proxy.requests()
    assert [record["status"] for record in records] == [200, 200]
    assert {record["project"] for record in records} == {"team"}
    sums = (await proxy.call("GET", "/manage/usage")).json()
    assert UPSTREAM_KEY not in json.dumps([records, sums])
    stored = await world.store.query(USAGE, Query(order_by="id"))
    assert stored, "they are in Cosmos DB, not in memory"


@pytest.mark.parametrize(
    "id",
    [
        "provider/model#1?x=y",
        "back\\slash",
        "per%cent%20encoded",
        "ünïcødé",
        "模型-一号",
        "мой-модель",
        "نموذج",
        "मॉडल",
        "🦊",
        " leading and trailing ",
        "quo\"te's",
        ".",
        "..",
        "a" * 256,
    ],
)
async def test_any_id_comes_back_as_it_was(proxy: Proxy, upstream: OpenAIUpstream, id: str) -> None:
    await add_model(proxy, upstream, id, code="plain-code")
    path = "/manage/models/" + quote(id, safe="").replace(".", "%2E")
    found = await proxy.call("GET", path)
    if id not in (
        ".",
        "..",
    ):  # clients and servers take these for steps in the path, however they are written
        assert (found.status, found.json()["id"]) == (200, id)
    assert id in [model["id"] for model in (await proxy.call("GET", "/v1/models")).json()["data"]]
    for streamed in (False, True):
        reply = await chat(proxy, model=id, stream=streamed)
        assert reply.status == 200, reply.body
    assert {record["model"] for record in await proxy.requests()} == {id}
    if id in (".", ".."):
        return
    changed = await proxy.call("PATCH", path, {"enabled": False}, headers={"If-Match": found.headers["etag"]})
    assert changed.status == 200, changed.body
    assert (await proxy.call("DELETE", path)).status == 200
    assert (await chat(proxy, model=id)).error["code"] == "model_not_found"


async def test_a_change_that_lost_its_race_is_refused(proxy: Proxy, upstream: OpenAIUpstream) -> None:
    await add_model(proxy, upstream)
    first = await proxy.call("GET", "/manage/models/m")
    match = {"If-Match": first.headers["etag"]}
    assert (await proxy.call("PATCH", "/manage/models/m", {"name": "a"}, headers=match)).status == 200
    late = await proxy.call("PATCH", "/manage/models/m", {"name": "b"}, headers=match)
    assert (late.status, late.error["code"]) == (412, "precondition_failed")


# It goes on serving


async def test_while_cosmos_is_down_what_is_known_keeps_working_for_ten_minutes(
    world: AzureWorld, proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await add_model(proxy, upstream)
    key = await proxy.add_key()
    assert (await chat(proxy, key)).status == 200
    world.cosmos.down = True
    for passed in (31, 269, 299):
        world.clock.advance(passed)
        assert (await chat(proxy, key)).status == 200
        assert (await chat(proxy, key, stream=True)).body.endswith(b"data: [DONE]\n\n")
    world.clock.advance(2)
    assert (await chat(proxy, key)).error["code"] == "catalog_unavailable"
    assert (await chat(proxy)).status == 200, "the admin key comes from the vault"

    world.cosmos.heal()
    world.clock.advance(31)
    assert (await chat(proxy, key)).status == 200, "it recovers"


async def test_while_cosmos_is_down_an_unknown_key_is_not_called_invalid(
    world: AzureWorld, proxy: Proxy
) -> None:
    refused = await proxy.call("GET", "/v1/models", key=UNKNOWN)
    assert (refused.status, refused.error["code"]) == (401, "invalid_api_key")
    world.cosmos.down = True
    world.clock.advance(31)
    stranger = UNKNOWN[:-1] + "1"
    unsure = await proxy.call("GET", "/v1/models", key=stranger)
    assert (unsure.status, unsure.error["code"]) == (503, "catalog_unavailable")
    assert unsure.error["type"] == "upstream_error"
    world.cosmos.heal()
    world.clock.advance(31)
    assert (await proxy.call("GET", "/v1/models", key=stranger)).status == 401


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/manage/models/m", None),
        ("GET", "/manage/keys", None),
        ("POST", "/manage/keys", {"project": "team"}),
        ("PATCH", "/manage/models/m", {"enabled": False}),
        ("DELETE", "/manage/models/m", None),
        ("GET", "/manage/requests", None),
        ("GET", "/manage/usage", None),
        ("POST", "/manage/catalog/refresh", None),
    ],
)
async def test_while_cosmos_is_down_manage_says_so(
    world: AzureWorld, proxy: Proxy, upstream: OpenAIUpstream, method: str, path: str, body: Any
) -> None:
    await add_model(proxy, upstream)
    await proxy.call("GET", "/v1/models")
    world.cosmos.down = True
    reply = await proxy.call(method, path, body)
    assert (reply.status, reply.error["code"]) == (503, "catalog_unavailable")
    assert "127.0.0.1" not in reply.body.decode()


async def test_while_cosmos_is_down_health_answers_and_readiness_tells(
    world: AzureWorld, proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await add_model(proxy, upstream)
    assert (await chat(proxy)).status == 200
    world.cosmos.down = True
    world.clock.advance(11)
    asked = world.cosmos.count("account", "metadata", "read", "query")
    assert (await proxy.call("GET", "/health", key=None)).status == 200
    assert world.cosmos.count("account", "metadata", "read", "query") == asked
    report = await proxy.call("GET", "/health/ready")
    assert report.status == 200, "it serves what it knows"
    assert report.json()["status"] == "degraded"
    assert report.json()["database"]["status"] == "unavailable"


async def test_a_cold_start_without_cosmos_says_when_to_come_back_and_recovers(
    world: AzureWorld, upstream: OpenAIUpstream
) -> None:
    async with world.instance() as first:
        await add_model(first, upstream)
        key = await first.add_key()
    world.cosmos.down = True
    async with world.instance() as proxy:
        assert (await proxy.call("GET", "/health", key=None)).status == 200
        for path in ("/v1/models", "/health/ready"):
            reply = await proxy.call("GET", path)
            assert reply.status == 503
        refused = await chat(proxy)
        assert (refused.status, refused.error["code"]) == (503, "catalog_unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        unchecked = await chat(proxy, key)
        assert (unchecked.status, unchecked.error["code"]) == (503, "catalog_unavailable")
        assert int(unchecked.headers["retry-after"]) >= 1
        world.cosmos.heal()
        world.clock.advance(11)
        assert (await chat(proxy, key)).status == 200


@pytest.mark.parametrize("status", [429, 449, 503])
async def test_throttling_is_waited_out(
    world: AzureWorld, proxy: Proxy, upstream: OpenAIUpstream, status: int
) -> None:
    world.cosmos.fail_next(status, 2, retry_after=0.02)
    await add_model(proxy, upstream)
    world.clock.advance(31)
    world.cosmos.fail_next(status, 2, retry_after=0.02)
    assert (await chat(proxy)).status == 200
    world.cosmos.fail_next(status, 2, retry_after=0.02)
    assert len(await proxy.requests()) == 1


async def test_a_throttle_that_lasts_is_a_503_with_the_time_to_wait(world: AzureWorld, proxy: Proxy) -> None:
    world.cosmos.fail_next(429, 100, retry_after=30)
    reply = await proxy.call("GET", "/manage/models")
    assert (reply.status, reply.error["code"]) == (503, "catalog_unavailable")
    assert reply.headers["retry-after"] == "30"


async def test_while_the_vault_is_down_known_secrets_keep_working(
    world: AzureWorld, proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await add_model(proxy, upstream)
    await proxy.add_model("other", upstream.url, parameters={"secret_name": "NEVER-READ"})
    assert (await chat(proxy)).status == 200
    world.vault_goes_away()
    for passed in (301, 3600):
        world.clock.advance(passed)
        assert (await chat(proxy)).status == 200
    unread = await chat(proxy, model="other", max_retries=0)
    assert (unread.status, unread.error["code"]) == (503, "provider_unavailable")
    world.vault_comes_back()
    world.vault.texts["UPSTREAM-KEY"] = "the-rotated-credential"
    world.clock.advance(301)
    for _ in range(50):
        assert (await chat(proxy)).status == 200
        if upstream.requests[-1].headers["authorization"] == "Bearer the-rotated-credential":
            break
    assert upstream.requests[-1].headers["authorization"] == "Bearer the-rotated-credential"


async def test_a_secret_that_does_not_exist_is_that_models_trouble_alone(
    proxy: Proxy, upstream: OpenAIUpstream
) -> None:
    await add_model(proxy, upstream)
    await proxy.add_model("broken", upstream.url, parameters={"secret_name": "os.environ/NO_SUCH"})
    broken = await chat(proxy, model="broken", max_retries=0)
    assert (broken.status, broken.error["code"]) == (503, "provider_unavailable")
    assert (await chat(proxy)).status == 200
    assert "NO_SUCH" not in "".join(request.headers["authorization"] for request in upstream.requests)


# It sees what changed


@pytest.mark.parametrize("idle", [31, 7200])
async def test_a_change_behind_the_proxys_back_is_seen_by_the_first_request_after_any_silence(
    world: AzureWorld, proxy: Proxy, upstream: OpenAIUpstream, idle: int
) -> None:
    await add_model(proxy, upstream)
    key = await proxy.add_key()
    assert (await chat(proxy, key)).status == 200
    stored = await world.store.get(MODELS, "m")
    assert stored is not None
    world.clock.advance(idle)
    await world.store.replace(MODELS, {**stored.body, "enabled": False}, stored.etag)
    gone = await chat(proxy, key)
    assert (gone.status, gone.error["code"]) == (404, "model_not_found")

    held = await world.store.get(KEYS, key.split("_")[1])
    assert held is not None
    world.clock.advance(idle)
    await world.store.delete(KEYS, key.split("_")[1])
    await world.store.create(KEYS, {**held.body, "enabled": False, "updated_at": "2099-01-01T00:00:00.000Z"})
    assert (await chat(proxy, key)).error["code"] == "invalid_api_key"


async def test_one_broken_document_is_skipped_with_one_warning_and_the_others_serve(
    world: AzureWorld, proxy: Proxy, upstream: OpenAIUpstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await add_model(proxy, upstream)
    good = await world.store.get(MODELS, "m")
    assert good is not None
    await world.store.create(MODELS, {**good.body, "id": "broken", "model_type": "NoSuchType"})
    await world.store.create(MODELS, {"id": "empty"})
    for _ in range(3):
        world.clock.advance(31)
        assert (await chat(proxy)).status == 200
        assert (await chat(proxy, model="broken")).status == 404
    listed = (await proxy.call("GET", "/v1/models")).json()["data"]
    assert [model["id"] for model in listed] == ["m"]
    for id in ("broken", "empty"):
        warnings = [record for record in caplog.records if f"'{id}'" in record.getMessage()]
        assert len(warnings) == 1
        assert "skipped" in warnings[0].getMessage()


async def test_a_container_that_is_missing_is_an_outage_and_not_a_crash(
    world: AzureWorld, upstream: OpenAIUpstream
) -> None:
    async with CosmosServer(clock=world.clock) as bare:
        world.cosmos, full = bare, world.cosmos
        async with world.instance() as proxy:
            reply = await chat(proxy)
            assert (reply.status, reply.error["code"]) == (503, "catalog_unavailable")
        world.cosmos = full
