"""What an inference operation is: how its body is checked and where it goes. A new operation is a declaration."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from shared import Json
from shared.providers.calls import Answer, Form
from shared.wire.chat import (
    ChatReading,
    check_chat,
    check_completion,
    check_openai_ranges,
    estimate_answer,
)
from shared.wire.estimate import estimate_prompt
from shared.wire.events import Reading
from shared.wire.usage import Usage


def _asks_for_stream(body: Json) -> bool:
    return body.get("stream") is True


def _never(body: Json) -> bool:
    return False


def _no_ranges(body: Json) -> None:
    return None


def _no_files(form: Form) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Operation:
    """`name` is the catalog's; `path` is OpenAI's, below `/v1/`.

    `check` is run for every request, `check_ranges` only where OpenAI's own limits hold. `estimate` counts a
    request (and its answer, None while there is none) where the provider reports no usage. `streamed` says
    whether a body asks for events, which `reading` then follows. `multipart` bodies are forms, whose files
    `check_form` sees (`check` their fields by name), or with `json` JSON as well; an answer in `bytes` is relayed
    as it arrives. `measure` says what a plain answer used where that is more than its tokens: it takes the
    request's body, its form and the answer.
    """

    name: str
    path: str
    check: Callable[[Json], None]
    estimate: Callable[[Json, Json | None], Usage]
    check_ranges: Callable[[Json], None] = _no_ranges
    streamed: Callable[[Json], bool] = _never
    reading: Callable[[Json], Reading] | None = None
    multipart: bool = False
    json: bool = False
    check_form: Callable[[Form], None] = _no_files
    measure: Callable[[Json, Form | None, Answer], Usage] | None = None
    bytes: bool = False


def _estimate_chat(body: Json, content: Json | None) -> Usage:
    completion = estimate_answer(content) if content is not None else 0
    return Usage(prompt=estimate_prompt(body), completion=completion, estimated=True)


CHAT_COMPLETIONS = Operation(
    name="ChatCompletion",
    path="chat/completions",
    check=check_chat,
    check_ranges=check_openai_ranges,
    estimate=_estimate_chat,
    streamed=_asks_for_stream,
    reading=ChatReading,
)
COMPLETIONS = replace(CHAT_COMPLETIONS, path="completions", check=check_completion)
