"""The demo provider answers as OpenAI's API does: what it says is read with the official client's types."""

import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeVar

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from shared import Json
from shared.catalog.documents import Model, parse_document
from shared.clock import ManualClock
from shared.errors import ContextLengthExceeded, ProviderRefusal, UnsupportedOperation
from shared.providers.calls import Answer, Call
from shared.providers.demo import DemoProvider
from shared.providers.demo.provider import DemoEvents
from shared.wire.chat import ChatReading
from shared.wire.estimate import estimate_prompt, estimate_tokens
from shared.wire.events import Event

Type = TypeVar("Type", bound=BaseModel)
NOW = 1_800_000_000
HELLO = [{"role": "user", "content": "Hello there"}]
WEATHER: Json = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
            "required": ["city", "days"],
            "additionalProperties": False,
        },
    },
}
CLOCK: Json = {"type": "function", "function": {"name": "get_time"}}


def model(**fields: Any) -> Model:
    body = {
        "id": "demo-chat",
        "code": "demo-chat-1",
        "provider": "Demo",
        "model_type": "Demo",
        "operations": ["ChatCompletion"],
        **fields,
    }
    document, _ = parse_document(body, strict=True)
    assert isinstance(document, Model)
    return document


def provider() -> DemoProvider:
    return DemoProvider(ManualClock(NOW))


def call(body: Json, path: str = "chat/completions", **fields: Any) -> Call:
    return Call("ChatCompletion", path, model(**fields), {"model": "demo-chat", **body})


async def chat(**body: Any) -> ChatCompletion:
    answer = await provider().send(call({"messages": HELLO, **body}))
    return strictly(ChatCompletion, answer)


async def completion(**body: Any) -> Completion:
    return strictly(Completion, await provider().send(call(body, "completions")))


def strictly(type: type[Type], answer: Answer | Event) -> Type:
    """The answer as the official type, without leniency, and without a field that the type does not have."""
    content = answer.content if isinstance(answer, Answer) else answer.chunk
    read = type.model_validate(content, strict=True)
    assert_no_extras(read)
    return read


def assert_no_extras(part: object) -> None:
    if isinstance(part, BaseModel):
        assert not part.model_extra, f"{type(part).__name__} has no {part.model_extra}"
        for name in type(part).model_fields:
            assert_no_extras(getattr(part, name))
    elif isinstance(part, list):
        for item in part:
            assert_no_extras(item)


@asynccontextmanager
async def opened(body: Json, path: str = "chat/completions") -> AsyncIterator[DemoEvents]:
    events = await provider().open(call({"stream": True, **body}, path))
    try:
        yield events
    finally:
        await events.aclose()


async def chunks(**body: Any) -> list[ChatCompletionChunk]:
    async with opened({"messages": HELLO, **body}) as events:
        read = [strictly(ChatCompletionChunk, event) async for event in events]
    assert events.done
    return read


async def refused(path: str = "chat/completions", **body: Any) -> ProviderRefusal:
    with pytest.raises(ProviderRefusal) as refusal:
        await provider().send(call({"messages": HELLO, **body} if path == "chat/completions" else body, path))
    assert refusal.value.status == 400
    return refusal.value


async def test_an_answer_quotes_the_last_question() -> None:
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": None, "refusal": "No."},
        {"role": "user", "content": [{"type": "text", "text": "Second"}]},
    ]
    answer = await chat(messages=messages)
    choice = answer.choices[0]
    assert answer.model == "demo-chat-1"
    assert answer.created == NOW
    assert choice.message.role == "assistant"
    assert '"Second"' in str(choice.message.content)
    assert "First" not in str(choice.message.content)
    assert choice.finish_reason == "stop"
    assert choice.logprobs is None


async def test_every_answer_has_its_own_id_and_the_same_text() -> None:
    one, two = await chat(), await chat()
    assert one.id != two.id
    assert one.choices == two.choices


async def test_a_body_is_left_as_it_came() -> None:
    body: Json = {"messages": HELLO, "tools": [WEATHER], "stop": ["x"], "n": 2}
    before = json.dumps(body)
    await provider().send(call(body))
    assert json.dumps(body) == before


