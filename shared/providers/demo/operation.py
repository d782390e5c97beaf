"""What an operation of the demo provider is: a body that was read, and can be answered whole or in chunks."""

import hashlib
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from shared import Json
from shared.errors import ContextLengthExceeded
from shared.providers.calls import Form
from shared.providers.demo.fields import whole_number


@dataclass(frozen=True, slots=True)
class Question:
    """A body for one operation. `model` is the code that the answer names, `created` in seconds since 1970.

    `context` is the most tokens that the model takes in, None without a limit. `form` holds the files of a
    multipart request, whose fields are then the body.
    """

    body: Json
    model: str
    created: int
    context: int | None = None
    form: Form | None = None


class Operation(Protocol):
    """A request, checked. `dropped` names the fields that mean nothing to the demo model."""

    dropped: tuple[str, ...]

    def answer(self) -> Json:
        """The whole answer, as OpenAI gives it."""
        ...


@runtime_checkable
class Rendered(Protocol):
    """A request whose answer is too large to be made of objects first."""

    dropped: tuple[str, ...]

    async def rendered(self) -> tuple[bytes, Json]:
        """(the answer's body, what of it is read: its usage at least)."""
        ...


@runtime_checkable
class Streamed(Protocol):
    """A request that can be answered in chunks."""

    dropped: tuple[str, ...]

    def chunks(self) -> Iterator[Json]:
        """The same as a stream, usage last."""
        ...


class Sounding(Streamed, Protocol):
    """A request that is answered in bytes; `chunks` are the same in events."""

    content_type: str

    def parts(self) -> Iterator[bytes]:
        """The answer, bit by bit."""
        ...


def new_id(prefix: str) -> str:
    return prefix + uuid.uuid4().hex


def fingerprint(question: Question) -> str:
    """`system_fingerprint`: the same for the same model and seed, whose answers are the same."""
    seed = whole_number(question.body, "seed", -(2**63), 2**64 - 1)
    return "fp_" + hashlib.sha256(f"{question.model}/{seed}".encode()).hexdigest()[:10]


def usage_object(prompt: int, completion: int) -> Json:
    """OpenAI's `usage`, with its details."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def check_context(question: Question, prompt: int) -> None:
    """Raises `ContextLengthExceeded`, in OpenAI's words, where the prompt does not fit."""
    if question.context is not None and prompt > question.context:
        raise ContextLengthExceeded(
            f"This model's maximum context length is {question.context} tokens. "
            f"However, your messages resulted in {prompt} tokens.",
            param="messages" if "messages" in question.body else "prompt",
        )


def wants_usage_key(body: Json) -> bool:
    """Whether each chunk carries `usage: null`, as OpenAI's do where usage was asked for."""
    options = body.get("stream_options")
    return isinstance(options, dict) and options.get("include_usage") is True
