"""The request path of every inference operation: resolve, admit, route, call, account."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from shared.catalog.cache import CatalogCache
from shared.catalog.documents import Model
from shared.errors import InternalError, ProxyError
from shared.inference.collecting import Collecting
from shared.inference.deadlines import Deadlines
from shared.inference.dispatch import Attempt, Dispatcher
from shared.inference.download import DownloadSession
from shared.inference.record import CallRecord, Ledger
from shared.inference.request import InferenceRequest
from shared.inference.routing import Plan, Router
from shared.inference.stream import StreamSession
from shared.ports import Clock
from shared.providers.calls import Answer, Call, Provider
from shared.settings import Settings
from shared.wire.usage import Usage

T = TypeVar("T")


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
        self._ledger = ledger
        self._router = Router()
        self._dispatcher = Dispatcher(settings, clock, provider_for, ledger)

    async def answer(self, request: InferenceRequest) -> tuple[Answer, CallRecord]:
        """A plain call. Raises a `ProxyError`; a cancelled call is accounted and stays cancelled."""
        record = self._ledger.begin(request)
        try:
            plan = await self._plan(request, record)
            answer = await self._dispatcher.ask(plan, record, _send)
            if request.labels is not None and record.model is not None:
                answer = request.labels.answer(answer, record.model)
        except ProxyError as error:
            self._ledger.settle(record, error.status, error.code)
            if request.labels is not None:
                request.labels.error(error)
            raise
        except asyncio.CancelledError:
            if request.operation.billed:
                self._ledger.price(record, request.estimated())
            self._ledger.settle(record, 499, "client_closed_request")
            raise
        except BaseException:
            self._ledger.settle(record, 500, "internal_error")
            raise
        record.dropped = answer.dropped
        if request.operation.billed:
            self._ledger.price(record, _used(request, answer))
        self._ledger.settle(record, 200)
        return answer, record

    async def stream(self, request: InferenceRequest) -> StreamSession:
        """A streamed call: returns when its 200 may be sent. Raises a `ProxyError` before that."""
        reading = request.operation.reading
        if reading is None:
            raise InternalError
        record = self._ledger.begin(request)
        plan = await self._settled_plan(request, record)
        session = StreamSession(
            self._dispatcher, plan, record, reading, self._ledger, self._settings, self._clock
        )
        await session.start()
        return session

    async def download(self, request: InferenceRequest) -> DownloadSession:
        """A call that is answered in bytes: returns with the first of them. Raises a `ProxyError` before that."""
        record = self._ledger.begin(request)
        plan = await self._settled_plan(request, record)
        session = DownloadSession(self._dispatcher, plan, record, self._ledger, self._clock)
        await session.start()
        return session

    async def begin(self, request: InferenceRequest, attempt: Attempt[T]) -> tuple[T, CallRecord]:
        """A call that `attempt` makes at each deployment until one takes it. Raises a `ProxyError`.

        The caller `settle`s the record when what has begun is over.
        """
        record = self._ledger.begin(request)
        try:
            plan = await self._plan(request, record)
            return await self._dispatcher.ask(plan, record, attempt), record
        except ProxyError as error:
            self._ledger.settle(record, error.status, error.code)
            raise
        except asyncio.CancelledError:
            self._ledger.settle(record, 499, "client_closed_request")
            raise
        except BaseException:
            self._ledger.settle(record, 500, "internal_error")
            raise

    async def check(self, request: InferenceRequest) -> None:
        """Raises what a caller should see when no model may or can serve this request. Calls none."""
        self._router.check(self._catalog.fresh() or await self._catalog.current(), request)

    async def collect(self, request: InferenceRequest, collecting: Collecting) -> Answer:
        """A call whose answer is gathered whole, for a job. Raises a `ProxyError`.

        `collecting` follows it and holds its record: usage and cost are priced here, and written by the caller. The
        answer keeps the provider's ids; an error's words do not.
        """
        record = collecting.record = self._ledger.begin(request)
        plan = await self._plan(request, record)
        collecting.planned()
        try:
            answer = await self._dispatcher.ask(plan, record, collecting.attempt)
        except ProxyError as error:
            if request.labels is not None:
                request.labels.error(error)
            raise
        record.dropped = answer.dropped
        self._ledger.price(record, _used(request, answer))
        return answer

    def price(self, record: CallRecord, usage: Usage) -> None:
        """Prices what a call has used so far."""
        self._ledger.price(record, usage)

    def settle(
        self, record: CallRecord, status: int, code: str | None = None, usage: Usage | None = None
    ) -> None:
        """Accounts what was begun; without `usage` nothing is counted."""
        if usage is not None:
            self._ledger.price(record, usage)
        self._ledger.settle(record, status, code)

    async def _settled_plan(self, request: InferenceRequest, record: CallRecord) -> Plan:
        try:
            return await self._plan(request, record)
        except ProxyError as error:
            self._ledger.settle(record, error.status, error.code)
            raise

    async def _plan(self, request: InferenceRequest, record: CallRecord) -> Plan:
        catalog = self._catalog.fresh() or await self._catalog.current()
        plan = self._router.plan(catalog, request)
        record.model = plan.first
        return plan


def _used(request: InferenceRequest, answer: Answer) -> Usage:
    measure = request.operation.measure
    if measure is not None:
        return measure(request.body, request.form, answer)
    return answer.usage or request.estimated(answer.content)


async def _send(provider: Provider, call: Call, _: Deadlines) -> Answer:
    return await provider.send(call)
