"""The JSON Schema of a message, and the page about it, against the code that takes messages."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from shared.containers import MODELS, PROJECTS
from shared.jobs.dead_letters import DAYS
from shared.jobs.job import Status
from shared.jobs.messages import Cancel, Direct, read_message
from shared.openapi.job_message import written
from tests.unit.jobs.intake_world import QUESTION, World, build_world, model

DOCS = Path(__file__).resolve().parents[3] / "docs"
FILE = (DOCS / "job-message.schema.json").read_text(encoding="utf-8")
SECTION = (DOCS / "jobs.md").read_text(encoding="utf-8").split("\n## Without HTTP\n")[1].split("\n## ")[0]
EXAMPLES = [
    json.loads(text) for text in re.findall(r"^```json\n(.*?)^```", SECTION, re.MULTILINE | re.DOTALL)
]
SCHEMA = Draft202012Validator(json.loads(FILE))
GOOD: list[Any] = [
    {**QUESTION},
    {"execution_id": "a-1._B", **QUESTION},
    {"request_id": "a", "payload": QUESTION},
    {"action": "run", "request_params": {**QUESTION, "top_k": 4}},
    {**QUESTION, "stream": False, "temperature": 0.5, "unheard_of": [1]},
    {**QUESTION, "priority": "critical", "timeout_seconds": 30, "ttl_hours": 168, "async_max_retries": 0},
    {
        **QUESTION,
        "async_retry_delay": 0.1,
        "client_id": "c",
        "session_id": None,
        "tags": ["t"],
        "metadata": {},
    },
    {**QUESTION, "webhook_url": "https://example.com/hook", "webhook_events": ["started", "failed"]},
]
BAD: list[Any] = [
    {"model": "chat"},
    {"model": "chat", "messages": []},
    {"model": "chat", "messages": [{"content": "Hello"}]},
    {**QUESTION, "project_id": ""},
    {**QUESTION, "project_id": 7},
    {**QUESTION, "project_id": "x" * 129},
    {**QUESTION, "execution_id": "a b"},
    {**QUESTION, "execution_id": "x" * 129},
    {**QUESTION, "request_id": ""},
    {**QUESTION, "action": "start"},
    {"action": "cancel"},
    {"payload": "text"},
    {"payload": QUESTION, "request_params": QUESTION},
    {"payload": {"model": "chat"}},
    {**QUESTION, "stream": True},
    {**QUESTION, "model": ""},
    {**QUESTION, "priority": 0},
    {**QUESTION, "priority": "urgent"},
    {**QUESTION, "timeout_seconds": 29},
    {**QUESTION, "ttl_hours": 169},
    {**QUESTION, "async_max_retries": 6},
    {**QUESTION, "async_retry_delay": 0},
    {**QUESTION, "client_id": 7},
    {**QUESTION, "tags": [""]},
    {**QUESTION, "metadata": []},
    {**QUESTION, "webhook_events": ["ended"]},
]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await build_world(tmp_path)
    await world.outages.create(MODELS, model("gpt-4o-mini"))
    await world.outages.create(PROJECTS, {"id": "research"})
    yield world
    await world.services.close()


def test_the_file_is_what_the_code_says() -> None:
    """`python -m shared.openapi.job_message > docs/job-message.schema.json` writes it."""
    assert written() == FILE
    Draft202012Validator.check_schema(json.loads(FILE))


@pytest.mark.parametrize("body", GOOD)
async def test_what_the_schema_takes_is_a_queued_job(world: World, body: Any) -> None:
    message = {"project_id": "team", **body}
    SCHEMA.validate(message)
    job = await world.send(message)
    assert job is not None
    assert job.status is Status.QUEUED, job.failure


@pytest.mark.parametrize("body", BAD)
async def test_what_the_schema_refuses_is_a_failed_job_or_a_dead_letter(world: World, body: Any) -> None:
    message = {"project_id": "team", **body}
    assert not SCHEMA.is_valid(message)
    job = await world.send(message)
    assert len(await world.letters()) == 1 if job is None else job.status is Status.FAILED


async def test_the_pages_messages_are_a_job_and_its_cancellation(world: World) -> None:
    job, cancellation = EXAMPLES
    for example in EXAMPLES:
        SCHEMA.validate(example)
    queued = await world.send(job)
    assert queued is not None
    assert (queued.status, queued.options.ttl_seconds) == (Status.QUEUED, 48 * 3600)
    assert isinstance(read_message(world.received(job), ""), Direct)
    assert isinstance(read_message(world.received(cancellation), ""), Cancel)
    await world.send(cancellation)
    held = await world.services.job_store.get(queued.id)
    assert held is not None
    assert held.job.status is Status.CANCELLED


def test_the_message_of_the_command_is_a_job_too() -> None:
    (command,) = re.findall(r"^curl .*?-d '(.*?)'$", SECTION, re.MULTILINE | re.DOTALL)
    SCHEMA.validate(json.loads(command))


def test_the_page_says_how_long_dead_letters_stay() -> None:
    assert f"kept for {DAYS} days" in SECTION
