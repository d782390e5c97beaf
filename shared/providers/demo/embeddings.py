"""Embeddings of the demo model: vectors out of the words and word parts of a text, so that likeness shows.

Each feature (a word, three letters in a row, a token) has a direction of its own, picked by a hash; a text's
vector is their sum, of unit length. Texts that share words and parts of words are near each other.
"""

import asyncio
import math
import re
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from zlib import crc32

from shared import Json
from shared.errors import ContextLengthExceeded
from shared.providers.demo.fields import refusal, whole_number
from shared.providers.demo.operation import Question
from shared.wire.embeddings import is_token_list, wanted_format
from shared.wire.estimate import estimate_tokens
from shared.wire.vectors import item_json, written

DIMENSIONS = 256
MAX_DIMENSIONS = 3072
MAX_TOKENS = 300_000
"""Tokens of all inputs of one call together (OpenAI's API reference)."""
_UNDERSTOOD = frozenset(("model", "input", "dimensions", "encoding_format"))
_IGNORED = frozenset(("user",))
_WORD = re.compile(r"\w+")
_LONG = 1_000
"""Tokens that take more than some milliseconds."""
_SPREAD = 4
"""Components that a feature touches: two texts rarely share all of them by chance."""


class Embeddings:
    """A body for embeddings, checked. `dropped` names the fields that mean nothing to the demo model."""

    def __init__(self, question: Question) -> None:
        body = question.body
        self._model = question.model
        self._dimensions = whole_number(body, "dimensions", 1, MAX_DIMENSIONS) or DIMENSIONS
        self._format = wanted_format(body)
        given = body["input"]
        self._inputs = [given] if isinstance(given, str) or is_token_list(given) else given
        self._counts = [_count(item) for item in self._inputs]
        _check_context(self._counts, question.context)
        self.dropped = tuple(name for name in body if name not in _UNDERSTOOD and name not in _IGNORED)

    async def rendered(self) -> tuple[bytes, Json]:
        """(the answer's body, its content without vectors)."""
        tokens = sum(self._counts)
        rest: Json = {"model": self._model, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}}
        items: Iterable[bytes] = self._items()
        if tokens > _LONG:
            # A long text is one step, too long for the loop; a thread takes turns with it.
            items = await asyncio.to_thread(list, items)
        return await written(rest, items), {"object": "list", "data": [], **rest}

    def _items(self) -> Iterator[bytes]:
        for index, item in enumerate(self._inputs):
            yield item_json(index, vector(item, self._dimensions), self._format)


def vector(item: str | list[int], dimensions: int) -> list[float]:
    """The unit vector of a text or a token list: the same for the same input, in 32-bit precision."""
    made = [0.0] * dimensions
    for feature, times in Counter(_features(item)).items():
        weight = 1.0 + math.log(times)
        for part in range(_SPREAD):
            code = crc32(feature, part)
            made[code % dimensions] += weight if code & 0x8000_0000 else -weight
    length = math.sqrt(math.fsum(value * value for value in made))
    if not length:
        # What cancels itself out, or has no features at all, still gets a direction.
        made[crc32(str(item).encode()) % dimensions] = length = 1.0
    return array("f", (value / length for value in made)).tolist()


def _features(item: str | list[int]) -> Iterable[bytes]:
    if not isinstance(item, str):
        return (b"token %d" % token for token in item)
    words = _WORD.findall(item.casefold()) or [item]
    parts = (
        padded[at : at + 3]
        for padded in (f"^{word}$" for word in words)
        for at in range(max(1, len(padded) - 2))
    )
    return (feature.encode("utf-8", "surrogatepass") for feature in chain(words, parts))


def _count(item: str | list[int]) -> int:
    return estimate_tokens(item) if isinstance(item, str) else len(item)


def _check_context(counts: list[int], context: int | None) -> None:
    most = max(counts)
    if context is not None and most > context:
        raise ContextLengthExceeded(
            f"This model's maximum context length is {context} tokens. However, you requested {most} tokens.",
            param="input",
        )
    if sum(counts) > MAX_TOKENS:
        raise refusal(f"All inputs together must hold at most {MAX_TOKENS} tokens.", "input")
