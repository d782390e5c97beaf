"""Providers, models, keys and projects that are not there any more when a job comes to run, or not yet again."""

import asyncio
from typing import Any

import pytest
from openai import AsyncOpenAI

from shared import Json
from tests.http.jobs import JOBS, chat, submitted
from tests.http.outages import BOTH, WITHIN, Site
from tests.http.test_responses import add_model
from tests.upstreams.anthropic import AnthropicUpstream, anthropic_error
from tests.upstreams.behaviours import Behaviour, Hang, HangUp, StreamReply
from tests.upstreams.openai import openai_error
from tests.upstreams.responses import ResponsesUpstream

IMPORTING = 60.0
"""Seconds."""

PROVIDERS_FAULTS: list[tuple[Behaviour, str, int]] = [
    (openai_error(500, "Broken.", type="server_error"), "provider_error", 502),
    (openai_error(429, "Too many.", code="rate_limit_exceeded"), "rate_limit_exceeded", 429),
    (Hang(), "provider_timeout", 504),
    (HangUp(), "provider_error", 502),
    (StreamReply(stop_after=3, ending="cut"), "provider_error", 502),
    (StreamReply(stop_after=3, ending="stall"), "provider_timeout", 504),
]


@pytest.mark.parametrize(
    ("fault", "code", "status"), PROVIDERS_FAULTS, ids=["500", "429", "hangs", "hangs up", "cut", "stalls"]
)
async def test_a_provider_that_stays_down_is_asked_with_growing_pauses_and_then_told(
    site: Site, fault: Behaviour, code: str, status: int
) -> None:
    site.upstream.always(fault)
    id = await submitted(site.proxy, chat(model="hasty", async_max_retries=2, async_retry_delay=10))
    pauses = []
    for number in (1, 2):
        await site.upstream.wait_requests(number)
        job = await site.until(id, "queued")
        assert job.retry_count == number
        waiting = await site.result(id)
        pauses.append(job.next_attempt_at - site.clock.time())
        assert (waiting.status, int(waiting.headers["retry-after"])) == (202, min(30, pauses[-1]))
        await site.tick(pauses[-1] - 1)
        assert len(site.upstream.requests) == number
        await site.tick(1)
    [job] = await site.until_settled(id)
    assert pauses == [10, 20]
    reply = await site.result(id)
    assert (reply.status, reply.error["code"]) == (status, code)
    assert reply.headers["x-should-retry"] == "false"
    assert len(site.upstream.requests) == 3
    [record] = (await site.records())[id]
    assert (record["status"], record["error_code"], record["attempts"]) == (status, code, 3)
    assert job.attempts == 3


async def test_a_provider_that_is_back_in_between_completes_the_job(site: Site) -> None:
    site.upstream.script(HangUp(), StreamReply(stop_after=4, ending="cut"))
    id = await submitted(site.proxy, chat(async_retry_delay=1))
    for number in (1, 2):
        await site.upstream.wait_requests(number)
        await site.until(id, "queued")
        await site.tick(number)
    [job] = await site.until_settled(id)
    assert (job.status, job.retry_count, job.failure) == ("completed", 2, None)
    reply = await site.result(id)
    assert reply.json()["choices"][0]["message"]["content"] == site.upstream.text
    [record] = (await site.records())[id]
    assert (record["status"], record["usage"]) == (200, job.usage)
    # The bodies are the same at each try.
    assert len({request.raw for request in site.upstream.requests}) == 1


async def test_a_provider_that_no_one_listens_at_is_told_after_the_last_try(site: Site) -> None:
    await site.proxy.add_model("nowhere", "http://127.0.0.1:9/v1")
    id = await submitted(site.proxy, chat(model="nowhere", async_max_retries=1, async_retry_delay=1))
    async with asyncio.timeout(WITHIN):
        while (await site.job(id)).retry_count != 1:
            await asyncio.sleep(0.01)
    await site.tick(1)
    await site.until_settled(id)
    reply = await site.result(id)
    assert (reply.status, reply.error["type"]) == (502, "upstream_error")


