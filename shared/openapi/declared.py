"""What a function says of itself where it is registered."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Access: TypeAlias = Literal["open", "user", "admin", "inference"]
"""Who may call: anyone, any key, an administrator's key; `inference` is any key, or none where keys are off."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The methods that a function takes, `OPTIONS` apart, and who may call it."""

    methods: tuple[str, ...]
    access: Access
