"""The call of one run of a job: what is asked of the provider, how far it is, and what it has used."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared import Json
from shared.access.caller import Caller
from shared.access.projects import require_project
from shared.errors import InternalError
from shared.inference.collecting import Collecting
from shared.inference.headers import shown_names
from shared.inference.operations import CHAT_COMPLETIONS, RESPONSES
from shared.inference.pipeline import Inference
from shared.inference.request import InferenceRequest, read_request
from shared.jobs.job import Job
from shared.jobs.payloads import PayloadMissing, Payloads
from shared.jobs.transitions import Figures, Result
from shared.ports import Clock, DocumentStore
from shared.providers.calls import Answer
from shared.responses.background import BackgroundResponses
from shared.telemetry.logging import log_failure

_OPERATIONS = {operation.name: operation for operation in (CHAT_COMPLETIONS, RESPONSES)}
_STEPS = {"planned": (25, "model loaded"), "sent": (50, "sent to the provider")}

_logger = logging.getLogger("llmproxy.jobs")


@dataclass(frozen=True, slots=True)
class Calls:
    """What every call of a job needs."""

    store: DocumentStore
    payloads: Payloads
    inference: Inference
    background: BackgroundResponses
    clock: Clock


class JobCall:
    """`begin` it and wait for `task`. `report` is told of its progress, in percent and in words."""

    def __init__(self, calls: Calls, job: Job, report: Callable[[int, str], None]) -> None:
        self.task: asyncio.Task[Answer] | None = None
        self._calls = calls
        self._job = job
        self._report = report
        self._collecting = Collecting(_OPERATIONS[job.operation], self._step)

    def begin(self) -> "asyncio.Task[Answer]":
        self.task = asyncio.create_task(self._answer())
        return self.task

    def cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    async def drop(self) -> None:
        """Ends it, and waits until its connection is closed."""
        if self.task is not None and not self.task.done():
            self.task.cancel()
            await asyncio.gather(self.task, return_exceptions=True)

    @property
    def figures(self) -> Figures:
        """What it has used: as it was reported, or so far by the stated rule. Earlier runs' tries count as well."""
        record = self._collecting.record
        if record is None or record.model is None:
            return Figures()
        if not self._answered:
            used = self._collecting.used()
            if used is not None:
                self._calls.inference.price(record, used)
        return Figures(
            record.model.id,
            record.model.provider,
            self._job.attempts + record.attempts,
            record.fallback,
            record.usage.record() if record.usage is not None else None,
            record.cost,
        )

    @property
    def failed_figures(self) -> Figures:
        """Those of a call that failed: what a provider refused costs nothing, what broke off in the middle does."""
        figures = self.figures
        return figures if self._collecting.tokens else replace(figures, usage=None, cost_usd=None)

    def result(self, answer: Answer, lease: str, parts: int) -> Result:
        """What the head says of the answer, which lies in `parts` under `lease`."""
        record, response = self._collecting.record, None
        if record is None or record.model is None:
            return Result(lease, parts)
        if self._job.operation == RESPONSES.name:
            response = self._calls.background.response_of(answer, record.model)
        return Result(lease, parts, response, shown_names(record.dropped))

    @property
    def _answered(self) -> bool:
        """Whether it came to an answer, and so to its own count of what it used."""
        task = self.task
        return task is not None and task.done() and not task.cancelled() and task.exception() is None

    async def _answer(self) -> Answer:
        calls, job = self._calls, self._job
        try:
            content = await calls.payloads.request(job)
        except PayloadMissing as error:
            log_failure(_logger, "job_failed", error, document=job.id)
            raise InternalError from None
        await require_project(calls.store, job.project)
        return await calls.inference.collect(await self._request(content), self._collecting)

    async def _request(self, content: Json) -> InferenceRequest:
        job = self._job
        models = None if job.key_models is None else frozenset(job.key_models)
        caller = Caller(job.project, job.key_id, models=models)
        operation = _OPERATIONS[job.operation]
        read = read_request(operation, caller, job.id, content["body"], content["headers"])
        left = (job.deadline or 0.0) - self._calls.clock.time()
        request = replace(read, streamed=False, allowance=max(0.001, left))
        return await self._calls.background.prepare(job, request)

    def _step(self, name: str) -> None:
        progress, text = _STEPS.get(name, (0, ""))
        if not text:
            progress, text = 50 + int(45 * self._collecting.share), "receiving the answer"
        self._report(progress, text)
