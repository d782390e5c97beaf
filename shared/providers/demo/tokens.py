"""The demo model's tokens: pieces of four characters, so that they add up to the stated estimate."""

import re
from collections.abc import Iterator

from shared import Json
from shared.wire.estimate import CHARACTERS_PER_TOKEN

CERTAIN = 0.0
RULED_OUT = -9999.0
"""The log probability that OpenAI gives to tokens that were not among the likely ones (API reference)."""

_WORDS = re.compile(r"\s*\S+|\s+")
_ALTERNATIVES: tuple[str, ...] = (
    " the",
    " a",
    " of",
    " and",
    " to",
    " in",
    " is",
    " it",
    " for",
    " on",
    " with",
    " as",
    " at",
)
_ALTERNATIVES += (" by", " or", " an", " be", " if", " so", " no", " we")


def clip(text: str, limit: int | None, stops: tuple[str, ...]) -> tuple[str, str]:
    """(text, finish_reason): cut before the first stop text, then after `limit` tokens."""
    ends = [at for at in (text.find(stop) for stop in stops) if at >= 0]
    if ends:
        text = text[: min(ends)]
    if limit is not None and len(text) > limit * CHARACTERS_PER_TOKEN:
        return text[: limit * CHARACTERS_PER_TOKEN], "length"
    return text, "stop"


def words(text: str) -> list[str]:
    """The text as a stream brings it. Joined, it is the text again."""
    return _WORDS.findall(text)


def pieces(text: str) -> list[str]:
    """The text's tokens. Joined, they are the text again."""
    return [text[at : at + CHARACTERS_PER_TOKEN] for at in range(0, len(text), CHARACTERS_PER_TOKEN)]


def log_probability(token: str, top: int) -> Json:
    """One entry of a chat choice's `logprobs.content`. The demo model is certain of what it says."""
    ranked = [_entry(other, probability) for other, probability in alternatives(token, top)]
    return {**_entry(token, CERTAIN), "top_logprobs": ranked}


def alternatives(token: str, top: int) -> Iterator[tuple[str, float]]:
    """(token, log probability) of the `top` likeliest tokens: the chosen one, then a fixed order."""
    if top > 0:
        yield token, CERTAIN
    others = (other for other in _ALTERNATIVES if other != token)
    for other, _ in zip(others, range(top - 1), strict=False):
        yield other, RULED_OUT


def _entry(token: str, probability: float) -> Json:
    return {"token": token, "logprob": probability, "bytes": list(token.encode())}
