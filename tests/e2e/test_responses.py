"""Responses through the official client: the demo model, and every way of calling a provider natively."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai as library
import pytest
import pytest_asyncio
from openai import AsyncOpenAI
from pydantic import BaseModel

from shared import Json
from tests.e2e.targets import SECRET, SECRET_NAME, TARGETS, Target
from tests.e2e.test_upstreams import CREDENTIAL_HEADERS
from tests.e2e.world import World
from tests.proxy import running_proxy
from tests.upstreams.responses import ResponsesUpstream

pytestmark = pytest.mark.asyncio(loop_scope="module")

ASKED = "Where is the Louvre?"
TOOLS: list[Any] = [
    {
        "type": "function",
        "name": "get_weather",
        "description": "The weather in a city.",
        "strict": False,
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "file_id": {"type": "string"}},
            "required": ["city", "file_id"],
        },
    }
]
AZURE_ADDRESSES = {"azure-dated": "/openai/{path}"}
"""Where a response goes beside the deployments."""


class Place(BaseModel):
    city: str
    population: int


def document(target: Target, upstream: str) -> Json:
    return {**target.document(upstream), "operations": ["ChatCompletion", "Responses"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    directory: Path = tmp_path_factory.mktemp("local")
    async with ResponsesUpstream() as upstream, running_proxy(directory) as proxy:
        proxy.add_secret(SECRET_NAME.replace("_", "-"), SECRET)
        for target in TARGETS:
            reply = await proxy.call("POST", "/manage/models", document(target, upstream.url))
            assert reply.status == 201, reply.body
        yield World(proxy, upstream)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def client(served: World) -> AsyncIterator[AsyncOpenAI]:
    async with served.client() as made:
        yield made


async def test_a_response_is_created_read_and_deleted(client: AsyncOpenAI, model: str) -> None:
    made = await client.responses.create(model=model, input=ASKED, metadata={"trip": "paris"})
    assert made.status == "completed"
    assert made.output_text
    assert made.usage is not None
    assert made.usage.total_tokens == made.usage.input_tokens + made.usage.output_tokens > 0
    read = await client.responses.retrieve(made.id)
    assert (read.id, read.output_text, read.metadata) == (made.id, made.output_text, {"trip": "paris"})
    items = await client.responses.input_items.list(made.id, limit=10, order="asc")
    assert [part.text for item in items.data for part in item.content] == [ASKED]  # type: ignore[union-attr]
    assert (await client.responses.cancel(made.id)).id == made.id
    await client.responses.delete(made.id)
    with pytest.raises(library.NotFoundError):
        await client.responses.retrieve(made.id)


async def test_a_stream_is_typed_numbered_and_ends_with_the_response(client: AsyncOpenAI, model: str) -> None:
    events = [event async for event in await client.responses.create(model=model, input=ASKED, stream=True)]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    last = events[-1]
    assert last.type == "response.completed"
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    assert text == last.response.output_text
    ids = {event.response.id for event in events if hasattr(event, "response")}
    assert ids == {last.response.id}
    assert (await client.responses.retrieve(last.response.id)).output_text == text
    again = await client.responses.retrieve(last.response.id, stream=True, starting_after=3)
    assert [event.sequence_number async for event in again] == list(range(4, len(events)))


async def test_the_clients_own_helper_puts_a_stream_together(client: AsyncOpenAI, model: str) -> None:
    async with client.responses.stream(model=model, input=ASKED, text_format=Place) as stream:
        async for _ in stream:
            pass
        whole = await stream.get_final_response()
    assert isinstance(whole.output_parsed, Place)


async def test_an_answer_fits_the_type_that_was_asked_for(client: AsyncOpenAI, model: str) -> None:
    parsed = await client.responses.parse(model=model, input=ASKED, text_format=Place)
    assert isinstance(parsed.output_parsed, Place)


async def test_a_tool_is_called_and_its_result_taken_in(client: AsyncOpenAI, model: str) -> None:
    first = await client.responses.create(model=model, input="get_weather in Paris", tools=TOOLS)
    [call] = [item for item in first.output if item.type == "function_call"]
    assert call.name == "get_weather"
    assert set(json.loads(call.arguments)) == {"city", "file_id"}
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "Sunny, 21 °C"}
    second = await client.responses.create(
        model=model, input=[result], tools=TOOLS, previous_response_id=first.id
    )
    assert second.previous_response_id == first.id
    assert second.output_text
    replayed = [{"role": "user", "content": "get_weather in Paris"}, call.to_dict(), result]
    third = await client.responses.create(model=model, input=replayed, tools=TOOLS)
    assert third.output_text


async def test_a_streamed_call_of_a_tool_carries_its_arguments(client: AsyncOpenAI, model: str) -> None:
    stream = await client.responses.create(model=model, input="get_weather", tools=TOOLS, stream=True)
    events = [event async for event in stream]
    deltas = "".join(
        event.delta for event in events if event.type == "response.function_call_arguments.delta"
    )
    [done] = [event for event in events if event.type == "response.function_call_arguments.done"]
    assert deltas == done.arguments
    assert set(json.loads(deltas)) == {"city", "file_id"}


async def test_the_demo_model_remembers_what_came_before(client: AsyncOpenAI) -> None:
    first = await client.responses.create(model="demo-chat", input="My name is Ada.")
    second = await client.responses.create(
        model="demo-chat", previous_response_id=first.id, instructions="Be brief."
    )
    assert "My name is Ada." in second.output_text
    unkept = await client.responses.create(model="demo-chat", input="x", store=False)
    with pytest.raises(library.NotFoundError):
        await client.responses.retrieve(unkept.id)
    with pytest.raises(library.BadRequestError) as caught:
        await client.responses.create(model="demo-chat", input="x", previous_response_id=unkept.id)
    assert (caught.value.code, caught.value.param) == ("previous_response_not_found", "previous_response_id")


async def test_the_demo_model_stops_at_the_limit(client: AsyncOpenAI) -> None:
    cut = await client.responses.create(model="demo-chat", input=ASKED, max_output_tokens=3)
    assert cut.status == "incomplete"
    assert cut.incomplete_details is not None
    assert cut.incomplete_details.reason == "max_output_tokens"
    events = [
        event
        async for event in await client.responses.create(
            model="demo-chat", input=ASKED, max_output_tokens=3, stream=True
        )
    ]
    assert events[-1].type == "response.incomplete"


async def test_what_the_provider_receives_is_the_body_at_its_own_address(
    client: AsyncOpenAI, served: World, target: Target
) -> None:
    served.upstream.requests.clear()
    fields: dict[str, Any] = {
        "input": [{"role": "user", "content": [{"type": "input_text", "text": ASKED}]}],
        "instructions": "Be brief.",
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low"},
        "include": ["reasoning.encrypted_content"],
        "max_output_tokens": 100,
        "max_tool_calls": 2,
        "tools": [*TOOLS, {"type": "code_interpreter", "container": {"type": "auto"}}],
        "tool_choice": "none",
        "truncation": "auto",
        "top_logprobs": 2,
        "store": True,
        "metadata": {"file_id": "mine"},
    }
    made = await client.responses.create(model=target.name, **fields, extra_body={"top_k": 5})
    await client.responses.retrieve(made.id)
    sent, read = served.upstream.requests
    assert sent.body == {"model": target.model_sent, **fields, "top_k": 5}
    where = replace(target, address=AZURE_ADDRESSES.get(target.name, target.address))
    kept = next(iter(reversed(served.upstream.kept)))  # type: ignore[attr-defined]
    assert sent.path == where.address.format(path="responses")
    assert (read.method, read.path) == ("GET", where.address.format(path=f"responses/{kept}"))
    name, value = target.credential
    for received in (sent, read):
        assert received.query == target.query
        shown = {header: received.headers.get(header) for header in CREDENTIAL_HEADERS}
        assert shown == {header: value if header == name.lower() else None for header in CREDENTIAL_HEADERS}


async def test_a_stream_is_asked_for_as_the_client_asked(
    client: AsyncOpenAI, served: World, target: Target
) -> None:
    served.upstream.requests.clear()
    stream = await client.responses.create(
        model=target.name, input=ASKED, stream=True, stream_options={"include_obfuscation": False}
    )
    assert [event async for event in stream][-1].type == "response.completed"
    assert served.upstream.requests[-1].body == {
        "model": target.model_sent,
        "input": ASKED,
        "stream": True,
        "stream_options": {"include_obfuscation": False},
    }


@pytest.mark.parametrize("path", ["/openai", "/openai/v1"])
async def test_azures_client_reaches_all_of_it(served: World, model: str, path: str) -> None:
    options: dict[str, Any] = {} if path == "/openai" else {"base_url": served.proxy.url + path}
    async with served.azure_client(**options) as client:
        made = await client.responses.create(model=model, input=ASKED)
        assert (await client.responses.retrieve(made.id)).id == made.id
        assert (await client.responses.input_items.list(made.id)).data
        assert (await client.responses.cancel(made.id)).id == made.id
        stream = await client.responses.create(model=model, input=ASKED, stream=True)
        assert [event async for event in stream][-1].type == "response.completed"
        await client.responses.delete(made.id)
        with pytest.raises(library.NotFoundError):
            await client.responses.retrieve(made.id)


async def test_the_synchronous_clients_work_too(served: World) -> None:
    def talk() -> None:
        for client in (served.sync_client(), served.sync_azure_client()):
            with client:
                made = client.responses.create(model="openai", input=ASKED)
                assert client.responses.retrieve(made.id).output_text == made.output_text
                events = list(client.responses.create(model="demo-chat", input=ASKED, stream=True))
                assert events[-1].type == "response.completed"
                client.responses.delete(made.id)

    await asyncio.to_thread(talk)
