"""What a stream through the LiteLLM lane tells, and that a damaged one is never passed off as complete."""

import asyncio
import traceback
from collections.abc import Sequence
from typing import Any

import pytest

from shared.errors import (
    InvalidProviderResponse,
    ProviderRefusal,
    ProviderServerError,
    ProviderUnreachable,
    ProxyError,
)
from shared.wire.usage import read_usage
from tests.unit.providers.lane import QUESTION, Lane
from tests.upstreams import google
from tests.upstreams.behaviours import (
    DONE,
    Behaviour,
    Change,
    Frame,
    Hang,
    HangUp,
    StreamReply,
    broken_event,
    error_event,
    frame,
    without,
    without_done,
)
from tests.upstreams.openai import openai_error, without_finish_reason
from tests.upstreams.server import Upstream

KINDS = [
    ("OpenAINative", "gpt-4o"),
    ("AzureOpenAI", "gpt-4o"),
    ("AzureFoundry", "DeepSeek-V3"),
    ("AnthropicNative", "sonnet-4-5"),
    ("GoogleGemini", "gemini-2.5-flash"),
    ("GoogleVertex", "gemini-2.5-flash"),
    ("GoogleVertexClaude", "opus-4-1"),
    ("GoogleVertexMeta", "llama-3.3-70b-instruct-maas"),
    ("GoogleVertexMistral", "mistral-medium-3"),
    ("GoogleVertexJamba", "jamba-1.5-large"),
]
each_kind = pytest.mark.parametrize(("model_type", "code"), KINDS)


def upstream_of(lane: Lane, model_type: str) -> Upstream:
    if model_type == "AnthropicNative":
        return lane.anthropic
    return lane.google if model_type.startswith("Google") else lane.openai


def unfinished(frames: Sequence[Frame]) -> Sequence[Frame]:
    """The stream, in whichever format, without what says why it ended; it closes cleanly all the same."""
    if any("candidates" in item.data for item in frames):
        return google.without_finish(frames)
    if any("message_start" in item.event for item in frames):
        return without("message_delta", "message_stop")(frames)
    return without_finish_reason(frames)


@each_kind
async def test_a_whole_stream_says_who_what_and_why_it_ended(lane: Lane, model_type: str, code: str) -> None:
    told = await lane.tell(lane.model(model_type, code))

    chunks = [chunk for chunk in told.chunks if chunk.get("object")]
    assert told.done
    assert told.text == lane.openai.text
    assert told.finish_reasons == ["stop"]
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert len({chunk["created"] for chunk in chunks}) == 1
    assert all(chunk["model"] for chunk in chunks)
    assert next(chunk for chunk in chunks if chunk["choices"])["choices"][0]["delta"]["role"] == "assistant"
    for chunk in chunks:
        assert all(choice.keys() >= {"index", "delta", "finish_reason"} for choice in chunk["choices"])


@each_kind
async def test_the_usage_comes_in_a_last_chunk_without_choices(
    lane: Lane, model_type: str, code: str
) -> None:
    if model_type == "GoogleVertexMistral":
        upstream_of(lane, model_type).script(StreamReply(change=_usage_beside_the_finish))
    told = await lane.tell(lane.model(model_type, code))

    last = told.chunks[-1]
    assert last["choices"] == []
    usage = read_usage(last["usage"])
    assert usage is not None
    assert usage.prompt > 0
    assert usage.completion > 0
    assert not any(chunk.get("usage") for chunk in told.chunks[:-1])


def _usage_beside_the_finish(frames: Sequence[Frame]) -> Sequence[Frame]:
    """As Mistral does: its last chunk has choices and usage both, whether or not it was asked."""
    made = []
    for item in frames:
        content = item.json() if item != DONE else {}
        if any(choice.get("finish_reason") for choice in content.get("choices") or ()):
            content["usage"] = {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14}
            item = frame(content)
        made.append(item)
    return made


@each_kind
async def test_no_field_of_litellms_own_gets_out(lane: Lane, model_type: str, code: str) -> None:
    told = await lane.tell(lane.model(model_type, code))

    private = {"provider_specific_fields", "citations", "enhancements", "hidden_params"}
    for chunk in told.chunks:
        assert not private & chunk.keys()
        for choice in chunk["choices"]:
            assert not private & (choice.keys() | choice["delta"].keys())
            assert not any(name.startswith("_") for name in choice["delta"])


@each_kind
@pytest.mark.parametrize("stop_after", [3, 6])
async def test_a_cut_stream_is_an_error(lane: Lane, model_type: str, code: str, stop_after: int) -> None:
    upstream_of(lane, model_type).script(StreamReply(stop_after=stop_after, ending="cut"))
    with pytest.raises(ProviderUnreachable):
        await lane.tell(lane.model(model_type, code))


@each_kind
async def test_a_stream_that_only_stops_gets_no_finish_reason(lane: Lane, model_type: str, code: str) -> None:
    upstream_of(lane, model_type).script(StreamReply(change=unfinished))
    told = await lane.tell(lane.model(model_type, code))

    assert told.text == lane.openai.text
    assert told.finish_reasons == []
    assert not told.done


