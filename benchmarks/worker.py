"""The same on Azure's own runtime library: the proxy, and a bare handler as the limit there."""

import shutil
import subprocess
from contextlib import ExitStack

from benchmarks.contenders import Contender, Unavailable, ready
from benchmarks.processes import ROOT, Running
from benchmarks.proxy import bearer, environment


def worker_python() -> str:
    """Python 3.13 with the runtime library, in the virtual environment that `make test-worker` makes."""
    bash = shutil.which("bash")
    if bash is None:
        raise Unavailable("bash is not installed")
    made = subprocess.run(
        [bash, "tests/worker/environment.sh"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise Unavailable(made.stderr.strip().splitlines()[-1])
    return made.stdout.strip()


def start_bare_worker(stack: ExitStack, upstream: str) -> Contender:
    return _start(stack, "bare handler", "benchmarks/bare_app", {"BENCH_UPSTREAM": upstream}, {})


def start_proxy_worker(stack: ExitStack, key: str) -> Contender:
    return _start(stack, "proxy on worker", ".", environment(), bearer(key))


def _start(
    stack: ExitStack, name: str, app: str, settings: dict[str, str], headers: dict[str, str]
) -> Contender:
    command = [worker_python(), "-m", "tests.worker.host", app]
    running = stack.enter_context(Running(name, command, environment=settings))
    return ready(running, running.wait_line()["address"], headers)
