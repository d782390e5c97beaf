"""Asks deployments: one after the other, each as often as helps, all under one deadline."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.catalog.documents import Model
from shared.errors import InternalError, ProviderCredentialRefused, ProviderTimeout, ProxyError, UpstreamError
from shared.inference.deadlines import Deadlines, allowed, deadlines, overall, retries
from shared.inference.record import CallRecord, Ledger
from shared.inference.request import InferenceRequest
from shared.inference.routing import PATIENCE, Plan, backoff, retries_help
from shared.ports import Clock
from shared.providers.calls import Call, Provider
from shared.settings import Settings

T = TypeVar("T")
Attempt = Callable[[Provider, Call, Deadlines], Awaitable[T]]
"""What is done with one deployment: its provider, the call, and how long it may take."""
_KNOWN_DEADLINES = 1000


class Dispatcher:
    """Makes the calls that a plan asks for. `provider_for` gives the provider that calls a model."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        provider_for: Callable[[Model], Provider],
        ledger: Ledger,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._provider_for = provider_for
        self._ledger = ledger
        self._deadlines: dict[tuple[Model, bool], Deadlines] = {}

    def deadlines(self, request: InferenceRequest, model: Model) -> Deadlines:
        if request.allowance is not None:
            return allowed(self._settings, model, request.steering, request.allowance)
        if request.steering.timeout is not None:
            return deadlines(self._settings, model, request.steering, request.lasting)
        known = self._deadlines.get((model, request.lasting))
        if known is None:
            if len(self._deadlines) > _KNOWN_DEADLINES:
                self._deadlines.clear()
            known = deadlines(self._settings, model, request.steering, request.lasting)
            self._deadlines[(model, request.lasting)] = known
        return known

    def overall(self, request: InferenceRequest, first: Model) -> float:
        """Seconds that the whole request may take, `first` being the deployment that is asked first."""
        limits = self.deadlines(request, first)
        if request.allowance is not None:
            return limits.whole
        return overall(self._settings, limits, request.steering, request.lasting)

    async def ask(
        self,
        plan: Plan,
        record: CallRecord,
        attempt: Attempt[T],
        may_continue: Callable[[], bool] = lambda: True,
    ) -> T:
        """Asks one deployment after the other under one deadline, until one answers or none is left."""
        request, loop = record.request, asyncio.get_running_loop()
        model: Model | None = plan.first
        end = loop.time() + self.overall(request, plan.first)
        error: ProxyError | None = None
        while model is not None:
            record.model, record.fallback = model, plan.is_fallback(model)
            most = 0 if request.allowance is not None else retries(self._settings, model, request.steering)
            tries = 0
            while True:
                outcome = await self._try(model, record, attempt, end)
                if not isinstance(outcome, ProxyError):
                    return outcome
                error = outcome
                if not (may_continue() and retries_help(error) and tries < most):
                    break
                delay = self._delay(tries, error, plan)
                if delay is None or loop.time() + delay >= end:
                    break
                await asyncio.sleep(delay)
                tries += 1
            model = plan.next_after(error, model) if may_continue() and loop.time() < end else None
        raise _final(error or InternalError(), record.attempts)

    async def _try(self, model: Model, record: CallRecord, attempt: Attempt[T], end: float) -> T | ProxyError:
        """One attempt: what it gave, or the error that it ended in."""
        limits = self.deadlines(record.request, model)
        loop, started = asyncio.get_running_loop(), self._clock.monotonic()
        record.attempts += 1
        try:
            async with asyncio.timeout_at(min(end, loop.time() + limits.whole)):
                result = await attempt(
                    self._provider_for(model), self._call(record.request, model, limits), limits
                )
        except TimeoutError:
            error: ProxyError = ProviderTimeout(_silence(record.request))
        except ProxyError as raised:
            error = raised
        else:
            self._ledger.attempt(model, started, None)
            return result
        self._ledger.attempt(model, started, error)
        return error

    def _delay(self, tries: int, error: ProxyError, plan: Plan) -> float | None:
        """Seconds to wait before the same deployment is asked again; None to go on to another instead."""
        delay = backoff(tries)
        asked = error.retry_after if isinstance(error, UpstreamError) else None
        if asked is None:
            return delay
        if asked > PATIENCE and plan.has_alternative():
            return None
        return asked + delay * 0.1

    def _call(self, request: InferenceRequest, model: Model, limits: Deadlines) -> Call:
        operation, defaults = request.operation, model.parameters.default_params
        body = {**defaults, **request.body} if defaults and not operation.bodiless else request.body
        return Call(
            operation.name,
            operation.path,
            model,
            body,
            request.streamed,
            request.headers,
            limits.connect,
            request.form.with_defaults(defaults) if request.form and defaults else request.form,
            operation.method,
            request.query,
            operation.bodiless,
        )


def _silence(request: InferenceRequest) -> str:
    if request.streamed or request.allowance is not None:
        return "The provider did not answer in time."
    return "The provider did not answer in time. Ask with 'stream': true, or submit the call as an asynchronous job."


def _final(error: ProxyError, attempts: int) -> ProxyError:
    """Keeps the SDKs from multiplying tries that the proxy has already made, and those that cannot help."""
    hopeless = isinstance(error, ProviderTimeout | ProviderCredentialRefused)
    if attempts > 1 or hopeless or error.code == "insufficient_quota":
        error.headers["x-should-retry"] = "false"
    return error
