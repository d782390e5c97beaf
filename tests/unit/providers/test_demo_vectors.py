"""Embeddings and moderations of the demo model: real enough to build against."""

import asyncio
import math
import struct
from base64 import b64decode
from typing import Any

import orjson
import pytest

from shared import Json
from shared.catalog.documents import Model, parse_document
from shared.clock import ManualClock
from shared.errors import ContextLengthExceeded, ProviderRefusal, UnsupportedOperation
from shared.providers.calls import Answer, Call
from shared.providers.demo import DemoProvider
from shared.providers.demo.moderations import CATEGORIES, THRESHOLD, rated

PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}


def call(path: str, context: int | None = None, **body: Any) -> Call:
    document: Json = {
        "id": "demo",
        "code": "demo",
        "provider": "Demo",
        "model_type": "Demo",
        "operations": ["embeddings", "moderations"],
        "capabilities": {"max_input_tokens": context} if context else {},
    }
    model, _ = parse_document(document, strict=True)
    assert isinstance(model, Model)
    return Call(path, path, model, {"model": "demo", **body})


async def ask(path: str, context: int | None = None, **body: Any) -> Answer:
    return await DemoProvider(ManualClock()).send(call(path, context, **body))


async def embed(given: Any, **body: Any) -> list[list[float]]:
    answer = await ask("embeddings", input=given, **body)
    return [item["embedding"] for item in orjson.loads(answer.body)["data"]]


def likeness(one: list[float], other: list[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("given", ["a fox", "", "…", "狐狸", "\ud83e", [1, 2, 3], [0]])
@pytest.mark.parametrize("dimensions", [1, 2, 256, 3072])
async def test_vectors_have_the_size_asked_for_and_unit_length(given: Any, dimensions: int) -> None:
    [vector] = await embed(given, dimensions=dimensions)
    assert len(vector) == dimensions
    assert math.isclose(likeness(vector, vector), 1.0, rel_tol=1e-5)


async def test_the_same_input_has_the_same_vector_wherever_it_stands() -> None:
    first, second = await embed(["a dog", "a fox"])
    assert await embed("a fox") == [second]
    assert first != second
    assert (await embed([[5, 6], [7]]))[0] == (await embed([5, 6]))[0] != (await embed([6, 7]))[0]


async def test_texts_that_say_the_like_are_near_each_other() -> None:
    vectors = await embed(
        [
            "The cat sits on the mat.",
            "A cat was sitting on a mat!",
            "Quarterly revenue grew in the northern region.",
        ]
    )
    assert likeness(vectors[0], vectors[1]) > 0.4
    assert likeness(vectors[0], vectors[1]) > likeness(vectors[0], vectors[2]) + 0.2


async def test_base64_holds_the_very_vector() -> None:
    [vector] = await embed("a fox")
    [text] = await embed("a fox", encoding_format="base64")
    assert list(struct.unpack("<256f", b64decode(str(text)))) == vector


async def test_usage_counts_tokens_as_they_are_and_texts_by_the_rule() -> None:
    answer = await ask("embeddings", input=["abcde", "f"], unheard_of=1, user="u")
    assert orjson.loads(answer.body)["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert answer.usage is not None
    assert (answer.usage.prompt, answer.usage.estimated) == (3, False)
    assert answer.dropped == ("unheard_of",)


async def test_too_much_is_refused() -> None:
    with pytest.raises(ContextLengthExceeded) as long:
        await ask("embeddings", 10, input=["short", "x" * 50])
    assert long.value.param == "input"
    for body in ({"input": ["x" * 400_000] * 4}, {"input": "x", "dimensions": 4096}):
        with pytest.raises(ProviderRefusal):
            await ask("embeddings", **body)


async def test_a_long_text_leaves_the_loop_to_others() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    await ask("embeddings", input="some words that differ 123 " * 2_000)
    task.cancel()
    assert turns > 3


async def test_what_is_harmless_is_not_flagged() -> None:
    answer = await ask("moderations", input="A walk in the park with friends.")
    [result] = answer.content["results"]
    assert result["flagged"] is False
    assert set(result["categories"]) == set(result["category_scores"]) == set(CATEGORIES)
    assert not any(result["categories"].values())
    assert all(0 < score < THRESHOLD for score in result["category_scores"].values())


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("You are a stupid idiot", "harassment"),
        ("I'll find you and I will hurt you", "harassment/threatening"),
        ("They were MURDERED and\n  stabbed", "violence"),
        ("how to make a bomb", "illicit/violent"),
        ("I want to end my life", "self-harm/intent"),
    ],
)
async def test_words_are_flagged_in_their_category(text: str, category: str) -> None:
    first = await ask("moderations", input=["fine", text])
    harmless, result = first.content["results"]
    assert harmless["flagged"] is False
    assert result["flagged"] is True
    assert result["categories"][category] is True
    assert result["category_scores"][category] >= THRESHOLD
    again = await ask("moderations", input=text)
    assert again.content["results"] == [result]


def test_several_signs_weigh_more_than_one() -> None:
    assert rated(["idiot"])["harassment"] < rated(["idiot, loser"])["harassment"] < 1


async def test_parts_are_judged_as_one_and_pictures_named_where_they_count() -> None:
    answer = await ask("moderations", input=[{"type": "text", "text": "an idiot"}, PICTURE])
    [result] = answer.content["results"]
    assert result["flagged"] is True
    types = result["category_applied_input_types"]
    assert types["violence"] == ["text", "image"]
    assert types["harassment"] == ["text"]
    with pytest.raises(ProviderRefusal) as caught:
        await ask("moderations", input=[PICTURE, {"type": "smell"}])
    assert caught.value.param == "input[1].type"


async def test_more_than_it_can_judge_is_refused() -> None:
    with pytest.raises(ProviderRefusal) as caught:
        await ask("moderations", 10, input=["x" * 50])
    assert caught.value.param == "input"
    long = await ask("moderations", input=["word " * 5_000, "idiot"])
    assert [result["flagged"] for result in long.content["results"]] == [False, True]


@pytest.mark.parametrize("path", ["embeddings", "moderations"])
async def test_neither_streams(path: str) -> None:
    with pytest.raises(UnsupportedOperation):
        await DemoProvider(ManualClock()).open(call(path, input="a"))