async def test_tokens_are_counted_by_the_stated_rule() -> None:
    body = {"messages": HELLO, "n": 2}
    answer = await provider().send(call(body))
    texts = [choice["message"]["content"] for choice in answer.content["choices"]]
    assert answer.usage is not None
    assert answer.usage.prompt == estimate_prompt(body)
    assert answer.usage.completion == sum(estimate_tokens(text) for text in texts)
    assert answer.content["usage"]["total_tokens"] == answer.usage.total
    assert not answer.usage.estimated


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_of_tokens_cuts_the_answer(name: str) -> None:
    whole = (await chat()).choices[0].message.content
    answer = await chat(**{name: 3})
    assert answer.choices[0].finish_reason == "length"
    assert answer.choices[0].message.content == str(whole)[:12]
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 3


async def test_the_newer_limit_wins() -> None:
    answer = await chat(max_tokens=1, max_completion_tokens=2)
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 2


@pytest.mark.parametrize("stop", ["demo", ["never written", "demo"]])
async def test_a_stop_text_ends_the_answer_before_it(stop: Any) -> None:
    answer = await chat(stop=stop, messages=[{"role": "user", "content": "x"}])
    assert answer.choices[0].message.content == "This is "
    assert answer.choices[0].finish_reason == "stop"


async def test_several_answers_are_told_apart() -> None:
    answer = await chat(n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert len({choice.message.content for choice in answer.choices}) == 3


async def test_the_fingerprint_follows_the_seed() -> None:
    first, again, other = await chat(seed=1), await chat(seed=1), await chat(seed=2)
    assert first.system_fingerprint == again.system_fingerprint
    assert first.system_fingerprint != other.system_fingerprint


async def test_log_probabilities_cover_every_token() -> None:
    answer = await chat(logprobs=True, top_logprobs=4)
    choice = answer.choices[0]
    assert choice.logprobs is not None
    tokens = choice.logprobs.content or []
    assert "".join(token.token for token in tokens) == choice.message.content
    assert answer.usage is not None
    assert len(tokens) == answer.usage.completion_tokens
    for token in tokens:
        assert bytes(token.bytes or []).decode() == token.token
        assert len(token.top_logprobs) == 4
        assert len({other.token for other in token.top_logprobs}) == 4
        assert token.top_logprobs[0].token == token.token


async def test_images_audio_and_files_are_acknowledged() -> None:
    image = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
    audio = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    file = {"type": "file", "file": {"file_id": "file-1"}}
    content = [{"type": "text", "text": "See"}, image, image, audio, file]
    text = (await chat(messages=[{"role": "user", "content": content}])).choices[0].message.content
    assert "2 images, 1 audio clip and 1 file" in str(text)


async def test_a_long_question_is_quoted_in_part() -> None:
    text = (await chat(messages=[{"role": "user", "content": "long " * 10_000}])).choices[0].message.content
    assert len(str(text)) < 1_200


async def test_a_tool_is_called_with_arguments_that_fit_its_schema() -> None:
    answer = await chat(tools=[WEATHER])
    choice = answer.choices[0]
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content is None
    [tool] = choice.message.tool_calls or []
    assert tool.type == "function"
    assert tool.id.startswith("call_")
    assert tool.function.name == "get_weather"
    assert json.loads(tool.function.arguments) == {"city": "city", "days": 2}


async def test_the_named_tools_are_called_in_parallel() -> None:
    question = [{"role": "user", "content": "Use get_time and get_weather."}]
    both = await chat(messages=question, tools=[WEATHER, CLOCK])
    one = await chat(messages=question, tools=[WEATHER, CLOCK], parallel_tool_calls=False)
    assert called(both) == ["get_weather", "get_time"]
    assert called(one) == ["get_weather"]


async def test_a_tools_result_is_answered_in_words() -> None:
    messages = [
        *HELLO,
        {
            "role": "assistant",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
    ]
    answer = await chat(messages=messages, tools=[WEATHER])
    assert called(answer) == []
    assert '"18 degrees"' in str(answer.choices[0].message.content)
    assert called(await chat(messages=[*messages, *HELLO], tools=[WEATHER])) == ["get_weather"]
    assert called(await chat(messages=messages, tools=[WEATHER], tool_choice="required")) == ["get_weather"]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("none", []),
        ("auto", ["get_weather"]),
        ("required", ["get_weather"]),
        ({"type": "function", "function": {"name": "get_time"}}, ["get_time"]),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "get_time"}}],
                },
            },
            ["get_time"],
        ),
    ],
)
async def test_the_tool_choice_is_obeyed(choice: Any, expected: list[str]) -> None:
    answer = await chat(tools=[WEATHER, CLOCK], tool_choice=choice)
    assert called(answer) == expected


