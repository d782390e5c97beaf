"""Results as text: tables with ratios, and the targets as met or missed."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.rounds import Results, median

COLUMNS = (
    "",
    "requests/s",
    "of limit",
    "of Portkey",
    "p50 +ms (1)",
    "p99 +ms (1)",
    "p50 +ms (16)",
    "p99 +ms (16)",
    "token +ms (1)",
    "streams/s",
    "of limit",
    "start s",
    "MB",
)
NOTHING = "-"
LEGEND = """\
requests/s and streams/s are at 16 connections. "+ms" is what is added to the upstream alone, at 1 and at 16
connections. "token" is the time to a stream's first token. "start" is from the start of the process to its
first chat answer."""


def per_second(result: Results) -> float:
    return median(result.many, lambda run: run.per_second)


def added_p50(result: Results, upstream: Results) -> float:
    """Milliseconds at one connection."""
    return median(result.one, lambda run: run.p50) - median(upstream.one, lambda run: run.p50)


def table(rows: Sequence[Results], upstream: Results, limit: Results | None, portkey: Results | None) -> str:
    """A Markdown table. `limit` and `portkey` are what the ratios are to; where absent, so is the ratio."""
    return markdown([COLUMNS, *(_row(row, upstream, limit, portkey) for row in rows)])


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A table with its head first, the columns but the first to the right."""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    texts = [
        "| "
        + " | ".join(cell.ljust(width) if not at else cell.rjust(width) for at, (cell, width) in pairs)
        + " |"
        for pairs in (list(enumerate(zip(line, widths, strict=True))) for line in lines)
    ]
    rule = (
        "|"
        + "|".join(
            "-" * (width + 2) if not at else "-" * (width + 1) + ":" for at, width in enumerate(widths)
        )
        + "|"
    )
    return "\n".join([texts[0], rule, *texts[1:]])


def _row(row: Results, upstream: Results, limit: Results | None, portkey: Results | None) -> tuple[str, ...]:
    streams = median(row.streams_many, lambda run: run.per_second)
    limit_streams = median(limit.streams_many, lambda run: run.per_second) if limit else None
    token = median(row.streams_one, lambda run: run.p50) - median(upstream.streams_one, lambda run: run.p50)
    return (
        row.contender.name,
        f"{per_second(row):,.0f}",
        ratio(per_second(row), per_second(limit) if limit else None),
        ratio(per_second(row), per_second(portkey) if portkey else None),
        *(NOTHING if row is upstream else f"{value:.2f}" for value in _added(row, upstream)),
        NOTHING if row is upstream else f"{token:.2f}",
        f"{streams:,.0f}" if streams else "failed",
        ratio(streams, limit_streams),
        f"{row.contender.started:.2f}",
        NOTHING if row.megabytes is None else f"{row.megabytes:.0f}",
    )


def _added(row: Results, upstream: Results) -> list[float]:
    return [
        added_p50(row, upstream),
        median(row.one, lambda run: run.p99) - median(upstream.one, lambda run: run.p99),
        median(row.many, lambda run: run.p50) - median(upstream.many, lambda run: run.p50),
        median(row.many, lambda run: run.p99) - median(upstream.many, lambda run: run.p99),
    ]


def ratio(value: float, base: float | None) -> str:
    return f"{value / base:.2f}" if base else NOTHING


@dataclass(frozen=True, slots=True)
class Target:
    """A promise about speed. None in `value` means that it could not be measured in this run."""

    promise: str
    value: float | None
    bound: float
    at_least: bool
    unit: str = ""

    def __str__(self) -> str:
        sign = "≥" if self.at_least else "≤"
        if self.value is None:
            return f"not measured  {self.promise} ({sign} {self.bound:g}{self.unit})"
        met = self.value >= self.bound if self.at_least else self.value <= self.bound
        bound = f"({sign} {self.bound:g}{self.unit})"
        return f"{'met' if met else 'MISSED':<12}  {self.promise}: {self.value:.2f}{self.unit} {bound}"


def machine() -> str:
    """What the figures were measured on: they mean nothing without it."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (OSError, ValueError):
        memory = float("nan")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    return (
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GB, {platform.system()} {platform.release()}"
        f", Python {platform.python_version()}, load average before {load:.1f}"
    )


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
