"""Responses in the background, through the official client: made, polled, cancelled, deleted, gone on from."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import orjson
import pytest
from openai import AsyncAzureOpenAI, AsyncOpenAI
from openai.types.responses import Response

from shared import Json
from shared.adapters.sqlite import SqliteStore
from shared.clock import ManualClock
from shared.jobs import transitions
from shared.jobs.job import Job, JobFailure
from shared.jobs.store import Held
from shared.jobs.transitions import Figures, Result
from shared.responses.ids import InJob
from tests.http.test_responses import add_model
from tests.proxy import Proxy, running_proxy
from tests.unit.access.worlds import Outages
from tests.upstreams.openai import openai_error
from tests.upstreams.responses import MadeResponse, ResponsesUpstream

LEASE = "lease-1"
ASKED = "Where is the Louvre?"


@pytest.fixture
async def upstream() -> AsyncIterator[ResponsesUpstream]:
    async with ResponsesUpstream() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def proxy(tmp_path: Path, upstream: ResponsesUpstream, clock: ManualClock) -> AsyncIterator[Proxy]:
    store = SqliteStore(tmp_path / "data.sqlite3", clock=clock)
    async with running_proxy(tmp_path, clock=clock, store=store) as running:
        running.add_secret("up", "sk-upstream-secret-000000")
        await add_model(running, upstream, "m")
        yield running


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=proxy.url + "/v1", api_key=proxy.key, max_retries=0) as made:
        yield made


class Desk:
    """A worker's hands on the job of one response: each step is a write of its own."""

    def __init__(self, proxy: Proxy, id: str, project: str = "default") -> None:
        self._proxy = proxy
        self._id = id
        self._project = project

    async def held(self) -> Held:
        found = await self._proxy.services.responses.find(self._id, self._project)
        assert isinstance(found, InJob)
        held = await self._proxy.services.job_store.get(found.job)
        assert held is not None
        return held

    async def claim(self) -> Job:
        held = await self.held()
        return await self._write(held, transitions.claimed(held.job, self._now, LEASE, "desk"))

    async def complete(self, result: Json) -> Job:
        held = await self.held()
        parts = await self._proxy.services.payloads.put_result(held.job.id, LEASE, orjson.dumps(result))
        lies = Result(LEASE, parts, ("m", result["id"]))
        return await self._write(
            held, transitions.completed(held.job, self._now, LEASE, lies, Figures("m", "OpenAI", 1))
        )

    async def fail(self, failure: JobFailure) -> Job:
        held = await self.held()
        return await self._write(
            held, transitions.failed(held.job, self._now, LEASE, failure, Figures("m", "OpenAI", 1))
        )

    async def settle(self) -> Job:
        held = await self.held()
        charged = transitions.charged(held.job, Figures())
        return await self._write(held, transitions.settled(charged, self._now))

    @property
    def _now(self) -> float:
        return self._proxy.services.clock.time()

    async def _write(self, held: Held, job: Job) -> Job:
        return (await self._proxy.services.job_store.write(held, job)).job


def answer_of(upstream: ResponsesUpstream, id: str = "resp_theirs", **body: Any) -> Json:
    """What the provider answers, and keeps."""
    whole = MadeResponse(id, {"model": "m", "input": ASKED, **body}, upstream.text, "").whole()
    upstream.kept[id] = whole
    return whole


async def completed(proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream, **fields: Any) -> str:
    """The id of a response that was made in the background."""
    made: Response = await client.responses.create(model="m", input=ASKED, background=True, **fields)
    desk = Desk(proxy, made.id)
    await desk.claim()
    await desk.complete(answer_of(upstream))
    return made.id


async def test_a_response_in_the_background_is_queued_run_and_completed(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream, clock: ManualClock
) -> None:
    made = await client.responses.create(
        model="m",
        input=ASKED,
        background=True,
        instructions="Be short.",
        metadata={"trip": "paris"},
        extra_body={"priority": "high", "ttl_hours": 2, "user": "someone"},
    )
    assert (made.status, made.background, made.output, made.error) == ("queued", True, [], None)
    assert (made.model, made.instructions, made.metadata) == ("m", "Be short.", {"trip": "paris"})
    assert made.created_at == clock.time()
    desk = Desk(proxy, made.id)
    job = (await desk.held()).job
    assert (job.options.priority, job.options.ttl_seconds, job.user) == (3, 7200, "someone")
    kept = await proxy.services.payloads.request(job)
    assert kept["body"] == {
        "model": "m",
        "input": ASKED,
        "instructions": "Be short.",
        "metadata": {"trip": "paris"},
        "user": "someone",
    }
    assert (await client.responses.retrieve(made.id)) == made
    await desk.claim()
    running = await client.responses.retrieve(made.id)
    assert (running.id, running.status, running.background) == (made.id, "in_progress", True)
    clock.advance(7)
    theirs = answer_of(upstream)
    await desk.complete(theirs)
    reply = await proxy.call("GET", f"/v1/responses/{made.id}")
    assert reply.status == 200
    assert reply.json() == {
        **theirs,
        "id": made.id,
        "background": True,
        "created_at": int(made.created_at),
        "completed_at": int(made.created_at) + 7,
        "previous_response_id": None,
    }
    assert (await client.responses.retrieve(made.id)).output_text == upstream.text
    assert upstream.requests == []


