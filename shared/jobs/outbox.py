"""Sends the webhooks of a job that are due, and says what is left to be sent."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import orjson

from shared import Json
from shared.errors import ProviderUnavailable
from shared.jobs.job import Job, Notice
from shared.jobs.payloads import PayloadMissing
from shared.jobs.transitions import notified
from shared.jobs.views import result_path
from shared.ports import Clock
from shared.telemetry.logging import log_event, log_failure
from shared.webhooks.delivery import Message, Webhooks
from shared.webhooks.outcome import Outcome, Verdict, try_again
from shared.webhooks.pauses import next_pause
from shared.webhooks.payload import webhook_payload

AT_ONCE = 4
"""Webhooks of one job that are on their way together."""
NO_SECRET_PAUSE = 60.0
"""Seconds until the next look where the key for signing could not be read."""
_TYPES = {"Responses": "response"}

_logger = logging.getLogger("llmproxy.jobs")


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of one webhook at `at`, in seconds since 1970. `outcome` is None where nothing was sent."""

    id: str
    at: float
    outcome: Outcome | None


class Results(Protocol):
    async def result(self, job: Job) -> bytes:
        """The JSON of a completed job's result, as its client gets it. Raises `PayloadMissing`."""
        ...


class Outbox:
    """`public_url` is the app's address as receivers see it."""

    def __init__(self, webhooks: Webhooks, results: Results, clock: Clock, public_url: str) -> None:
        self._webhooks = webhooks
        self._results = results
        self._clock = clock
        self._public_url = public_url

    async def send_due(self, job: Job) -> tuple[Tried, ...]:
        """Makes one try for each webhook that is due. Raises `StoreUnavailable`, with nothing sent."""
        now = self._clock.time()
        due = [notice for notice in job.notices if notice.next_at <= now]
        if not due:
            return ()
        result = await self._result(job) if any(notice.event == "completed" for notice in due) else None
        places = asyncio.Semaphore(AT_ONCE)

        async def send(notice: Notice) -> Tried:
            async with places:
                outcome = await self._send(job, notice, result)
                return Tried(notice.id, self._clock.time(), outcome)

        return tuple(await asyncio.gather(*map(send, due)))

    async def _send(self, job: Job, notice: Notice, result: bytes | None) -> Outcome | None:
        try:
            payload = self._payload(job, notice, result)
            url = job.options.webhook_url or ""
            return await self._webhooks.deliver(Message(notice.id, job.project, url, payload))
        except ProviderUnavailable:
            # Not the receiver's fault: it counts as no try.
            log_event(_logger, logging.WARNING, "webhook_unsigned", project=job.project, document=job.id)
            return None
        except Exception as error:
            log_failure(_logger, "webhook_failed", error, project=job.project, document=job.id)
            return try_again("the proxy failed")

    def _payload(self, job: Job, notice: Notice, result: bytes | None) -> bytes:
        data: Json = notice.data
        if notice.event == "completed" and result is not None:
            data = {**data, "result": orjson.Fragment(result)}
        type = f"{_TYPES.get(job.operation, 'chat.completion')}.{notice.event}"
        return webhook_payload(
            type, notice.at, data, public_url=self._public_url, result_path=result_path(job)
        )

    async def _result(self, job: Job) -> bytes | None:
        try:
            return await self._results.result(job)
        except PayloadMissing:
            # Its client has deleted it meanwhile; that it completed is still to be told.
            return None


def after_tries(job: Job, tried: Sequence[Tried]) -> Job:
    """The job without what was delivered or given up, and with the next try of what was not.

    Tries are added to those that the job has by now: others may have tried as well. What they have delivered is not in
    the job any more, and does not come back.
    """
    made = {one.id: one for one in tried}
    outcomes = [(notice.id, _next(notice, made[notice.id])) for notice in job.notices if notice.id in made]
    return notified(job, outcomes)


def _next(notice: Notice, tried: Tried) -> Notice | None:
    if tried.outcome is None:
        return replace(notice, next_at=max(notice.next_at, tried.at + NO_SECRET_PAUSE))
    if tried.outcome.verdict is not Verdict.TRY_AGAIN:
        return None
    tries = notice.tries + 1
    pause = next_pause(notice.id, tries, tried.outcome.retry_after)
    return None if pause is None else replace(notice, tries=tries, next_at=tried.at + pause)
