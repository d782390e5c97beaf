"""A call that is answered in bytes, from its first try to its last byte: relayed as they arrive."""

import asyncio
import logging
from collections.abc import AsyncGenerator
from dataclasses import replace

import anyio

from shared.errors import InternalError, ProviderTimeout, ProviderUnreachable, ProxyError
from shared.inference.deadlines import Deadlines
from shared.inference.dispatch import Dispatcher
from shared.inference.record import CallRecord, Ledger
from shared.inference.routing import Plan
from shared.ports import Clock
from shared.providers.calls import Call, Download, Provider
from shared.wire.usage import Usage

_logger = logging.getLogger("llmproxy.inference")


class _Opened:
    """A provider's answer that has begun, with its first bytes."""

    def __init__(self, download: Download, limits: Deadlines) -> None:
        self.download = download
        self.limits = limits
        self.iterator = download.__aiter__()
        self.first = b""

    async def begin(self) -> None:
        self.first = await anext(self.iterator, b"")
        if not self.first:
            raise ProviderUnreachable("The provider's answer is empty.")

    async def close(self) -> None:
        with anyio.CancelScope(shield=True):
            await self.iterator.aclose()
            await self.download.aclose()


class DownloadSession:
    """One answer in bytes. `start` it, empty it by `chunks`, and `close` it whatever happens.

    What breaks off after the first byte raises out of `chunks`: the connection must then be broken off too, so
    that half an answer is never taken for a whole one.
    """

    def __init__(
        self, dispatcher: Dispatcher, plan: Plan, record: CallRecord, ledger: Ledger, clock: Clock
    ) -> None:
        self.record = record
        self.content_type = "application/octet-stream"
        self._dispatcher = dispatcher
        self._plan = plan
        self._ledger = ledger
        self._clock = clock
        self._opened: _Opened | None = None
        self._settled = False
        self.deadline = asyncio.get_running_loop().time() + dispatcher.overall(record.request, plan.first)

    async def start(self) -> None:
        """Asks until a provider sends its first bytes. Raises the error of a call that failed before that."""
        try:
            opened = await self._dispatcher.ask(self._plan, self.record, self._open)
        except ProxyError as error:
            self._settle(error.status, error.code)
            raise
        except asyncio.CancelledError:
            self._settle(499, "client_closed_request")
            raise
        except BaseException:
            self._settle(500, "internal_error")
            raise
        self._opened = opened
        self.record.first_token = self._clock.monotonic()
        self.content_type = opened.download.content_type
        self.record.dropped = opened.download.dropped
        self.record.upstream_headers = dict(opened.download.headers)

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The bytes as they come. Raises a `ProxyError` where they break off."""
        opened = self._opened
        if opened is None:
            return
        loop = asyncio.get_running_loop()
        try:
            yield opened.first
            while True:
                limit = min(self.deadline, loop.time() + opened.limits.idle)
                try:
                    async with asyncio.timeout_at(limit):
                        chunk = await anext(opened.iterator, b"")
                except TimeoutError:
                    raise ProviderTimeout(self._late(opened)) from None
                if not chunk:
                    break
                yield chunk
        except ProxyError as error:
            self._settle(error.status, error.code)
            raise
        except Exception:
            _logger.exception("a download failed inside the proxy")
            self._settle(500, "internal_error")
            raise InternalError from None
        self._settle(200, None)

    async def close(self) -> None:
        """Ends the provider's call if it still runs, and accounts it."""
        self._settle(499, "client_closed_request")
        if self._opened is not None:
            await self._opened.close()

    async def _open(self, provider: Provider, call: Call, limits: Deadlines) -> _Opened:
        opened: _Opened | None = None
        try:
            async with asyncio.timeout(limits.first_token):
                opened = _Opened(await provider.download(call), limits)
                await opened.begin()
        except TimeoutError:
            raise ProviderTimeout(f"The provider sent nothing for {limits.first_token:g} seconds.") from None
        finally:
            if opened is not None and not opened.first:
                await opened.close()
        return opened

    def _late(self, opened: _Opened) -> str:
        if asyncio.get_running_loop().time() >= self.deadline:
            return "The download took longer than it may."
        return f"The provider was silent for {opened.limits.idle:g} seconds in the middle."

    def _usage(self) -> Usage:
        """Tokens as reported, and the characters that were spoken."""
        estimated = self.record.request.estimated()
        reported = self._opened.download.usage if self._opened is not None else None
        return estimated if reported is None else replace(reported, characters=estimated.characters)

    def _settle(self, status: int, code: str | None) -> None:
        if self._settled:
            return
        self._settled = True
        if self._opened is not None or status in (200, 499):
            self._ledger.price(self.record, self._usage())
        self._ledger.settle(self.record, status, code)
