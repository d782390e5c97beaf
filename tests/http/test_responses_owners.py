"""Whose a response is, and where it lies: other projects, other models, other keys, and time passing."""

from collections.abc import AsyncIterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.secrets import SIGNING_KEY
from tests.http.test_responses import BODY, add_model, create
from tests.proxy import Proxy, Reply
from tests.upstreams.openai import openai_error
from tests.upstreams.responses import ResponsesUpstream


@pytest.fixture
async def upstream() -> AsyncIterator[ResponsesUpstream]:
    async with ResponsesUpstream() as running:
        yield running


@pytest.fixture
async def ready(proxy: Proxy, upstream: ResponsesUpstream) -> Proxy:
    proxy.add_secret("up", "sk-upstream-secret-000000")
    for id in ("m", "other"):
        await add_model(proxy, upstream, id)
    return proxy


async def everything(proxy: Proxy, id: str, key: str) -> list[Reply]:
    """All that can be tried with an id."""
    replies = [
        await proxy.call(method, f"/v1/responses/{id}{below}", key=key)
        for method, below in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items"))
    ]
    return [*replies, await create(proxy, key, previous_response_id=id)]


async def test_two_projects_share_an_account_and_nothing_else(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    one, two = await ready.add_key(project="one"), await ready.add_key(project="two")
    id = (await create(ready, one)).json()["id"]
    asked = len(upstream.requests)
    for reply in await everything(ready, id, two):
        assert (reply.status, reply.error["code"]) == (404, "not_found")
        assert reply.error["message"] == f"There is nothing with the id '{id}'."
    [provider_id] = upstream.kept
    for forged in (provider_id, id[:-1], id + "A", id.upper(), "resp_", "resp_" + "A" * 100):
        for key in (one, two, ready.key):
            for reply in await everything(ready, forged, key):
                assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert len(upstream.requests) == asked
    assert [reply.status for reply in await everything(ready, id, one)][:1] == [200]


async def test_no_made_up_id_reaches_the_provider(ready: Proxy, upstream: ResponsesUpstream) -> None:
    id = (await create(ready)).json()["id"]
    ids, key = ready.services.signed_ids, await ready.add_key(project="two")
    asked = len(upstream.requests)

    @settings(max_examples=100)
    @given(st.text(alphabet="ABCDabcd0189_-", max_size=80), st.integers(0, len(id)), st.integers(0, len(id)))
    def tried(text: str, start: int, end: int) -> None:
        made_up.add(id[:start] + text + id[end:])

    made_up: set[str] = set()
    tried()
    for guess in list(made_up - {id})[:40]:
        reply = await create(ready, key, previous_response_id=guess or "x")
        assert (reply.status, reply.error["param"]) == (404, "previous_response_id")
        reply = await create(ready, previous_response_id=guess or "x")
        assert (reply.status, reply.error["param"]) == (404, "previous_response_id")
    assert len(upstream.requests) == asked
    assert await ids.verify("resp_", id, "default")


async def test_going_on_asks_the_deployment_that_holds_the_response(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    first = (await create(ready)).json()["id"]
    second = await create(ready, previous_response_id=first, input="And then?")
    [kept, _] = upstream.kept
    assert upstream.requests[-1].body == {**BODY, "input": "And then?", "previous_response_id": kept}
    assert second.json()["previous_response_id"] == first
    unnamed = await ready.call("POST", "/v1/responses", {"input": "x", "previous_response_id": first})
    assert unnamed.headers["x-llmproxy-model"] == "m"
    refused = await create(ready, model="other", previous_response_id=first)
    assert (refused.status, refused.error["code"]) == (400, "invalid_value")
    assert refused.error["param"] == "previous_response_id"


async def test_a_group_stays_with_the_member_that_answered(ready: Proxy, upstream: ResponsesUpstream) -> None:
    group = {
        "kind": "group",
        "id": "both",
        "members": [{"id": "m"}, {"id": "other"}],
        "strategy": "round-robin",
        "fallbacks": ["m"],
    }
    assert (await ready.call("POST", "/manage/models", group)).status == 201
    key = await ready.add_key(models=["both"])
    first = await create(ready, key, model="both")
    member = first.headers["x-llmproxy-model"]
    for _ in range(3):
        again = await create(ready, key, model="both", previous_response_id=first.json()["id"])
        assert (again.status, again.headers["x-llmproxy-model"]) == (200, member)
    read = await ready.call("GET", f"/v1/responses/{first.json()['id']}", key=key)
    assert (read.status, read.headers["x-llmproxy-model"]) == (200, member)
    upstream.script(openai_error(500, "Out of order."))
    failed = await create(ready, key, model="both", previous_response_id=first.json()["id"])
    assert failed.status == 502


async def test_what_a_fallback_has_answered_can_be_gone_on_from(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    await add_model(ready, upstream, "shaky", fallbacks=["m"])
    upstream.script(openai_error(500, "Out of order."))
    first = await create(ready, model="shaky")
    assert first.headers["x-llmproxy-model"] == "m"
    again = await create(ready, model="shaky", previous_response_id=first.json()["id"])
    assert (again.status, again.headers["x-llmproxy-model"]) == (200, "m")


async def test_a_key_that_may_no_longer_use_the_model_is_refused(ready: Proxy) -> None:
    wide, narrow = await ready.add_key(), await ready.add_key(models=["other"])
    id = (await create(ready, wide)).json()["id"]
    for reply in await everything(ready, id, narrow):
        assert (reply.status, reply.error["code"]) == (403, "model_not_allowed")


@pytest.mark.parametrize("change", [{"enabled": False}, {"private": True, "projects": ["elsewhere"]}, None])
async def test_a_model_that_is_gone_takes_its_responses_along(
    ready: Proxy, upstream: ResponsesUpstream, change: dict[str, object] | None
) -> None:
    key = await ready.add_key()
    id = (await create(ready, key)).json()["id"]
    method, body = ("DELETE", None) if change is None else ("PATCH", change)
    etag = (await ready.call("GET", "/manage/models/m")).headers["etag"]
    reply = await ready.call(method, "/manage/models/m", body, headers={"If-Match": etag})
    assert reply.status < 300, reply.body
    asked = len(upstream.requests)
    for gone in (await everything(ready, id, key))[:4]:
        assert (gone.status, gone.error["code"]) == (404, "not_found")
    # Without a model in the body, so that it is the response that is missing.
    gone = await ready.call("POST", "/v1/responses", {"input": "x", "previous_response_id": id}, key=key)
    assert (gone.status, gone.error["param"]) == (404, "previous_response_id")
    assert len(upstream.requests) == asked


async def test_an_id_survives_the_rotation_of_the_key(ready: Proxy) -> None:
    id = (await create(ready)).json()["id"]
    before = await ready.services.secrets.get(SIGNING_KEY)
    ready.add_secret(SIGNING_KEY, "the-next-key-of-thirty-two-bytes")
    ready.services.secrets.forget(SIGNING_KEY)
    assert (await ready.call("GET", f"/v1/responses/{id}")).status == 404
    ready.add_secret(f"{SIGNING_KEY}-previous", before)
    ready.services.secrets.forget(f"{SIGNING_KEY}-previous")
    read = await ready.call("GET", f"/v1/responses/{id}")
    assert (read.status, read.json()["id"]) == (200, id)
    ready.add_secret(SIGNING_KEY, "")
    ready.services.secrets.forget(SIGNING_KEY)
    for reply in (await create(ready), await ready.call("GET", f"/v1/responses/{id}")):
        assert (reply.status, reply.error["code"]) == (503, "provider_unavailable")


async def test_the_providers_words_about_an_id_are_told_in_ours(
    ready: Proxy, upstream: ResponsesUpstream
) -> None:
    id = (await create(ready)).json()["id"]
    [kept] = list(upstream.kept)
    upstream.kept.clear()
    reply = await create(ready, previous_response_id=id)
    assert (reply.status, reply.error["code"]) == (400, "previous_response_not_found")
    assert reply.error["message"] == f"Previous response with id '{id}' not found."
    assert kept.encode() not in reply.body
