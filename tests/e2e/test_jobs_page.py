"""The page about jobs: its commands and examples run as they stand there, and its tables are what the code says."""

import json
import re
import sys
from collections.abc import Iterator

import pytest

from shared.jobs.fields import JOB_FIELDS, MAX_LABEL, MAX_TAG, MAX_TAGS, PRIORITIES
from shared.jobs.notices import EVENTS
from shared.jobs.submission import MAX_BODY
from tests.e2e.local_host import ROOT, LocalHost, local_host
from tests.e2e.pages import blocks, needs_curl, run, shell

PAGE = (ROOT / "docs" / "jobs.md").read_text(encoding="utf-8")
SECTION = PAGE.split("\n## Submit, poll, cancel\n")[1].split("\n## ")[0]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalHost]:
    with local_host(tmp_path_factory.mktemp("checkout") / ".local") as running:
        yield running


@needs_curl
def test_the_commands_submit_a_job_and_list_what_waits(host: LocalHost) -> None:
    submit, waiting = blocks(SECTION, "bash")
    job = json.loads(shell(host, submit))
    assert (job["status"], job["priority"]) == ("queued", 3)
    # The key makes the same job of the second submission.
    assert json.loads(shell(host, submit))["id"] == job["id"]
    assert json.loads(shell(host, waiting))["object"] == "list"


def test_the_example_waits_for_its_completion(host: LocalHost) -> None:
    [example] = blocks(SECTION, "python")
    assert "Hello" in run(host, sys.executable, "-c", example)


def test_the_page_names_every_field_of_a_job_and_its_limits() -> None:
    table = SECTION.split("| Field |")[1].split("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split(" | ")[0])}
    assert named == {*JOB_FIELDS, "metadata"}
    words = ", ".join(f"`{word}` ({number})" for word, number in PRIORITIES.items())
    for said in (
        words,
        ", ".join(f"`{event}`" for event in EVENTS),
        f"{MAX_LABEL} characters",
        f"{MAX_BODY:,}",
    ):
        assert said in SECTION
    assert f"at most {MAX_TAGS} texts of 1 to {MAX_TAG} characters" in SECTION
