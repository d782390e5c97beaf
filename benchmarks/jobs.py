"""Jobs on the local host: how many are done in a second, how long a submission takes, and how both change with the
number of jobs that are queued. The upstream answers after 50 ms, and 64 jobs run at once.

    python -m benchmarks jobs [--rounds 3] [--most 10000]
"""

import signal
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from benchmarks import proxy
from benchmarks.contenders import CHAT, MODEL, Contender, ready, start_upstream
from benchmarks.generators import Measured, Order, load, send
from benchmarks.processes import ask, free_port
from benchmarks.report import machine, markdown, ratio
from shared import Json

T = TypeVar("T")

PAUSE = 0.05
CONCURRENCY = 64
LIMIT = CONCURRENCY / PAUSE
"""Calls per second that so many at once can make."""
QUEUED = (10, 100, 1_000, 10_000)
PROBES = 100
"""Submissions on one connection, the last of those that are queued."""
CONNECTIONS = 16
FEW = 1_000
"""Jobs where the queue's length is not what is measured."""
JOBS = "/v1/async/chat/completions"
COLUMNS = ("", "jobs/s", "of calls/s", "of limit", "submit p50 ms", "submit p99 ms", "p50 of a call's")
LEGEND = f"""\
Jobs are queued while the workers are held back, then run, {CONCURRENCY} at once; jobs/s is from the release to the
end of the last. The last {PROBES} of them (or all) are submitted one by one: those are the submit columns. "while
{CONNECTIONS} submit" is {FEW:,} jobs over {CONNECTIONS} connections with the workers at work, from the first submission
on. "of calls/s" is to plain calls of the same process at {CONCURRENCY} connections, "of limit" to the {LIMIT:,.0f} a
second that {CONCURRENCY} at once can make of {PAUSE * 1000:.0f} ms each, "p50 of a call's" to what the process adds to
a plain call at one connection."""


class Unfinished(Exception):
    """Jobs that were not done in time, or failed."""


class Host:
    """One process with the workers held back, until `release`."""

    def __init__(self, chat: Contender, address: str, key: str) -> None:
        self.address = address
        self.chat = chat.order
        self.jobs = Order(address + JOBS, MODEL, proxy.bearer(key))
        self._running = chat.running

    def release(self) -> None:
        self._running.send(signal.SIGUSR1)

    def hold(self) -> None:
        self._running.send(signal.SIGUSR2)

    def drain(self, most: int, timeout: float = 600.0) -> None:
        """Waits until no job is queued or runs. `most` is how many there may be: it says how often to look."""
        pause, end = min(0.2, max(0.005, most / 50_000)), time.perf_counter() + timeout
        for status in ("queued", "processing"):
            while self._has(status):
                if time.perf_counter() > end:
                    raise Unfinished(f"jobs are still {status} after {timeout:g} s")
                time.sleep(pause)

    def _has(self, status: str) -> bool:
        url = f"{self.jobs.url}?status={status}&limit=1"
        return bool(_get(url, self.jobs.headers)["data"])


@dataclass(frozen=True, slots=True)
class Run:
    """Jobs per second from the release (or the first submission) to the last job's end, and how submissions went."""

    jobs: int
    per_second: float
    submits: Measured