async def test_a_custom_tool_gets_text() -> None:
    answer = await chat(tools=[{"type": "custom", "custom": {"name": "shell"}}])
    [tool] = answer.choices[0].message.tool_calls or []
    assert tool.type == "custom"
    assert tool.custom.input == "Hello there"


async def test_deprecated_functions_are_called_their_own_way() -> None:
    body = {"functions": [WEATHER["function"]], "function_call": {"name": "get_weather"}}
    answer = await chat(**body)
    function = answer.choices[0].message.function_call
    assert answer.choices[0].finish_reason == "function_call"
    assert function is not None
    assert json.loads(function.arguments)["days"] == 2
    read = await chunks(**body)
    deltas = [chunk.choices[0].delta.function_call for chunk in read if chunk.choices]
    assert "".join(delta.arguments or "" for delta in deltas if delta) == function.arguments


async def test_a_limit_cuts_the_arguments_of_a_call() -> None:
    answer = await chat(tools=[WEATHER], max_tokens=5)
    [tool] = answer.choices[0].message.tool_calls or []
    assert tool.type == "function"
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage is not None
    assert answer.usage.completion_tokens == 5
    with pytest.raises(json.JSONDecodeError):
        json.loads(tool.function.arguments)


async def test_json_by_schema_is_the_whole_answer() -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    form = {"type": "json_schema", "json_schema": {"name": "verdict", "strict": True, "schema": schema}}
    answer = await chat(response_format=form, n=2)
    assert [json.loads(str(choice.message.content)) for choice in answer.choices] == [{"ok": True}] * 2


async def test_a_json_object_is_json() -> None:
    answer = await chat(response_format={"type": "json_object"})
    assert json.loads(str(answer.choices[0].message.content))["you_wrote"] == "Hello there"


async def test_a_stream_says_what_the_plain_answer_says() -> None:
    plain = await chat(n=2)
    read = await chunks(n=2)
    texts = ["", ""]
    for chunk in read:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in plain.choices]
    assert len({chunk.id for chunk in read}) == 1
    assert {chunk.created for chunk in read} == {NOW}
    assert len(read) > 20


async def test_a_stream_begins_with_roles_and_ends_with_usage() -> None:
    read = await chunks(n=2)
    assert [chunk.choices[0].delta.role for chunk in read[:3]] == ["assistant", "assistant", None]
    *others, last = read
    assert last.choices == []
    assert last.usage == (await chat(n=2)).usage
    assert all(chunk.usage is None for chunk in others)
    finishes = [choice.finish_reason for chunk in read for choice in chunk.choices if choice.finish_reason]
    assert finishes == ["stop", "stop"]


async def test_a_stream_is_complete_by_the_proxys_own_reading() -> None:
    reading = ChatReading({"messages": HELLO, "n": 2})
    async with opened({"messages": HELLO, "n": 2}) as events:
        async for event in events:
            assert orjson.loads(event.data) == event.chunk
            reading.note(event)
    assert reading.complete(events.done)


async def test_usage_is_null_until_the_end_where_it_was_asked_for() -> None:
    async with opened({"messages": HELLO, "stream_options": {"include_usage": True}}) as events:
        asked = [event.chunk async for event in events]
    assert all("usage" in chunk and chunk["usage"] is None for chunk in asked[:-1])
    async with opened({"messages": HELLO}) as events:
        unasked = [event.chunk async for event in events]
    assert all("usage" not in chunk for chunk in unasked[:-1])
    assert unasked[-1]["usage"] == asked[-1]["usage"]


