"""The page for receivers, against the code."""

import asyncio
import re
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.clock import SystemClock
from shared.webhooks.addresses import MAX_ADDRESS
from shared.webhooks.delivery import TIMEOUT, Webhooks
from shared.webhooks.outcome import Outcome, Verdict
from shared.webhooks.pauses import LONGEST_PAUSE, PAUSES
from shared.webhooks.signing import PREVIOUS_MASTER, project_secret
from tests.unit.webhooks.receiver import MASTER, Masters, message_to

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "webhooks.md").read_text(encoding="utf-8")
[EXAMPLE] = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


async def deliver_to_the_example(project: str) -> Outcome:
    """What comes of a message of `project` to the page's own receiver, which has the secret of `team`."""
    made: dict[str, Any] = {"__name__": "example"}
    exec(compile(EXAMPLE, "docs/webhooks.md", "exec"), made)
    made["SECRET"] = project_secret(MASTER, "team")
    handler: type[BaseHTTPRequestHandler] = made["Hooks"]
    webhooks = Webhooks(Masters(), SystemClock(), local=True)
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            return await webhooks.deliver(
                message_to(f"http://127.0.0.1:{server.server_port}/hooks", project=project)
            )
        finally:
            await webhooks.close()
            await asyncio.to_thread(server.shutdown)
            await asyncio.to_thread(thread.join)


async def test_the_example_takes_a_message_and_sees_what_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = await deliver_to_the_example("team")
    assert (outcome.verdict, outcome.status) == (Verdict.DELIVERED, 204)
    assert capsys.readouterr().out == "msg_1 chat.completion.completed job-1\n"


async def test_the_example_refuses_a_message_of_another_project(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = await deliver_to_the_example("other")
    assert (outcome.verdict, outcome.status) == (Verdict.GIVEN_UP, 401)
    assert capsys.readouterr().out == ""


def test_the_page_has_the_codes_own_numbers() -> None:
    assert TIMEOUT == 10
    assert "within ten seconds" in PAGE
    assert list(PAUSES) == [15, 60, 5 * 60, 30 * 60, 2 * 3600]
    assert "five more, with 15 seconds, 1 minute, 5 minutes, 30 minutes and 2 hours between" in PAGE
    assert LONGEST_PAUSE == 2 * 3600
    assert "up to two hours" in PAGE
    assert f"at most {MAX_ADDRESS:,} characters" in PAGE
    assert f"`{PREVIOUS_MASTER}`" in PAGE
