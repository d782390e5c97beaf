"""How long a stream may say nothing in its middle."""

import asyncio
from types import TracebackType

from shared.errors import ProviderTimeout

SLACK = 0.05
"""The part of the idle time that a silent provider may get on top, so that not every event moves the timer."""


class Silence:
    """Around the reading of a stream: raises `ProviderTimeout` once nothing was `heard` for `idle` seconds."""

    __slots__ = ("_armed", "_idle", "_loop", "_slack", "_timer")

    def __init__(self, idle: float) -> None:
        self._idle = idle
        self._slack = idle * SLACK
        self._loop = asyncio.get_running_loop()
        self._armed = self._loop.time()
        self._timer = asyncio.timeout(idle + self._slack)

    async def __aenter__(self) -> "Silence":
        await self._timer.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._timer.__aexit__(kind, error, trace)
        except TimeoutError:
            raise ProviderTimeout(
                f"The provider was silent for {self._idle:g} seconds in the middle."
            ) from None

    def heard(self) -> None:
        """An event came."""
        now = self._loop.time()
        if now - self._armed > self._slack:
            self._timer.reschedule(now + self._idle + self._slack)
            self._armed = now

    def pause(self) -> None:
        """Until the next event it is not the provider that keeps us waiting."""
        self._timer.reschedule(None)
        self._armed = 0.0
