"""The stated rule for tokens that a provider did not count: four characters are one token, rounded up."""

from typing import Any

from shared import Json

CHARACTERS_PER_TOKEN = 4
PART_TOKENS = 85
"""What an image, audio or file part counts as: OpenAI's base price of a low-detail image, in tokens."""
_PARTS = ("image_url", "input_audio", "file", "image", "document", "input_image", "input_file")


def estimate_tokens(text: str) -> int:
    return tokens_of(len(text))


def tokens_of(characters: int) -> int:
    return -(-characters // CHARACTERS_PER_TOKEN)


def estimate_prompt(body: Json) -> int:
    """Tokens of a chat or completion body: its text, and `PART_TOKENS` for each part that is no text."""
    characters, parts = _measure(body.get("messages", body.get("prompt")))
    more, _ = _measure(body.get("tools"))
    return tokens_of(characters + more) + parts * PART_TOKENS


def estimate_values(*values: Any) -> int:
    """Tokens of several parts of a body: their text, and `PART_TOKENS` for each part that is no text."""
    measured = [_measure(value) for value in values]
    return tokens_of(sum(characters for characters, _ in measured)) + PART_TOKENS * sum(
        parts for _, parts in measured
    )


def _measure(value: Any) -> tuple[int, int]:
    if isinstance(value, str):
        return len(value), 0
    if isinstance(value, int):
        return CHARACTERS_PER_TOKEN, 0
    characters = parts = 0
    if isinstance(value, list):
        for item in value:
            more, inner = _measure(item)
            characters, parts = characters + more, parts + inner
    elif isinstance(value, dict):
        if value.get("type") in _PARTS:
            return 0, 1
        for name, item in value.items():
            if name not in ("role", "type"):
                more, inner = _measure(item)
                characters, parts = characters + more, parts + inner
    return characters, parts
