"""An app in a process of its own under the stand-in for Azure's host."""

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parents[2]
START_WITHIN = 60.0
"""Seconds: far more than it takes, for machines that are busy."""


def example_settings() -> dict[str, str]:
    """The app settings of local.settings.json.example."""
    example = json.loads((ROOT / "local.settings.json.example").read_text(encoding="utf-8"))
    values: dict[str, str] = example["Values"]
    return values


class HostedApp:
    """`address` is the app's, `control` the host's. `lines` is what the process has printed so far."""

    def __init__(
        self,
        settings: Mapping[str, str],
        app: Path = ROOT,
        *,
        python: str = sys.executable,
        host: Path = ROOT,
    ) -> None:
        """`python` runs it. `host` is the folder that holds `tests.worker.host`, and is on its path."""
        # Only what a process needs of this one's environment: the settings are the example's.
        kept = {name: os.environ[name] for name in ("HOME", "PATH", "TMPDIR") if name in os.environ}
        self.lines: list[str] = []
        self._ready: queue.SimpleQueue[dict[str, str] | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [python, "-m", "tests.worker.host", str(app)],
            cwd=host,
            env={**kept, "PYTHONUNBUFFERED": "1", **settings},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        try:
            ready = self._ready.get(timeout=START_WITHIN)
        except queue.Empty:
            ready = None
        if ready is None:
            self.stop()
            raise RuntimeError("the app did not start:\n" + "\n".join(self.lines[-40:]))
        self.address, self.control = ready["address"], ready["control"]
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    def stop(self) -> int:
        """Ends the process; its exit status."""
        self._process.terminate()
        try:
            status = self._process.wait(15)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        return status

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith('{"address"'):
                self._ready.put(json.loads(line))
            self.lines.append(line.rstrip("\n"))
        self._ready.put(None)