async def test_tool_calls_are_streamed_in_pieces() -> None:
    question = [{"role": "user", "content": "get_time, get_weather"}]
    read = await chunks(messages=question, tools=[WEATHER, CLOCK])
    deltas = [delta for chunk in read if chunk.choices for delta in chunk.choices[0].delta.tool_calls or []]
    arguments = ["", ""]
    for delta in deltas:
        assert delta.function is not None
        arguments[delta.index] += delta.function.arguments or ""
    assert [json.loads(text) for text in arguments] == [{"city": "city", "days": 2}, {}]
    opening = [delta for delta in deltas if delta.id]
    assert [delta.function.name for delta in opening if delta.function] == ["get_weather", "get_time"]
    assert len({delta.id for delta in opening}) == 2
    assert read[-2].choices[0].finish_reason == "tool_calls"


async def test_streamed_tokens_carry_their_probabilities() -> None:
    read = await chunks(logprobs=True, top_logprobs=2)
    for chunk in read:
        for choice in chunk.choices:
            if choice.delta.content:
                assert choice.logprobs is not None
                [token] = choice.logprobs.content or []
                assert token.token == choice.delta.content
                assert len(token.top_logprobs) == 2


async def test_a_closed_stream_is_not_done() -> None:
    async with opened({"messages": HELLO}) as events:
        iterator = aiter(events)
        async with aclosing(iterator):
            await anext(iterator)
            await events.aclose()
            with pytest.raises(StopAsyncIteration):
                await anext(iterator)
    assert not events.done


async def test_what_it_does_not_know_is_named_as_dropped() -> None:
    body = {
        "messages": HELLO,
        "top_k": 3,
        "temperature": 0.5,
        "user": "someone",
        "web_search_options": {},
        "odd": None,
    }
    answer = await provider().send(call(body))
    assert answer.dropped == ("top_k", "web_search_options")
    async with opened(body) as events:
        assert events.dropped == answer.dropped


async def test_a_prompt_beyond_the_context_is_refused_as_openai_does() -> None:
    small = call(
        {"messages": [{"role": "user", "content": "word " * 100}]}, capabilities={"max_input_tokens": 50}
    )
    with pytest.raises(ContextLengthExceeded) as refusal:
        await provider().send(small)
    assert refusal.value.param == "messages"
    with pytest.raises(ContextLengthExceeded) as refusal:
        await provider().send(
            call({"prompt": "word " * 50}, "completions", capabilities={"max_input_tokens": 50})
        )
    assert refusal.value.param == "prompt"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": 5}, "messages"),
        ({"messages": ["x"]}, "messages[0]"),
        ({"messages": [{"role": "boss", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"type": "smell"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_completion_tokens": "9"}, "max_completion_tokens"),
        ({"n": 129}, "n"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": 5}, "stop"),
        ({"seed": "x"}, "seed"),
        ({"logprobs": 1}, "logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"top_logprobs": 21, "logprobs": True}, "top_logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "odd"}]}, "tools[0].type"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"tools": [CLOCK], "tool_choice": "maybe"}, "tool_choice"),
        ({"tools": [CLOCK], "tool_choice": {"type": "function", "function": {"name": "x"}}}, "tool_choice"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": False}}},
            "response_format.json_schema.schema",
        ),
    ],
)
async def test_what_openai_refuses_is_refused_by_field(body: Json, param: str) -> None:
    assert (await refused(**body)).param == param


async def test_a_tool_without_possible_arguments_is_refused() -> None:
    tool = {"type": "function", "function": {"name": "x", "parameters": {"type": "string"}}}
    assert (await refused(tools=[tool])).param == "tools[0].function.parameters"


async def test_a_completion_has_sixteen_tokens_unless_told_otherwise() -> None:
    short = await completion(prompt="Once upon a time")
    whole = await completion(prompt="Once upon a time", max_tokens=500)
    assert short.usage is not None
    assert short.usage.completion_tokens == 16
    assert short.choices[0].finish_reason == "length"
    assert whole.choices[0].finish_reason == "stop"
    assert '"Once upon a time"' in whole.choices[0].text
    assert whole.choices[0].text.startswith(short.choices[0].text)


async def test_each_prompt_has_its_choices() -> None:
    answer = await completion(prompt=["one", "two"], n=2, max_tokens=100)
    assert [choice.index for choice in answer.choices] == [0, 1, 2, 3]
    assert ['"one"' in choice.text for choice in answer.choices] == [True, True, False, False]


