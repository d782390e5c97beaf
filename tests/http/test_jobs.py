"""Jobs over HTTP: submitted, looked at, listed and cancelled, by their own project alone."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from shared import Json
from shared.clock import ManualClock, iso
from shared.jobs.job import JobFailure, Status
from shared.jobs.payloads import PayloadMissing
from shared.jobs.submission import MAX_BODY
from tests.http.jobs import COMPLETION, JOBS, Events, chat, claim, complete, fail, submit, submitted
from tests.proxy import Proxy, running_proxy
from tests.upstreams.openai import OpenAIUpstream

EVERYWHERE = (JOBS, "/v1/chat/completions/async", "/openai/v1/async/chat/completions")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
async def proxy(tmp_path: Path, clock: ManualClock, events: Events) -> AsyncIterator[Proxy]:
    async with running_proxy(tmp_path, clock=clock, publisher=events) as running:
        await running.add_model("small", "http://127.0.0.1:1/v1")
        yield running


async def test_a_submission_is_answered_with_where_to_look(proxy: Proxy) -> None:
    reply = await submit(proxy, chat(priority="high"))
    answer = reply.json()
    id = answer["execution_id"]
    assert reply.status == 202
    assert reply.headers["location"] == f"{JOBS}/{id}"
    assert answer == {
        "id": id,
        "object": "job",
        "execution_id": id,
        "request_id": id,
        "status": "queued",
        "priority": 3,
        "message": "The job is queued.",
        "created_at": "2027-01-15T08:00:00.000Z",
        "submitted_at": "2027-01-15T08:00:00.000Z",
        "estimated_completion_time": None,
        "status_endpoint": f"{JOBS}/{id}/status",
        "result_endpoint": f"{JOBS}/{id}/result",
    }


async def test_its_event_carries_nothing_but_id_project_and_priority(proxy: Proxy, events: Events) -> None:
    key = await proxy.add_key(project="team")
    urgent = await submitted(proxy, chat(priority=3), key=key)
    usual = await submitted(proxy, chat(priority=4), key=key)
    assert [hub for hub, _ in events.published] == ["chat-jobs-priority", "chat-jobs"]
    assert events.bodies() == [
        {"action": "run", "execution_id": urgent, "project_id": "team", "priority": 3},
        {"action": "run", "execution_id": usual, "project_id": "team", "priority": 4},
    ]


async def test_what_is_stored_is_the_request_without_the_jobs_fields(proxy: Proxy) -> None:
    body = chat(temperature=0.5, timeout=9, top_k=3, tags=["a"], metadata={"a": "b"}, session_id="s")
    id = await submitted(proxy, body, headers={"anthropic-beta": "x-1", "x-other": "no"})
    held = await proxy.services.job_store.get(id)
    assert held is not None
    stored = await proxy.services.payloads.request(held.job)
    assert stored["body"] == chat(temperature=0.5, timeout=9, top_k=3)
    assert stored["headers"] == {"anthropic-beta": "x-1"}
    assert (held.job.model, held.job.options.tags, held.job.options.metadata) == ("small", ("a",), {"a": "b"})


async def test_of_an_endless_name_of_a_user_the_beginning_is_noted_and_all_is_sent(proxy: Proxy) -> None:
    id = await submitted(proxy, chat(user="u" * 1000))
    held = await proxy.services.job_store.get(id)
    assert held is not None
    assert held.job.user == "u" * 256
    assert (await proxy.services.payloads.request(held.job))["body"]["user"] == "u" * 1000


async def test_metadata_travels_on_where_the_provider_stores_the_completion(proxy: Proxy) -> None:
    id = await submitted(proxy, chat(store=True, metadata={"a": "b"}))
    held = await proxy.services.job_store.get(id)
    assert held is not None
    assert (await proxy.services.payloads.request(held.job))["body"]["metadata"] == {"a": "b"}
    assert held.job.options.metadata == {"a": "b"}


@pytest.mark.parametrize("base", EVERYWHERE)
async def test_a_job_is_the_same_at_each_of_its_addresses(proxy: Proxy, base: str) -> None:
    reply = await proxy.call("POST", base, chat(client_id="c", temperature=1))
    assert reply.status == 202, reply.body
    id = reply.json()["id"]
    status = await proxy.call("GET", f"{base}/{id}/status")
    whole = await proxy.call("GET", f"{base}/{id}")
    assert (status.status, whole.status) == (200, 200)
    extra = {
        "messages": chat()["messages"],
        "request": {"model": "small", "temperature": 1},
        "result": None,
    }
    assert whole.json() == {**status.json(), **extra}
    assert (await proxy.call("GET", base)).json()["last_id"] == id
    assert (await proxy.call("POST", f"{base}/{id}/cancel")).json()["status"] == "cancelled"
    assert (await proxy.call("GET", f"{JOBS}/{id}/status")).json()["status"] == "cancelled"


async def test_while_a_job_runs_its_result_says_when_to_come_back(proxy: Proxy, clock: ManualClock) -> None:
    id = await submitted(proxy)
    seen = []
    for wait in (0, 10, 1000):
        clock.advance(wait)
        reply = await proxy.call("GET", f"{JOBS}/{id}/result")
        assert (reply.status, reply.json()["status"]) == (202, "queued")
        seen.append(int(reply.headers["retry-after"]))
    assert seen == [1, 3, 30]
    await claim(proxy, id)
    reply = await proxy.call("GET", f"{JOBS}/{id}/result")
    assert (reply.status, reply.json()["status"]) == (202, "processing")


async def test_a_completed_job_gives_its_completion(proxy: Proxy, clock: ManualClock) -> None:
    id = await submitted(proxy)
    clock.advance(5)
    await complete(proxy, id)
    result = await proxy.call("GET", f"{JOBS}/{id}/result")
    assert (result.status, result.json()) == (200, COMPLETION)
    assert result.headers["x-llmproxy-model"] == "small"
    assert result.headers["x-llmproxy-provider"] == "OpenAICompatible"
    assert result.headers["x-llmproxy-cost-usd"] == "0.0015"
    whole = (await proxy.call("GET", f"{JOBS}/{id}")).json()
    assert whole["result"] == COMPLETION
    assert (whole["status"], whole["progress_percentage"], whole["cost_usd"]) == ("completed", 100, 0.0015)
    assert whole["started_at"] == whole["completed_at"] == "2027-01-15T08:00:05.000Z"
    assert whole["expires_at"] == "2027-01-16T08:00:05.000Z"


@pytest.mark.parametrize(
    "failure",
    [
        JobFailure("job_timeout", "The job took longer than its 300 seconds.", 504, "upstream_error"),
        JobFailure("context_length_exceeded", "Too long.", 400, "invalid_request_error", "messages"),
        JobFailure(None, "The provider's own word.", 422, "invalid_request_error"),
        JobFailure("worker_lost", "Three workers were lost.", 500),
    ],
    ids=lambda failure: str(failure.code),
)
async def test_a_failed_job_gives_its_error_and_is_not_asked_again(proxy: Proxy, failure: JobFailure) -> None:
    id = await submitted(proxy)
    await fail(proxy, id, failure)
    reply = await proxy.call("GET", f"{JOBS}/{id}/result")
    assert reply.status == failure.status
    assert reply.headers["x-should-retry"] == "false"
    assert reply.error == {
        "message": failure.message,
        "type": failure.type,
        "param": failure.param,
        "code": failure.code,
    }
    shown = (await proxy.call("GET", f"{JOBS}/{id}/status")).json()["error"]
    assert shown == {"code": failure.code, "message": failure.message, "status": failure.status}


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(("method", "below"), [("DELETE", ""), ("POST", "/cancel")])
async def test_a_job_is_cancelled_once(proxy: Proxy, running: bool, method: str, below: str) -> None:
    id = await submitted(proxy)
    if running:
        await claim(proxy, id)
    first = await proxy.call(method, f"{JOBS}/{id}{below}")
    assert (first.status, first.json()["status"]) == (200, "cancelled")
    second = await proxy.call(method, f"{JOBS}/{id}{below}")
    assert (second.status, second.error["code"]) == (409, "conflict")
    result = await proxy.call("GET", f"{JOBS}/{id}/result")
    assert (result.status, result.error["code"]) == (409, "conflict")


async def test_a_job_that_has_ended_cannot_be_cancelled(proxy: Proxy) -> None:
    id = await submitted(proxy)
    await complete(proxy, id)
    assert (await proxy.call("DELETE", f"{JOBS}/{id}")).status == 409
    assert (await proxy.call("GET", f"{JOBS}/{id}/result")).status == 200


async def test_of_many_who_cancel_at_once_one_does(proxy: Proxy) -> None:
    id = await submitted(proxy)
    replies = await asyncio.gather(*(proxy.call("DELETE", f"{JOBS}/{id}") for _ in range(8)))
    assert sorted(reply.status for reply in replies) == [200] + [409] * 7


async def test_a_list_is_paged_from_the_newest_on(proxy: Proxy, clock: ManualClock) -> None:
    ids = []
    for _ in range(5):
        ids.append(await submitted(proxy))
        clock.advance(1)
    ids.reverse()
    await proxy.call("DELETE", f"{JOBS}/{ids[1]}")
    first = (await proxy.call("GET", f"{JOBS}?limit=2")).json()
    assert [job["id"] for job in first["data"]] == ids[:2]
    assert (first["object"], first["has_more"], first["last_id"]) == ("list", True, ids[1])
    assert "messages" not in first["data"][0]
    second = (await proxy.call("GET", f"{JOBS}?limit=3&after={ids[1]}")).json()
    assert [job["id"] for job in second["data"]] == ids[2:]
    assert second["has_more"] is False
    queued = (await proxy.call("GET", f"{JOBS}?status=queued&after={ids[0]}")).json()
    assert [job["id"] for job in queued["data"]] == ids[2:]
    none = (await proxy.call("GET", f"{JOBS}?status=failed")).json()
    assert none == {"object": "list", "data": [], "has_more": False, "last_id": None}


async def test_a_list_by_what_is_wrong_is_refused(proxy: Proxy) -> None:
    for query, param in (
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=ten", "limit"),
        ("status=done", "status"),
        ("after=job_none", "after"),
        ("after=%2F", "after"),
        ("model=small", "model"),
    ):
        reply = await proxy.call("GET", f"{JOBS}?{query}")
        assert (reply.status, reply.error["param"]) == (400, param), query


async def test_one_project_never_sees_polls_or_cancels_anothers_job(proxy: Proxy) -> None:
    ours, theirs = await proxy.add_key(project="ours"), await proxy.add_key(project="theirs")
    id = await submitted(proxy, key=ours)
    for method, below in (
        ("GET", ""),
        ("GET", "/status"),
        ("GET", "/result"),
        ("DELETE", ""),
        ("POST", "/cancel"),
    ):
        reply = await proxy.call(method, f"{JOBS}/{id}{below}", key=theirs)
        assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert (await proxy.call("GET", JOBS, key=theirs)).json()["data"] == []
    assert (await proxy.call("GET", f"{JOBS}?after={id}", key=theirs)).status == 400
    assert (await proxy.call("GET", f"{JOBS}/{id}?project_id=ours", key=theirs)).status == 403
    colleague = await proxy.add_key(project="ours")
    assert (await proxy.call("GET", f"{JOBS}/{id}/status", key=colleague)).json()["status"] == "queued"


async def test_an_administrator_sees_any_project_that_it_names(proxy: Proxy) -> None:
    key = await proxy.add_key(project="team")
    id = await submitted(proxy, key=key)
    assert (await proxy.call("GET", f"{JOBS}/{id}")).status == 404
    assert (await proxy.call("GET", JOBS)).json()["data"] == []
    assert (await proxy.call("GET", f"{JOBS}/{id}?project_id=team")).status == 200
    assert (await proxy.call("GET", f"{JOBS}?project_id=team")).json()["last_id"] == id
    assert (await proxy.call("DELETE", f"{JOBS}/{id}?project_id=team")).json()["status"] == "cancelled"


async def test_a_job_that_is_over_its_time_is_gone(proxy: Proxy, clock: ManualClock) -> None:
    id = await submitted(proxy, chat(ttl_hours=1))
    await complete(proxy, id)
    clock.advance(3599)
    assert (await proxy.call("GET", f"{JOBS}/{id}/result")).status == 200
    clock.advance(2)
    for below in ("", "/status", "/result"):
        assert (await proxy.call("GET", f"{JOBS}/{id}{below}")).status == 404
    assert (await proxy.call("GET", JOBS)).json()["data"] == []


async def test_what_became_of_a_job_is_shown_where_its_request_is_gone(proxy: Proxy) -> None:
    id = await submitted(proxy)
    held = await proxy.services.job_store.get(id)
    assert held is not None
    await proxy.services.payloads.remove(held.job)
    with pytest.raises(PayloadMissing):
        await proxy.services.payloads.request(held.job)
    whole = (await proxy.call("GET", f"{JOBS}/{id}")).json()
    assert (whole["status"], whole["messages"], whole["request"]) == ("queued", None, {})


async def test_the_metrics_are_of_the_callers_project_and_of_all_for_administrators(
    proxy: Proxy, clock: ManualClock
) -> None:
    team, other = await proxy.add_key(project="team"), await proxy.add_key(project="other")
    for key in (team, team, other):
        id = await submitted(proxy, key=key)
    await complete(proxy, id)
    clock.advance(60)
    all_of_them = (await proxy.call("GET", "/v1/async/metrics")).json()
    assert (all_of_them["total_jobs"], all_of_them["queued_jobs"], all_of_them["completed_jobs"]) == (3, 2, 1)
    assert (await proxy.call("GET", "/v1/async/metrics", key=team)).json()["total_jobs"] == 2
    assert (await proxy.call("GET", "/v1/async/metrics?project_id=other")).json()["total_jobs"] == 1
    refused = await proxy.call("GET", "/v1/async/metrics?project_id=other", key=team)
    assert (refused.status, refused.error["code"]) == (403, "admin_required")


async def test_a_submission_is_told_when_it_may_be_done_once_that_was_measured(
    proxy: Proxy, clock: ManualClock
) -> None:
    id = await submitted(proxy)
    clock.advance(4)
    await complete(proxy, id)
    clock.advance(60)
    assert (await proxy.call("GET", "/v1/async/metrics")).json()["average_queue_time_seconds"] == 4
    estimate = (await submit(proxy)).json()["estimated_completion_time"]
    assert iso(clock.time()) <= estimate <= iso(clock.time() + 60)


async def test_a_cancelled_job_that_no_one_ran_is_settled_at_once(proxy: Proxy) -> None:
    id = await submitted(proxy)
    assert (await proxy.call("DELETE", f"{JOBS}/{id}")).status == 200
    async with asyncio.timeout(10):
        while not (held := await proxy.services.job_store.get(id)) or not held.job.settled:
            await asyncio.sleep(0.01)
    assert (held.job.status, held.job.charged, held.job.notices) == ("cancelled", True, ())


# The same submission again


async def test_the_same_key_and_body_make_one_job(proxy: Proxy, events: Events) -> None:
    headers = {"Idempotency-Key": "order-17"}
    first = await submit(proxy, chat(priority=2), headers=headers)
    # Equal JSON, its fields in another order.
    again = await submit(proxy, dict(reversed(chat(priority=2).items())), headers=headers)
    assert (first.status, again.status) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["location"] == first.headers["location"]
    assert len(events.published) == 1


async def test_the_same_key_tells_what_became_of_its_job(proxy: Proxy, clock: ManualClock) -> None:
    headers = {"Idempotency-Key": "order-17"}
    id = await submitted(proxy, headers=headers)
    await complete(proxy, id)
    again = await submit(proxy, headers=headers)
    assert (again.status, again.json()["id"], again.json()["status"]) == (202, id, "completed")
    # The model is gone since: what was submitted is known all the same.
    await proxy.call("DELETE", "/manage/models/small")
    assert (await submit(proxy, headers=headers)).json()["id"] == id


async def test_the_same_key_with_another_body_is_a_conflict(proxy: Proxy) -> None:
    headers = {"Idempotency-Key": "order-17"}
    id = await submitted(proxy, headers=headers)
    for other in (chat(temperature=0), chat(priority=1), chat(tags=["x"])):
        reply = await submit(proxy, other, headers=headers)
        assert (reply.status, reply.error["code"]) == (409, "idempotency_conflict")
        assert reply.headers["x-should-retry"] == "false"
    held = await proxy.services.job_store.get(id)
    assert held is not None
    assert (await proxy.services.payloads.request(held.job))["body"] == chat()


async def test_the_same_key_of_another_project_is_another_job(proxy: Proxy) -> None:
    headers = {"Idempotency-Key": "order-17"}
    one, other = await proxy.add_key(project="one"), await proxy.add_key(project="other")
    ids = {await submitted(proxy, headers=headers, key=key) for key in (one, other)}
    assert len(ids) == 2


async def test_the_same_submission_many_times_at_once_makes_one_job(proxy: Proxy, events: Events) -> None:
    headers = {"Idempotency-Key": "order-17"}
    replies = await asyncio.gather(*(submit(proxy, headers=headers) for _ in range(12)))
    assert {reply.status for reply in replies} == {202}
    assert len({reply.json()["id"] for reply in replies}) == 1
    assert len(events.published) == 1


async def test_of_two_bodies_at_once_under_one_key_one_is_a_job(proxy: Proxy, events: Events) -> None:
    headers = {"Idempotency-Key": "order-17"}
    bodies = [chat(temperature=number / 10) for number in range(8)]
    replies = await asyncio.gather(*(submit(proxy, body, headers=headers) for body in bodies))
    assert sorted(reply.status for reply in replies) == [202] + [409] * 7
    won = next(body for body, reply in zip(bodies, replies, strict=True) if reply.status == 202)
    [job] = (await proxy.call("GET", JOBS)).json()["data"]
    whole = (await proxy.call("GET", f"{JOBS}/{job['id']}")).json()
    assert whole["request"]["temperature"] == won["temperature"]
    assert len(events.published) == 1


async def test_a_key_that_is_none_is_refused(proxy: Proxy) -> None:
    for key in ("", "two words", "k" * 256, "schlüssel", "tab\tbed"):
        reply = await submit(proxy, headers={"Idempotency-Key": key})
        assert (reply.status, reply.error["param"]) == (400, "Idempotency-Key"), key


async def test_a_key_may_have_255_visible_characters(proxy: Proxy) -> None:
    await submitted(proxy, headers={"Idempotency-Key": "".join(chr(33 + n % 94) for n in range(255))})


# What is refused


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (chat(stream=True), 400, "unsupported_parameter", "stream"),
        (chat(stream="yes"), 400, "invalid_value", "stream"),
        (chat(priority=11), 400, "invalid_value", "priority"),
        (chat(metadata={"a": 1}), 400, "invalid_value", "metadata.a"),
        (chat(webhook_url="https://169.254.169.254/"), 400, "invalid_value", "webhook_url"),
        (chat(api_base="https://example.com"), 400, "unsupported_parameter", "api_base"),
        (chat(timeout=-1), 400, "invalid_value", "timeout"),
        ({"model": "small"}, 400, "missing_required_parameter", "messages"),
        (chat(model="nothing"), 404, "model_not_found", "model"),
        (chat(model=None), 400, "missing_required_parameter", "model"),
        (chat(model="vectors"), 400, "unsupported_operation", "model"),
        (chat(model="secret"), 404, "model_not_found", "model"),
        (chat(data_sources=[]), 400, "unsupported_parameter", "data_sources"),
    ],
)
async def test_a_wrong_submission_is_refused_and_leaves_nothing(
    proxy: Proxy, events: Events, body: dict[str, object], status: int, code: str, param: str
) -> None:
    await proxy.add_model("vectors", "http://127.0.0.1:1/v1", operations=["embeddings"])
    await proxy.add_model("secret", "http://127.0.0.1:1/v1", private=True, projects=["other"])
    key = await proxy.add_key(project="team")
    reply = await submit(proxy, body, key=key)
    assert (reply.status, reply.error["code"], reply.error["param"]) == (status, code, param)
    assert (await proxy.call("GET", JOBS, key=key)).json()["data"] == []
    assert events.published == []


async def test_a_submission_takes_no_turn_of_a_group(proxy: Proxy) -> None:
    async with OpenAIUpstream(require_key=False) as upstream:
        for id in ("one", "other"):
            await proxy.add_model(id, upstream.url)
        group = {"id": "both", "kind": "group", "strategy": "round-robin", "members": ["one", "other"]}
        assert (await proxy.call("POST", "/manage/models", group)).status == 201
        asked = []
        for _ in range(4):
            await submitted(proxy, chat(model="both"))
            reply = await proxy.call("POST", "/v1/chat/completions", chat(model="both"))
            assert reply.status == 200, reply.body
            asked.append(reply.headers["x-llmproxy-model"])
        assert asked == ["one", "other", "one", "other"]


async def test_a_key_is_held_to_its_models(proxy: Proxy) -> None:
    key = await proxy.add_key(project="team", models=["another"])
    reply = await submit(proxy, key=key)
    assert (reply.status, reply.error["code"]) == (403, "model_not_allowed")
    key = await proxy.add_key(project="team", models=["small"])
    held = await proxy.services.job_store.get(await submitted(proxy, key=key))
    assert held is not None
    assert held.job.key_models == ("small",)


async def test_the_jobs_fields_are_refused_elsewhere_as_they_were(proxy: Proxy) -> None:
    for field in ("client_id", "tags"):
        reply = await proxy.call("POST", "/v1/chat/completions", chat(**{field: "x"}))
        assert (reply.status, reply.error["param"]) == (400, field)


async def test_a_body_may_have_a_megabyte_and_a_half(proxy: Proxy) -> None:
    room = MAX_BODY - len(b'{"model":"small","messages":[{"role":"user","content":""}]}')

    def body(length: int) -> bytes:
        return b'{"model":"small","messages":[{"role":"user","content":"%s"}]}' % (b"x" * length)

    async def send(length: int) -> tuple[int, Json]:
        headers = {"Authorization": f"Bearer {proxy.key}"}
        async with proxy.http.post(proxy.url + JOBS, data=io.BytesIO(body(length)), headers=headers) as reply:
            return reply.status, await reply.json()

    status, answer = await send(room)
    assert status == 202, answer
    whole = (await proxy.call("GET", f"{JOBS}/{answer['id']}")).json()
    assert len(whole["messages"][0]["content"]) == room
    status, answer = await send(room + 1)
    assert (status, answer["error"]["code"]) == (413, "request_too_large")


async def test_a_body_that_is_no_object_is_refused(proxy: Proxy) -> None:
    for data in (b"", b"[]", b"{", b"\xff", b'{"a":' * 300 + b"1" + b"}" * 300):
        reply = await proxy.call("POST", JOBS, data=data)
        assert (reply.status, reply.error["code"]) == (400, "invalid_json"), data[:9]


async def test_every_address_says_what_it_takes(proxy: Proxy) -> None:
    for method, path, status, allow in (
        ("PUT", JOBS, 405, "GET, POST"),
        ("DELETE", JOBS, 405, "GET, POST"),
        ("POST", f"{JOBS}/x", 405, "GET, DELETE"),
        ("GET", f"{JOBS}/x/cancel", 405, "POST"),
        ("POST", f"{JOBS}/x/result", 405, "GET"),
        ("POST", "/v1/async/metrics", 405, "GET"),
        ("OPTIONS", f"{JOBS}/x", 204, "GET, DELETE"),
        ("GET", f"{JOBS}/x/other", 404, None),
        ("GET", "/v1/async", 404, None),
        ("GET", "/v1/async/embeddings", 404, None),
        ("GET", "/v1/async/chat/completionsx", 404, None),
        ("GET", f"{JOBS}/{'x' * 200}", 404, None),
        ("GET", f"{JOBS}/a%2Fb", 404, None),
        ("GET", f"{JOBS}/%00", 404, None),
    ):
        reply = await proxy.call(method, path)
        assert (reply.status, reply.headers.get("allow")) == (status, allow), (method, path)


async def test_jobs_need_a_key(proxy: Proxy) -> None:
    for method, path in (("POST", JOBS), ("GET", JOBS), ("GET", f"{JOBS}/x"), ("GET", "/v1/async/metrics")):
        assert (await proxy.call(method, path, key=None)).status == 401


async def test_a_client_that_leaves_after_its_submission_leaves_a_job(proxy: Proxy, events: Events) -> None:
    events.open.clear()
    with pytest.raises(TimeoutError):
        await proxy.http.post(
            proxy.url + JOBS,
            json=chat(),
            headers={"Authorization": f"Bearer {proxy.key}"},
            timeout=aiohttp.ClientTimeout(total=0.3),
        )
    events.open.set()
    jobs = (await proxy.call("GET", JOBS)).json()["data"]
    assert [job["status"] for job in jobs] == [Status.QUEUED]
