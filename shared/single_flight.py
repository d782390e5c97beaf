"""One call for many who ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class SingleFlight(Generic[Result]):
    """Runs at most one piece of work per key at a time and gives its result to everyone who waits for it.

    The work belongs to no waiter: one that is cancelled leaves the others, and the work, alone.
    """

    def __init__(self) -> None:
        self._flights: dict[str, asyncio.Task[Result]] = {}

    def start(self, key: str, work: Callable[[], Awaitable[Result]]) -> asyncio.Task[Result]:
        """The running work for `key`, begun now if there is none. Must be called from the event loop."""
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.ensure_future(_run(work))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return flight

    async def join(self, key: str, work: Callable[[], Awaitable[Result]]) -> Result:
        """The result of the work for `key`, or the error that it raised."""
        return await asyncio.shield(self.start(key, work))

    def current(self, key: str) -> bool:
        """Asked from within the work: whether it is still the one for `key`, not forgotten meanwhile."""
        return self._flights.get(key) is asyncio.current_task()

    def forget(self, key: str) -> None:
        """Lets the next one who asks begin anew. Those who wait already get what is under way."""
        self._flights.pop(key, None)

    async def close(self) -> None:
        """Cancels what is under way, and waits until it has ended."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    def _landed(self, key: str, flight: asyncio.Task[Result]) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # seen, so that asyncio does not report work that nobody waits for any more


async def _run(work: Callable[[], Awaitable[Result]]) -> Result:
    return await work()
