"""What clients do with responses in the background: make, read, cancel, delete them, and list their items."""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import count

from shared import Json
from shared.access.caller import Caller
from shared.access.writes import store_errors
from shared.errors import Conflict, NotFound, ProxyError
from shared.inference.operations import RESPONSES
from shared.inference.pipeline import Inference
from shared.inference.request import Steering
from shared.jobs import transitions
from shared.jobs.ids import id_of_key, new_id
from shared.jobs.job import Job
from shared.jobs.payloads import PayloadMissing, Payloads
from shared.jobs.service import Jobs, checked_key
from shared.jobs.store import Held, JobMoved, JobStore, lifetime
from shared.jobs.submission import Submission, Submissions
from shared.ports import Clock
from shared.responses.background import BackgroundResponses
from shared.responses.held import HeldResponses
from shared.responses.ids import InJob, Kept, ResponseIds
from shared.responses.items import input_items, page_of_items
from shared.responses.previous import PreviousResponses
from shared.responses.service import Action, Responses
from shared.signed_ids import no_such_id
from shared.wire.responses import check_background

_TRIES = 10
_PATIENCE = 2.0
"""Seconds for which a deletion is tried while the store does not answer."""
_FORGETTING = Steering(timeout=10.0, max_retries=0)
"""A provider that does not delete its own copy keeps no one waiting."""


class ResponseJobs:
    """Every method raises children of `ProxyError` only. `id` is what the client calls a response."""

    def __init__(
        self,
        ids: ResponseIds,
        held: HeldResponses,
        previous: PreviousResponses,
        responses: Responses,
        background: BackgroundResponses,
        submissions: Submissions,
        jobs: Jobs,
        store: JobStore,
        payloads: Payloads,
        inference: Inference,
        clock: Clock,
    ) -> None:
        self._ids = ids
        self._held = held
        self._previous = previous
        self._responses = responses
        self._background = background
        self._submissions = submissions
        self._jobs = jobs
        self._store = store
        self._payloads = payloads
        self._inference = inference
        self._clock = clock

    async def create(
        self, caller: Caller, content: Json, headers: Mapping[str, str], idempotency_key: str | None = None
    ) -> Json:
        """The response object of a new job, or of the one that the same key and body made before.

        `content` is the whole body, `headers` are the client's that travel on. Raises `IdempotencyConflict` where
        the key came with another body, and `Conflict` where what it made is gone.
        """
        check_background(content)
        project = caller.project
        id = new_id() if idempotency_key is None else id_of_key(project, checked_key(idempotency_key))
        body = {name: value for name, value in content.items() if name != "background"}
        submission = self._submissions.read(caller, RESPONSES, body, headers)
        public_id = await self._ids.of_job(id, project)
        with store_errors():
            known = None if idempotency_key is None else await self._submissions.known(submission, id)
            if known is None:
                known = await self._submissions.create(
                    await self._admitted(submission), id, public_id=public_id
                )
        job = known.job
        if job.gone(self._clock.time()):
            raise Conflict("What this Idempotency-Key has made is gone; use another.")
        return await self._shown(job.public_id or public_id, job)

    async def show(self, id: str, found: InJob, project: str) -> tuple[Json, Job]:
        """The response object, and the job behind it."""
        held = await self._held.get(id, found, project)
        return await self._shown(id, held.job), held.job

    async def cancel(self, id: str, found: InJob, project: str) -> Json:
        """The response as it ended: cancelled, unless it had ended before."""
        held = await self._held.get(id, found, project)
        if not held.job.status.final:
            try:
                held = await self._jobs.cancel(project, found.job, RESPONSES.name)
            except NotFound:
                raise no_such_id(id) from None
            except Conflict:
                held = await self._held.get(id, found, project)
                if not held.job.status.final:
                    raise
        return await self._shown(id, held.job)

    async def delete(self, id: str, found: InJob, caller: Caller, request_id: str) -> Json:
        """Deletes what is kept of a response that ended, at its provider too. Raises `Conflict` while it is made.

        Request and result go first: who gets no answer asks again, and finds them gone but the response there.
        """
        held = await self._held.get(id, found, caller.project)
        if not held.job.status.final:
            raise Conflict("The response is still being made: cancel it first.")
        await self._forget(id, held.job, caller, request_id)
        with store_errors():
            await self._payloads.remove(held.job)
            await self._mark_deleted(held)
        return {"id": id, "object": "response", "deleted": True}

    async def input_items(self, id: str, found: InJob, project: str, query: Mapping[str, str]) -> Json:
        """A page of what the response was asked with. Raises `InvalidValue` for a query at fault."""
        held = await self._held.get(id, found, project)
        try:
            with store_errors():
                body = (await self._payloads.request(held.job))["body"]
        except PayloadMissing:
            raise no_such_id(id) from None
        numbers = count()

        def item_id(prefix: str) -> str:
            digest = hashlib.sha256(f"{held.job.id}\0{next(numbers)}".encode())
            return prefix + digest.hexdigest()[:32]

        return page_of_items(input_items(body, item_id), query)

    async def _admitted(self, submission: Submission) -> Submission:
        """The submission, if it can be run. It is asked in the words of a provider, and kept in the client's."""
        pinned = await self._previous.pinned(submission.request)
        await self._submissions.admit(replace(submission, request=pinned))
        if submission.model is None and pinned.pin is not None:
            return replace(submission, model=pinned.pin.model)
        return submission

    async def _shown(self, id: str, job: Job) -> Json:
        try:
            with store_errors():
                return await self._background.shown(job)
        except PayloadMissing:
            raise no_such_id(id) from None

    async def _forget(self, id: str, job: Job, caller: Caller, request_id: str) -> None:
        """Deletes the provider's own copy, if it can be. The key's own models do not matter: the job is there."""
        if job.response is None:
            return
        everything = replace(caller, models=None)
        request = await self._responses.about(
            id, Kept(*job.response), Action("DELETE"), everything, request_id, {}
        )
        with suppress(ProxyError):
            await self._inference.answer(replace(request, steering=_FORGETTING))

    async def _mark_deleted(self, held: Held) -> None:
        for _ in range(_TRIES):
            job = held.job
            # A write without a lifetime would give one for ever to a head that is done.
            seconds = lifetime(job, self._clock.time()) if job.settled else None
            try:
                await self._store.rewrite(held, transitions.deleted(job), _PATIENCE, time_to_live=seconds)
            except JobMoved as moved:
                if moved.held is None:
                    return
                held = moved.held
            else:
                return
        raise Conflict("The response changes too fast to be deleted; try again.")
