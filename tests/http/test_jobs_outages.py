"""What who submits or asks for jobs sees while the hub or the store is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.containers import JOB_PAYLOADS, JOBS
from shared.jobs import submission
from shared.jobs.submission import Submissions
from tests.http.jobs import JOBS as ADDRESS
from tests.http.jobs import Events, chat, claim, submit, submitted
from tests.proxy import Proxy, running_proxy
from tests.unit.access.worlds import Outages


@pytest.fixture
def events() -> Events:
    return Events()


@pytest.fixture
def store(tmp_path: Path) -> Outages:
    return Outages(SqliteStore(tmp_path / "jobs.sqlite3"))


@pytest.fixture
async def proxy(tmp_path: Path, store: Outages, events: Events) -> AsyncIterator[Proxy]:
    async with running_proxy(tmp_path, store=store, publisher=events) as running:
        await running.add_model("small", "http://127.0.0.1:1/v1")
        assert (await running.call("GET", "/v1/models")).status == 200
        yield running


async def test_while_the_hub_refuses_a_submission_is_taken_all_the_same(proxy: Proxy, events: Events) -> None:
    events.down = True
    id = await submitted(proxy)
    held = await proxy.services.job_store.get(id)
    assert held is not None
    assert (held.job.status, events.published) == ("queued", [])
    # The sweeper finds it a minute later.
    assert held.job.wake_at == pytest.approx(held.job.created_at + 60)


async def test_while_the_hub_is_silent_a_submission_waits_two_seconds_at_most(
    proxy: Proxy, events: Events
) -> None:
    events.open.clear()
    began = time.monotonic()
    id = await submitted(proxy)
    assert submission.PATIENCE <= time.monotonic() - began < submission.PATIENCE + 2
    assert events.published == []
    events.open.set()
    while not events.published:
        await asyncio.sleep(0.01)
    assert events.bodies()[0]["execution_id"] == id


async def test_events_do_not_pile_up_before_a_hub_that_is_silent(proxy: Proxy, events: Events) -> None:
    held = await proxy.services.job_store.get(await submitted(proxy))
    assert held is not None
    services = proxy.services
    submissions = Submissions(
        services.inference,
        services.job_store,
        services.payloads,
        services.wakeups,
        services.clock,
        local=True,
        most_publishing=2,
    )
    events.open.clear()
    waiting = asyncio.gather(*(submissions.publish(held.job) for _ in range(5)))
    await asyncio.sleep(0)
    events.open.set()
    await waiting
    await submissions.close()
    assert len(events.published) == 1 + 2


async def test_a_submission_is_one_write_of_the_request_one_of_the_head_and_one_event(
    proxy: Proxy, store: Outages, events: Events
) -> None:
    # The figures, from which the estimate is made, are read now and not again for a while.
    assert (await proxy.call("GET", "/v1/async/metrics")).status == 200
    before = dict(store.calls)
    await submitted(proxy)
    made = {name: count - before.get(name, 0) for name, count in store.calls.items()}
    assert {name: count for name, count in made.items() if count} == {"upsert": 1, "create": 1}
    assert len(events.published) == 1


@pytest.mark.parametrize("container", [JOB_PAYLOADS, JOBS], ids=lambda container: container.name)
async def test_a_submission_that_cannot_be_written_is_answered_with_503(
    proxy: Proxy, store: Outages, events: Events, container: object
) -> None:
    store.refused = {container}  # type: ignore[arg-type]
    reply = await submit(proxy)
    assert (reply.status, reply.error["code"]) == (503, "catalog_unavailable")
    assert int(reply.headers["retry-after"]) >= 1
    store.refused = set()
    assert (await proxy.call("GET", ADDRESS)).json()["data"] == []
    assert events.published == []


async def test_a_head_whose_answer_was_lost_is_known_again(
    proxy: Proxy, store: Outages, events: Events
) -> None:
    store.lost_races = 1
    id = await submitted(proxy, headers={"Idempotency-Key": "k"})
    assert len(events.published) == 1
    assert (await proxy.call("GET", ADDRESS)).json()["last_id"] == id


async def test_a_cancellation_whose_answer_was_lost_is_known_again(proxy: Proxy, store: Outages) -> None:
    id = await submitted(proxy)
    await claim(proxy, id)
    store.lost_races = 1
    reply = await proxy.call("DELETE", f"{ADDRESS}/{id}")
    assert (reply.status, reply.json()["status"]) == (200, "cancelled")


async def test_while_the_store_is_away_everything_about_jobs_is_503(proxy: Proxy, store: Outages) -> None:
    id = await submitted(proxy)
    assert (await submit(proxy, chat(), headers={"Idempotency-Key": "k"})).status == 202
    store.down = True
    asked = [
        ("POST", ADDRESS, chat()),
        ("GET", ADDRESS, None),
        ("GET", f"{ADDRESS}?after={id}", None),
        ("GET", f"{ADDRESS}/{id}", None),
        ("GET", f"{ADDRESS}/{id}/status", None),
        ("GET", f"{ADDRESS}/{id}/result", None),
        ("DELETE", f"{ADDRESS}/{id}", None),
    ]
    replies = await asyncio.gather(*(proxy.call(method, path, body) for method, path, body in asked))
    again = await submit(proxy, chat(), headers={"Idempotency-Key": "k"})
    store.down = False
    for (method, path, _), reply in zip(asked, replies, strict=True):
        assert (reply.status, reply.error["code"]) == (503, "catalog_unavailable"), (method, path)
    assert again.status == 503
    assert (await proxy.call("GET", f"{ADDRESS}/{id}/status")).json()["status"] == "queued"
