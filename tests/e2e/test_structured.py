"""Tools and JSON schemas through the official client's own helpers."""

import json

import pytest
from openai import AsyncOpenAI, pydantic_function_tool
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from tests.e2e.world import ASKED

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Place(BaseModel):
    city: str
    floors: int
    open: bool
    names: list[str]


class GetWeather(BaseModel):
    city: str
    days: int


class FindHotel(BaseModel):
    city: str


TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "get_weather",
            "description": "The weather of a city.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
                "required": ["city", "days"],
                "additionalProperties": False,
            },
            "strict": True,
        },
    }
]


async def test_an_answer_is_parsed_into_the_callers_type(openai: AsyncOpenAI, model: str) -> None:
    answer = await openai.chat.completions.parse(model=model, messages=ASKED, response_format=Place)
    message = answer.choices[0].message
    assert isinstance(message.parsed, Place)
    assert message.content is not None
    assert json.loads(message.content) == message.parsed.model_dump()


async def test_a_streamed_answer_is_parsed_too(openai: AsyncOpenAI, model: str) -> None:
    async with openai.chat.completions.stream(model=model, messages=ASKED, response_format=Place) as stream:
        whole = await stream.get_final_completion()
    assert isinstance(whole.choices[0].message.parsed, Place)


async def test_any_json_is_an_object(openai: AsyncOpenAI, model: str) -> None:
    answer = await openai.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Answer in JSON."}],
        response_format={"type": "json_object"},
    )
    assert isinstance(json.loads(answer.choices[0].message.content or ""), dict)


async def test_a_tool_is_called_and_its_result_answered(openai: AsyncOpenAI, model: str) -> None:
    first = await openai.chat.completions.create(model=model, messages=ASKED, tools=TOOLS)
    assert first.choices[0].finish_reason == "tool_calls"
    [call] = first.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert set(json.loads(call.function.arguments)) == {"city", "days"}
    messages: list[ChatCompletionMessageParam] = [
        *ASKED,
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "dry"},
    ]
    second = await openai.chat.completions.create(model=model, messages=messages, tools=TOOLS)
    assert second.choices[0].finish_reason == "stop"
    assert second.choices[0].message.content


async def test_streamed_tool_calls_come_together(openai: AsyncOpenAI, model: str) -> None:
    stream = await openai.chat.completions.create(model=model, messages=ASKED, tools=TOOLS, stream=True)
    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    finished = None
    async for chunk in stream:
        for choice in chunk.choices:
            finished = choice.finish_reason or finished
            for part in choice.delta.tool_calls or ():
                if part.function is not None:
                    names[part.index] = names.get(part.index, "") + (part.function.name or "")
                    arguments[part.index] = arguments.get(part.index, "") + (part.function.arguments or "")
    assert finished == "tool_calls"
    assert names == {0: "get_weather"}
    assert set(json.loads(arguments[0])) == {"city", "days"}


async def test_streamed_tool_calls_are_parsed_into_the_callers_types(openai: AsyncOpenAI, model: str) -> None:
    async with openai.chat.completions.stream(
        model=model,
        messages=ASKED,
        tools=[pydantic_function_tool(GetWeather), pydantic_function_tool(FindHotel)],
        tool_choice={"type": "function", "function": {"name": "FindHotel"}},
    ) as stream:
        whole = await stream.get_final_completion()
    [call] = whole.choices[0].message.tool_calls or []
    assert isinstance(call.function.parsed_arguments, FindHotel)


async def test_the_choice_of_tools_is_honoured(openai: AsyncOpenAI, model: str) -> None:
    tools = [pydantic_function_tool(GetWeather), pydantic_function_tool(FindHotel)]
    alone = await openai.chat.completions.create(
        model=model, messages=ASKED, tools=tools, tool_choice="required", parallel_tool_calls=False
    )
    assert len(alone.choices[0].message.tool_calls or []) == 1
    none = await openai.chat.completions.create(model=model, messages=ASKED, tools=tools, tool_choice="none")
    assert not none.choices[0].message.tool_calls
    assert none.choices[0].message.content
