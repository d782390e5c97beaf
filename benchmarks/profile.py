"""Where the proxy's time goes: cProfile around the local host, under load."""

import pstats
import signal
import sys
from contextlib import ExitStack

from benchmarks import proxy
from benchmarks.contenders import ready, start_upstream
from benchmarks.generators import load
from benchmarks.processes import BENCH, free_port

LINES = 45


def profile(seconds: float) -> None:
    """Prints the functions that take most time of their own; the whole is left in .bench/proxy.prof."""
    output = BENCH / "proxy.prof"
    with ExitStack() as stack:
        upstream = start_upstream(stack)
        key = proxy.provision(upstream.order.url.removesuffix("/v1/chat/completions"))
        port = free_port()
        with proxy.launch(port, [sys.executable, "-m", "cProfile", "-o", str(output)]) as running:
            contender = ready(running, f"http://127.0.0.1:{port}", proxy.bearer(key))
            measured = load(contender.order, 16, seconds)
            # Ctrl-C ends the host in order, so that the profiler can write what it has.
            running.stop(signal.SIGINT)
    print(f"{measured.per_second:,.0f} requests/s under the profiler\n")
    pstats.Stats(str(output)).sort_stats("tottime").print_stats(LINES)
