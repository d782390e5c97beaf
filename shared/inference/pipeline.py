"""The request path of every inference operation: resolve, admit, route, call, account."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import quote

from shared.catalog.cache import CatalogCache
from shared.catalog.documents import Model
from shared.errors import InternalError, ProviderTimeout, ProxyError, UpstreamError
from shared.inference.deadlines import Deadlines, deadlines, overall, retries
from shared.inference.record import CallRecord, Ledger
from shared.inference.request import InferenceRequest
from shared.inference.routing import PATIENCE, Plan, Router, retries_help
from shared.inference.stream import StreamSession
from shared.ports import Clock
from shared.providers.calls import Answer, Call, Provider
from shared.settings import Settings
from shared.wire.chat import answer_characters
from shared.wire.estimate import estimate_prompt, tokens_of
from shared.wire.usage import Usage

T = TypeVar("T")
_KNOWN_DEADLINES = 1000
Attempt = Callable[[Model, Deadlines], Awaitable[T]]

MAX_NAMES_SHOWN = 50
MAX_NAME_SHOWN = 64
"""Characters of a dropped parameter's name that the answer's header repeats: a client may have made it up."""


class Inference:
    """Serves calls out of the catalog. `provider_for` gives the provider that calls a model."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        catalog: CatalogCache,
        provider_for: Callable[[Model], Provider],
        ledger: Ledger,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._catalog = catalog
        self._provider_for = provider_for
        self._ledger = ledger
        self._router = Router()
        self._deadlines: dict[tuple[Model, bool], Deadlines] = {}

    async def answer(self, request: InferenceRequest) -> tuple[Answer, CallRecord]:
        """A plain call. Raises a `ProxyError`; a cancelled call is accounted and stays cancelled."""
        record = self._ledger.begin(request)
        try:
            plan = await self._plan(request, record)

            async def send(model: Model, limits: Deadlines) -> Answer:
                return await self.provider(model).send(self.call(request, model, limits))

            answer = await self.attempts(plan, record, send)
        except ProxyError as error:
            self._ledger.settle(record, error.status, error.code)
            raise
        except asyncio.CancelledError:
            self._ledger.price(record, Usage(prompt=estimate_prompt(request.body), estimated=True))
            self._ledger.settle(record, 499, "client_closed_request")
            raise
        except BaseException:
            self._ledger.settle(record, 500, "internal_error")
            raise
        record.dropped = answer.dropped
        self._ledger.price(record, answer.usage or _estimate(request, answer))
        self._ledger.settle(record, 200)
        return answer, record

    async def stream(self, request: InferenceRequest) -> StreamSession:
        """A streamed call: returns when its 200 may be sent. Raises a `ProxyError` before that."""
        record = self._ledger.begin(request)
        try:
            plan = await self._plan(request, record)
        except ProxyError as error:
            self._ledger.settle(record, error.status, error.code)
            raise
        session = StreamSession(self, plan, record, self._ledger, self._settings, self._clock)
        await session.start()
        return session

    async def _plan(self, request: InferenceRequest, record: CallRecord) -> Plan:
        catalog = self._catalog.fresh() or await self._catalog.current()
        plan = self._router.plan(catalog, request)
        record.model = plan.first
        return plan

    def deadlines(self, request: InferenceRequest, model: Model) -> Deadlines:
        if request.steering.timeout is not None:
            return deadlines(self._settings, model, request.steering, request.streamed)
        known = self._deadlines.get((model, request.streamed))
        if known is None:
            if len(self._deadlines) > _KNOWN_DEADLINES:
                self._deadlines.clear()
            known = deadlines(self._settings, model, request.steering, request.streamed)
            self._deadlines[(model, request.streamed)] = known
        return known

    def overall(self, request: InferenceRequest, first: Model) -> float:
        """Seconds that the whole request may take, `first` being the deployment that is asked first."""
        limits = self.deadlines(request, first)
        return overall(self._settings, limits, request.steering, request.streamed)

    def provider(self, model: Model) -> Provider:
        return self._provider_for(model)

    async def attempts(
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
            allowed = retries(self._settings, model, request.steering)
            tries = 0
            while True:
                outcome = await self._try(model, record, attempt, end)
                if not isinstance(outcome, ProxyError):
                    return outcome
                error = outcome
                if not (may_continue() and retries_help(error) and tries < allowed):
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
                result = await attempt(model, limits)
        except TimeoutError:
            error: ProxyError = ProviderTimeout(_silence(record.request.streamed))
        except ProxyError as raised:
            error = raised
        else:
            self._ledger.attempt(model, started, None)
            return result
        self._ledger.attempt(model, started, error)
        return error

    def _delay(self, tries: int, error: ProxyError, plan: Plan) -> float | None:
        """Seconds to wait before the same deployment is asked again; None to go on to another instead."""
        delay = self._router.backoff(tries)
        asked = error.retry_after if isinstance(error, UpstreamError) else None
        if asked is None:
            return delay
        if asked > PATIENCE and plan.has_alternative():
            return None
        return asked + delay * 0.1

    def call(self, request: InferenceRequest, model: Model, limits: Deadlines) -> Call:
        defaults = model.parameters.default_params
        body = {**defaults, **request.body} if defaults else request.body
        return Call(
            request.operation.name,
            request.operation.path,
            model,
            body,
            request.streamed,
            request.headers,
            limits.connect,
        )


def _estimate(request: InferenceRequest, answer: Answer) -> Usage:
    return Usage(
        prompt=estimate_prompt(request.body),
        completion=tokens_of(answer_characters(answer.content)),
        estimated=True,
    )


def _silence(streamed: bool) -> str:
    if streamed:
        return "The provider did not answer in time."
    return "The provider did not answer in time. Ask with 'stream': true, or submit the call as an asynchronous job."


def _final(error: ProxyError, attempts: int) -> ProxyError:
    """Keeps the SDKs from multiplying tries that the proxy has already made."""
    if attempts > 1 or isinstance(error, ProviderTimeout):
        error.headers["x-should-retry"] = "false"
    return error


def answer_headers(record: CallRecord, upstream: Mapping[str, str]) -> dict[str, str]:
    """The headers of a routed answer: which model answered, after how many tries, at what cost."""
    headers = dict(upstream)
    model = record.model
    if model is not None:
        headers["x-llmproxy-model"] = _header_text(model.id)
        headers["x-llmproxy-provider"] = model.provider
    headers["x-llmproxy-attempts"] = str(record.attempts)
    headers["x-llmproxy-cache"] = "off"
    if record.cost is not None and not record.request.streamed:
        headers["x-llmproxy-cost-usd"] = f"{record.cost:.10f}".rstrip("0").rstrip(".")
    if record.dropped:
        headers["x-llmproxy-dropped-params"] = _header_names(record.dropped)
    return headers


def _header_names(names: Sequence[str]) -> str:
    """Names that a client made up, as one header's value: encoded, and no more than a header may hold."""
    shown = ",".join(
        quote(name[:MAX_NAME_SHOWN], safe="/:@!$&'()*+;=?#[]~") for name in names[:MAX_NAMES_SHOWN]
    )
    return shown if len(names) <= MAX_NAMES_SHOWN else f"{shown},..."


def _header_text(text: str) -> str:
    """An id as a header's value: percent-encoded (RFC 3986) where it is not printable ASCII."""
    return text if text.isascii() and text.isprintable() else quote(text, safe=" /:@!$&'()*+,;=?#[]~")
