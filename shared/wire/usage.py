"""Token counts, as OpenAI reports them and as the proxy accounts them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared import Json


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call. `cached` is part of `prompt`, `reasoning` part of `completion`.

    `images`, `seconds` (of audio) and `characters` (of spoken text) are what has a price of its own.
    `estimated` says that the provider reported none and the proxy counted by its own rule.
    """

    prompt: int = 0
    completion: int = 0
    cached: int = 0
    reasoning: int = 0
    estimated: bool = False
    images: int = 0
    seconds: float = 0.0
    characters: int = 0

    @property
    def total(self) -> int:
        return self.prompt + self.completion

    def record(self) -> Json:
        """As it is kept; images, seconds and characters only where there are any."""
        record: Json = {
            "prompt_tokens": self.prompt,
            "completion_tokens": self.completion,
            "total_tokens": self.total,
            "cached_tokens": self.cached,
            "reasoning_tokens": self.reasoning,
            "estimated": self.estimated,
        }
        others = {"images": self.images, "seconds": self.seconds, "characters": self.characters}
        record.update({name: value for name, value in others.items() if value})
        return record


def recorded_usage(record: Mapping[str, Any]) -> Usage:
    """What `Usage.record` made, read back."""
    return Usage(
        prompt=record.get("prompt_tokens", 0),
        completion=record.get("completion_tokens", 0),
        cached=record.get("cached_tokens", 0),
        reasoning=record.get("reasoning_tokens", 0),
        estimated=record.get("estimated", False),
        images=record.get("images", 0),
        seconds=record.get("seconds", 0.0),
        characters=record.get("characters", 0),
    )


def read_usage(reported: Any) -> Usage | None:
    """A provider's `usage` object, in the words of chat completions or of responses; None if it is neither.

    A transcription may be counted in seconds of audio instead (`{"type": "duration", "seconds": 12}`).
    """
    if not isinstance(reported, dict):
        return None
    if reported.get("type") == "duration":
        return _duration(reported.get("seconds"))
    prompt = _count(reported, "prompt_tokens", "input_tokens")
    completion = _count(reported, "completion_tokens", "output_tokens")
    if prompt is None and completion is None:
        return None
    return Usage(
        prompt=prompt or 0,
        completion=completion or 0,
        cached=_detail(reported, ("prompt_tokens_details", "input_tokens_details"), "cached_tokens"),
        reasoning=_detail(
            reported, ("completion_tokens_details", "output_tokens_details"), "reasoning_tokens"
        ),
    )


def _duration(seconds: Any) -> Usage | None:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < math.inf:
        return None
    return Usage(seconds=float(seconds))


def _count(reported: Mapping[str, Any], *names: str) -> int | None:
    for name in names:
        value = reported.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
    return None


def _detail(reported: Mapping[str, Any], groups: tuple[str, ...], name: str) -> int:
    for group in groups:
        details = reported.get(group)
        if isinstance(details, dict):
            return _count(details, name) or 0
    return 0
