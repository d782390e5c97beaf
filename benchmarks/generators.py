"""Measuring one address: with wrk where it is installed, else with our own generator."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.upstream import FIRST_WORD

SCRIPT = Path(__file__).with_name("wrk.lua")


@dataclass(frozen=True, slots=True)
class Order:
    """A chat completion to ask for, again and again: where, with which headers, of which model."""

    url: str
    model: str
    headers: Mapping[str, str]

    def body(self, streamed: bool) -> str:
        request: dict[str, object] = {
            "model": self.model,
            "messages": [
                {"role": "system", "content": "Answer briefly."},
                {"role": "user", "content": "Count to twenty in words, please."},
            ],
            "temperature": 0.2,
        }
        return json.dumps(request | {"stream": True} if streamed else request)

    def all_headers(self) -> dict[str, str]:
        return {"content-type": "application/json", **self.headers}


@dataclass(frozen=True, slots=True)
class Measured:
    """One run. `per_second` counts good answers; percentiles are in milliseconds."""

    per_second: float
    p50: float
    p99: float
    errors: int


def generator_name() -> str:
    return "wrk" if shutil.which("wrk") else "own (asyncio, raw sockets)"


def load(order: Order, connections: int, seconds: float) -> Measured:
    """Plain answers, timed to their end."""
    if shutil.which("wrk"):
        return _wrk(order, connections, seconds)
    return _own(order, connections, seconds, streamed=False)


def send(order: Order, connections: int, requests: int) -> Measured:
    """So many plain requests, timed to the end of their answers, and no more."""
    return _own(order, connections, 300, streamed=False, requests=requests)


def stream(order: Order, connections: int, seconds: float) -> Measured:
    """Streams: `per_second` counts whole ones, the percentiles are the time to the first token."""
    return _own(order, connections, seconds, streamed=True)


def _wrk(order: Order, connections: int, seconds: float) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "order")
        head = "\n".join(f"{name}: {text}" for name, text in order.all_headers().items())
        file.write_text(f"{head}\n\n{order.body(streamed=False)}", encoding="utf-8")
        # wrk takes whole seconds only.
        command = [
            "wrk",
            "-t1",
            f"-c{connections}",
            f"-d{max(1, round(seconds))}s",
            "-s",
            str(SCRIPT),
            order.url,
        ]
        printed = _run(command, environment={"BENCH_ORDER": str(file)})
    return _measured(printed)


def _own(
    order: Order, connections: int, seconds: float, *, streamed: bool, requests: int | None = None
) -> Measured:
    wanted = {
        "url": order.url,
        "headers": order.all_headers(),
        "body": order.body(streamed),
        "connections": connections,
        "seconds": seconds,
        "first": FIRST_WORD if streamed else "",
        "requests": requests,
    }
    return _measured(_run([sys.executable, "-m", "benchmarks.load"], text=json.dumps(wanted)))


def _run(command: list[str], *, text: str = "", environment: Mapping[str, str] | None = None) -> str:
    finished = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=330,
        env={**os.environ, **(environment or {})},
    )
    if finished.returncode:
        raise RuntimeError(f"{command[0]} failed: {finished.stderr.strip()[-500:]}")
    return finished.stdout


def _measured(printed: str) -> Measured:
    line = next(line for line in reversed(printed.splitlines()) if line.startswith("{"))
    found = json.loads(line)
    return Measured(
        per_second=found["requests"] / found["seconds"],
        p50=found["p50"] / 1000,
        p99=found["p99"] / 1000,
        errors=int(found["errors"]),
    )