async def test_it_has_the_same_addresses_in_azures_flavour(proxy: Proxy, upstream: ResponsesUpstream) -> None:
    async with AsyncAzureOpenAI(
        azure_endpoint=proxy.url, api_key=proxy.key, api_version="2025-04-01-preview", max_retries=0
    ) as client:
        made = await client.responses.create(model="m", input=ASKED, background=True)
        assert (await client.responses.retrieve(made.id)).status == "queued"
        assert (await client.responses.input_items.list(made.id)).data
        assert (await client.responses.cancel(made.id)).status == "cancelled"
        await client.responses.delete(made.id)
        with pytest.raises(openai.NotFoundError):
            await client.responses.retrieve(made.id)


async def test_one_that_failed_says_why(proxy: Proxy, client: AsyncOpenAI) -> None:
    made = await client.responses.create(model="m", input=ASKED, background=True)
    desk = Desk(proxy, made.id)
    await desk.claim()
    await desk.fail(JobFailure("job_timeout", "The job took longer than its 300 seconds.", 504))
    failed = (await proxy.call("GET", f"/v1/responses/{made.id}")).json()
    assert (failed["status"], failed["output"], failed["completed_at"]) == ("failed", [], None)
    assert failed["error"] == {
        "code": "job_timeout",
        "message": "The job took longer than its 300 seconds.",
    }
    assert (await client.responses.cancel(made.id)).status == "failed"
    await client.responses.delete(made.id)


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"stream": True}, "unsupported_parameter", "stream"),
        ({"store": False}, "unsupported_parameter", "store"),
        ({"input": None}, "missing_required_parameter", "input"),
        ({"input": [{"role": "user", "content": [{"file_id": "file-1"}]}]}, "unsupported_parameter", None),
        ({"priority": 11}, "invalid_value", "priority"),
        ({"metadata": {"trip": 1}}, "invalid_value", "metadata.trip"),
        ({"api_base": "http://elsewhere"}, "unsupported_parameter", "api_base"),
        ({"model": None}, "missing_required_parameter", "model"),
        ({"model": "chats"}, "unsupported_operation", "model"),
    ],
)
async def test_what_cannot_be_made_in_the_background_is_refused_at_once(
    proxy: Proxy, upstream: ResponsesUpstream, fields: Json, code: str, param: str | None
) -> None:
    await add_model(proxy, upstream, "chats", operations=["ChatCompletion"])
    body = {"model": "m", "input": ASKED, "background": True, **fields}
    for address in ("/v1/responses", "/openai/responses?api-version=2025-04-01-preview"):
        reply = await proxy.call("POST", address, body)
        assert (reply.status, reply.error["code"]) == (400, code)
        assert param is None or reply.error["param"] == param


async def test_the_same_key_and_body_make_one_response(proxy: Proxy, client: AsyncOpenAI) -> None:
    async def create(text: str = ASKED, key: str = "once") -> Response:
        return await client.responses.create(
            model="m", input=text, background=True, extra_headers={"Idempotency-Key": key}
        )

    first = await create()
    assert (await create()).id == first.id
    assert (await create(key="twice")).id != first.id
    with pytest.raises(openai.ConflictError) as refused:
        await create("Something else.")
    assert refused.value.code == "idempotency_conflict"
    await Desk(proxy, first.id).claim()
    assert (await create()).status == "in_progress"
    await client.responses.cancel(first.id)
    assert (await create()).status == "cancelled"
    await client.responses.delete(first.id)
    with pytest.raises(openai.ConflictError) as gone:
        await create()
    assert gone.value.code == "conflict"
    with pytest.raises(openai.BadRequestError):
        await create(key="with blanks")


