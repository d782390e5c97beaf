"""Legacy text completions on the LiteLLM lane."""

from typing import Any

import pytest

from shared.errors import InvalidValue, MissingParameter, UnsupportedParameter
from shared.providers.calls import Answer
from shared.providers.litellm_lane.text import TextEvents
from tests.unit.providers.lane import Lane
from tests.upstreams.behaviours import StreamReply

PROMPT = {"prompt": "What does the fox do?"}


async def plain(lane: Lane, model_type: str, code: str, **body: Any) -> Answer:
    model = lane.model(model_type, code)
    return await lane.provider.send(lane.call(model, path="completions", **body))


async def test_a_model_that_chats_answers_a_prompt_with_text(lane: Lane) -> None:
    for model_type, code in (("AnthropicNative", "sonnet-4-5"), ("GoogleVertex", "gemini-2.5-flash")):
        answer = await plain(lane, model_type, code, **PROMPT, max_tokens=50)

        assert answer.content["object"] == "text_completion"
        assert answer.content["choices"] == [
            {"text": lane.openai.text, "index": 0, "logprobs": None, "finish_reason": "stop"}
        ]
        assert answer.usage is not None
    assert lane.anthropic.requests[-1].body["messages"][0]["content"][0]["text"] == PROMPT["prompt"]
    assert lane.anthropic.requests[-1].body["max_tokens"] == 50


async def test_its_stream_is_one_of_text_too(lane: Lane) -> None:
    model = lane.model("AnthropicNative", "sonnet-4-5")
    events = await lane.provider.open(lane.call(model, streamed=True, path="completions", **PROMPT))
    chunks = [event.chunk async for event in events]
    await events.aclose()

    assert events.done
    assert {chunk["object"] for chunk in chunks} == {"text_completion"}
    assert "".join(choice["text"] for chunk in chunks for choice in chunk["choices"]) == lane.anthropic.text
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] > 0


async def test_a_stream_of_text_that_stops_in_the_middle_is_not_done(lane: Lane) -> None:
    model = lane.model("AnthropicNative", "sonnet-4-5")
    lane.anthropic.script(StreamReply(stop_after=5))
    events = await lane.provider.open(lane.call(model, streamed=True, path="completions", **PROMPT))
    assert isinstance(events, TextEvents)
    chunks = [event.chunk async for event in events]
    await events.aclose()
    assert not any(choice["finish_reason"] for chunk in chunks for choice in chunk["choices"])
    assert not events.done


async def test_logprobs_take_the_shape_of_text_completions(lane: Lane) -> None:
    answer = await plain(lane, "GoogleVertexMeta", "llama-3.3-70b-instruct-maas", **PROMPT, logprobs=1)

    assert lane.google.requests[-1].body["logprobs"] is True
    assert lane.google.requests[-1].body["top_logprobs"] == 1
    logprobs = answer.content["choices"][0]["logprobs"]
    assert "".join(logprobs["tokens"]) == lane.google.text
    assert logprobs["text_offset"][:2] == [0, len(logprobs["tokens"][0])]
    assert logprobs["top_logprobs"][0] == {"The ": -0.25}


async def test_models_that_have_completions_of_their_own_are_asked_for_them(lane: Lane) -> None:
    body = {"prompt": ["one", "two"], "echo": True, "logprobs": 2, "n": 2}
    answer = await plain(lane, "OpenAINative", "gpt-3.5-turbo-instruct", **body)

    assert lane.openai.requests[-1].path == "/v1/completions"
    assert lane.openai.requests[-1].body == {"model": "gpt-3.5-turbo-instruct", **body}
    assert len(answer.content["choices"]) == 2


@pytest.mark.parametrize("prompt", [["one", "two"], [1, 2, 3], [[1, 2], [3]], 7])
async def test_what_is_not_one_prompt_in_words_is_refused(lane: Lane, prompt: Any) -> None:
    with pytest.raises(InvalidValue) as caught:
        await plain(lane, "AnthropicNative", "sonnet-4-5", prompt=prompt)
    assert caught.value.param == "prompt"


async def test_a_prompt_is_required(lane: Lane) -> None:
    with pytest.raises(MissingParameter):
        await plain(lane, "AnthropicNative", "sonnet-4-5", max_tokens=5)


@pytest.mark.parametrize("refused", [{"echo": True}, {"best_of": 3}, {"suffix": "the end"}])
async def test_what_a_chat_has_no_words_for_is_refused(lane: Lane, refused: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedParameter) as caught:
        await plain(lane, "AnthropicNative", "sonnet-4-5", **PROMPT, **refused)
    assert caught.value.param == next(iter(refused))
