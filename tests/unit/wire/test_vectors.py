"""Vectors keep their values whatever format they come and go in, and the loop its turns."""

import asyncio
import math
import struct
from base64 import b64encode
from time import perf_counter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidProviderResponse
from shared.wire.vectors import formatted, in_turns, item_json, vector_json, written

VECTORS = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=40)


def packed(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()


def answer(*vectors: Any, **rest: Any) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)
    ]
    return orjson.dumps({"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 3}, **rest})


def vectors_of(body: bytes) -> list[Any]:
    return [item["embedding"] for item in orjson.loads(body)["data"]]


@given(VECTORS)
def test_base64_is_the_vector_in_little_endian_32_bit_floats(vector: list[float]) -> None:
    text = orjson.loads(vector_json(vector, "base64"))
    assert text == packed(vector)
    assert orjson.loads(vector_json(text, "float")) == vector


@given(st.lists(VECTORS, max_size=5), st.sampled_from(["float", "base64"]), st.data())
def test_every_item_is_converted_of_a_half_converted_answer_too(
    vectors: list[list[float]], wanted: str, data: st.DataObject
) -> None:
    sent = [packed(vector) if data.draw(st.booleans()) else vector for vector in vectors]
    body, content = asyncio.run(formatted(answer(*sent), wanted))
    expected = vectors if wanted == "float" else [packed(vector) for vector in vectors]
    assert vectors_of(body) == expected
    assert content["usage"] == {"prompt_tokens": 3}


@pytest.mark.parametrize("wanted", ["float", "base64", None])
async def test_what_is_right_already_is_the_same_object(wanted: str | None) -> None:
    vector: Any = packed([0.5]) if wanted == "base64" else [0.5]
    sent = answer(vector, vector)
    body, content = await formatted(sent, wanted)
    assert body is sent
    assert content["model"] == "m"


async def test_spaces_and_line_ends_do_not_matter() -> None:
    sent = b'{ "data" : [ { "embedding" :\n [ 0.5 ,\n 1 ] , "index": 0 } ] , "model" : "m" }'
    body, _ = await formatted(sent, "base64")
    assert vectors_of(body) == [packed([0.5, 1.0])]


@pytest.mark.parametrize("name", ['"embedding": [', '\\"embedding":"', 'an "embedding"', "embedding"])
async def test_text_that_looks_like_a_vector_is_left_alone(name: str) -> None:
    body, content = await formatted(answer([0.25], model=name), "base64")
    assert content["model"] == name
    assert orjson.loads(body)["model"] == name
    assert vectors_of(body) == [packed([0.25])]


@pytest.mark.parametrize("sent", [b"", b"<html>", b"[1]", b'{"data": [{"embedding": [0.1', b"\xff"])
async def test_what_is_no_json_object_is_an_invalid_answer(sent: bytes) -> None:
    for wanted in ("float", "base64", None):
        with pytest.raises(InvalidProviderResponse):
            await formatted(sent, wanted)


@pytest.mark.parametrize(
    ("vector", "wanted"),
    [
        ([None], "base64"),
        (["1"], "base64"),
        ([[0.5]], "base64"),
        ([1e60], "base64"),
        ("AAA", "float"),
        ("not base64!", "float"),
        (b64encode(b"12345").decode(), "float"),
        (packed([math.nan]), "float"),
        (packed([math.inf]), "float"),
    ],
)
async def test_a_vector_that_cannot_be_read_is_an_invalid_answer(vector: Any, wanted: str) -> None:
    with pytest.raises(InvalidProviderResponse):
        await formatted(answer(vector), wanted)


async def test_vectors_of_vectors_pass_as_they_are() -> None:
    sent = answer([[0.5, 1.0], [0.25, 2.0]])
    body, content = await formatted(sent, "float")
    assert body is sent
    assert content["usage"] == {"prompt_tokens": 3}


async def test_an_answer_is_written_with_its_items_in_order() -> None:
    items = (item_json(index, [float(index)], "float") for index in range(3))
    body = orjson.loads(await written({"model": "m", "usage": {"total_tokens": 1}}, items))
    assert [item["index"] for item in body["data"]] == [0, 1, 2]
    assert [item["embedding"] for item in body["data"]] == [[0.0], [1.0], [2.0]]
    assert (body["object"], body["model"], body["usage"]) == ("list", "m", {"total_tokens": 1})


async def test_long_work_lets_others_have_their_turn() -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    def slow() -> Any:
        for step in range(5):
            end = perf_counter() + 0.006
            while perf_counter() < end:
                pass
            yield step

    task = asyncio.create_task(other())
    assert await in_turns(slow()) == [0, 1, 2, 3, 4]
    task.cancel()
    assert turns >= 4