async def test_cancelling_is_final_and_can_be_repeated(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream
) -> None:
    waiting = await client.responses.create(model="m", input=ASKED, background=True)
    running = await client.responses.create(model="m", input=ASKED, background=True)
    await Desk(proxy, running.id).claim()
    for made in (waiting, running, waiting):
        cancelled = await client.responses.cancel(made.id)
        assert (cancelled.id, cancelled.status, cancelled.output) == (made.id, "cancelled", [])
    with pytest.raises(transitions.Refused):
        await Desk(proxy, running.id).complete(answer_of(upstream))
    ended = await completed(proxy, client, upstream)
    assert (await client.responses.cancel(ended)).output_text == upstream.text


async def test_a_deleted_one_is_gone_for_good_at_its_provider_too(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream
) -> None:
    made = await client.responses.create(model="m", input=ASKED, background=True)
    desk = Desk(proxy, made.id)
    for _ in range(2):
        with pytest.raises(openai.ConflictError) as refused:
            await client.responses.delete(made.id)
        assert refused.value.code == "conflict"
        if (await desk.held()).job.lease_id is None:
            await desk.claim()
    job = await desk.complete(answer_of(upstream))
    deleted = await proxy.call("DELETE", f"/v1/responses/{made.id}")
    assert deleted.json() == {"id": made.id, "object": "response", "deleted": True}
    assert upstream.kept == {}
    with pytest.raises(Exception, match="not there"):
        await proxy.services.payloads.request(job)
    with pytest.raises(Exception, match="not there"):
        await proxy.services.payloads.result(job)
    for method, below in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        gone = await proxy.call(method, f"/v1/responses/{made.id}{below}")
        assert (gone.status, gone.error["code"]) == (404, "not_found")
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="m", input="And?", previous_response_id=made.id)


