"""`python -m shared.devhost` in a process of its own, as `make run` starts it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LAST_LINE = "Ctrl-C ends it."
PATIENCE = 60.0
"""Seconds, for a machine that does other things too; a start takes one or two."""


@dataclass
class LocalHost:
    """A running local host. `console` is what it printed, `log` the file with what it said of itself."""

    process: "subprocess.Popen[str]"
    console: str
    directory: Path
    log: Path

    @property
    def url(self) -> str:
        return next(word for word in self.console.split() if word.startswith("http://"))

    @property
    def key(self) -> str:
        return (self.directory / "admin-key").read_text().strip()

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request with the administrator's key: the status and the JSON of the answer."""
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def end(self, number: signal.Signals) -> tuple[int, float]:
        """Sends a signal: the exit status, and the seconds until then."""
        began = time.monotonic()
        self.process.send_signal(number)
        return self.process.wait(PATIENCE), time.monotonic() - began


def start(
    directory: Path, *arguments: str, module: str = "shared.devhost", **settings: str
) -> "subprocess.Popen[str]":
    """The process of a module, with `settings` as its only settings."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(("LLMPROXY_", "WEBSITE_"))}
    environment: Mapping[str, str] = {**kept, "LLMPROXY_LOCAL_DIR": str(directory), **settings}
    log = directory.with_suffix(".log")
    with log.open("a") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )


def refused(directory: Path, *arguments: str, **settings: str) -> tuple[int, str]:
    """A start that must fail: its exit status, and all that it wrote."""
    process = start(directory, *arguments, **settings)
    console, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, console + directory.with_suffix(".log").read_text()


@contextmanager
def local_host(
    directory: Path, *arguments: str, module: str = "shared.devhost", **settings: str
) -> Iterator[LocalHost]:
    """Starts the local host on a free port, and ends it if that has not happened by then."""
    process = start(directory, *(arguments or ("--port", "0")), module=module, **settings)
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if LAST_LINE in line:
                break
        log = directory.with_suffix(".log")
        assert LAST_LINE in "".join(lines), log.read_text()
        yield LocalHost(process, "".join(lines), directory, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()
