"""Moderations on the LiteLLM lane: OpenAI's address, names and shapes."""

from typing import Any

import orjson
import pytest

from shared.errors import ProviderRefusal, UnsupportedOperation
from shared.providers.calls import Answer
from tests.unit.providers.lane import KEY, Lane
from tests.upstreams.openai import openai_error
from tests.upstreams.vectors import openai_moderations

OPENAI = ("OpenAINative", "omni-moderation-latest")


async def moderate(lane: Lane, kind: tuple[str, str], **body: Any) -> Answer:
    model = lane.model(*kind, extra_headers={"x-team": "red"})
    return await lane.provider.send(lane.call(model, path="moderations", **body))


@pytest.mark.parametrize("given", ["I will kill", ["a", "kill"], [{"type": "text", "text": "kill"}]])
async def test_openai_is_asked_and_answers_in_its_own_names(lane: Lane, given: Any) -> None:
    answer = await moderate(lane, OPENAI, input=given)
    [received] = lane.openai.requests
    assert received.path == "/v1/moderations"
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.headers["x-team"] == "red"
    assert received.body == {"model": "omni-moderation-latest", "input": given}
    assert orjson.loads(answer.body) == openai_moderations(received.body)


async def test_what_the_library_cannot_pass_on_is_reported(lane: Lane) -> None:
    answer = await moderate(lane, OPENAI, input="a", unheard_of=1, nothing=None)
    assert answer.dropped == ("unheard_of",)


async def test_a_failure_is_asked_once(lane: Lane) -> None:
    lane.openai.always(openai_error(429, "Slow down.", headers={"retry-after": "3"}))
    with pytest.raises(ProviderRefusal) as caught:
        await moderate(lane, OPENAI, input="a")
    assert (caught.value.status, caught.value.retry_after) == (429, 3)
    assert len(lane.openai.requests) == 1


@pytest.mark.parametrize("kind", [("GoogleVertex", "gemini-2.5-flash"), ("GoogleGemini", "gemini-2.5-flash")])
async def test_others_have_no_moderations(lane: Lane, kind: tuple[str, str]) -> None:
    with pytest.raises(UnsupportedOperation) as caught:
        await moderate(lane, kind, input="a")
    assert caught.value.param == "model"
