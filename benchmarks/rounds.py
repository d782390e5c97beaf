"""Interleaved rounds: each contender in turn, again and again, so that a slow minute hits all alike."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.contenders import Contender
from benchmarks.generators import Measured, load, stream

MANY = 16


@dataclass(slots=True)
class Results:
    """What the rounds found about one contender: plain answers and streams, at 16 connections and at one."""

    contender: Contender
    many: list[Measured] = field(default_factory=list)
    one: list[Measured] = field(default_factory=list)
    streams_many: list[Measured] = field(default_factory=list)
    streams_one: list[Measured] = field(default_factory=list)
    megabytes: float | None = None

    @property
    def errors(self) -> int:
        runs = (*self.many, *self.one, *self.streams_many, *self.streams_one)
        return sum(run.errors for run in runs)


def median(runs: Sequence[Measured], read: Callable[[Measured], float]) -> float:
    return statistics.median(read(run) for run in runs)


def play(
    contenders: Iterable[Contender], rounds: int, seconds: float, tell: Callable[[str], None]
) -> list[Results]:
    """`seconds` is for each run at 16 connections; the others take half of it, a second at least."""
    results = [Results(contender) for contender in contenders]
    shorter = max(1.0, seconds / 2)
    for number in range(rounds):
        for result in results:
            tell(f"round {number + 1} of {rounds}: {result.contender.name}")
            order = result.contender.order
            result.many.append(load(order, MANY, seconds))
            result.one.append(load(order, 1, shorter))
            result.streams_many.append(stream(order, MANY, shorter))
            result.streams_one.append(stream(order, 1, shorter))
            result.megabytes = result.contender.running.megabytes()
    return results