@each_kind
async def test_a_stream_that_stops_in_the_middle_is_not_done(lane: Lane, model_type: str, code: str) -> None:
    upstream_of(lane, model_type).script(StreamReply(stop_after=5))
    told = await lane.tell(lane.model(model_type, code))

    assert told.finish_reasons == []
    assert not told.done


@pytest.mark.parametrize("code", ["llama-3.3-70b-instruct-maas"])
async def test_a_done_alone_is_no_finish_reason(lane: Lane, code: str) -> None:
    def only_done(frames: Sequence[Frame]) -> Sequence[Frame]:
        return [*without_finish_reason(frames), DONE]

    lane.google.script(StreamReply(change=only_done))
    told = await lane.tell(lane.model("GoogleVertexMeta", code))

    assert told.finish_reasons == []
    assert not told.done


async def test_a_complete_stream_without_done_is_complete(lane: Lane) -> None:
    for model_type, code in KINDS:
        upstream_of(lane, model_type).script(StreamReply(change=without_done))
        assert (await lane.tell(lane.model(model_type, code))).done


@each_kind
@pytest.mark.parametrize("at", [0, 4])
async def test_a_broken_event_is_an_error(lane: Lane, model_type: str, code: str, at: int) -> None:
    upstream_of(lane, model_type).script(StreamReply(change=broken_event(at)))
    with pytest.raises(InvalidProviderResponse):
        await lane.tell(lane.model(model_type, code))


@each_kind
async def test_an_error_event_is_an_error_of_the_provider(lane: Lane, model_type: str, code: str) -> None:
    upstream_of(lane, model_type).script(StreamReply(change=_error_in_its_format(model_type)))
    with pytest.raises(ProviderServerError) as caught:
        await lane.tell(lane.model(model_type, code))

    assert "The model is overloaded." in caught.value.message


