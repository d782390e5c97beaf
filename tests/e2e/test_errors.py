"""Each row of the error table, as the class that the official client raises."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import openai as sdk
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from shared.adapters.local_secrets import LocalSecrets
from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock, iso
from shared.containers import KEYS, Container
from shared.errors import StoreUnavailable
from shared.ports import Query, Stored
from shared.secrets import PROXY_SECRETS
from tests.e2e.targets import SECRET
from tests.e2e.world import ASKED, World, running_world
from tests.proxy import running_proxy
from tests.upstreams.behaviours import Behaviour, Hang, HangUp, Reply
from tests.upstreams.openai import OpenAIUpstream, openai_error

pytestmark = pytest.mark.asyncio(loop_scope="module")

MODEL = "openai"
UNKNOWN_KEY = "llmp_" + "a" * 16 + "_" + "b" * 43


Raised: TypeAlias = type[sdk.APIStatusError]


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table: what the caller must be told."""

    status: int
    type: str
    code: str | None
    raised: Raised
    param: str | None = None

    def assert_is(self, error: sdk.APIStatusError) -> None:
        assert type(error) is self.raised
        assert (error.status_code, error.type, error.code, error.param) == (
            self.status,
            self.type,
            self.code,
            self.param,
        )
        assert isinstance(error.body, dict)
        assert set(error.body) == {"message", "type", "param", "code"}
        assert error.body["message"]
        assert error.response.headers["content-type"] == "application/json"
        assert error.request_id == error.response.headers["x-request-id"]


def at_fault(code: str, param: str | None = None) -> Row:
    return Row(400, "invalid_request_error", code, sdk.BadRequestError, param)


def absent(code: str, param: str | None = None) -> Row:
    return Row(404, "invalid_request_error", code, sdk.NotFoundError, param)


def refused(code: str) -> Row:
    return Row(401, "authentication_error", code, sdk.AuthenticationError)


def upstream_failed(status: int, code: str) -> Row:
    return Row(status, "upstream_error", code, sdk.InternalServerError)


async def raised_by(call: Awaitable[Any]) -> sdk.APIStatusError:
    with pytest.raises(sdk.APIStatusError) as caught:
        await call
    return caught.value


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with running_world(
        tmp_path_factory.mktemp("local"), max_json_bytes=64 * 1024, max_retries=0, call_timeout=0.5
    ) as running:
        proxy, url = running.proxy, running.upstream.url
        await proxy.add_model("vectors", url, operations=["embeddings"])
        await proxy.add_model("left", url, code="shared-code")
        await proxy.add_model("right", url, code="shared-code")
        await proxy.add_model("theirs", url, private=True, projects=["them"])
        await proxy.add_model("keyless", url, parameters={"secret_name": "NOT_THERE"})
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def openai(world: World) -> AsyncIterator[AsyncOpenAI]:
    """With its tries off: which of them it makes is another test's matter."""
    async with world.client(max_retries=0) as client:
        yield client


async def chat(openai: AsyncOpenAI, **fields: Any) -> ChatCompletion:
    """A chat completion with these fields beside or in place of good ones; None leaves one out."""
    body = {"model": MODEL, "messages": ASKED, **fields}
    kept = {name: value for name, value in body.items() if value is not None}
    return await openai.post("/chat/completions", cast_to=ChatCompletion, body=kept)


def raw(content: bytes) -> Callable[[AsyncOpenAI], Awaitable[ChatCompletion]]:
    return lambda openai: openai.post("/chat/completions", cast_to=ChatCompletion, content=content)


def get(path: str) -> Callable[[AsyncOpenAI], Awaitable[object]]:
    return lambda openai: openai.get(path, cast_to=object)


@pytest.mark.parametrize("stream", [None, True], ids=["plain", "streamed"])
@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ({"messages": None}, at_fault("missing_required_parameter", "messages")),
        ({"model": None}, at_fault("missing_required_parameter", "model")),
        (
            {"messages": [*ASKED, {"content": "no role"}]},
            at_fault("missing_required_parameter", "messages[1].role"),
        ),
        ({"messages": []}, at_fault("invalid_value", "messages")),
        ({"n": 0}, at_fault("invalid_value", "n")),
        ({"temperature": 3}, at_fault("invalid_value", "temperature")),
        ({"api_base": "https://elsewhere.example"}, at_fault("unsupported_parameter", "api_base")),
        ({"vertex_project": "mine"}, at_fault("unsupported_parameter", "vertex_project")),
        ({"model": "vectors"}, at_fault("unsupported_operation", "model")),
        ({"model": "shared-code"}, at_fault("ambiguous_model", "model")),
        ({"model": "absent"}, absent("model_not_found", "model")),
        ({"model": "theirs"}, absent("model_not_found", "model")),
        (
            {"messages": [{"role": "user", "content": "x" * 70_000}]},
            Row(413, "invalid_request_error", "request_too_large", sdk.APIStatusError),
        ),
        ({"model": "keyless"}, upstream_failed(503, "provider_unavailable")),
    ],
)
async def test_a_request_at_fault_never_reaches_a_provider(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, fields: dict[str, Any], row: Row, stream: bool | None
) -> None:
    row.assert_is(await raised_by(chat(openai, stream=stream, **fields)))
    assert not upstream.requests


