"""A function's standing order for the events of a local hub."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from shared.adapters.local_consumer import EventBatch, LocalConsumer, deliver
from shared.ports import LoggedEvent
from shared.telemetry.logging import log_failure

_logger = logging.getLogger("llmproxy.events")


class LocalSubscription:
    """Runs from the moment it is made until it is closed."""

    def __init__(
        self,
        consumer: LocalConsumer,
        handler: Callable[[Sequence[LoggedEvent]], Awaitable[None]],
        *,
        held: bool,
        pause: float,
    ) -> None:
        self._consumer = consumer
        self._handler = handler
        self._hold: tuple[type[Exception], ...] = (Exception,) if held else ()
        self._pause = pause
        self._task = asyncio.create_task(self._run())

    async def close(self, grace: float) -> None:
        self._consumer.stop()
        await asyncio.wait({self._task}, timeout=grace)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        async def handle(batch: EventBatch) -> None:
            await self._handler(batch.events)

        try:
            async with self._consumer:
                await deliver(self._consumer, handle, hold=self._hold, pause=self._pause)
        except Exception as error:
            log_failure(_logger, "events_failed", error)
