"""What an inference operation is: how its body is checked and where it goes. A new operation is a declaration."""

from collections.abc import Callable
from dataclasses import dataclass

from shared import Json
from shared.wire.chat import check_chat, check_completion, check_openai_ranges


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` is the catalog's; `path` is OpenAI's, below `/v1/`.

    `check` is run for every request, `check_ranges` only where OpenAI's own limits hold.
    """

    name: str
    path: str
    check: Callable[[Json], None]
    check_ranges: Callable[[Json], None]


CHAT_COMPLETIONS = Operation("ChatCompletion", "chat/completions", check_chat, check_openai_ranges)
COMPLETIONS = Operation("ChatCompletion", "completions", check_completion, check_openai_ranges)
