"""A request as the pipeline sees it, once the caller is known and the body is JSON."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from shared import Json
from shared.access.caller import Caller
from shared.catalog.documents import Model
from shared.errors import InvalidValue, ProxyError
from shared.inference.operations import Operation
from shared.providers.calls import Answer, Form
from shared.wire.events import Event
from shared.wire.forms import typed_steering
from shared.wire.parameters import forwarded_body
from shared.wire.usage import Usage

MAX_FALLBACKS = 20


@dataclass(frozen=True, slots=True)
class Steering:
    """How a request steers the proxy. Times in seconds; None where it does not say."""

    timeout: float | None = None
    max_retries: int | None = None
    fallbacks: tuple[str, ...] | None = None
    context_window_fallbacks: tuple[str, ...] | None = None
    content_policy_fallbacks: tuple[str, ...] | None = None


NO_STEERING = Steering()


@dataclass(frozen=True, slots=True)
class Pin:
    """The one deployment that can serve a request, since what it is about lies there.

    `model` is the catalog's id of it; `id` what the client calls the thing, in its field `param`.
    """

    model: str
    id: str
    param: str | None = None


class Labels(Protocol):
    """Puts our ids in the place of a provider's in all that the client gets."""

    def answer(self, answer: Answer, model: Model) -> Answer: ...

    def event(self, event: Event, model: Model) -> Event: ...

    def error(self, error: ProxyError) -> None:
        """Changes the error's words."""
        ...


@dataclass(slots=True)
class InferenceRequest:
    """One call of one operation. `model` is what the client asked for; `body` and `query` what travels on.

    With a `pin` no other deployment is asked. `allowance` is what a job has left, in seconds: it stands in for the
    deadlines of plain calls and streams, and no deployment is asked twice: a job comes back later instead.
    """

    operation: Operation
    caller: Caller
    request_id: str
    body: Json
    model: str | None
    streamed: bool
    steering: Steering = NO_STEERING
    headers: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    form: Form | None = None
    query: tuple[tuple[str, str], ...] = ()
    pin: Pin | None = None
    labels: Labels | None = None
    allowance: float | None = None

    @property
    def lasting(self) -> bool:
        """Whether the answer comes bit by bit, so that it may take the time of a stream."""
        return self.streamed or self.operation.bytes

    def estimated(self, content: Json | None = None) -> Usage:
        """What it used by the stated rules, where the provider does not say. `content` is the answer's."""
        return self.complete(self.operation.estimate(self.body, content))

    def complete(self, usage: Usage) -> Usage:
        """Usage with the length of the audio that was uploaded, unless it is there."""
        seconds = self.operation.seconds
        if seconds is None or usage.seconds:
            return usage
        return replace(usage, seconds=seconds(self.form))


def read_request(
    operation: Operation,
    caller: Caller,
    request_id: str,
    body: Json,
    headers: Mapping[str, str],
    model: str | None = None,
    form: Form | None = None,
) -> InferenceRequest:
    """Checks a body and takes it apart. `model` is the path's, which wins over the body's.

    The body of a `form` is its fields by name.
    """
    operation.check(body)
    if form is not None:
        operation.check_form(form)
    user = body.get("user")
    return InferenceRequest(
        operation=operation,
        caller=caller,
        request_id=request_id,
        body=forwarded_body(body),
        model=model or body.get("model"),
        streamed=operation.streamed(body),
        steering=read_steering(body if form is None else typed_steering(body)),
        headers=headers,
        user=user if isinstance(user, str) else None,
        form=form,
    )


def read_steering(body: Json) -> Steering:
    """The steering fields of a body. Raises `InvalidValue`."""
    if not ("timeout" in body or "max_retries" in body or any(name.endswith("fallbacks") for name in body)):
        return NO_STEERING
    return Steering(
        _timeout(body.get("timeout")),
        _retries(body.get("max_retries")),
        _names(body, "fallbacks"),
        _names(body, "context_window_fallbacks"),
        _names(body, "content_policy_fallbacks"),
    )


def _timeout(value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise InvalidValue("'timeout' must be a number of seconds above 0.", param="timeout")
    return float(value)


def _retries(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidValue("'max_retries' must be a whole number of 0 or more.", param="max_retries")
    return value


def _names(body: Json, name: str) -> tuple[str, ...] | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MAX_FALLBACKS:
        raise InvalidValue(f"'{name}' must be an array of at most {MAX_FALLBACKS} model ids.", param=name)
    for index, item in enumerate(value):
        if not isinstance(item, str) or not item:
            raise InvalidValue("A fallback must be a model's id.", param=f"{name}[{index}]")
    return tuple(value)
