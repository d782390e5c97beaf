"""How long a call may take, all in seconds: the settings, what the catalog says, and what the request tightens."""

from dataclasses import dataclass

from shared.catalog.documents import Model
from shared.inference.request import Steering
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Those of one deployment. `whole` is for one plain call, or for one stream to its end."""

    connect: float
    first_token: float
    idle: float
    whole: float


def deadlines(settings: Settings, model: Model, steering: Steering, streamed: bool) -> Deadlines:
    """The deadlines for one model. The catalog moves the whole-call ones only downwards on Functions."""
    parameters = model.parameters
    limit = _limit(settings, streamed)
    whole = (parameters.stream_timeout if streamed else parameters.timeout) or limit
    if not settings.local:
        whole = min(whole, limit)
    if steering.timeout is not None:
        whole = min(whole, steering.timeout)
    return Deadlines(
        connect=parameters.connect_timeout or settings.connect_timeout,
        first_token=parameters.first_token_timeout or settings.first_token_timeout,
        idle=parameters.idle_timeout or settings.idle_timeout,
        whole=whole,
    )


def allowed(settings: Settings, model: Model, steering: Steering, allowance: float) -> Deadlines:
    """The deadlines for one model in a job that has `allowance` seconds left."""
    parameters = model.parameters
    whole = allowance if steering.timeout is None else min(allowance, steering.timeout)
    return Deadlines(
        connect=parameters.connect_timeout or settings.connect_timeout,
        first_token=parameters.first_token_timeout or whole,
        idle=parameters.idle_timeout or whole,
        whole=whole,
    )


def overall(settings: Settings, first: Deadlines, steering: Steering, streamed: bool) -> float:
    """How long a request may take in all: every deployment, try and pause together."""
    whole = _limit(settings, streamed)
    if settings.local:
        whole = max(whole, first.whole)
    return whole if steering.timeout is None else min(whole, steering.timeout)


def _limit(settings: Settings, streamed: bool) -> float:
    return settings.stream_timeout if streamed else settings.call_timeout


def retries(settings: Settings, model: Model, steering: Steering) -> int:
    """Tries after the first on one deployment; a request may only ask for fewer."""
    allowed = model.parameters.max_retries
    if allowed is None:
        allowed = settings.max_retries
    return allowed if steering.max_retries is None else min(allowed, steering.max_retries)