@pytest.mark.parametrize(
    ("call", "row"),
    [
        (raw(b'{"model": '), at_fault("invalid_json")),
        (raw(b"[]"), at_fault("invalid_json")),
        (raw(b""), at_fault("invalid_json")),
        (get("/nowhere"), absent("not_found")),
        (
            get("/chat/completions"),
            Row(405, "invalid_request_error", "method_not_allowed", sdk.APIStatusError),
        ),
    ],
)
async def test_what_is_no_request_at_all_is_told_so(
    openai: AsyncOpenAI,
    upstream: OpenAIUpstream,
    call: Callable[[AsyncOpenAI], Awaitable[object]],
    row: Row,
) -> None:
    row.assert_is(await raised_by(call(openai)))
    assert not upstream.requests


@pytest.mark.parametrize(
    ("says", "row"),
    [
        (
            openai_error(400, "No such thing", code="unknown_parameter", param="top_k"),
            at_fault("unknown_parameter", "top_k"),
        ),
        (
            openai_error(
                400, "maximum context length is 8", code="context_length_exceeded", param="messages"
            ),
            at_fault("context_length_exceeded", "messages"),
        ),
        (
            openai_error(400, "filtered", code="content_policy_violation"),
            at_fault("content_policy_violation"),
        ),
        (openai_error(401, "Bad key", code="invalid_api_key"), upstream_failed(502, "provider_error")),
        (openai_error(403, "Not yours"), upstream_failed(502, "provider_error")),
        (
            openai_error(404, "Gone", code="model_not_found"),
            absent("model_not_found"),
        ),
        (openai_error(409, "Busy"), Row(409, "invalid_request_error", None, sdk.ConflictError)),
        (
            openai_error(422, "Odd", param="messages"),
            Row(422, "invalid_request_error", None, sdk.UnprocessableEntityError, "messages"),
        ),
        (
            openai_error(429, "Slow down", type="rate_limit_error", code="rate_limit_exceeded"),
            Row(429, "rate_limit_error", "rate_limit_exceeded", sdk.RateLimitError),
        ),
        (openai_error(500, "Boom", type="server_error"), upstream_failed(502, "provider_error")),
        (openai_error(503, "Overloaded", type="server_error"), upstream_failed(502, "provider_error")),
        (Reply(b"<html></html>"), upstream_failed(502, "invalid_provider_response")),
        (Hang(), upstream_failed(504, "provider_timeout")),
    ],
)
async def test_a_providers_failure_raises_its_class(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, says: Behaviour, row: Row
) -> None:
    upstream.script(says)
    row.assert_is(await raised_by(openai.chat.completions.create(model=MODEL, messages=ASKED)))
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    ("says", "row"),
    [
        (
            openai_error(400, "maximum context length is 8", code="context_length_exceeded"),
            at_fault("context_length_exceeded"),
        ),
        (
            openai_error(429, "Slow down", type="rate_limit_error", code="rate_limit_exceeded"),
            Row(429, "rate_limit_error", "rate_limit_exceeded", sdk.RateLimitError),
        ),
        (openai_error(500, "Boom"), upstream_failed(502, "provider_error")),
        (Reply({}), upstream_failed(502, "invalid_provider_response")),
    ],
)
async def test_a_stream_that_does_not_begin_raises_at_once(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, says: Behaviour, row: Row
) -> None:
    upstream.script(says)
    row.assert_is(await raised_by(openai.chat.completions.create(model=MODEL, messages=ASKED, stream=True)))
    assert len(upstream.requests) == 1


async def test_a_provider_that_hangs_up_raises_its_class(
    openai: AsyncOpenAI, upstream: OpenAIUpstream
) -> None:
    upstream.always(HangUp())
    try:
        for stream in (None, True):
            upstream_failed(502, "provider_error").assert_is(await raised_by(chat(openai, stream=stream)))
    finally:
        upstream.always(None)


async def test_a_client_without_a_loop_raises_the_same(world: World, upstream: OpenAIUpstream) -> None:
    upstream.script(openai_error(422, "Odd"))

    def ask() -> None:
        with world.sync_client(max_retries=0) as client:
            with pytest.raises(sdk.UnprocessableEntityError):
                client.chat.completions.create(model=MODEL, messages=ASKED)
            with pytest.raises(sdk.NotFoundError):
                client.chat.completions.create(model="absent", messages=ASKED, stream=True)

    await asyncio.to_thread(ask)


