"""A receiver of webhooks as a test needs it: one that records, one that misbehaves, and names that lead there."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult
from standardwebhooks import Webhook

from shared.errors import SecretNotFound, SecretsUnavailable
from shared.secrets import WEBHOOK_MASTER
from shared.webhooks.delivery import Message
from shared.webhooks.payload import webhook_payload
from tests.upstreams.behaviours import Behaviour, Reply
from tests.upstreams.server import Received, Upstream

MASTER = "a-master-for-tests-0123456789"
PAYLOAD = webhook_payload(
    "chat.completion.completed",
    1_800_000_000.5,
    {"id": "job-1", "status": "completed", "result": {"text": "Grüße"}},
    public_url="https://proxy.example.com",
    result_path="/v1/async/chat/completions/job-1/result",
)


class Receiver(Upstream):
    """Takes every message."""

    def answer(self, request: Received) -> Behaviour:
        return Reply(b"thank you", content_type="text/plain")

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])


class Masters:
    """A secret store whose vault can be out of reach for one of its names."""

    def __init__(self, **texts: str) -> None:
        self.texts = texts or {WEBHOOK_MASTER: MASTER}
        self.unreachable: set[str] = set()

    async def get(self, name: str) -> str:
        if name in self.unreachable:
            raise SecretsUnavailable(name)
        if name not in self.texts:
            raise SecretNotFound(name)
        return self.texts[name]

    async def close(self) -> None:
        return None


class Names(AbstractResolver):
    """Gives one answer after the other for each name, and the last one for ever."""

    def __init__(self) -> None:
        self.answers: dict[str, list[list[str]]] = {}
        self.asked: list[str] = []

    def lead(self, name: str, *answers: list[str]) -> None:
        self.answers[name] = list(answers)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked.append(host)
        if host not in self.answers:
            raise OSError(None, "Name or service not known")
        answers = self.answers[host]
        addresses = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        return None


def message_to(url: str, *, id: str = "msg_1", project: str = "team", payload: bytes = PAYLOAD) -> Message:
    return Message(id, project, url, payload)


def verified(received: Received, secret: str) -> Any:
    """What a receiver gets from the library; raises where the signature, the time or the id does not hold."""
    return Webhook(secret).verify(received.raw, dict(received.headers))


@asynccontextmanager
async def raw_receiver(
    speak: Callable[[asyncio.StreamWriter], Awaitable[None]], heads: list[bytes] | None = None
) -> AsyncIterator[str]:
    """The address of a server that says what `speak` writes, HTTP or not, once a request's head has come.

    The heads are added to `heads`, as they stand on the wire.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                head = await reader.readuntil(b"\r\n\r\n")
                if heads is not None:
                    heads.append(head)
                await speak(writer)
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # what was aborted is closed now
