"""Time, as a port: the real clock, and one that tests move by hand."""

import math
import time
from datetime import UTC, datetime
from functools import lru_cache


class SystemClock:
    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()


class ManualClock:
    """Stands still until it is moved. For simulations and tests."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


def iso(epoch: float) -> str:
    """`2026-01-31T12:00:00.000Z`: ISO 8601 UTC with milliseconds, which sorts as text."""
    # A float of today holds microseconds only roughly: half of one more keeps 0.123 from becoming 0.122.
    second, millisecond = divmod(math.floor(epoch * 1000 + 0.0005), 1000)
    return f"{_to_the_second(second)}.{millisecond:03d}Z"


@lru_cache(maxsize=64)
def _to_the_second(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).isoformat().removesuffix("+00:00")
