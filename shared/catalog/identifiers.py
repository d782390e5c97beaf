"""Identifiers: what a model, a group or a project may be called."""

import unicodedata

MAX_LENGTH = 256


def checked_id(text: str) -> str:
    """`text` itself. Raises ValueError unless it has 1 to 256 characters, none of them a control character.

    A lone surrogate is refused too: it cannot be written as UTF-8, so no client could ever name it.
    """
    if not 1 <= len(text) <= MAX_LENGTH:
        raise ValueError(f"must have 1 to {MAX_LENGTH} characters")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in text):
        raise ValueError("must not hold control characters")
    return text