async def test_a_model_that_is_down_leaves_the_job_to_its_fallback(site: Site) -> None:
    await site.proxy.add_model(
        "first", "http://127.0.0.1:9/v1", fallbacks=["small"], costs={"input": 1.0, "output": 1.0}
    )
    id = await submitted(site.proxy, chat(model="first"))
    [job] = await site.until_settled(id)
    assert (job.status, job.model_used, job.fallback, job.retry_count) == ("completed", "small", True, 0)
    reply = await site.result(id)
    assert (reply.headers["x-llmproxy-model"], reply.headers["x-llmproxy-attempts"]) == ("small", "2")
    [record] = (await site.records())[id]
    assert (record["model_requested"], record["model"], record["cost_usd"]) == ("first", "small", None)


async def test_fallbacks_of_the_body_replace_those_of_the_catalog(site: Site) -> None:
    await site.proxy.add_model("first", "http://127.0.0.1:9/v1", fallbacks=["hasty"])
    id = await submitted(site.proxy, chat(model="first", fallbacks=["small"]))
    [job] = await site.until_settled(id)
    assert (job.status, job.model_used) == ("completed", "small")
    assert "fallbacks" not in site.upstream.requests[-1].body


async def test_a_model_that_cannot_stream_is_asked_plainly(site: Site) -> None:
    await site.proxy.add_model(
        "plain",
        f"{site.upstream.url}/v1",
        parameters={"secret_name": "up"},
        capabilities={"streaming": False},
    )
    id = await submitted(site.proxy, chat(model="plain"))
    [job] = await site.until_settled(id)
    assert (job.status, job.progress) == ("completed", 100)
    [request] = site.upstream.requests
    assert "stream" not in request.body
    assert (await site.result(id)).json()["choices"][0]["message"]["content"] == site.upstream.text


async def waiting(site: Site, body: Json, **more: Any) -> str:
    """A job that no worker has heard of yet."""
    site.hubs.down = BOTH
    return await submitted(site.proxy, body, **more)


async def start(site: Site) -> None:
    site.hubs.down = frozenset()
    await site.tick(61)


async def test_a_job_of_a_key_that_was_revoked_since_runs_all_the_same(site: Site) -> None:
    made = (await site.proxy.call("POST", "/manage/keys", {"project": "team"})).json()
    id = await waiting(site, chat(), key=made["key"])
    assert (await site.proxy.call("DELETE", f"/manage/keys/{made['id']}")).status == 200
    assert (await site.proxy.call("GET", f"{JOBS}/{id}", key=made["key"])).status == 401
    await start(site)
    [job] = await site.until_settled(id)
    assert (job.status, job.key_id) == ("completed", made["id"])
    assert (await site.proxy.call("GET", f"{JOBS}/{id}/result?project_id=team")).status == 200


async def test_a_job_whose_model_was_disabled_before_its_start_fails_with_that(site: Site) -> None:
    await site.proxy.add_model("gone", f"{site.upstream.url}/v1", parameters={"secret_name": "up"})
    id = await waiting(site, chat(model="gone"))
    assert (await site.proxy.call("PATCH", "/manage/models/gone", {"enabled": False})).status == 200
    await start(site)
    await site.until_settled(id)
    reply = await site.result(id)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "model_not_found", "model")
    assert (reply.headers["x-should-retry"], site.upstream.requests) == ("false", [])


async def test_a_job_whose_project_was_removed_before_its_start_fails_with_that(site: Site) -> None:
    key = await site.proxy.add_key(project="brief")
    id = await waiting(site, chat(), key=key)
    keys = (await site.proxy.call("GET", "/manage/keys?project_id=brief")).json()["data"]
    for one in keys:
        assert (await site.proxy.call("DELETE", f"/manage/keys/{one['id']}")).status == 200
    assert (await site.proxy.call("DELETE", "/manage/projects/brief")).status == 200
    await start(site)
    await site.until_settled(id)
    reply = await site.proxy.call("GET", f"{JOBS}/{id}/result?project_id=brief")
    assert (reply.status, reply.error["code"], site.upstream.requests) == (404, "not_found", [])