async def test_token_ids_are_counted_as_tokens() -> None:
    one, two = await completion(prompt=[5, 6, 7]), await completion(prompt=[[5, 6, 7], [8]])
    assert one.usage is not None
    assert one.usage.prompt_tokens == 3
    assert two.usage is not None
    assert two.usage.prompt_tokens == 4
    assert len(two.choices) == 2


async def test_a_completion_echoes_its_prompt() -> None:
    assert (await completion(prompt="Say: ", echo=True)).choices[0].text.startswith("Say: This is")


async def test_a_completion_has_log_probabilities_with_offsets() -> None:
    choice = (await completion(prompt="x", logprobs=3)).choices[0]
    assert choice.logprobs is not None
    tokens = choice.logprobs.tokens or []
    assert "".join(tokens) == choice.text
    assert choice.logprobs.text_offset == [4 * index for index in range(len(tokens))]
    assert [len(top) for top in choice.logprobs.top_logprobs or []] == [3] * len(tokens)


@pytest.mark.parametrize("extra", [{}, {"logprobs": 1}, {"n": 2, "max_tokens": 300}])
async def test_a_streamed_completion_says_what_the_plain_one_says(extra: Json) -> None:
    plain = await completion(prompt="Tell me", **extra)
    texts = [""] * len(plain.choices)
    async with opened({"prompt": "Tell me", **extra}, "completions") as events:
        read = [event async for event in events]
    for event in read[:-1]:
        [choice] = event.chunk["choices"]
        texts[choice["index"]] += choice["text"]
        # The official type has no null for the finish reason of a chunk, though OpenAI sends it.
        strictly(Completion, event._replace(chunk=with_finish(event.chunk)))
    assert texts == [choice.text for choice in plain.choices]
    assert strictly(Completion, read[-1]).usage == plain.usage
    assert read[-1].chunk["choices"] == []


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"prompt": {}}, "prompt"),
        ({"prompt": ["x", 5]}, "prompt[1]"),
        ({"prompt": "x", "logprobs": 6}, "logprobs"),
        ({"prompt": "x", "n": 3, "best_of": 2}, "best_of"),
        ({"prompt": "x", "echo": "yes"}, "echo"),
    ],
)
async def test_a_completion_refuses_what_openai_refuses(body: Json, param: str) -> None:
    assert (await refused("completions", **body)).param == param


async def test_an_operation_that_it_lacks_is_refused() -> None:
    with pytest.raises(UnsupportedOperation):
        await provider().send(call({}, "unheard/of"))


async def test_it_is_always_alive() -> None:
    assert await provider().probe(model())


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_bodies = st.fixed_dictionaries(
    {},
    optional={
        "messages": _json
        | st.lists(
            st.fixed_dictionaries(
                {"role": st.sampled_from(["user", "assistant", "tool", "system"]), "content": _json}
            )
        ),
        "prompt": _json,
        "n": st.integers(-1, 3) | _json,
        "tools": _json | st.just([WEATHER]),
        "functions": _json,
        **dict.fromkeys(
            (
                "stop",
                "seed",
                "logprobs",
                "top_logprobs",
                "tool_choice",
                "function_call",
                "response_format",
                "modalities",
                "stream_options",
                "echo",
                "max_tokens",
                "best_of",
            ),
            _json,
        ),
    },
)


@given(body=_bodies, path=st.sampled_from(["chat/completions", "completions"]))
@settings(max_examples=300, deadline=None)
async def test_any_body_is_answered_or_refused(body: Json, path: str) -> None:
    try:
        answer = await provider().send(call(body, path))
    except ProviderRefusal:
        return
    assert orjson.loads(answer.body) == answer.content
    async with opened(body, path) as events:
        async for event in events:
            assert orjson.loads(event.data) == event.chunk
    assert events.done


def called(answer: ChatCompletion) -> list[str]:
    tools = answer.choices[0].message.tool_calls or []
    return [tool.function.name for tool in tools if tool.type == "function"]


def with_finish(chunk: Json) -> Json:
    return {
        **chunk,
        "choices": [
            {**choice, "finish_reason": choice["finish_reason"] or "stop"} for choice in chunk["choices"]
        ],
    }
