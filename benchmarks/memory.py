"""How much memory large bodies take: a picture of 20 MB on its way out, a recording of 50 MB on its way in.

    python -m benchmarks.memory

The local host is started anew for each row and warmed up with a small body of the same kind; then the most that
the process held during one large request is compared with what it held before it. Linux only (/proc).
"""

import http.client
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from benchmarks.processes import RUN, NotReady, Running, free_port
from benchmarks.proxy import admin_key, create, launch

MB: Final = 1_000_000
PIECE: Final = 64 * 1024
IMAGE_MB: Final = 20
UPLOAD_MB: Final = 50
_BOUNDARY = "one-large-form"


@dataclass(frozen=True, slots=True)
class Row:
    """One measurement, in bytes. `limit` is the growth that may be, as a multiple of the body."""

    name: str
    body: int
    growth: int
    limit: float

    @property
    def ratio(self) -> float:
        return self.growth / self.body

    def __str__(self) -> str:
        verdict = "met" if self.ratio <= self.limit else "MISSED"
        shown = f"{self.body / MB:.0f} MB | {self.growth / MB:.1f} MB | {self.ratio:.2f}"
        return f"| {self.name} | {shown} | {self.limit:g} ({verdict}) |"


class _Upstream(BaseHTTPRequestHandler):
    """Answers with a picture as large as `seed` says, and with a transcript once an upload was read."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self._read()
        if self.path.endswith("/images/generations"):
            megabytes = IMAGE_MB if b'"large"' in body else 0
            head, tail = b'{"created":1,"data":[{"b64_json":"', b'"}]}'
            self._answer([head, *[b"QUFB" * (MB // 4)] * megabytes, tail])
        else:
            self._answer([b'{"text":"It was long."}'])

    def _read(self) -> bytes:
        """The first piece of the body; the rest is read and forgotten."""
        left = int(self.headers["content-length"])
        first = b""
        while left:
            piece = self.rfile.read(min(left, PIECE))
            if not piece:
                break
            first = first or piece
            left -= len(piece)
        return first

    def _answer(self, pieces: list[bytes]) -> None:
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(sum(len(piece) for piece in pieces)))
        self.end_headers()
        for piece in pieces:
            self.wfile.write(piece)

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""


@contextmanager
def _upstream() -> Iterator[str]:
    serving = ThreadingHTTPServer(("127.0.0.1", 0), _Upstream)
    thread = threading.Thread(target=serving.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{serving.server_port}"
    finally:
        serving.shutdown()
        thread.join()
        serving.server_close()


@dataclass(frozen=True, slots=True)
class _Client:
    address: str
    key: str

    def send(self, path: str, content_type: str, pieces: list[bytes]) -> int:
        """Sends a body in pieces and reads the answer in pieces; the larger of both, in bytes."""
        parts = urlsplit(self.address)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        size = sum(len(piece) for piece in pieces)
        try:
            connection.putrequest("POST", path)
            connection.putheader("authorization", f"Bearer {self.key}")
            connection.putheader("content-type", content_type)
            connection.putheader("content-length", str(size))
            connection.endheaders()
            for piece in pieces:
                connection.send(piece)
            response = connection.getresponse()
            received = 0
            while piece := response.read(PIECE):
                received += len(piece)
            if response.status != 200:
                raise NotReady(f"{path} answered {response.status}")
        finally:
            connection.close()
        return max(size, received)

    def draw(self, large: bool) -> int:
        prompt = b"large" if large else b"small"
        body = b'{"model":"picture","prompt":"%s"}' % prompt
        return self.send("/v1/images/generations", "application/json", [body])

    def transcribe(self, large: bool) -> int:
        head = (
            f'--{_BOUNDARY}\r\ncontent-disposition: form-data; name="model"\r\n\r\nvoice\r\n--{_BOUNDARY}\r\n'
            'content-disposition: form-data; name="file"; filename="long.mp3"\r\n'
            "content-type: audio/mpeg\r\n\r\n"
        )
        content = [bytes(MB)] * UPLOAD_MB if large else [b"short"]
        pieces = [head.encode(), *content, f"\r\n--{_BOUNDARY}--\r\n".encode()]
        return self.send("/v1/audio/transcriptions", f"multipart/form-data; boundary={_BOUNDARY}", pieces)


def _provision(upstream: str) -> None:
    """Data with a model for each operation."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with launch(port) as running:
        running.wait_for("GET", f"{address}/health")
        for name, operation in (("picture", "images"), ("voice", "audio_stt")):
            create(
                f"{address}/manage/models",
                admin_key(),
                {
                    "id": name,
                    "code": name,
                    "provider": "OpenAICompatible",
                    "model_type": "OpenAICompatible",
                    "operations": [operation],
                    "parameters": {"endpoint": f"{upstream}/v1"},
                },
            )


def _growth(ask: Callable[[_Client, bool], int]) -> tuple[int, int]:
    """(bytes of the body, bytes that the process grew by at its most)."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with launch(port) as running:
        running.wait_for("GET", f"{address}/health")
        client = _Client(address, admin_key())
        ask(client, False)
        before = _forget_peak(running)
        body = ask(client, True)
        return body, _memory(running, "VmHWM") - before


def _forget_peak(running: Running) -> int:
    """Starts the highest mark anew (proc(5), clear_refs); the bytes held now."""
    Path(f"/proc/{running.pid}/clear_refs").write_text("5")
    return _memory(running, "VmRSS")


def _memory(running: Running, name: str) -> int:
    for line in Path(f"/proc/{running.pid}/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) * 1024
    raise NotReady(f"/proc has no {name}")


def measure() -> list[Row]:
    with _upstream() as address:
        _provision(address)
        image, image_growth = _growth(_Client.draw)
        upload, upload_growth = _growth(_Client.transcribe)
    return [
        Row("a picture in base64, out", image, image_growth, 3),
        Row("an upload to a transcription, in", upload, upload_growth, 0.5),
    ]


def main() -> None:
    if not Path("/proc/self/clear_refs").exists():
        sys.exit("This needs Linux's /proc.")
    rows = measure()
    print("| Body | size | the process grows by | of the size | at most |\n|---|---|---|---|---|")
    for row in rows:
        print(row)
    shutil.rmtree(RUN, ignore_errors=True)
    if any(row.ratio > row.limit for row in rows):
        sys.exit(1)


if __name__ == "__main__":
    main()
