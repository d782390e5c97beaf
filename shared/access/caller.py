"""Who is asking."""

from dataclasses import dataclass
from typing import Literal

DEFAULT_PROJECT = "default"


@dataclass(frozen=True, slots=True)
class Caller:
    """The holder of a key. `models` is the key's allow-list; None allows every model its project may use.

    `budgeted` says that the key has a budget, so that what cannot be counted is not for it.
    """

    project: str
    key_id: str
    role: Literal["user", "admin"] = "user"
    models: frozenset[str] | None = None
    budgeted: bool = False

    @property
    def admin(self) -> bool:
        return self.role == "admin"


ANONYMOUS = Caller(DEFAULT_PROJECT, "anonymous")
"""The caller of an inference route in local mode without keys."""
