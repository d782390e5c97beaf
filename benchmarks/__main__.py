"""`make bench`: the proxy beside a bare relay and other gateways, on one upstream, under one load.

python -m benchmarks [--rounds 3] [--seconds 2] [--only proxy,relay]
python -m benchmarks jobs [--rounds 3] [--most 10000]
python -m benchmarks profile [--seconds 5]
"""

import argparse
import shutil
import sys
from contextlib import ExitStack
from functools import partial

from benchmarks import proxy
from benchmarks.contenders import Contender, Starter, Unavailable, start_nginx, start_relay, start_upstream
from benchmarks.generators import generator_name
from benchmarks.jobs import measure as measure_jobs
from benchmarks.peers import start_litellm, start_portkey
from benchmarks.processes import RUN, NotReady
from benchmarks.profile import profile
from benchmarks.report import LEGEND, Target, added_p50, machine, per_second, table
from benchmarks.rounds import Results, play
from benchmarks.worker import start_bare_worker, start_proxy_worker

STARTS = 3
NAMES = ("nginx", "relay", "proxy", "portkey", "litellm", "bare-worker", "proxy-worker")
SHOWN = {"relay": "bare relay", "bare-worker": "bare handler", "proxy-worker": "proxy on worker"}
ON_WORKER = ("bare-worker", "proxy-worker")


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure the proxy and its peers."
    )
    parser.add_argument("what", nargs="?", choices=("compare", "jobs", "profile"), default="compare")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (3)")
    parser.add_argument(
        "--seconds", type=float, default=2, help="of load at 16 connections in each round (2)"
    )
    parser.add_argument("--only", default=",".join(NAMES), help=f"some of {','.join(NAMES)}")
    parser.add_argument("--most", type=int, default=10_000, help="jobs that are queued at most (10000)")
    arguments = parser.parse_args()
    chosen = [name for name in arguments.only.split(",") if name]
    unknown = set(chosen) - set(NAMES)
    if unknown:
        parser.error(f"--only knows {','.join(NAMES)}")
    if arguments.what == "profile":
        profile(arguments.seconds)
    elif arguments.what == "jobs":
        measure_jobs(arguments.rounds, arguments.most, _tell)
    else:
        compare(chosen, arguments.rounds, arguments.seconds)
    # After a failure the logs stay.
    shutil.rmtree(RUN, ignore_errors=True)


def compare(chosen: list[str], rounds: int, seconds: float) -> None:
    print(f"Machine: {machine()}\nLoad: {generator_name()}, {rounds} rounds of {seconds:g} s\n", flush=True)
    with ExitStack() as stack:
        upstream = start_upstream(stack)
        address = upstream.order.url.removesuffix("/v1/chat/completions")
        ours = {"proxy", "proxy-worker"} & set(chosen)
        key = proxy.provision(address) if ours else ""
        start_up = proxy.measure_start_up(key, STARTS) if "proxy" in chosen else None
        contenders = _start(stack, chosen, address, key)
        results = play([upstream, *contenders], rounds, seconds, _tell)
    _tell("")
    found = {result.contender.name: result for result in results}
    named = {name: found.get(SHOWN.get(name, name)) for name in ("upstream", *NAMES)}
    _print(named, start_up)


def _start(stack: ExitStack, chosen: list[str], upstream: str, key: str) -> list[Contender]:
    starters: dict[str, Starter] = {
        "nginx": start_nginx,
        "relay": start_relay,
        "proxy": lambda on, _: proxy.start_proxy(on, key),
        "portkey": start_portkey,
        "litellm": start_litellm,
        "bare-worker": start_bare_worker,
        "proxy-worker": lambda on, _: start_proxy_worker(on, key),
    }
    started = []
    for name in chosen:
        _tell(f"starting {name}")
        try:
            started.append(starters[name](stack, upstream))
        except (Unavailable, NotReady) as reason:
            _tell("")
            print(f"{name} takes no part: {reason}", flush=True)
    return started


def _print(named: dict[str, Results | None], start_up: proxy.StartUp | None) -> None:
    upstream = named["upstream"]
    assert upstream is not None
    limit, portkey = named["relay"], named["portkey"]
    first = [row for name, row in named.items() if row and name not in ON_WORKER]
    second = [row for name, row in named.items() if row and name in ON_WORKER]
    print(f"{LEGEND}\n\n{table(first, upstream, limit, portkey)}\n")
    if second:
        bare = named["bare-worker"]
        print("On Azure's runtime library, where the limit is the bare handler\n")
        print(f"{table(second, upstream, bare, portkey)}\n")
    for row in (*first, *second):
        if row.errors:
            print(f"{row.contender.name}: {row.errors} requests failed")
    print("\n".join(str(target) for target in _targets(named["proxy"], upstream, limit, portkey, start_up)))


def _targets(
    ours: Results | None,
    upstream: Results,
    limit: Results | None,
    portkey: Results | None,
    start_up: proxy.StartUp | None,
) -> list[Target]:
    if ours is None:
        return []
    of_limit = per_second(ours) / per_second(limit) if limit else None
    of_portkey = per_second(ours) / per_second(portkey) if portkey else None
    slower = added_p50(ours, upstream) / added_p50(limit, upstream) if limit else None
    at_least, at_most = partial(Target, at_least=True), partial(Target, at_least=False)
    return [
        at_least("requests/s of the bare relay's", of_limit, 0.55),
        at_least("requests/s of Portkey's", of_portkey, 1.5),
        at_most("added p50 at 1 connection of what the bare relay adds", slower, 1.8),
        at_most("start to first 200 on /health", start_up.health if start_up else None, 1.5, unit=" s"),
        at_most("start to first chat answer", start_up.chat if start_up else None, 2.0, unit=" s"),
        at_most("resident memory", ours.megabytes, 120, unit=" MB"),
    ]


def _tell(text: str) -> None:
    """Progress, on a terminal only."""
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