async def test_a_model_of_the_other_lane_runs_in_a_job_and_shows_how_far_it_is(site: Site) -> None:
    async with AnthropicUpstream() as upstream:
        site.proxy.add_secret("key", "sk-ant-secret-000000")
        await site.proxy.add_model(
            "claude",
            upstream.url,
            code="claude-sonnet-4-5",
            provider="Anthropic",
            model_type="AnthropicNative",
            parameters={"secret_name": "key"},
            costs={"input": 0.003, "output": 0.015},
        )
        upstream.script(anthropic_error(529, "overloaded_error", "Overloaded"))
        released = asyncio.Event()
        upstream.always(StreamReply(hold_after=6, released=released))
        id = await submitted(site.proxy, chat(model="claude", max_tokens=9, async_retry_delay=1))
        # The first call waits for the import of LiteLLM.
        await upstream.wait_requests(1, IMPORTING)
        assert (await site.until(id, "queued")).retry_count == 1
        await site.tick(1)
        await upstream.wait_requests(2, WITHIN)
        async with asyncio.timeout(WITHIN):
            while (job := await site.shown(id))["progress_percentage"] <= 50:
                await asyncio.sleep(0.01)
        assert (job["status"], job["current_step"]) == ("processing", "receiving the answer")
        assert job["usage"]["estimated"]
        released.set()
        await site.until_settled(id)
        result = await site.result(id)
        assert result.json()["choices"][0]["message"]["content"] == upstream.text
        assert float(result.headers["x-llmproxy-cost-usd"]) > 0
        job = await site.shown(id)
        assert (job["progress_percentage"], job["usage"]["estimated"]) == (100, False)
        [record] = (await site.records())[id]
        assert (record["provider"], record["usage"]) == ("Anthropic", job["usage"])


async def test_a_background_response_outlives_a_provider_that_was_down(site: Site) -> None:
    """Polled to its end with the official client."""
    async with (
        ResponsesUpstream() as provider,
        AsyncOpenAI(base_url=site.proxy.url + "/v1", api_key=site.proxy.key, max_retries=0) as client,
    ):
        await add_model(site.proxy, provider, "m")
        provider.script(HangUp(), openai_error(500, "Broken.", type="server_error"))
        made = await client.responses.create(
            model="m", input="Hello", background=True, extra_body={"async_retry_delay": 1}
        )
        seen = [made.status]
        async with asyncio.timeout(WITHIN):
            while (response := await client.responses.retrieve(made.id)).status in ("queued", "in_progress"):
                seen.append(response.status)
                await site.tick(1)
        assert (response.status, response.output_text) == ("completed", provider.text)
        assert set(seen) <= {"queued", "in_progress"}
        assert len(provider.requests) == 3


async def test_a_call_that_its_body_cuts_short_is_not_told_to_become_a_job(site: Site) -> None:
    site.upstream.always(Hang())
    id = await submitted(site.proxy, chat(timeout=0.2, async_max_retries=0))
    await site.until_settled(id)
    reply = await site.result(id)
    assert (reply.status, reply.error["code"]) == (504, "provider_timeout")
    assert reply.error["message"] == "The provider did not answer in time."


async def test_the_clients_headers_that_may_travel_on_reach_the_provider(site: Site) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = chat(extra_headers={"OpenAI-Beta": "beta-1"})
    sent = {"traceparent": trace, "x-other": "no", "anthropic-beta": "beta-2"}
    await site.until_settled(await submitted(site.proxy, body, headers=sent))
    [request] = site.upstream.requests
    named = {name: request.headers.get(name) for name in ("openai-beta", *sent)}
    assert named == {
        "openai-beta": "beta-1",
        "traceparent": trace,
        "x-other": None,
        "anthropic-beta": "beta-2",
    }
    assert "extra_headers" not in request.body


@pytest.mark.parametrize(("models", "asked"), [(["first"], 1), (["first", "small"], 2)])
async def test_a_job_is_held_to_its_keys_models_when_it_runs(
    site: Site, models: list[str], asked: int
) -> None:
    await site.proxy.add_model(
        "first", f"{site.upstream.url}/v1", parameters={"secret_name": "up"}, fallbacks=["small"]
    )
    key = await site.proxy.add_key(project="default", models=models)
    site.upstream.script(openai_error(500, "Broken.", type="server_error"))
    id = await submitted(site.proxy, chat(model="first", async_max_retries=0), key=key)
    await site.until_settled(id)
    assert len(site.upstream.requests) == asked