def start(stack: ExitStack, name: str, keys: Sequence[str], python: list[str] | None = None) -> Host:
    """`keys` are one for plain calls and one for jobs."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    running = stack.enter_context(proxy.launch_held(port, name, CONCURRENCY, python))
    return Host(ready(running, address, proxy.bearer(keys[0])), address, keys[1])


def queue(host: Host, count: int) -> Measured:
    """Submits so many; what the last of them took, one by one."""
    probes = min(PROBES, count)
    if count > probes:
        send(host.jobs, CONNECTIONS, count - probes)
    return send(host.jobs, 1, probes)


def queued_first(hosts: Sequence[Host], count: int) -> Run:
    submits = queue(hosts[0], count)
    begun = time.perf_counter()
    for host in hosts:
        host.release()
    hosts[0].drain(count)
    run = Run(count, count / (time.perf_counter() - begun), submits)
    for host in hosts:
        host.hold()
    return run


def live(host: Host) -> Run:
    """With the workers at work: the jobs are run while others are submitted."""
    host.release()
    begun = time.perf_counter()
    submits = send(host.jobs, CONNECTIONS, FEW)
    host.drain(FEW)
    run = Run(FEW, FEW / (time.perf_counter() - begun), submits)
    host.hold()
    return run


class Found:
    """What the rounds found, run by run."""

    def __init__(self) -> None:
        self.chat_one: list[Measured] = []
        self.chat_many: list[Measured] = []
        self.live: list[Run] = []
        self.queued: dict[int, list[Run]] = {}
        self.two: list[Run] = []

    @property
    def runs(self) -> list[Run]:
        return [run for runs in (self.live, *self.queued.values(), self.two) for run in runs]

    @property
    def errors(self) -> int:
        measured = (*self.chat_one, *self.chat_many, *(run.submits for run in self.runs))
        return sum(run.errors for run in measured)


def measure(rounds: int, most: int, tell: Callable[[str], None]) -> None:
    """Prints the tables. `most` is how many jobs are queued at most."""
    print(f"Machine: {machine()}\n{rounds} rounds\n", flush=True)
    found = Found()
    with ExitStack() as stack:
        upstream = start_upstream(stack, PAUSE)
        keys = [proxy.provision(upstream.order.url.removesuffix(CHAT))]
        with ExitStack() as first:
            # A key of their own, to count what the jobs were charged.
            keys.append(_new_key(start(first, "keys", [*keys, ""]).address))
        hosts = [start(stack, f"jobs-{number}", keys) for number in (1, 2)]
        for number in range(rounds):
            _round(found, hosts, most, partial(_tell_round, tell, number + 1, rounds))
        charged = _charged(hosts[0], sum(run.jobs for run in found.runs))
    tell("")
    print(f"{LEGEND}\n\n{_tables(found)}")
    if found.errors:
        print(f"{found.errors} requests failed")
    print(f"{charged:,} jobs ended well, and each is charged once.")


def _round(found: Found, hosts: list[Host], most: int, tell: Callable[[str], None]) -> None:
    first = hosts[0]
    tell("plain calls")
    found.chat_one.append(load(first.chat, 1, 1))
    found.chat_many.append(load(first.chat, CONCURRENCY, 2))
    tell("submitted while others run")
    found.live.append(live(first))
    for count in QUEUED:
        if count <= most:
            tell(f"{count:,} jobs queued")
            found.queued.setdefault(count, []).append(queued_first([first], count))
    tell("two processes")
    found.two.append(queued_first(hosts, min(most, FEW)))


def _tell_round(tell: Callable[[str], None], number: int, rounds: int, what: str) -> None:
    tell(f"round {number} of {rounds}: {what}")


def _charged(host: Host, jobs: int) -> int:
    """How many of the jobs' calls were counted, once it is that many. Raises `Unfinished` if it never is."""
    url = f"{host.address}/manage/usage?group_by=key"
    end = time.perf_counter() + 15
    while True:
        rows = _get(url, proxy.bearer(proxy.admin_key()))["data"]
        # The other key made plain calls, none of which is a job.
        counted = [(row["requests"], row["errors"]) for row in rows]
        if (jobs, 0) in counted:
            return jobs
        if time.perf_counter() > end:
            raise Unfinished(f"{jobs} jobs were submitted, but (requests, errors) by key are {counted}")
        time.sleep(0.1)


def _new_key(address: str) -> str:
    return proxy.create(f"{address}/manage/keys", proxy.admin_key(), {"project": MODEL})["key"]


def _get(url: str, headers: Mapping[str, str]) -> Json:
    reply = ask("GET", url, headers=headers)
    if reply.status != 200:
        raise Unfinished(f"GET {url} answered {reply.status}")
    found: Json = reply.json()
    return found


def _tables(found: Found) -> str:
    chats = middle(found.chat_many, lambda run: run.per_second)
    one = middle(found.chat_one, lambda run: run.p50) - PAUSE * 1000
    rows = [
        ("while 16 submit", found.live),
        *((f"{count:,} queued", runs) for count, runs in found.queued.items()),
    ]
    rows.append(("2 processes", found.two))
    lines = [COLUMNS, *(_row(name, runs, chats, one) for name, runs in rows)]
    return (
        f"Plain calls of the same process: {chats:,.0f}/s at {CONCURRENCY} connections; at one, "
        f"{one:.2f} ms on top of the upstream's {PAUSE * 1000:.0f}.\n\n{markdown(lines)}"
    )


def _row(name: str, runs: Sequence[Run], chats: float, one: float) -> tuple[str, ...]:
    jobs = middle(runs, lambda run: run.per_second)
    p50 = middle(runs, lambda run: run.submits.p50)
    p99 = middle(runs, lambda run: run.submits.p99)
    return (
        name,
        f"{jobs:,.0f}",
        ratio(jobs, chats),
        ratio(jobs, LIMIT),
        f"{p50:.2f}",
        f"{p99:.2f}",
        ratio(p50, one),
    )


def middle(runs: Sequence[T], read: Callable[[T], float]) -> float:
    return statistics.median(read(run) for run in runs)
