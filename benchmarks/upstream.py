"""The fixed upstream: a canned chat completion and a canned stream, as fast as Python can send them.

    python -m benchmarks.upstream --port 9000 [--pause 0.05]

Every POST is answered at once, so that what is measured is the way there and back; with `--pause` that many
seconds later. A stream has WORDS events with content, each in a write of its own; it has usage where the
request asks for it, as OpenAI's.
"""

import argparse
import asyncio
import json
from typing import cast

import httptools
import uvloop

WORDS = 20
CREATED = 1_760_000_000
USAGE = {"prompt_tokens": 12, "completion_tokens": WORDS, "total_tokens": 12 + WORDS}
FIRST_WORD = "word0"
"""What the first event with content holds: by this a load generator knows the first token."""


def _completion() -> bytes:
    message = {"role": "assistant", "content": " ".join(f"word{n}" for n in range(WORDS)), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    body = json.dumps(
        {
            "id": "chatcmpl-fixed",
            "object": "chat.completion",
            "created": CREATED,
            "model": "fixed",
            "choices": [choice],
            "usage": USAGE,
        }
    ).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (
        len(body),
        body,
    )


def _event(choices: list[dict[str, object]], usage: dict[str, int] | None) -> bytes:
    chunk = {
        "id": "chatcmpl-fixed",
        "object": "chat.completion.chunk",
        "created": CREATED,
        "model": "fixed",
        "choices": choices,
        "usage": usage,
    }
    return _http_chunk(b"data: %s\n\n" % json.dumps(chunk).encode())


def _http_chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def _choice(delta: dict[str, object], finish_reason: str | None = None) -> dict[str, object]:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


PLAIN = _completion()
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
)
STREAM = [
    _event([_choice({"role": "assistant", "content": ""})], None),
    *(_event([_choice({"content": f"word{n} "})], None) for n in range(WORDS)),
    _event([_choice({}, "stop")], None),
]
STREAM_USAGE = _event([], USAGE)
STREAM_END = _http_chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
HEALTHY = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    """One keep-alive connection. httptools calls the `on_…` methods."""

    def __init__(self, pause: float) -> None:
        self._pause = pause
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.WriteTransport | None = None
        self._body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's own class derives from neither

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        assert self._transport is not None
        if self._parser.get_method() != b"POST":
            self._transport.write(HEALTHY)
        elif self._pause:
            asyncio.get_running_loop().call_later(self._pause, self._answer, body)
        else:
            self._answer(body)

    def _answer(self, body: bytes) -> None:
        assert self._transport is not None
        if b'"stream":true' not in body.replace(b" ", b""):
            self._transport.write(PLAIN)
        else:
            self._transport.write(STREAM_HEAD)
            for event in STREAM:
                self._transport.write(event)
            if b'"include_usage":true' in body.replace(b" ", b""):
                self._transport.write(STREAM_USAGE)
            self._transport.write(STREAM_END)


async def serve(port: int, pause: float) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Connection(pause), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.upstream")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds before each answer (0)")
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.pause))