def _error_in_its_format(model_type: str) -> Change:
    message = "The model is overloaded."
    if model_type in ("AnthropicNative", "GoogleVertexClaude"):
        error: dict[str, Any] = {"type": "error", "error": {"type": "overloaded_error", "message": message}}
        return error_event(4, error, "error")
    if model_type in ("GoogleGemini", "GoogleVertex"):
        return error_event(4, {"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}})
    return error_event(
        4, {"error": {"message": message, "type": "server_error", "code": None, "param": None}}
    )


async def test_a_rate_limit_within_a_stream_keeps_its_status(lane: Lane) -> None:
    error = {"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED"}}
    lane.google.script(StreamReply(change=error_event(2, error)))
    with pytest.raises(ProviderRefusal) as caught:
        await lane.tell(lane.model("GoogleVertex", "gemini-2.5-flash"))

    assert caught.value.status == 429
    assert caught.value.code == "RESOURCE_EXHAUSTED"


@each_kind
async def test_the_network_may_cut_anywhere_and_the_format_may_vary(
    lane: Lane, model_type: str, code: str
) -> None:
    whole = await lane.tell(lane.model(model_type, code))
    for variant in (
        StreamReply(slices=1),
        StreamReply(slices=7, line_end="\r\n"),
        StreamReply(comments=True),
        StreamReply(split_data=True),
    ):
        if model_type in ("OpenAINative", "AzureOpenAI") and variant.slices == 1:
            continue  # OpenAI's own client reads these, and its decoder is its own affair.
        upstream_of(lane, model_type).script(variant)
        told = await lane.tell(lane.model(model_type, code))
        assert told.done
        assert told.text == whole.text
        assert told.finish_reasons == whole.finish_reasons


async def test_line_separators_within_a_text_survive(lane: Lane) -> None:
    text = "one\u2028two\u2029three\x85four"
    lane.google.text = lane.anthropic.text = text
    for model_type, code in (
        ("AnthropicNative", "sonnet-4-5"),
        ("GoogleVertex", "gemini-2.5-flash"),
        ("GoogleVertexMeta", "llama-3.3-70b-instruct-maas"),
    ):
        told = await lane.tell(lane.model(model_type, code))
        assert told.done
        assert told.text.startswith("one\u2028two")
        assert told.text.endswith("four")


@each_kind
async def test_what_is_refused_shows_when_the_stream_is_opened(
    lane: Lane, model_type: str, code: str
) -> None:
    refusal = openai_error(429, "Slow down.", type="rate_limit_error", headers={"retry-after": "7"})
    upstream_of(lane, model_type).script(refusal)
    with pytest.raises(ProviderRefusal) as caught:
        await lane.provider.open(lane.call(lane.model(model_type, code), streamed=True))

    assert caught.value.status == 429
    assert caught.value.message == "Slow down."
    assert caught.value.retry_after == 7


@each_kind
async def test_a_provider_that_hangs_up_is_unreachable(lane: Lane, model_type: str, code: str) -> None:
    model = lane.model(model_type, code)
    upstream_of(lane, model_type).script(HangUp(), HangUp())
    with pytest.raises(ProviderUnreachable):
        await lane.tell(model)
    with pytest.raises(ProviderUnreachable):
        await lane.send(model)


@each_kind
async def test_closing_a_stream_closes_the_providers_connection(
    lane: Lane, model_type: str, code: str
) -> None:
    upstream = upstream_of(lane, model_type)
    upstream.script(StreamReply(stop_after=4, ending="stall"))
    events = await lane.provider.open(lane.call(lane.model(model_type, code), streamed=True))
    iterator = aiter(events)
    await anext(iterator)
    await iterator.aclose()
    await events.aclose()

    await upstream.wait_disconnected(timeout=1.0)


@each_kind
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("behaviour", [Hang(), StreamReply(stop_after=4, ending="stall")])
async def test_a_cancelled_call_leaves_the_provider(
    lane: Lane, model_type: str, code: str, streamed: bool, behaviour: Behaviour
) -> None:
    if not streamed and isinstance(behaviour, StreamReply):
        return
    upstream = upstream_of(lane, model_type)
    upstream.script(behaviour)
    model = lane.model(model_type, code)
    task = asyncio.ensure_future(lane.tell(model) if streamed else lane.send(model))
    await upstream.wait_requests(1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    await upstream.wait_disconnected(timeout=1.0)


async def test_several_choices_keep_their_indexes_and_logprobs(lane: Lane) -> None:
    body = {"n": 2, "logprobs": True, "top_logprobs": 1}
    for model_type, code in (
        ("OpenAINative", "gpt-4o"),
        ("AzureFoundry", "DeepSeek-V3"),
        ("GoogleVertexMeta", "llama-3.3-70b-instruct-maas"),
    ):
        told = await lane.tell(lane.model(model_type, code), **body)
        choices = [choice for chunk in told.chunks for choice in chunk["choices"]]
        assert told.done
        for index in (0, 1):
            mine = [choice for choice in choices if choice["index"] == index]
            assert "".join(choice["delta"].get("content") or "" for choice in mine) == lane.openai.text
            assert [choice["finish_reason"] for choice in mine if choice["finish_reason"]] == ["stop"]
            assert any(choice["logprobs"] for choice in mine)


async def test_several_candidates_of_gemini_keep_their_indexes(lane: Lane) -> None:
    told = await lane.tell(lane.model("GoogleVertex", "gemini-2.5-flash"), n=2)

    finished = {
        choice["index"] for chunk in told.chunks for choice in chunk["choices"] if choice["finish_reason"]
    }
    assert finished == {0, 1}
    assert told.done


async def test_one_of_two_choices_is_half_an_answer(lane: Lane) -> None:
    lane.google.script(
        StreamReply(change=lambda frames: [item for item in frames if '"index":1' not in item.data])
    )
    told = await lane.tell(lane.model("GoogleVertex", "gemini-2.5-flash"), n=2)
    assert not told.done


async def test_reasoning_is_streamed_beside_the_text(lane: Lane) -> None:
    lane.openai.reasoning = lane.google.thinking = "Let me think."
    for model_type, code in (("OpenAICompatible", "local"), ("GoogleVertex", "gemini-2.5-flash")):
        told = await lane.tell(lane.model(model_type, code))
        deltas = [choice["delta"] for chunk in told.chunks for choice in chunk["choices"]]
        assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == "Let me think."
        assert told.text == lane.openai.text


async def test_usage_is_not_asked_of_servers_that_refuse_the_question(lane: Lane) -> None:
    await lane.tell(lane.model("OpenAICompatible", "local"))
    assert lane.openai.requests[-1].body["stream_options"] == {"include_usage": True}

    await lane.tell(lane.model("OpenAICompatible", "local", stream_usage=False))
    assert "stream_options" not in lane.openai.requests[-1].body


async def test_the_providers_limits_are_shown_and_its_cookies_are_not(lane: Lane) -> None:
    told = await lane.tell(lane.model("OpenAINative", "gpt-4o"))
    answer = await lane.send(lane.model("OpenAINative", "gpt-4o"))

    for headers in (told.headers, answer.headers):
        assert headers["x-upstream-ratelimit-remaining-requests"] == "4999"
        assert not {"set-cookie", "openai-organization", "x-upstream-set-cookie"} & headers.keys()


async def test_a_message_that_was_blocked_ends_as_content_filter(lane: Lane) -> None:
    blocked = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}, "modelVersion": "gemini-2.5-flash"}
    lane.google.script(StreamReply(frames=[frame(blocked)]))
    told = await lane.tell(lane.model("GoogleVertex", "gemini-2.5-flash"), messages=QUESTION)

    assert told.finish_reasons == ["content_filter"]
    assert told.done


async def test_an_error_never_carries_the_credential(lane: Lane) -> None:
    secret = lane.secrets.texts["key"]
    for model_type, code in (("OpenAINative", "gpt-4o"), ("AnthropicNative", "sonnet-4-5")):
        upstream_of(lane, model_type).script(
            StreamReply(
                change=error_event(3, {"error": {"message": f"Bad key {secret}", "type": "server_error"}})
            )
        )
        with pytest.raises(ProxyError) as caught:
            await lane.tell(lane.model(model_type, code))
        assert secret not in "".join(traceback.format_exception(caught.value))
