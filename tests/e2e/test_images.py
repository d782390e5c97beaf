"""Images through the official clients: made, changed and varied, plain and streamed, sync and async."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai as sdk
import pytest
import pytest_asyncio
from openai import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI

from tests.e2e.targets import SECRET, TARGETS, Target
from tests.e2e.test_upstreams import assert_addressed
from tests.e2e.world import World, running_world
from tests.upstreams.behaviours import StreamReply
from tests.upstreams.openai import OpenAIUpstream
from tests.upstreams.pictures import PIXEL, Part, parts

pytestmark = pytest.mark.asyncio(loop_scope="module")

PICTURE = base64.b64decode(PIXEL)
DEMO = "demo-image"


def model_of(target: Target) -> str:
    return f"{target.name}-images"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """The proxy with a model that draws for each way of calling a provider."""
    async with running_world(tmp_path_factory.mktemp("images")) as running:
        for target in TARGETS:
            document = {
                **target.document(running.upstream.url),
                "id": model_of(target),
                "operations": ["images"],
                "costs": {"per_image": 0.04},
            }
            reply = await running.proxy.call("POST", "/manage/models", document)
            assert reply.status == 201, reply.body
        yield running


@pytest.fixture(params=[DEMO, *(model_of(target) for target in TARGETS)])
def model(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def is_png(encoded: str | None) -> bool:
    return base64.b64decode(encoded or "").startswith(b"\x89PNG")


async def test_an_image_is_made(openai: AsyncOpenAI, model: str) -> None:
    answer = await openai.images.generate(model=model, prompt="A cat", n=2, size="1024x1024")
    assert answer.data is not None
    assert [is_png(image.b64_json) for image in answer.data] == [True, True]
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.input_tokens + answer.usage.output_tokens > 0


async def test_an_address_is_given_where_one_is_asked_for(openai: AsyncOpenAI, model: str) -> None:
    answer = await openai.images.generate(model=model, prompt="A cat", response_format="url")
    assert answer.data is not None
    assert answer.data[0].url
    assert answer.data[0].b64_json is None


async def test_a_generation_streams_its_parts(openai: AsyncOpenAI, model: str) -> None:
    stream = await openai.images.generate(model=model, prompt="A cat", stream=True, partial_images=2)
    events = [event async for event in stream]
    assert [event.type for event in events] == [
        "image_generation.partial_image",
        "image_generation.partial_image",
        "image_generation.completed",
    ]
    last = events[-1]
    assert last.type == "image_generation.completed"
    assert is_png(last.b64_json)
    assert last.usage.total_tokens > 0


FILES: dict[str, Any] = {
    "bytes": PICTURE,
    "a named file": ("größe.png", PICTURE, "image/png"),
    "several files": [("größe.png", PICTURE, "image/png"), ("two.png", PICTURE)],
}


@pytest.mark.parametrize("files", FILES)
async def test_an_edit_takes_files_as_the_client_does(openai: AsyncOpenAI, model: str, files: str) -> None:
    answer = await openai.images.edit(
        model=model, prompt="A dog", image=FILES[files], mask=("mask.png", PICTURE, "image/png"), n=2
    )
    assert answer.data is not None
    assert [is_png(image.b64_json) for image in answer.data] == [True, True]


async def test_an_edit_takes_a_path(openai: AsyncOpenAI, model: str, tmp_path: Path) -> None:
    path = tmp_path / "Größe.png"
    path.write_bytes(PICTURE)
    answer = await openai.images.edit(model=model, prompt="A dog", image=path)
    assert answer.data


async def test_an_edit_streams_its_parts(openai: AsyncOpenAI, model: str) -> None:
    stream = await openai.images.edit(
        model=model, prompt="A dog", image=PICTURE, stream=True, partial_images=1
    )
    assert [event.type async for event in stream] == ["image_edit.partial_image", "image_edit.completed"]


async def test_a_variation_is_made(openai: AsyncOpenAI, model: str) -> None:
    answer = await openai.images.create_variation(model=model, image=PICTURE, n=2)
    assert answer.data is not None
    assert len(answer.data) == 2


async def test_the_sync_client_does_the_same(world: World, model: str) -> None:
    def ask(client: OpenAI) -> None:
        with client:
            assert client.images.generate(model=model, prompt="A cat").data
            with client.images.generate(model=model, prompt="A cat", stream=True, partial_images=1) as stream:
                assert [event.type.rpartition(".")[2] for event in stream] == ["partial_image", "completed"]
            assert client.images.edit(
                model=model, prompt="A dog", image=[PICTURE, PICTURE], mask=PICTURE
            ).data
            assert client.images.create_variation(model=model, image=PICTURE).data

    await asyncio.to_thread(ask, world.sync_client())


async def _draw_by_azure(client: AsyncAzureOpenAI, model: str) -> None:
    answer = await client.images.generate(model=model, prompt="A cat", n=2)
    assert answer.data is not None
    assert len(answer.data) == 2
    stream = await client.images.generate(model=model, prompt="A cat", stream=True)
    assert [event.type async for event in stream] == ["image_generation.completed"]
    assert (await client.images.edit(model=model, prompt="A dog", image=("größe.png", PICTURE))).data


async def test_azures_client_draws_by_deployment(world: World, model: str) -> None:
    async with world.azure_client() as client:
        await _draw_by_azure(client, model)


async def test_azures_client_draws_by_its_newer_addresses(world: World, model: str) -> None:
    async with world.azure_client(base_url=world.proxy.url + "/openai/v1") as client:
        await _draw_by_azure(client, model)


async def test_azures_sync_client_does_the_same(world: World) -> None:
    def ask(client: AzureOpenAI) -> None:
        with client:
            assert client.images.generate(model=DEMO, prompt="A cat").data
            assert client.images.edit(model=DEMO, prompt="A dog", image=PICTURE).data

    await asyncio.to_thread(ask, world.sync_azure_client())


async def test_a_generation_goes_to_the_providers_own_address(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    fields: dict[str, Any] = {
        "n": 2,
        "size": "auto",
        "quality": "low",
        "moderation": "low",
        "user": "someone",
    }
    raw = await openai.images.with_raw_response.generate(
        model=model_of(target), prompt="A cat", **fields, extra_body={"unheard_of": {"deep": [None]}}
    )
    [received] = upstream.requests
    assert_addressed(received, target, "images/generations")
    assert received.body == {
        "model": target.model_sent,
        "prompt": "A cat",
        **fields,
        "unheard_of": {"deep": [None]},
    }
    assert raw.headers["x-llmproxy-cost-usd"] == "0.08"
    assert SECRET not in str(raw.headers) + raw.text


async def test_a_stream_asks_for_nothing_that_images_do_not_know(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    stream = await openai.images.generate(
        model=model_of(target), prompt="A cat", stream=True, partial_images=1
    )
    assert len([event async for event in stream]) == 2
    [received] = upstream.requests
    assert_addressed(received, target, "images/generations")
    assert received.body == {
        "model": target.model_sent,
        "prompt": "A cat",
        "stream": True,
        "partial_images": 1,
    }


async def test_an_edit_goes_there_as_a_form(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    await openai.images.edit(
        model=model_of(target),
        prompt="Ein Käse",
        image=[("größe.png", PICTURE, "image/png"), ("two.png", b"second", "image/png")],
        mask=("mask.png", b"third", "image/png"),
        n=2,
        input_fidelity="high",
    )
    [received] = upstream.requests
    assert_addressed(received, target, "images/edits")
    got = parts(received)
    fields = {part.name: part.content.decode() for part in got if part.filename is None}
    assert fields == {
        "model": target.model_sent,
        "prompt": "Ein Käse",
        "n": "2",
        "input_fidelity": "high",
    }
    assert sorted((part for part in got if part.filename), key=lambda part: part.filename or "") == [
        Part("image[]", "größe.png", "image/png", PICTURE),
        Part("mask", "mask.png", "image/png", b"third"),
        Part("image[]", "two.png", "image/png", b"second"),
    ]
    assert int(received.headers["content-length"]) == len(received.raw)


async def test_a_variation_goes_there_as_a_form(
    openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target
) -> None:
    await openai.images.create_variation(model=model_of(target), image=("a.png", PICTURE, "image/png"))
    [received] = upstream.requests
    assert_addressed(received, target, "images/variations")
    assert {part.name: part.content for part in parts(received)} == {
        "model": target.model_sent.encode(),
        "image": PICTURE,
    }


async def test_a_cut_stream_raises(openai: AsyncOpenAI, upstream: OpenAIUpstream, target: Target) -> None:
    upstream.script(StreamReply(stop_after=1))
    stream = await openai.images.generate(
        model=model_of(target), prompt="A cat", stream=True, partial_images=1
    )
    assert (await anext(stream)).type == "image_generation.partial_image"
    with pytest.raises(sdk.APIError):
        await anext(stream)


async def test_a_model_that_only_chats_is_refused(openai: AsyncOpenAI) -> None:
    for asking in (
        openai.images.generate(model="demo-chat", prompt="A cat"),
        openai.images.edit(model="demo-chat", prompt="A cat", image=PICTURE),
        openai.images.create_variation(model="demo-chat", image=PICTURE),
    ):
        with pytest.raises(sdk.BadRequestError) as caught:
            await asking
        assert (caught.value.code, caught.value.param) == ("unsupported_operation", "model")


async def test_without_a_model_the_demo_draws(openai: AsyncOpenAI) -> None:
    raw = await openai.images.with_raw_response.generate(prompt="A cat")
    assert raw.headers["x-llmproxy-model"] == DEMO
    raw = await openai.images.with_raw_response.create_variation(image=PICTURE)
    assert raw.headers["x-llmproxy-model"] == DEMO
