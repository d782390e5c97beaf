"""What an inference operation is: how its body is checked and where it goes. A new operation is a declaration."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from shared import Json
from shared.wire.chat import (
    ChatReading,
    check_chat,
    check_completion,
    check_openai_ranges,
    estimate_answer,
)
from shared.wire.estimate import estimate_prompt
from shared.wire.events import Reading


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` is the catalog's; `path` is OpenAI's, below `/v1/`.

    `check` is run for every request, `check_ranges` only where OpenAI's own limits hold. `reading` follows a
    streamed answer. The estimates are in tokens, for a provider that reports no usage.
    """

    name: str
    path: str
    check: Callable[[Json], None]
    check_ranges: Callable[[Json], None]
    reading: Callable[[Json], Reading]
    estimate_prompt: Callable[[Json], int]
    estimate_answer: Callable[[Json], int]


CHAT_COMPLETIONS = Operation(
    name="ChatCompletion",
    path="chat/completions",
    check=check_chat,
    check_ranges=check_openai_ranges,
    reading=ChatReading,
    estimate_prompt=estimate_prompt,
    estimate_answer=estimate_answer,
)
COMPLETIONS = replace(CHAT_COMPLETIONS, path="completions", check=check_completion)