async def test_keys_that_are_missing_wrong_or_of_another_form_are_401(world: World) -> None:
    for key, row in (
        ("no-such-key", refused("invalid_api_key")),
        (UNKNOWN_KEY, refused("invalid_api_key")),
    ):
        async with world.client(key=key) as openai:
            row.assert_is(await raised_by(openai.chat.completions.create(model=MODEL, messages=ASKED)))
            row.assert_is(await raised_by(openai.models.retrieve(MODEL)))
    async with world.client() as openai:
        refused("missing_api_key").assert_is(
            await raised_by(openai.models.retrieve(MODEL, extra_headers={"Authorization": sdk.Omit()}))
        )
    async with world.client(default_headers={"api-key": "another"}) as openai:
        refused("invalid_api_key").assert_is(await raised_by(openai.models.retrieve(MODEL)))


async def test_an_expired_key_is_401(tmp_path: Path) -> None:
    clock = ManualClock()
    async with running_proxy(tmp_path, clock=clock) as proxy:
        key = await proxy.add_key(expires_at=iso(clock.time() + 60))
        async with AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key) as openai:
            await openai.chat.completions.create(model="demo-chat", messages=ASKED)
            clock.advance(61)
            refused("expired_api_key").assert_is(
                await raised_by(openai.chat.completions.create(model="demo-chat", messages=ASKED))
            )


async def test_what_a_key_may_not_do_is_403(world: World, upstream: OpenAIUpstream) -> None:
    key = await world.proxy.add_key(models=["demo-chat"])
    async with world.client(key=key) as openai:
        Row(403, "permission_error", "model_not_allowed", sdk.PermissionDeniedError, "model").assert_is(
            await raised_by(openai.chat.completions.create(model=MODEL, messages=ASKED))
        )
    async with world.client("/manage", key=key) as openai:
        Row(403, "permission_error", "admin_required", sdk.PermissionDeniedError).assert_is(
            await raised_by(get("/keys")(openai))
        )
    assert not upstream.requests


async def test_what_is_there_already_is_409_and_not_tried_again(world: World) -> None:
    async with world.client("/manage") as openai:
        document = {
            "id": "left",
            "code": "x",
            "provider": "Demo",
            "model_type": "Demo",
            "operations": ["ChatCompletion"],
        }
        error = await raised_by(openai.post("/models", cast_to=object, body=document))
    assert type(error) is sdk.ConflictError
    assert (error.status_code, error.type, error.code) == (409, "conflict_error", "conflict")
    assert error.response.headers["x-should-retry"] == "false"
    assert error.request.headers["x-stainless-retry-count"] == "0"


async def test_a_version_that_moved_on_is_412(world: World) -> None:
    async with world.client("/manage") as openai:
        error = await raised_by(
            openai.patch(
                "/models/left",
                cast_to=object,
                body={"name": "Left"},
                options={"headers": {"If-Match": '"stale"'}},
            )
        )
    Row(412, "invalid_request_error", "precondition_failed", sdk.APIStatusError).assert_is(error)


class KeysOutage(SqliteStore):
    """A store whose keys cannot be read while it is `down`."""

    down = False

    async def query(self, container: Container, query: Query) -> list[Stored]:
        if self.down and container is KEYS:
            raise StoreUnavailable("down")
        return await super().query(container, query)


async def test_a_key_that_cannot_be_checked_is_503_and_one_that_is_known_works(tmp_path: Path) -> None:
    store = KeysOutage(tmp_path / "data.sqlite3")
    async with running_proxy(tmp_path, store=store) as proxy:
        known = await proxy.add_key()
        assert (await proxy.call("GET", "/v1/models", key=known)).status == 200
        store.down = True
        for key, row in ((known, None), (UNKNOWN_KEY, upstream_failed(503, "catalog_unavailable"))):
            async with AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=key, max_retries=0) as openai:
                call = openai.chat.completions.create(model="demo-chat", messages=ASKED)
                if row is None:
                    assert (await call).choices
                else:
                    row.assert_is(await raised_by(call))


class FaultySecrets(LocalSecrets):
    """A secret store with a fault of its own, whose text says too much."""

    async def get(self, name: str) -> str:
        if name == "FAULTY":
            raise RuntimeError(f"/srv/app/secrets.py: {SECRET}")
        return await super().get(name)


async def test_a_fault_of_our_own_is_500_and_says_nothing(tmp_path: Path) -> None:
    secrets = FaultySecrets(tmp_path / "secrets.json")
    secrets.ensure(PROXY_SECRETS)
    async with running_proxy(tmp_path, secret_store=secrets) as proxy:
        await proxy.add_model("m", "http://127.0.0.1:9", parameters={"secret_name": "FAULTY"})
        async with AsyncOpenAI(base_url=f"{proxy.url}/v1", api_key=proxy.key, max_retries=0) as openai:
            for streamed in (False, True):
                error = await raised_by(
                    openai.post(
                        "/chat/completions",
                        cast_to=object,
                        body={"model": "m", "messages": ASKED, "stream": streamed},
                    )
                )
                Row(500, "server_error", "internal_error", sdk.InternalServerError).assert_is(error)
                for secret in (SECRET, "/srv", "RuntimeError", "Traceback"):
                    assert secret not in error.response.text
