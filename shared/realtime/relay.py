"""The relay between two WebSockets: frames as they are, one at a time, until either side ends it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import anyio

Frame: TypeAlias = str | bytes
Party: TypeAlias = Literal["client", "provider", "proxy"]

GOING_AWAY, ABNORMAL, NO_STATUS, INTERNAL = 1001, 1006, 1005, 1011
FAREWELL = 2.0
"""Seconds that a side has to take its close frame."""
_LAST_WORDS = 1.0
"""Seconds in which a side that takes no more frames may still say why."""


@dataclass(frozen=True, slots=True)
class Closed:
    """The end of a connection: code and reason of its close frame (RFC 6455, section 7.4)."""

    code: int
    reason: str = ""

    def sendable(self) -> "Closed":
        """What may stand in a close frame: 1005 means that there was no code, 1006 that there was no frame."""
        if self.code == NO_STATUS:
            return Closed(1000, self.reason)
        allowed = 1000 <= self.code <= 1003 or 1007 <= self.code <= 1014 or 3000 <= self.code <= 4999
        reason = self.reason.encode()[:123].decode(errors="ignore")
        return Closed(self.code if allowed else INTERNAL, reason)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a session ended, and who ended it."""

    closed: Closed
    by: Party


class Side(Protocol):
    """One of the two connections. A connection that broke off receives `Closed(1006)`; `send` raises OSError."""

    async def receive(self) -> Frame | Closed: ...

    async def send(self, frame: Frame) -> None:
        """Returns when the frame is written: the other side is not read meanwhile."""
        ...

    async def close(self, closed: Closed) -> None:
        """Sends the close frame; nothing where the connection is closed already."""
        ...


async def relay(
    client: Side, provider: Side, seen: Callable[[Frame], None], *, idle: float, longest: float
) -> Ended:
    """Relays until one side closes, then closes the other alike. `seen` is given each frame of the provider's.

    After `idle` seconds without any frame, and after `longest` seconds in all, both are closed with 1001.
    """
    session = _Relay(client, provider, seen)
    try:
        ended = await session.run(idle, longest)
    except BaseException as error:
        cancelled = isinstance(error, asyncio.CancelledError)
        await _close_both(client, provider, Closed(GOING_AWAY if cancelled else INTERNAL))
        raise
    await _close_both(client, provider, ended.closed.sendable())
    return ended


class _Relay:
    def __init__(self, client: Side, provider: Side, seen: Callable[[Frame], None]) -> None:
        self._client = client
        self._provider = provider
        self._seen = seen
        self._last = asyncio.get_running_loop().time()

    async def run(self, idle: float, longest: float) -> Ended:
        upwards = asyncio.create_task(self._pump(self._client, self._provider, None))
        downwards = asyncio.create_task(self._pump(self._provider, self._client, self._seen))
        try:
            return await self._until_the_end(upwards, downwards, idle, longest)
        finally:
            for task in (upwards, downwards):
                task.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(upwards, downwards, return_exceptions=True)

    async def _until_the_end(
        self,
        upwards: "asyncio.Task[Closed | None]",
        downwards: "asyncio.Task[Closed | None]",
        idle: float,
        longest: float,
    ) -> Ended:
        loop = asyncio.get_running_loop()
        end = loop.time() + longest
        while True:
            limit = min(self._last + idle, end)
            done, _ = await asyncio.wait(
                {upwards, downwards},
                timeout=max(0.0, limit - loop.time()),
                return_when=asyncio.FIRST_COMPLETED,
            )
            if done:
                return await _reason(upwards, downwards)
            if loop.time() >= end:
                return Ended(Closed(GOING_AWAY, "The session took longer than it may."), "proxy")
            if loop.time() >= self._last + idle:
                return Ended(Closed(GOING_AWAY, f"The session was idle for {idle:g} seconds."), "proxy")

    async def _pump(self, source: Side, target: Side, seen: Callable[[Frame], None] | None) -> Closed | None:
        """Relays one way until the source closes; None where the target takes no more."""
        loop = asyncio.get_running_loop()
        while True:
            frame = await source.receive()
            if isinstance(frame, Closed):
                return frame
            self._last = loop.time()
            if seen is not None:
                seen(frame)
            try:
                await target.send(frame)
            except OSError:
                return None


async def _reason(upwards: "asyncio.Task[Closed | None]", downwards: "asyncio.Task[Closed | None]") -> Ended:
    """What ended it: a side that only takes no more frames has its last words awaited."""
    for task, other in ((upwards, downwards), (downwards, upwards)):
        if task.done() and task.result() is None and not other.done():
            await asyncio.wait({other}, timeout=_LAST_WORDS)
    if downwards.done() and (closed := downwards.result()) is not None:
        return Ended(closed, "provider")
    if upwards.done() and (closed := upwards.result()) is not None:
        return Ended(closed, "client")
    return Ended(Closed(ABNORMAL), "provider" if upwards.done() else "client")


async def _close_both(client: Side, provider: Side, closed: Closed) -> None:
    """Closes both, the one that closed already too: nothing may stop that, and no one waits long for it."""
    with anyio.CancelScope(shield=True):
        await asyncio.gather(_close(client, closed), _close(provider, closed))


async def _close(side: Side, closed: Closed) -> None:
    try:
        async with asyncio.timeout(FAREWELL):
            await side.close(closed)
    except (OSError, TimeoutError):
        return
