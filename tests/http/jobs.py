"""What tests of jobs share: events that are kept, and workers' writes, one by one."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared import Json
from shared.errors import EventsUnavailable
from shared.jobs import transitions
from shared.jobs.job import JobFailure
from shared.jobs.store import Held
from shared.jobs.transitions import Figures, Result
from shared.ports import Event
from tests.proxy import Proxy, Reply

JOBS = "/v1/async/chat/completions"
LEASE = "lease-of-a-test"
FIGURES = Figures("small", "OpenAICompatible", 1, usage={"total_tokens": 12}, cost_usd=0.0015)
COMPLETION: Json = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "small-1",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
}


def chat(**fields: Any) -> Json:
    return {"model": "small", "messages": [{"role": "user", "content": "Hello"}], **fields}


@dataclass
class Events:
    """A publisher that keeps what it gets. `down` refuses; while `open` is not set, it does not answer."""

    published: list[tuple[str, Event]] = field(default_factory=list)
    down: bool = False
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def publish(self, hub: str, events: Sequence[Event]) -> None:
        await self.open.wait()
        if self.down:
            raise EventsUnavailable("the hub cannot be reached")
        self.published += [(hub, event) for event in events]

    async def close(self) -> None:
        return None

    def bodies(self) -> list[Json]:
        return [orjson.loads(event.body) for _, event in self.published]


async def submit(proxy: Proxy, body: Json | None = None, **more: Any) -> Reply:
    return await proxy.call("POST", JOBS, chat() if body is None else body, **more)


async def submitted(proxy: Proxy, body: Json | None = None, **more: Any) -> str:
    reply = await submit(proxy, body, **more)
    assert reply.status == 202, reply.body
    return str(reply.json()["execution_id"])


async def claim(proxy: Proxy, id: str) -> Held:
    """As a worker does."""
    jobs, now = proxy.services.job_store, proxy.services.clock.time()
    held = await jobs.get(id)
    assert held is not None
    return await jobs.write(held, transitions.claimed(held.job, now, LEASE, "worker-1"))


async def complete(proxy: Proxy, id: str, completion: Json = COMPLETION) -> Held:
    held, now = await claim(proxy, id), proxy.services.clock.time()
    parts = await proxy.services.payloads.put_result(id, LEASE, orjson.dumps(completion))
    done = transitions.completed(held.job, now, LEASE, Result(LEASE, parts), FIGURES)
    return await proxy.services.job_store.write(held, done)


async def fail(proxy: Proxy, id: str, failure: JobFailure) -> Held:
    held, now = await claim(proxy, id), proxy.services.clock.time()
    return await proxy.services.job_store.write(
        held, transitions.failed(held.job, now, LEASE, failure, FIGURES)
    )
