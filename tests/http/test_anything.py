"""Arbitrary requests at every route: never a 500, always the envelope."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.proxy import Proxy, running_proxy

POSTS = [
    "/v1/chat/completions",
    "/v1/completions",
    "/v1/responses",
    "/openai/deployments/demo-chat/chat/completions",
    "/openai/v1/chat/completions",
    "/manage/models",
    "/manage/keys",
    "/manage/projects",
    "/manage/usage/recompute",
    "/manage/catalog/refresh",
]
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]
NAMES = st.sampled_from(
    "model messages prompt stream n stop temperature tools tool_choice response_format stream_options "
    "max_tokens id code "
    "provider model_type operations parameters costs members kind project models expires_at fallbacks timeout "
    "input instructions text format previous_response_id reasoning include "
    "max_retries logprobs top_logprobs seed functions headers".split()
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.sampled_from(["demo-chat", "user", "json_schema", "auto", "required", "Demo", "group"])
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES | st.text(), inner, max_size=4),
    max_leaves=12,
)
MESSAGES = st.lists(
    st.fixed_dictionaries(
        {"role": st.sampled_from(["user", "assistant", "tool", "system"]) | SCALARS},
        optional={"content": VALUES},
    ),
    max_size=3,
)
CHAT = st.fixed_dictionaries(
    {"model": st.just("demo-chat"), "messages": MESSAGES | VALUES},
    optional=dict.fromkeys(
        ("tools", "tool_choice", "response_format", "stop", "n", "max_tokens", "stream", "logprobs", "seed"),
        VALUES,
    ),
)
ITEMS = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(
                ["message", "function_call", "function_call_output", "reasoning", "item_reference"]
            )
            | SCALARS,
            "role": st.sampled_from(["user", "assistant", "system"]) | SCALARS,
            "content": VALUES,
            "id": SCALARS,
            "call_id": SCALARS,
            "name": SCALARS,
            "arguments": SCALARS,
            "output": VALUES,
        },
    ),
    max_size=3,
)
RESPONSE = st.fixed_dictionaries(
    {"model": st.just("demo-chat"), "input": ITEMS | VALUES},
    optional=dict.fromkeys(
        (
            "instructions",
            "tools",
            "tool_choice",
            "text",
            "reasoning",
            "include",
            "max_output_tokens",
            "top_logprobs",
            "previous_response_id",
            "stream",
            "store",
            "metadata",
        ),
        VALUES,
    ),
)
PATHS = st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: "/" + quote(text, safe="/%"))


class Target:
    """A proxy on a loop of its own, so that synchronous properties can ask it."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._context = running_proxy(directory, **settings)
        self.proxy: Proxy = self._loop.run_until_complete(self._context.__aenter__())

    def ask(self, method: str, path: str, **request: Any) -> Any:
        return self._loop.run_until_complete(self.proxy.call(method, path, **request))

    def close(self) -> None:
        self._loop.run_until_complete(self._context.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    running = Target(tmp_path_factory.mktemp("anything"))
    yield running
    running.close()


def check(reply: Any) -> None:
    assert reply.status < 500, reply.body
    if reply.status >= 400 and reply.body:
        assert reply.headers["content-type"] == "application/json"
        assert set(reply.json()["error"]) == {"message", "type", "param", "code"}
    assert reply.headers["x-request-id"]


@pytest.mark.parametrize("path", POSTS)
@given(body=VALUES)
def test_arbitrary_json(target: Target, path: str, body: Any) -> None:
    check(target.ask("POST", path, data=json.dumps(body).encode()))


@pytest.mark.parametrize("path", POSTS)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes(target: Target, path: str, data: bytes) -> None:
    check(target.ask("POST", path, data=data))


@given(body=CHAT)
def test_nearly_right_chat(target: Target, body: Any) -> None:
    check(target.ask("POST", "/v1/chat/completions", data=json.dumps(body).encode()))


@given(body=RESPONSE)
def test_nearly_right_response(target: Target, body: Any) -> None:
    check(target.ask("POST", "/v1/responses", data=json.dumps(body).encode()))


@given(method=st.sampled_from(METHODS), path=PATHS)
def test_arbitrary_paths_and_methods(target: Target, method: str, path: str) -> None:
    check(target.ask(method, path, data=b"{}"))


@given(
    method=st.sampled_from(METHODS),
    base=st.sampled_from(
        [
            "/v1/responses/",
            "/v1/models/",
            "/manage/models/",
            "/manage/keys/",
            "/manage/projects/",
            "/openai/",
            "/manage/usage/",
        ]
    ),
    rest=st.text(st.characters(codec="utf-8"), max_size=20),
    query=st.dictionaries(
        st.sampled_from(
            [
                "limit",
                "after",
                "provider",
                "include_private",
                "project_id",
                "from",
                "to",
                "group_by",
                "status",
            ]
        ),
        st.text(st.characters(codec="utf-8"), max_size=10),
        max_size=3,
    ),
)
def test_arbitrary_ids_and_queries(
    target: Target, method: str, base: str, rest: str, query: dict[str, str]
) -> None:
    if method == "DELETE" or method == "POST":
        rest = "x" + rest
    parameters = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    check(target.ask(method, base + quote(rest, safe="") + "?" + parameters, data=b"{}"))
    check(target.ask("GET", "/manage/requests?" + parameters))
