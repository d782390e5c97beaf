"""Chat completions through the official client: what it sees is the same whoever answers."""

import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from tests.e2e.world import ASKED

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURE = "data:image/png;base64,iVBORw0KGgo="
MIXED: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": "Answer briefly."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "What do you see and hear?"},
            {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
            {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
        ],
    },
]


def said(chunks: list[ChatCompletionChunk], index: int = 0) -> str:
    """The text of one choice of a stream."""
    return "".join(
        choice.delta.content or "" for chunk in chunks for choice in chunk.choices if choice.index == index
    )


async def test_a_question_is_answered(openai: AsyncOpenAI, model: str) -> None:
    answer = await openai.chat.completions.create(model=model, messages=ASKED)
    assert answer.object == "chat.completion"
    [choice] = answer.choices
    assert (choice.message.role, choice.finish_reason) == ("assistant", "stop")
    assert choice.message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0


async def test_a_stream_says_what_the_plain_answer_says(openai: AsyncOpenAI, model: str) -> None:
    plain = await openai.chat.completions.create(model=model, messages=ASKED)
    stream = await openai.chat.completions.create(model=model, messages=ASKED, stream=True)
    chunks = [chunk async for chunk in stream]
    assert said(chunks) == plain.choices[0].message.content
    with_choices = [chunk for chunk in chunks if chunk.choices]
    assert len({chunk.id for chunk in with_choices}) == 1
    assert with_choices[-1].choices[0].finish_reason == "stop"


async def test_a_stream_as_a_context_manager(openai: AsyncOpenAI, model: str) -> None:
    async with await openai.chat.completions.create(model=model, messages=ASKED, stream=True) as stream:
        chunks = [chunk async for chunk in stream]
    assert said(chunks)


async def test_the_stream_helper_builds_the_whole_answer(openai: AsyncOpenAI, model: str) -> None:
    plain = await openai.chat.completions.create(model=model, messages=ASKED)
    async with openai.chat.completions.stream(model=model, messages=ASKED) as stream:
        kinds = {event.type async for event in stream}
        whole = await stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert whole.choices[0].message.content == plain.choices[0].message.content


async def test_several_answers_come_side_by_side(openai: AsyncOpenAI, model: str) -> None:
    plain = await openai.chat.completions.create(model=model, messages=ASKED, n=2)
    assert [choice.index for choice in plain.choices] == [0, 1]
    stream = await openai.chat.completions.create(model=model, messages=ASKED, n=2, stream=True)
    chunks = [chunk async for chunk in stream]
    assert said(chunks, 0)
    assert said(chunks, 1)
    finished = {
        choice.index: choice.finish_reason
        for chunk in chunks
        for choice in chunk.choices
        if choice.finish_reason
    }
    assert finished == {0: "stop", 1: "stop"}


async def test_logprobs_come_plain_and_streamed(openai: AsyncOpenAI, model: str) -> None:
    plain = await openai.chat.completions.create(model=model, messages=ASKED, logprobs=True, top_logprobs=2)
    content, logprobs = plain.choices[0].message.content, plain.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content
    assert "".join(token.token for token in logprobs.content) == content
    assert all(token.logprob <= 0 and len(token.top_logprobs) == 2 for token in logprobs.content)
    stream = await openai.chat.completions.create(model=model, messages=ASKED, logprobs=True, stream=True)
    streamed = [
        token.token
        async for chunk in stream
        for choice in chunk.choices
        if choice.logprobs
        for token in choice.logprobs.content or ()
    ]
    assert "".join(streamed) == content


async def test_usage_ends_the_stream_of_whoever_asked_for_it(openai: AsyncOpenAI, model: str) -> None:
    plain = await openai.chat.completions.create(model=model, messages=ASKED)
    stream = await openai.chat.completions.create(
        model=model, messages=ASKED, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert plain.usage is not None
    assert chunks[-1].usage.total_tokens == plain.usage.total_tokens
    assert all(chunk.usage is None for chunk in chunks[:-1])


@pytest.mark.parametrize("asked", [None, False])
async def test_no_one_else_sees_it(openai: AsyncOpenAI, model: str, asked: bool | None) -> None:
    options = {} if asked is None else {"stream_options": {"include_usage": asked}}
    stream = await openai.chat.completions.create(
        model=model, messages=ASKED, stream=True, extra_body=options
    )
    chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


async def test_pictures_and_sounds_are_taken(openai: AsyncOpenAI, model: str) -> None:
    answer = await openai.chat.completions.create(model=model, messages=MIXED)
    assert answer.choices[0].finish_reason == "stop"
    async with openai.chat.completions.stream(model=model, messages=MIXED) as stream:
        whole = await stream.get_final_completion()
    assert whole.choices[0].message.content == answer.choices[0].message.content
