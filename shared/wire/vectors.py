"""Vectors of an embeddings answer: in floats or in base64, found in the bytes and written into them.

A full answer holds 2,048 vectors: tens of megabytes of digits, the better part of a second to decode. So vectors are
found where they stand, and only those that are not in the format that was asked for are read at all. What may take
long is an iterator of short steps: see `in_turns`.
"""

import asyncio
import re
import struct
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterable, Iterator, Sequence
from time import perf_counter
from typing import TypeAlias, TypeVar

import orjson

from shared import Json
from shared.errors import InvalidProviderResponse

T = TypeVar("T")
Buffer: TypeAlias = bytes | memoryview

_TURN = 0.005
"""Seconds of work after which other requests get their turn."""
_LARGE = 2_000_000
"""Bytes that take more than a millisecond or so to copy."""
_VECTOR = re.compile(rb'(?<!\\)"embedding"\s*:\s*(?=[\["])')
"""What stands before a vector. Within a text a quote has a backslash before it, so this is always a key."""
_LIST, _TEXT = ord("["), ord('"')


class AnswerVectors:
    """The vectors in the body of an answer. Empty `pieces`, then ask for `content`.

    `wanted` is `float` or `base64`; with None every vector stays as it is. `changed` says whether one did not.
    """

    def __init__(self, body: bytes, wanted: str | None) -> None:
        self.changed = False
        self._body = body
        self._wanted = wanted
        self._frame: list[Buffer] = []

    def pieces(self) -> Iterator[Buffer]:
        """The body in pieces, its vectors in the wanted format. Raises `InvalidProviderResponse`."""
        body, view = self._body, memoryview(self._body)
        position = 0
        while found := _VECTOR.search(body, position):
            start = found.end()
            listed = body[start] == _LIST
            end = body.find(b"]" if listed else b'"', start + 1) + 1
            if not end:
                break
            before, vector = view[position:start], view[start:end]
            self._frame += (before, b"null")
            yield before
            if (self._wanted == "base64" and listed) or (self._wanted == "float" and not listed):
                self.changed = True
                yield vector_json(_decoded(vector), self._wanted)
            else:
                yield vector
            position = end
        self._frame.append(view[position:])
        yield view[position:]

    def content(self) -> Json:
        """The answer decoded, each vector being null. Raises `InvalidProviderResponse`."""
        try:
            content = orjson.loads(b"".join(self._frame))
        except orjson.JSONDecodeError:
            # A server of its own mind, with lists in its vectors, or no JSON at all.
            content = _decoded(self._body)
        if not isinstance(content, dict):
            raise InvalidProviderResponse("The provider's answer is not an object.")
        return content


async def formatted(body: bytes, wanted: str | None) -> tuple[bytes, Json]:
    """(the body with each vector in the wanted format, its content without vectors).

    The body is the same object where nothing had to be changed. Raises `InvalidProviderResponse`.
    """
    vectors = AnswerVectors(body, wanted)
    pieces = await in_turns(vectors.pieces())
    content = vectors.content()
    return await _joined(pieces) if vectors.changed else body, content


async def written(rest: Json, items: Iterable[bytes]) -> bytes:
    """A whole answer: `items` are its data as JSON (see `item_json`), `rest` what stands beside them."""
    pieces: list[Buffer] = [b'{"object":"list","data":[']
    for item in await in_turns(items):
        pieces += (item, b",")
    if len(pieces) > 1:
        pieces.pop()
    return await _joined([*pieces, b"],", orjson.dumps(rest)[1:]])


def item_json(index: int, vector: Sequence[float] | str, wanted: str | None) -> bytes:
    """One item of an answer's data. Raises `InvalidProviderResponse`."""
    return b'{"object":"embedding","index":%d,"embedding":%b}' % (index, vector_json(vector, wanted))


def vector_json(vector: Sequence[float] | str, wanted: str | None) -> bytes:
    """A vector, itself a list of numbers or a text in base64, as JSON in the wanted format.

    Base64 is that of little-endian 32-bit floats. Raises `InvalidProviderResponse` for what is no vector.
    """
    try:
        if isinstance(vector, str):
            if wanted == "float":
                data = a2b_base64(vector, strict_mode=True)
                return _numbers(struct.unpack(f"<{len(data) // 4}f", data))
            return orjson.dumps(vector)
        if wanted == "base64":
            return b'"%b"' % b2a_base64(struct.pack(f"<{len(vector)}f", *vector), newline=False)
        return _numbers(vector)
    except (ValueError, TypeError, OverflowError, struct.error):
        raise InvalidProviderResponse("The provider's answer holds a vector that cannot be read.") from None


def _numbers(vector: Sequence[float]) -> bytes:
    text = orjson.dumps(vector)
    if b"n" in text:
        raise ValueError("a vector has a component that is not a finite number")
    return text


def _decoded(text: Buffer) -> Sequence[float] | str:
    try:
        decoded: Sequence[float] | str = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise InvalidProviderResponse("The provider's answer is not JSON.") from None
    return decoded


async def _joined(pieces: Sequence[Buffer]) -> bytes:
    """The pieces in one. A large copy takes a thread: of nothing but `bytes`, Python joins it without its lock."""
    if sum(map(len, pieces)) < _LARGE:
        return b"".join(pieces)
    return await asyncio.to_thread(lambda: b"".join([bytes(piece) for piece in pieces]))


async def in_turns(items: Iterable[T]) -> list[T]:
    """All items of an iterator that is slow as a whole; others get their turn in between."""
    made: list[T] = []
    began = perf_counter()
    for item in items:
        made.append(item)
        if perf_counter() - began > _TURN:
            await asyncio.sleep(0)
            began = perf_counter()
    return made
