"""The load generator that needs nothing installed: raw sockets on uvloop, closed loop, keep-alive.

    python -m benchmarks.load < order.json

The order is `{"url", "headers", "body", "connections", "seconds", "first", "requests"}`; the answer on standard
output `{"requests", "errors", "seconds", "p50", "p99"}`, the percentiles in microseconds. With `first` the time
is taken until that text shows in the answer (time to first token) instead of until the answer's end. With
`requests` it ends after that many, if `seconds` do not pass before.
"""

import asyncio
import json
import sys
import time
from contextlib import suppress
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop


class Tally:
    """What all connections saw. `latencies` are in seconds; `left` is how many requests may still be sent."""

    def __init__(self, left: float) -> None:
        self.latencies: list[float] = []
        self.errors = 0
        self.left = left
        self.awaited = 0

    def percentile(self, percent: float) -> float:
        """In microseconds; by nearest rank."""
        ordered = sorted(self.latencies)
        rank = max(0, round(percent / 100 * len(ordered)) - 1)
        return ordered[rank] * 1e6 if ordered else float("nan")


class Connection(asyncio.Protocol):
    """Sends the same request again as soon as its answer is complete. httptools calls the `on_…` methods."""

    def __init__(self, request: bytes, first: bytes, tally: Tally, ended: asyncio.Event) -> None:
        self._request = request
        self._first = first
        self._tally = tally
        self._ended = ended
        self._transport: asyncio.WriteTransport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._sent = 0.0
        self._seen = 0.0
        self._text = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own class derives from neither
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._ended.is_set():
            self._tally.errors += 1

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        if self._first and not self._seen:
            self._text += body
            if self._first in self._text:
                self._seen = time.perf_counter()

    def on_message_complete(self) -> None:
        seen = self._seen if self._first else time.perf_counter()
        self._tally.awaited -= 1
        if 200 <= self._parser.get_status_code() < 300 and seen:
            self._tally.latencies.append(seen - self._sent)
        else:
            self._tally.errors += 1
        if not self._ended.is_set():
            self._parser = httptools.HttpResponseParser(self)
            self._send()
        if not self._tally.awaited:
            self._ended.set()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _send(self) -> None:
        if self._tally.left <= 0:
            return
        self._tally.left -= 1
        self._tally.awaited += 1
        self._seen = 0.0
        self._text = b""
        self._sent = time.perf_counter()
        assert self._transport is not None
        self._transport.write(self._request)


def request_bytes(url: str, headers: dict[str, str], body: str) -> bytes:
    """A POST as it goes over the wire."""
    parts = urlsplit(url)
    content = body.encode()
    lines = [f"POST {parts.path} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(content)}"]
    lines += [f"{name}: {text}" for name, text in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + content


async def run(
    url: str,
    headers: dict[str, str],
    body: str,
    connections: int,
    seconds: float,
    first: str,
    requests: int | None = None,
) -> dict[str, float]:
    """Loads `url` for `seconds`, or with so many requests, and gives the answer that the module's text describes."""
    parts = urlsplit(url)
    request = request_bytes(url, headers, body)
    tally, ended = Tally(float("inf") if requests is None else requests), asyncio.Event()
    loop = asyncio.get_running_loop()
    started = time.perf_counter()
    opened = [
        await loop.create_connection(
            lambda: Connection(request, first.encode(), tally, ended), parts.hostname or "", parts.port or 80
        )
        for _ in range(connections)
    ]
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await ended.wait()
    ended.set()
    took = time.perf_counter() - started
    for _, connection in opened:
        connection.close()
    return {
        "requests": len(tally.latencies),
        "errors": tally.errors,
        "seconds": took,
        "p50": tally.percentile(50),
        "p99": tally.percentile(99),
    }


if __name__ == "__main__":
    print(json.dumps(uvloop.run(run(**json.load(sys.stdin)))))
