"""Goes on trying while the store cannot be reached."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from shared.errors import StoreUnavailable

T = TypeVar("T")

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
"""Seconds between tries; the store may ask for more than the first, never for more than the longest."""


async def patiently(
    work: Callable[[], Awaitable[T]], seconds: float, worthwhile: Callable[[], bool] = lambda: True
) -> T:
    """What `work` gives, tried again with growing pauses for so many seconds, while it is `worthwhile`.

    `work` must be safe to repeat. Raises its last `StoreUnavailable`, and at once whatever else it raises.
    """
    loop = asyncio.get_running_loop()
    end, pause = loop.time() + seconds, FIRST_PAUSE
    while True:
        try:
            return await work()
        except StoreUnavailable as error:
            if not worthwhile() or loop.time() + pause > end:
                raise
            await asyncio.sleep(max(pause, min(error.retry_after, LONGEST_PAUSE)))
            pause = min(pause * 2, LONGEST_PAUSE)
