"""What is kept of one call: who, what, how long, how much. Never what was said."""

from dataclasses import dataclass
from math import isfinite

from shared import Json
from shared.clock import iso
from shared.wire.usage import Usage

LONGEST_TEXT = 256


@dataclass(slots=True)
class UsageRecord:
    """One call, successful or not.

    `model_requested` is what the client wrote, `model` the id of the deployment that answered (None if none
    did), `user` the body's own `user`. Times are in milliseconds, `cost_usd` in US dollars (None where the
    model has no costs), `cache` is `hit`, `miss` or `off`. `time` is when the call ended, in seconds since
    1970, and decides its day; None means now. `id` is None but for a job, whose own id it is.
    """

    request_id: str
    project: str
    key_id: str
    operation: str
    status: int
    model_requested: str | None = None
    model: str | None = None
    provider: str | None = None
    user: str | None = None
    streamed: bool = False
    usage: Usage | None = None
    cost_usd: float | None = None
    time_to_first_token_ms: float | None = None
    duration_ms: float | None = None
    attempts: int = 0
    fallback: bool = False
    cache: str = "off"
    error_code: str | None = None
    time: float | None = None
    id: str | None = None

    def document(self, id: str, sort_key: str, time: float) -> Json:
        """The document of the container `usage`; `sort_key` is unique and grows with time."""
        moment = iso(time)
        day = moment[:10]
        return {
            "id": id,
            "partition": partition(self.project, day),
            "sort_key": sort_key,
            "day": day,
            "time": moment,
            "request_id": self.request_id,
            "project": self.project,
            "key_id": self.key_id,
            "user": _short(self.user),
            "model_requested": _short(self.model_requested),
            "model": self.model,
            "provider": self.provider,
            "operation": self.operation,
            "streamed": self.streamed,
            "status": self.status,
            "usage": self.usage.record() if self.usage is not None else None,
            "cost_usd": _finite(self.cost_usd),
            "time_to_first_token_ms": _milliseconds(self.time_to_first_token_ms),
            "duration_ms": _milliseconds(self.duration_ms),
            "attempts": self.attempts,
            "fallback": self.fallback,
            "cache": self.cache,
            "error_code": self.error_code,
        }


def partition(project: str, day: str) -> str:
    """The partition of a project's records of a day (`YYYY-MM-DD`)."""
    return f"{project}|{day}"


def record_view(body: Json) -> Json:
    """A record as `/manage/requests` shows it."""
    hidden = ("partition", "sort_key", "day")
    return {"object": "request", **{name: value for name, value in body.items() if name not in hidden}}


def _short(text: str | None) -> str | None:
    # A client writes these, and a document has its limits.
    return text[:LONGEST_TEXT] if text is not None else None


def _finite(number: float | None) -> float | None:
    return number if number is not None and isfinite(number) else None


def _milliseconds(number: float | None) -> float | None:
    finite = _finite(number)
    return round(finite, 3) if finite is not None else None