async def test_a_provider_that_is_down_does_not_keep_a_response_from_being_deleted(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream
) -> None:
    id = await completed(proxy, client, upstream)
    upstream.script(openai_error(500, "Out of order."))
    await client.responses.delete(id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(id)


async def test_a_deletion_that_was_interrupted_is_finished_by_the_next(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream
) -> None:
    id = await completed(proxy, client, upstream)
    await proxy.services.payloads.remove((await Desk(proxy, id).held()).job)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(id)
    await client.responses.delete(id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.delete(id)


async def test_a_settled_one_keeps_its_last_lifetime_when_it_is_deleted(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream, clock: ManualClock
) -> None:
    id = await completed(proxy, client, upstream)
    desk = Desk(proxy, id)
    job = await desk.settle()
    assert job.settled
    await client.responses.delete(id)
    clock.advance(8 * 24 * 3600)
    assert await proxy.services.job_store.get(job.id) is None


async def test_an_expired_one_is_gone(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream, clock: ManualClock
) -> None:
    id = await completed(proxy, client, upstream, extra_body={"ttl_hours": 1})
    clock.advance(3599)
    assert (await client.responses.retrieve(id)).status == "completed"
    clock.advance(2)
    with pytest.raises(openai.NotFoundError):
        await client.responses.retrieve(id)
    with pytest.raises(openai.NotFoundError):
        await client.responses.create(model="m", input="And?", previous_response_id=id)


async def test_its_input_is_listed_as_items_page_by_page(proxy: Proxy, client: AsyncOpenAI) -> None:
    texts = [f"Line {number}" for number in range(5)]
    items: list[Any] = [{"role": "user", "content": text} for text in texts]
    made = await client.responses.create(model="m", input=items, background=True)
    listed = [item async for item in client.responses.input_items.list(made.id, limit=2, order="asc")]
    assert [item.to_dict()["content"] for item in listed] == [
        [{"type": "input_text", "text": text}] for text in texts
    ]
    again = await client.responses.input_items.list(made.id)
    assert [item.id for item in again.data] == [item.id for item in listed][::-1]
    wrong = await proxy.call("GET", f"/v1/responses/{made.id}/input_items?limit=0")
    assert (wrong.status, wrong.error["param"]) == (400, "limit")


async def test_its_events_cannot_be_streamed(proxy: Proxy, client: AsyncOpenAI) -> None:
    made = await client.responses.create(model="m", input=ASKED, background=True)
    with pytest.raises(openai.BadRequestError) as refused:
        await client.responses.retrieve(made.id, stream=True)
    assert (refused.value.code, refused.value.param) == ("unsupported_parameter", "stream")


async def test_no_other_project_learns_of_it(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream
) -> None:
    id = await completed(proxy, client, upstream)
    other = await proxy.add_key(project="other")
    asked = len(upstream.requests)
    for key in (other, await proxy.add_key(project="other", role="admin")):
        for method, below in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
            reply = await proxy.call(method, f"/v1/responses/{id}{below}", key=key)
            assert (reply.status, reply.error["code"]) == (404, "not_found")
        for background in (True, False):
            body = {"model": "m", "input": "x", "previous_response_id": id, "background": background}
            reply = await proxy.call("POST", "/v1/responses", body, key=key)
            assert (reply.status, reply.error["param"]) == (404, "previous_response_id")
    assert len(upstream.requests) == asked
    assert (await client.responses.retrieve(id)).status == "completed"


async def test_a_conversation_goes_on_from_its_result(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream
) -> None:
    id = await completed(proxy, client, upstream)
    after = await client.responses.create(model="m", input="And then?", previous_response_id=id)
    assert after.previous_response_id == id
    assert upstream.requests[-1].body["previous_response_id"] == "resp_theirs"
    events = await client.responses.create(model="m", input="So?", previous_response_id=id, stream=True)
    told = [event async for event in events]
    assert told[-1].response.previous_response_id == id  # type: ignore[union-attr]
    unnamed = await proxy.call("POST", "/v1/responses", {"input": "x", "previous_response_id": id})
    assert unnamed.headers["x-llmproxy-model"] == "m"


async def test_there_is_nothing_to_go_on_from_before_it_completed(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream
) -> None:
    waiting = await client.responses.create(model="m", input=ASKED, background=True)
    running = await client.responses.create(model="m", input=ASKED, background=True)
    failed = await client.responses.create(model="m", input=ASKED, background=True)
    cancelled = await client.responses.create(model="m", input=ASKED, background=True)
    await Desk(proxy, running.id).claim()
    await Desk(proxy, failed.id).claim()
    await Desk(proxy, failed.id).fail(JobFailure("provider_error", "The model broke.", 502))
    await client.responses.cancel(cancelled.id)
    for made in (waiting, running, failed, cancelled):
        for background in (True, False):
            with pytest.raises(openai.BadRequestError) as refused:
                await client.responses.create(
                    model="m", input="And?", previous_response_id=made.id, background=background
                )
            assert (refused.value.code, refused.value.param) == ("invalid_value", "previous_response_id")
    assert upstream.requests == []


async def test_one_in_the_background_keeps_what_it_goes_on_from_in_the_clients_words(
    proxy: Proxy, client: AsyncOpenAI, upstream: ResponsesUpstream
) -> None:
    first = await completed(proxy, client, upstream)
    plain = (await client.responses.create(model="m", input=ASKED)).id
    for previous in (first, plain):
        made = await proxy.call(
            "POST",
            "/v1/responses",
            {"input": "And then?", "previous_response_id": previous, "background": True},
        )
        assert (made.status, made.json()["previous_response_id"]) == (200, previous)
        assert made.json()["model"] == "m"
        desk = Desk(proxy, made.json()["id"])
        job = (await desk.held()).job
        kept = await proxy.services.payloads.request(job)
        assert kept["body"]["previous_response_id"] == previous
        await desk.claim()
        await desk.complete(answer_of(upstream, "resp_next", previous_response_id="resp_theirs"))
        shown = await client.responses.retrieve(made.json()["id"])
        assert (shown.id, shown.previous_response_id) == (made.json()["id"], previous)


async def test_a_store_that_is_down_is_said_to_be_down_and_nothing_is_lost(
    tmp_path: Path, upstream: ResponsesUpstream
) -> None:
    store = Outages(SqliteStore(tmp_path / "data.sqlite3"))
    async with running_proxy(tmp_path, store=store) as proxy:
        proxy.add_secret("up", "sk-upstream-secret-000000")
        await add_model(proxy, upstream, "m")
        body = {"model": "m", "input": ASKED, "background": True}
        id = (await proxy.call("POST", "/v1/responses", body)).json()["id"]
        store.down = True
        for method, path in (
            ("POST", ""),
            ("GET", f"/{id}"),
            ("DELETE", f"/{id}"),
            ("POST", f"/{id}/cancel"),
            ("GET", f"/{id}/input_items"),
        ):
            reply = await proxy.call(method, f"/v1/responses{path}", body if not path else None)
            assert (reply.status, reply.error["code"]) == (503, "catalog_unavailable")
        store.down = False
        assert (await proxy.call("POST", f"/v1/responses/{id}/cancel")).json()["status"] == "cancelled"
