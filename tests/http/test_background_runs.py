"""Responses in the background from end to end: submitted, run by a worker, told by a webhook, and gone on from."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from openai.types.responses import Response

from shared.inference.operations import RESPONSES
from shared.inference.request import InferenceRequest, read_request
from shared.jobs.job import Job
from shared.responses.ids import InJob
from tests.http.test_responses import add_model
from tests.proxy import Proxy, running_proxy
from tests.upstreams.behaviours import Behaviour, Hang, Reply
from tests.upstreams.responses import ResponsesUpstream
from tests.upstreams.server import Received

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = "Where is the Louvre?"
HOOK = "/hook"


class Provider(ResponsesUpstream):
    """It takes webhooks too, so that they are recorded beside the calls."""

    def answer(self, request: Received) -> Behaviour:
        return Reply(b"", status=204) if request.path == HOOK else super().answer(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Proxy, Provider]]:
    directory: Path = tmp_path_factory.mktemp("background")
    async with Provider() as upstream, running_proxy(directory, events=True) as proxy:
        proxy.add_secret("up", "sk-upstream-secret-000000")
        await add_model(proxy, upstream, "m")
        yield proxy, upstream


@pytest.fixture
def proxy(running: tuple[Proxy, Provider]) -> Proxy:
    return running[0]


@pytest.fixture
def upstream(running: tuple[Proxy, Provider]) -> Provider:
    upstream = running[1]
    upstream.requests.clear()
    upstream.kept.clear()
    return upstream


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(running: tuple[Proxy, Provider]) -> AsyncIterator[AsyncOpenAI]:
    proxy = running[0]
    async with AsyncOpenAI(base_url=proxy.url + "/v1", api_key=proxy.key, max_retries=0) as made:
        yield made


async def submitted(client: AsyncOpenAI, **fields: Any) -> Response:
    made: Response = await client.responses.create(
        **{"model": "m", "input": ASKED, "background": True, **fields}
    )
    assert made.status == "queued"
    return made


async def ended(client: AsyncOpenAI, id: str) -> Response:
    async with asyncio.timeout(10):
        while (response := await client.responses.retrieve(id)).status in ("queued", "in_progress"):
            await asyncio.sleep(0.02)
    assert response.id == id
    return response


async def job_of(proxy: Proxy, id: str) -> Job:
    found = await proxy.services.responses.find(id, "default")
    assert isinstance(found, InJob)
    held = await proxy.services.job_store.get(found.job)
    assert held is not None
    return held.job


async def test_it_is_asked_as_a_stream_and_shown_whole_under_its_id(
    proxy: Proxy, client: AsyncOpenAI, upstream: Provider
) -> None:
    made = await submitted(client, temperature=0.5, extra_body={"priority": 2, "unheard_of": {"deep": [1]}})
    response = await ended(client, made.id)
    assert (response.status, response.background, response.output_text) == ("completed", True, upstream.text)
    [call] = upstream.requests
    assert call.body == {
        "model": "m",
        "input": ASKED,
        "temperature": 0.5,
        "unheard_of": {"deep": [1]},
        "stream": True,
    }
    [kept] = upstream.kept
    read = await proxy.call("GET", f"/v1/responses/{made.id}")
    assert (read.headers["x-llmproxy-model"], read.headers["x-llmproxy-attempts"]) == ("m", "1")
    assert kept.encode() not in read.body.replace(b"msg_" + kept.encode(), b"")
    assert (await job_of(proxy, made.id)).response == ("m", kept)


async def test_its_end_is_told_with_the_ids_that_its_client_knows(
    client: AsyncOpenAI, upstream: Provider
) -> None:
    made = await submitted(client, extra_body={"webhook_url": upstream.url + HOOK})
    await ended(client, made.id)
    hook = await upstream.wait_requests(2)
    assert hook.path == HOOK
    assert (hook.body["type"], hook.body["data"]["id"]) == ("response.completed", made.id)
    assert hook.body["data"]["result"]["id"] == made.id
    assert hook.body["data"]["result_endpoint"] == f"/v1/responses/{made.id}"
    [kept] = upstream.kept
    assert kept.encode() not in hook.raw.replace(b"msg_" + kept.encode(), b"")


async def test_one_goes_on_from_another(client: AsyncOpenAI, upstream: Provider) -> None:
    first = await submitted(client)
    await ended(client, first.id)
    second = await submitted(client, previous_response_id=first.id)
    assert second.previous_response_id == first.id
    response = await ended(client, second.id)
    assert (response.status, response.previous_response_id) == ("completed", first.id)
    [kept, _] = upstream.kept
    assert upstream.requests[-1].body["previous_response_id"] == kept
    plain = await client.responses.create(model="m", input="So?", previous_response_id=second.id)
    assert (plain.status, plain.previous_response_id) == ("completed", second.id)


async def test_a_providers_refusal_is_told_in_our_ids(client: AsyncOpenAI, upstream: Provider) -> None:
    first = await submitted(client)
    await ended(client, first.id)
    upstream.kept.clear()
    second = await submitted(client, previous_response_id=first.id)
    response = await ended(client, second.id)
    assert (response.status, response.output) == ("failed", [])
    assert response.error is not None
    assert response.error.to_dict() == {
        "code": "previous_response_not_found",
        "message": f"Previous response with id '{first.id}' not found.",
    }
    with pytest.raises(openai.BadRequestError):
        await client.responses.create(model="m", input="So?", previous_response_id=second.id)


async def test_what_it_goes_on_from_is_looked_at_when_it_starts(
    proxy: Proxy, client: AsyncOpenAI, upstream: Provider
) -> None:
    first = await submitted(client)
    await ended(client, first.id)
    second = await submitted(client)
    await ended(client, second.id)
    body = {"model": "m", "input": "And?", "previous_response_id": first.id}
    job = await job_of(proxy, second.id)

    async def prepared() -> InferenceRequest:
        caller = (await proxy.services.keys.authenticate(proxy.key)) if proxy.key else None
        assert caller is not None
        request = read_request(RESPONSES, caller, job.id, body, {})
        return await proxy.services.background.prepare(job, request)

    request = await prepared()
    kept = next(iter(upstream.kept))
    assert request.pin is not None
    assert (request.pin.model, request.body["previous_response_id"]) == ("m", kept)
    await client.responses.delete(first.id)
    with pytest.raises(Exception, match="nothing with the id") as gone:
        await prepared()
    assert getattr(gone.value, "status", None) == 404


async def test_cancelling_one_that_runs_drops_the_providers_call(
    client: AsyncOpenAI, upstream: Provider
) -> None:
    upstream.script(Hang())
    made = await submitted(client)
    call = await upstream.wait_requests(1)
    assert (await client.responses.retrieve(made.id)).status == "in_progress"
    assert (await client.responses.cancel(made.id)).status == "cancelled"
    await upstream.wait_disconnected(timeout=2.0, request=call)
    assert (await client.responses.retrieve(made.id)).status == "cancelled"
    await client.responses.delete(made.id)


async def test_the_demo_models_responses_run_in_the_background_too(client: AsyncOpenAI) -> None:
    made = await submitted(client, model="demo-chat")
    first = await ended(client, made.id)
    assert (first.status, bool(first.output_text)) == ("completed", True)
    onward = await client.responses.create(model="demo-chat", input="And?", previous_response_id=made.id)
    assert (onward.status, onward.previous_response_id) == ("completed", made.id)
    await client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(made.id)
