"""What is known of one model's health, and the rules by which outcomes of calls become a status."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Any, Literal, NamedTuple, cast, get_args

from shared import Json
from shared.clock import iso
from shared.errors import (
    ClientGone,
    InvalidRequest,
    ProviderCredentialRefused,
    ProviderRefusal,
    ProxyError,
    UpstreamError,
)

Status = Literal["healthy", "degraded", "rate_limited", "unhealthy", "unavailable", "unknown"]
Source = Literal["probe", "traffic"]

STALE_AFTER = 300.0
"""Seconds after which a mark says nothing any more (or twice the model's interval, if that is longer)."""
SLOW_PROBE_MS = 5_000.0
SLOW_CALL_MS = 60_000.0
"""A model whose middle call takes longer than this is degraded."""

RATE_LIMITED = "rate_limit_exceeded"
CREDENTIAL_REFUSED = "credential_refused"
_UNAVAILABLE_CODES = frozenset(("provider_unavailable", CREDENTIAL_REFUSED))
_DEGRADED_RATE = 0.1
_UNHEALTHY_RATE = 0.5
_ENOUGH = 3
"""Failures in a row, or outcomes at all, before a model is called unhealthy: one bad call is no pattern."""


class Outcome(NamedTuple):
    """One call: when (seconds since 1970), how it went, and how long it took (None: not timed)."""

    time: float
    ok: bool
    latency_ms: float | None
    error_code: str | None


@dataclass(frozen=True, slots=True)
class Mark:
    """A model's health at `checked_at` (seconds since 1970). `error_rate` is 0 to 1."""

    id: str
    status: Status
    latency_ms: float | None
    error_rate: float | None
    error_code: str | None
    checked_at: float
    source: Source

    def document(self) -> Json:
        """As it is stored and shown: `checked_at` in ISO 8601."""
        return {
            "id": self.id,
            "status": self.status,
            "latency_ms": self.latency_ms,
            "error_rate": self.error_rate,
            "error_code": self.error_code,
            "checked_at": iso(self.checked_at),
            "source": self.source,
        }

    def current(self, now: float, interval: float) -> bool:
        """Whether it still says something about the model, which is probed every `interval` seconds."""
        return now - self.checked_at <= max(STALE_AFTER, 2 * interval)


def read_mark(document: Json) -> Mark | None:
    """A stored mark; None if the document is not one (another version may have written it)."""
    status = document.get("status")
    try:
        checked_at = datetime.fromisoformat(document["checked_at"]).timestamp()
        id = document["id"]
    except (KeyError, TypeError, ValueError):
        return None
    if status not in get_args(Status) or not isinstance(id, str):
        return None
    code = document.get("error_code")
    return Mark(
        id=id,
        status=cast(Status, status),
        latency_ms=_number(document.get("latency_ms")),
        error_rate=_number(document.get("error_rate")),
        error_code=code if isinstance(code, str) else None,
        checked_at=checked_at,
        source="traffic" if document.get("source") == "traffic" else "probe",
    )


def unknown_mark(id: str, now: float) -> Mark:
    return Mark(id, "unknown", None, None, None, now, "probe")


def failure_code(error: ProxyError) -> str | None:
    """What an error says about the model's health, as a code; None where it says nothing against it.

    A request that was at fault itself (400, 404, 422, …) shows that the provider is alive.
    """
    if isinstance(error, ProviderRefusal):
        if error.status == 429:
            return RATE_LIMITED
        return (error.code or "provider_error") if error.status == 408 else None
    if isinstance(error, ProviderCredentialRefused):
        return CREDENTIAL_REFUSED
    if isinstance(error, UpstreamError):
        return error.code or "provider_error"
    return None


def says_nothing(error: ProxyError) -> bool:
    """Whether the provider had no part in an error: the client left, or was refused by the proxy itself."""
    return isinstance(error, ClientGone | InvalidRequest) or not isinstance(error, UpstreamError)


def failed_status(error_code: str) -> Status:
    """What a failure that is not just chance makes of a model."""
    if error_code == RATE_LIMITED:
        return "rate_limited"
    return "unavailable" if error_code in _UNAVAILABLE_CODES else "unhealthy"


def mark_of_traffic(id: str, outcomes: Iterable[Outcome], now: float) -> Mark:
    """The mark for the calls of the last minutes, oldest first.

    `rate_limited` and `unavailable` when the last call says so; `unhealthy` from half of the calls or three
    in a row failing; `degraded` from a tenth failing, or when the middle one is slower than a minute.
    """
    calls = list(outcomes)
    if not calls:
        return unknown_mark(id, now)
    failures = [call for call in calls if not call.ok]
    rate = len(failures) / len(calls)
    times = [call.latency_ms for call in calls if call.ok and call.latency_ms is not None]
    latency = round(median(times), 1) if times else None
    status = _traffic_status(calls, rate, latency)
    code = failures[-1].error_code if failures and status != "healthy" else None
    return Mark(id, status, latency, round(rate, 4), code, calls[-1].time, "traffic")


def _traffic_status(calls: list[Outcome], rate: float, latency: float | None) -> Status:
    last = calls[-1]
    if not last.ok:
        verdict = failed_status(last.error_code or "provider_error")
        in_a_row = len(calls) >= _ENOUGH and not any(call.ok for call in calls[-_ENOUGH:])
        if verdict != "unhealthy" or in_a_row:
            return verdict
    if rate >= _UNHEALTHY_RATE and len(calls) >= _ENOUGH:
        return "unhealthy"
    if rate >= _DEGRADED_RATE or (latency is not None and latency > SLOW_CALL_MS):
        return "degraded"
    return "healthy"


def mark_of_probe(
    id: str, latency_ms: float, error_code: str | None, now: float, previous: Mark | None
) -> Mark:
    """The mark for one probe. Its error rate is the previous one's, a fifth of the way to this outcome."""
    failed = 0.0 if error_code is None else 1.0
    before = previous.error_rate if previous is not None else None
    rate = failed if before is None else 0.8 * before + 0.2 * failed
    if error_code is not None:
        status = failed_status(error_code)
    else:
        status = "degraded" if latency_ms > SLOW_PROBE_MS else "healthy"
    return Mark(id, status, round(latency_ms, 1), round(rate, 4), error_code, now, "probe")


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
