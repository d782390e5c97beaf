"""`GET /api/models/search` over a catalog of several prices and abilities."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.proxy import Proxy, running_proxy

NOWHERE = "http://127.0.0.1:9"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxy(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Proxy]:
    async with running_proxy(tmp_path_factory.mktemp("search")) as running:
        for model in (await running.call("GET", "/v1/models")).json()["data"]:
            await running.call("DELETE", f"/manage/models/{model['id']}")
        chat: dict[str, Any] = {
            "operations": ["ChatCompletion"],
            "costs": {"cost_input_1Mtokens": 2.5, "cost_output_1Mtokens": 10},
            "capabilities": {"vision": True, "function_calling": True, "max_input_tokens": 128_000},
        }
        await running.add_model("large", NOWHERE, code="org/Large-1", **chat)
        await running.add_model(
            "large-cheap-output",
            NOWHERE,
            **{**chat, "costs": {"cost_input_1Mtokens": 2.5, "cost_output_1Mtokens": 5}},
        )
        await running.add_model(
            "small",
            NOWHERE,
            name="The Small One",
            operations=["ChatCompletion"],
            costs={"input": 0.0001, "output": 0.0002},
            capabilities={"vision": False, "max_input_tokens": 8_192},
        )
        await running.add_model("free", NOWHERE, costs={"input": 0, "output": 0}, operations=["embeddings"])
        await running.add_model("unpriced", NOWHERE)
        await running.add_model("painter", NOWHERE, operations=["images"], costs={"per_image": 0.04})
        await running.add_model(
            "theirs", NOWHERE, private=True, projects=["them"], costs={"input": 0.001, "output": 0.001}
        )
        await running.call(
            "POST", "/manage/models", {"kind": "group", "id": "both", "members": ["large", "small"]}
        )
        yield running


pytestmark = pytest.mark.asyncio(loop_scope="module")

ALL = ["free", "small", "large-cheap-output", "large", "both", "painter", "unpriced"]


async def found(proxy: Proxy, query: str = "", path: str = "/api/models/search", key: str = "") -> list[str]:
    reply = await proxy.call("GET", f"{path}?{query}", key=key)
    assert reply.status == 200, reply.body
    assert reply.json()["object"] == "list"
    return [model["id"] for model in reply.json()["data"]]


@pytest.mark.parametrize("path", ["/api/models", "/api/models/", "/api/models/search", "/api/models/search/"])
async def test_without_a_filter_all_models_come_cheapest_first(proxy: Proxy, path: str) -> None:
    assert await found(proxy, path=path) == ALL


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("supports_vision=true", ["large-cheap-output", "large"]),
        ("supports_vision=FALSE", ["free", "small", "both", "painter", "unpriced"]),
        ("supports_function_calling=true", ["large-cheap-output", "large"]),
        ("supports_chat=true", ["small", "large-cheap-output", "large", "both", "unpriced"]),
        ("supports_chat=false", ["free", "painter"]),
        ("supports_completion=true&provider=openaicompatible&max_cost=1", ["small"]),
        ("min_context=8192", ["small", "large-cheap-output", "large"]),
        ("min_context=8193", ["large-cheap-output", "large"]),
        ("min_context=999999999999", []),
        ("max_cost=0", ["free"]),
        ("max_cost=0.1", ["free", "small"]),
        ("max_cost=2.5", ["free", "small", "large-cheap-output", "large"]),
        ("provider=Azure", []),
        ("q=LARGE-1", ["large"]),
        ("q=the%20small", ["small"]),
        ("q=", ALL),
        ("supports_vision=true&min_context=100000&max_cost=3&q=cheap", ["large-cheap-output"]),
    ],
)
async def test_each_filter_narrows_and_all_must_hold(proxy: Proxy, query: str, ids: list[str]) -> None:
    assert await found(proxy, query) == ids


async def test_models_look_as_they_do_in_the_list_of_openai(proxy: Proxy) -> None:
    listed = {model["id"]: model for model in (await proxy.call("GET", "/v1/models")).json()["data"]}
    searched = (await proxy.call("GET", "/api/models")).json()["data"]
    assert {model["id"]: model for model in searched} == listed


async def test_only_what_the_caller_may_use_is_found(proxy: Proxy) -> None:
    assert "theirs" in await found(proxy, key=await proxy.add_key(project="them"))
    assert await found(proxy, key=await proxy.add_key(project="us", models=["small"])) == ["small"]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("supports_vision=yes", "supports_vision"),
        ("supports_chat=", "supports_chat"),
        ("supports_completion=1", "supports_completion"),
        ("supports_function_calling=truefalse", "supports_function_calling"),
        ("min_context=-1", "min_context"),
        ("min_context=1.5", "min_context"),
        ("min_context=%C2%B2", "min_context"),
        ("min_context=" + "9" * 5000, "min_context"),
        ("max_cost=-0.1", "max_cost"),
        ("max_cost=nan", "max_cost"),
        ("max_cost=1e999", "max_cost"),
        ("max_cost=cheap", "max_cost"),
        ("supports_audio=true", "supports_audio"),
        ("limit=5", "limit"),
    ],
)
async def test_what_is_no_filter_or_no_value_is_refused_by_name(proxy: Proxy, query: str, param: str) -> None:
    reply = await proxy.call("GET", f"/api/models?{query}")
    assert (reply.status, reply.error["param"]) == (400, param)


async def test_a_search_needs_a_key_and_knows_no_other_address_or_method(proxy: Proxy) -> None:
    assert (await proxy.call("GET", "/api/models", key=None)).status == 401
    assert (await proxy.call("GET", "/api/models/large")).error["code"] == "not_found"
    refused = await proxy.call("POST", "/api/models/search", {})
    assert (refused.status, refused.headers["allow"]) == (405, "GET, HEAD")
    assert (await proxy.call("HEAD", "/api/models/search")).status == 200
