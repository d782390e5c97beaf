"""Runs timer functions on their NCRONTAB schedules, in UTC, as Azure's host does: one run at a time each."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, datetime

from azure.functions.timer import TimerRequest
from croniter import croniter

from shared.devhost.functions import TimerTarget

_logger = logging.getLogger("llmproxy.devhost")


def next_run(schedule: str, after: datetime) -> datetime:
    """The next time of a schedule of six fields (seconds first) or five."""
    found: datetime = croniter(schedule, after, second_at_beginning=True).get_next(datetime)
    return found


async def run_timers(timers: Sequence[TimerTarget]) -> None:
    """Runs until it is cancelled."""
    async with asyncio.TaskGroup() as group:
        for timer in timers:
            group.create_task(_run(timer))


async def _run(timer: TimerTarget) -> None:
    while True:
        now = datetime.now(UTC)
        await asyncio.sleep((next_run(timer.schedule, now) - now).total_seconds())
        try:
            await timer.function(**{timer.argument: TimerRequest(past_due=False)})
        except Exception:
            _logger.exception("the timer %s failed", timer.name)
