"""What is known of one call while it runs, and how it is settled when it ended: usage, cost, health, log."""

import logging
from dataclasses import dataclass, field
from typing import Protocol

from shared.catalog.costs import cost_usd
from shared.catalog.documents import Model
from shared.errors import ProxyError
from shared.inference.request import InferenceRequest
from shared.ports import Clock
from shared.telemetry.logging import log_event
from shared.usage.records import UsageRecord
from shared.wire.usage import Usage

_logger = logging.getLogger("llmproxy.inference")


class UsageSink(Protocol):
    def record(self, record: UsageRecord) -> None: ...


class HealthSink(Protocol):
    def mark(self, model_id: str, ok: bool, latency_ms: float | None) -> None: ...

    def mark_error(self, model_id: str, error: ProxyError, latency_ms: float | None) -> None: ...


@dataclass(slots=True)
class CallRecord:
    """One call. Times are of the monotonic clock, in seconds."""

    request: InferenceRequest
    started: float
    model: Model | None = None
    attempts: int = 0
    fallback: bool = False
    first_token: float | None = None
    usage: Usage | None = None
    cost: float | None = None
    dropped: tuple[str, ...] = ()
    upstream_headers: dict[str, str] = field(default_factory=dict)


class Ledger:
    """Settles calls. Nothing here waits or raises: it runs after the answer, and also when the client left."""

    def __init__(self, clock: Clock, usage: UsageSink, health: HealthSink) -> None:
        self._clock = clock
        self._usage = usage
        self._health = health

    def begin(self, request: InferenceRequest) -> CallRecord:
        return CallRecord(request, self._clock.monotonic())

    def price(self, record: CallRecord, usage: Usage) -> None:
        record.usage = usage
        record.cost = cost_usd(record.model.costs, usage) if record.model else None

    def attempt(self, model: Model, started: float, error: ProxyError | None) -> None:
        """Marks what a real call showed of a deployment."""
        elapsed = (self._clock.monotonic() - started) * 1000
        if error is None:
            self._health.mark(model.id, True, elapsed)
        else:
            self._health.mark_error(model.id, error, elapsed)

    def settle(self, record: CallRecord, status: int, error_code: str | None = None) -> None:
        request = record.request
        duration = (self._clock.monotonic() - record.started) * 1000
        first_token = None if record.first_token is None else (record.first_token - record.started) * 1000
        model = record.model
        self._usage.record(
            UsageRecord(
                request_id=request.request_id,
                project=request.caller.project,
                key_id=request.caller.key_id,
                operation=request.operation.name,
                status=status,
                model_requested=request.model,
                model=model.id if model else None,
                provider=model.provider if model else None,
                user=request.user,
                streamed=request.streamed,
                usage=record.usage,
                cost_usd=record.cost,
                time_to_first_token_ms=first_token,
                duration_ms=duration,
                attempts=record.attempts,
                fallback=record.fallback,
                error_code=error_code,
                time=self._clock.time(),
            )
        )
        if _logger.isEnabledFor(logging.INFO):
            log_event(
                _logger,
                logging.INFO,
                "inference",
                request_id=request.request_id,
                project=request.caller.project,
                key_id=request.caller.key_id,
                model=model.id if model else request.model,
                provider=model.provider if model else None,
                operation=request.operation.name,
                streamed=request.streamed,
                status=status,
                duration_ms=round(duration, 1),
                time_to_first_token_ms=None if first_token is None else round(first_token, 1),
                attempts=record.attempts,
                fallback=record.fallback,
                usage=record.usage.record() if record.usage else None,
                cost_usd=record.cost,
                error_code=error_code,
            )
