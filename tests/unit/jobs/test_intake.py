"""Messages that publishers send without HTTP: what becomes a job, what fails at once, what is a dead letter."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from shared.containers import JOB_PAYLOADS, JOBS
from shared.errors import StoreUnavailable
from shared.jobs.job import Status
from shared.jobs.messages import Reason
from tests.unit.jobs.intake_world import QUESTION, World, build_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await build_world(tmp_path)
    yield world
    world.outages.down = False
    await world.services.close()


async def test_a_message_becomes_a_queued_job_of_its_project(world: World) -> None:
    job = await world.send({"project_id": "team", "execution_id": "mine", "priority": 2, **QUESTION})
    assert job is not None
    assert (job.id, job.project, job.status, job.options.priority) == ("mine", "team", Status.QUEUED, 2)
    assert (await world.services.payloads.request(job))["body"] == QUESTION
    assert await world.letters() == []


@pytest.mark.parametrize("place", ["payload", "request_params"])
async def test_the_same_body_makes_the_same_job_wherever_it_lies(world: World, place: str) -> None:
    flat = await world.send({"project_id": "team", "execution_id": "mine", **QUESTION})
    inside = await world.send({"project_id": "team", "request_id": "mine", place: QUESTION})
    assert flat == inside is not None
    assert await world.letters() == []


async def test_an_event_that_is_delivered_again_is_the_same_job(world: World) -> None:
    event = world.received({"project_id": "team", **QUESTION})
    first, second = await world.take(event), await world.take(event)
    assert first is not None
    assert first == second
    other = await world.send({"project_id": "team", **QUESTION})
    assert other is not None
    assert other.id != first.id


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ({"messages": QUESTION["messages"]}, 400, "missing_required_parameter", "model"),
        ({"model": "chat"}, 400, "missing_required_parameter", "messages"),
        ({"model": "chat", "messages": "Hello"}, 400, "invalid_value", "messages"),
        ({**QUESTION, "stream": True}, 400, "unsupported_parameter", "stream"),
        ({**QUESTION, "priority": 11}, 400, "invalid_value", "priority"),
        ({**QUESTION, "api_key": "x"}, 400, "unsupported_parameter", "api_key"),
        ({**QUESTION, "model": "nowhere"}, 404, "model_not_found", "model"),
        ({**QUESTION, "model": "hidden"}, 404, "model_not_found", "model"),
        ({**QUESTION, "project_id": "nobody"}, 404, "not_found", "project_id"),
        ({**QUESTION, "action": "start"}, 400, "invalid_value", "action"),
        ({"payload": [1]}, 400, "invalid_value", "payload"),
        ({}, 400, "missing_required_parameter", "messages"),
    ],
)
async def test_what_cannot_run_is_a_failed_job(
    world: World, body: Any, status: int, code: str, param: str
) -> None:
    job = await world.send({"project_id": "team", "execution_id": "mine", **body})
    assert job is not None
    assert (job.status, job.completed_at) == (Status.FAILED, world.clock.now)
    assert job.failure is not None
    assert (job.failure.status, job.failure.code, job.failure.param) == (status, code, param)
    # Its client can look at it as at any other.
    shown = await world.services.jobs.get(job.project, "mine")
    assert (shown["status"], shown["messages"]) == ("failed", body.get("messages"))
    assert await world.letters() == []


async def test_a_failed_job_tells_the_one_who_asked_to_be_told(world: World) -> None:
    hook = {"webhook_url": "http://127.0.0.1:9/hook"}
    job = await world.send({"project_id": "team", **QUESTION, "model": "nowhere", **hook})
    assert job is not None
    assert [notice.event for notice in job.notices] == ["failed"]


async def test_a_body_that_is_nested_too_deep_is_a_failed_job(world: World) -> None:
    deep = b"[" * 900 + b"]" * 900
    event = b'{"project_id": "team", "execution_id": "mine", "model": "chat", "messages": %b}' % deep
    job = await world.send(event)
    assert job is not None
    assert job.failure is not None
    assert job.failure.code == "invalid_json"
    assert await world.send(event) == job
    twice = b'{"project_id": "team", "payload": {"messages": %b}, "messages": %b}' % (deep, deep)
    assert await world.send(twice) is not None


async def test_a_message_of_a_megabyte_is_a_job(world: World) -> None:
    large = {**QUESTION, "messages": [{"role": "user", "content": "x" * 1_000_000}]}
    job = await world.send({"project_id": "team", **large})
    assert job is not None
    assert job.status is Status.QUEUED
    assert (await world.services.payloads.request(job))["body"] == large


async def test_the_default_project_is_there_from_the_beginning(world: World) -> None:
    job = await world.send({"project_id": "default", **QUESTION})
    assert job is not None
    assert job.status is Status.QUEUED


@pytest.mark.parametrize(
    "second",
    [
        {"project_id": "team", **QUESTION, "temperature": 1},
        {"project_id": "other", **QUESTION},
        {"project_id": "team", **QUESTION, "model": "nowhere"},
        {"project_id": "nobody", **QUESTION},
        {"project_id": "team", "action": "start", **QUESTION, "messages": 1},
    ],
)
async def test_what_exists_wins_and_another_message_with_its_id_is_a_dead_letter(
    world: World, second: Any
) -> None:
    first = await world.send({"project_id": "team", "execution_id": "mine", **QUESTION})
    assert await world.send({"execution_id": "mine", **second}) is None
    found = await world.services.job_store.get("mine")
    assert found is not None
    assert found.job == first
    assert [letter["reason"] for letter in await world.letters()] == [Reason.ID_TAKEN]


async def test_two_messages_at_once_make_one_job_and_one_dead_letter(world: World) -> None:
    events = [
        world.received({"project_id": "team", "execution_id": "mine", **QUESTION, "seed": seed})
        for seed in (1, 2)
    ]
    jobs = await asyncio.gather(*(world.take(event) for event in events))
    assert jobs.count(None) == 1
    assert len(await world.letters()) == 1


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[1]", QUESTION, {"project_id": "team", "execution_id": "a b"}]
)
async def test_what_is_no_job_is_kept_as_a_dead_letter(world: World, body: Any) -> None:
    assert await world.send(body) is None
    assert len(await world.letters()) == 1
    assert await world.jobs() == 0


async def test_a_cancellation_cancels_the_job_of_its_project(world: World) -> None:
    await world.send({"project_id": "team", "execution_id": "mine", **QUESTION})
    cancel = {"action": "cancel", "execution_id": "mine", "project_id": "team"}
    await world.send(cancel)
    found = await world.services.job_store.get("mine")
    assert found is not None
    assert found.job.status is Status.CANCELLED
    # Once more, or too late: it has ended, and stays as it is.
    await world.send(cancel)
    assert await world.letters() == []


@pytest.mark.parametrize(("id", "project"), [("nothing", "team"), ("mine", "other")])
async def test_a_cancellation_of_what_is_not_there_for_the_project_is_a_dead_letter(
    world: World, id: str, project: str
) -> None:
    await world.send({"project_id": "team", "execution_id": "mine", **QUESTION})
    await world.send({"action": "cancel", "execution_id": id, "project_id": project})
    found = await world.services.job_store.get("mine")
    assert found is not None
    assert found.job.status is Status.QUEUED
    assert [letter["reason"] for letter in await world.letters()] == [Reason.UNKNOWN_JOB]


@pytest.mark.parametrize(
    "body",
    [
        {"project_id": "team", "execution_id": "new", **QUESTION},
        {"project_id": "team", "execution_id": "new", **QUESTION, "model": "nowhere"},
        {"project_id": "team", "execution_id": "mine", **QUESTION, "seed": 1},
        {"project_id": "team", "action": "cancel", "execution_id": "mine"},
        {"project_id": "team", "action": "cancel", "execution_id": "nothing"},
        b"not json",
    ],
)
async def test_without_a_store_nothing_is_decided_and_later_all_is(world: World, body: Any) -> None:
    await world.send({"project_id": "team", "execution_id": "mine", **QUESTION})
    event = world.received(body)
    world.outages.down = True
    with pytest.raises(StoreUnavailable):
        await world.take(event)
    world.outages.down = False
    await world.take(event)
    before = await world.jobs(), await world.letters()
    await world.take(event)
    assert (await world.jobs(), await world.letters()) == before


async def test_a_store_that_takes_no_writes_leaves_the_event_to_be_delivered_again(world: World) -> None:
    event = world.received({"project_id": "team", **QUESTION})
    for container in (JOBS, JOB_PAYLOADS):
        world.outages.refused = {container}
        with pytest.raises(StoreUnavailable):
            await world.take(event)
    world.outages.refused = set()
    job = await world.take(event)
    assert job is not None
    assert job.status is Status.QUEUED


async def test_a_message_that_the_proxy_fails_to_handle_is_kept(world: World) -> None:
    world.outages.failing = {"upsert": ZeroDivisionError()}
    assert await world.send({"project_id": "team", **QUESTION}) is None
    assert [letter["reason"] for letter in await world.letters()] == [Reason.FAILED]
