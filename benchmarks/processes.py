"""Processes under measurement: started, asked, weighed, and ended by their handle."""

import http.client
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
BENCH = ROOT / ".bench"
"""What is installed for the comparison; kept between runs."""
RUN = BENCH / f"run-{os.getpid()}"
"""Logs and data of this run: several may go on at once in one checkout."""
POLL_INTERVAL = 0.005


class NotReady(Exception):
    """A process that ended, or did not answer in time; the text says what it printed last."""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: str | None = None,
    timeout: float = 10.0,
) -> Reply:
    """One request on a connection of its own. Raises OSError or HTTPException."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=timeout)
    try:
        path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
        connection.request(method, path, body=body, headers=dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.read())
    finally:
        connection.close()


class Running:
    """A child process with its output in a file. `started` is the monotonic time just before its start."""

    def __init__(
        self, name: str, command: list[str], *, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        RUN.mkdir(parents=True, exist_ok=True)
        self.log = RUN / f"{name}.log"
        with self.log.open("wb") as output:
            self.started = time.perf_counter()
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def wait_for(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: str | None = None,
        timeout: float = 30.0,
    ) -> float:
        """Asks until the answer is 200; the seconds from the start of the process. Raises NotReady."""
        last = "no answer"
        while time.perf_counter() - self.started < timeout:
            if self._process.poll() is not None:
                raise NotReady(f"{self.name} ended with {self._process.returncode}: {self.last_words()}")
            try:
                reply = ask(method, url, headers=headers, body=body, timeout=timeout)
                if reply.status == 200:
                    return time.perf_counter() - self.started
                last = f"{reply.status} {reply.body[:300].decode(errors='replace')}"
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(POLL_INTERVAL)
        raise NotReady(f"{self.name} was not ready within {timeout:g} s ({last}): {self.last_words()}")

    def wait_line(self, timeout: float = 30.0) -> dict[str, str]:
        """Waits for the first line of output that is a JSON object with an `address`. Raises NotReady."""
        while time.perf_counter() - self.started < timeout:
            for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
                if line.startswith('{"address"') and line.endswith("}"):
                    found: dict[str, str] = json.loads(line)
                    return found
            if self._process.poll() is not None:
                raise NotReady(f"{self.name} ended with {self._process.returncode}: {self.last_words()}")
            time.sleep(POLL_INTERVAL)
        raise NotReady(f"{self.name} was not ready within {timeout:g} s: {self.last_words()}")

    def megabytes(self) -> float | None:
        """Resident memory of the process and its children; None where there is no /proc."""
        pages = 0
        for process in _family(self._process.pid):
            try:
                pages += int(Path(f"/proc/{process}/statm").read_text().split()[1])
            except OSError:
                continue
        return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 if pages else None

    def last_words(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return " | ".join(lines[-5:])[-500:]

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def stop(self, politely: signal.Signals = signal.SIGTERM) -> None:
        """Ends it: politely, and after ten seconds for good."""
        if self._process.poll() is None:
            self._process.send_signal(politely)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _family(process: int) -> list[int]:
    """The process and all that descend from it."""
    found = [process]
    for parent in found:
        try:
            children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        except OSError:
            continue
        found.extend(int(child) for child in children)
    return found
