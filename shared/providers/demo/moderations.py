"""Moderations of the demo model: a list of words, each speaking for a category with a weight.

Scores add up as independent signs do: of two words of 0.6 and 0.5 comes 1 - 0.4 * 0.5 = 0.8. The list is short and
knows no meaning: it shows what a flagged answer looks like, and protects no one. Of a picture it sees nothing.
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from shared import Json
from shared.providers.demo.fields import refusal
from shared.providers.demo.operation import Question, new_id
from shared.wire.estimate import estimate_tokens

THRESHOLD = 0.5
"""The score from which on a category is flagged."""
CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""OpenAI's categories of `omni-moderation` (API reference, Moderations)."""
MAX_TOKENS = 100_000
"""What one call may hold where the catalog says nothing."""
_LONG = 1_000
"""Tokens that take more than some milliseconds."""
_PICTURES = frozenset(
    ("self-harm", "self-harm/instructions", "self-harm/intent", "sexual", "violence", "violence/graphic")
)
"""Categories that are judged in pictures too (API reference)."""
_NOTHING = 0.00001
_UNDERSTOOD = frozenset(("model", "input"))

_SIGNS: Mapping[str, Mapping[str, float]] = {
    r"(?:stupid|idiots?|morons?|losers?|worthless|pathetic)": {"harassment": 0.6},
    r"shut up": {"harassment": 0.4},
    r"(?:i|we)(?: will|'ll| am going to|'m going to) (?:find|get|hurt|kill|beat|shoot) (?:you|him|her|them)": {
        "harassment": 0.7,
        "harassment/threatening": 0.8,
        "violence": 0.8,
    },
    r"(?:hate|despise) (?:all|those|these) (?:people|immigrants|foreigners|women|men|believers)": {
        "hate": 0.7,
        "harassment": 0.4,
    },
    r"(?:subhumans?|vermin) (?:people|immigrants|foreigners)": {"hate": 0.8},
    r"(?:kill|exterminate|wipe out) (?:all|those|these) (?:people|immigrants|foreigners|women|men|believers)": {
        "hate": 0.7,
        "hate/threatening": 0.8,
        "violence": 0.8,
    },
    r"(?:shoplift(?:ing)?|counterfeit(?:ing)?|launder(?:ing)? money|pick(?:ing)? locks?)": {"illicit": 0.6},
    r"(?:make|build|making|building) (?:a |an )?(?:bombs?|pipe bombs?|explosives?)": {
        "illicit": 0.7,
        "illicit/violent": 0.8,
        "violence": 0.4,
    },
    r"(?:kill|hurt|harm|cut)(?:ing)? (?:myself|yourself|himself|herself|themselves)": {
        "self-harm": 0.8,
        "self-harm/intent": 0.3,
    },
    r"i (?:want|am going|plan) to (?:die|kill myself|hurt myself|end my life)": {
        "self-harm": 0.8,
        "self-harm/intent": 0.9,
    },
    r"how (?:to|do i|can i) (?:kill|hurt|harm|cut) (?:myself|yourself)": {"self-harm/instructions": 0.8},
    r"suicid(?:e|al)": {"self-harm": 0.5},
    r"(?:porn|pornography|erotic|nude|nudes|naked)": {"sexual": 0.6},
    r"(?:sexual|nude|naked|erotic) (?:child|children|minors?|teens?)": {"sexual": 0.8, "sexual/minors": 0.9},
    r"(?:kill|murder|stab|shoot|strangle|massacre)(?:s|ed|ing)?": {"violence": 0.5},
    r"(?:punch|beat|attack|fight)(?:s|ed|ing)?": {"violence": 0.25},
    r"(?:gore|gory|dismember(?:ed|ing)?|beheaded|beheading|entrails|mutilated)": {
        "violence": 0.5,
        "violence/graphic": 0.7,
    },
}


class Judged(NamedTuple):
    """What one result is about."""

    texts: list[str]
    pictures: bool


class Moderation:
    """A body for moderations, checked. `dropped` names the fields that mean nothing to the demo model."""

    def __init__(self, question: Question) -> None:
        self._model = question.model
        self._inputs = _read_inputs(question.body["input"])
        self._tokens = sum(estimate_tokens(text) for judged in self._inputs for text in judged.texts)
        limit = question.context or MAX_TOKENS
        if self._tokens > limit:
            raise refusal(f"'input' must hold at most {limit} tokens, not {self._tokens}.", "input")
        self.dropped = tuple(name for name in question.body if name not in _UNDERSTOOD)

    async def rendered(self) -> tuple[bytes, Json]:
        """(the answer's body, its content)."""
        if self._tokens > _LONG:
            results = await asyncio.to_thread(self._results)
        else:
            results = self._results()
        content = {"id": new_id("modr-"), "model": self._model, "results": results}
        return orjson.dumps(content), content

    def _results(self) -> list[Json]:
        return [_result(judged) for judged in self._inputs]


def _read_inputs(given: Any) -> list[Judged]:
    if isinstance(given, str):
        return [Judged([given], False)]
    if isinstance(given[0], str):
        return [Judged([text], False) for text in given]
    # Parts are judged together, as one thing that someone said.
    for index, part in enumerate(given):
        if part["type"] not in ("text", "image_url"):
            raise refusal("A part must be of the type 'text' or 'image_url'.", f"input[{index}].type")
    texts = [part["text"] for part in given if part["type"] == "text"]
    return [Judged(texts, len(texts) < len(given))]


def _result(judged: Judged) -> Json:
    scores = rated(judged.texts)
    flags = {category: score >= THRESHOLD for category, score in scores.items()}
    return {
        "flagged": any(flags.values()),
        "categories": flags,
        "category_scores": scores,
        "category_applied_input_types": {
            category: [
                *(["text"] if judged.texts else []),
                *(["image"] if judged.pictures and category in _PICTURES else []),
            ]
            for category in CATEGORIES
        },
    }


def rated(texts: list[str]) -> dict[str, float]:
    """The score of each category, from 0 to 1. The same texts have the same scores."""
    doubts = dict.fromkeys(CATEGORIES, 1.0)
    text = " ".join(" ".join(texts).casefold().replace("\u2019", "'").split())
    for sign, weights in _SIGNS.items():
        found = len(re.findall(rf"\b{sign}\b", text))
        for category, weight in weights.items() if found else ():
            doubts[category] *= (1.0 - weight) ** found
    return {category: round(max(1.0 - doubt, _NOTHING), 6) for category, doubt in doubts.items()}
