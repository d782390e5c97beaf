"""Responses in the background, as the worker runs them and as anyone shows them: jobs whose result is a response."""

import orjson

from shared import Json
from shared.catalog.documents import Model
from shared.inference.operations import RESPONSES
from shared.inference.request import InferenceRequest
from shared.jobs.job import Job, Status
from shared.jobs.payloads import PayloadMissing, Payloads
from shared.providers.calls import Answer
from shared.responses.background_view import response_object
from shared.responses.labels import MAX_PROVIDER_ID
from shared.responses.previous import PreviousResponses


class BackgroundResponses:
    """Knows nothing of how jobs are submitted or run, so that both may use it."""

    def __init__(self, previous: PreviousResponses, payloads: Payloads) -> None:
        self._previous = previous
        self._payloads = payloads

    async def prepare(self, job: Job, request: InferenceRequest) -> InferenceRequest:
        """The request of a job that starts, in the provider's words and bound to the deployment they are for.

        What it goes on from is looked at now, not as it was at submit. Raises a `ProxyError`: `NotFound` or
        `InvalidValue` where it cannot be gone on from, which another try does not change, and `CatalogUnavailable`.
        """
        return request if job.operation != RESPONSES.name else await self._previous.pinned(request)

    def response_of(self, answer: Answer, model: Model) -> tuple[str, str] | None:
        """What a later request goes on from: (the catalog's id of the model that answered, the provider's id).

        None where the provider gave no id that makes sense.
        """
        id = answer.content.get("id")
        if not isinstance(id, str) or not id or len(id.encode()) > MAX_PROVIDER_ID:
            return None
        return model.id, id

    async def shown(self, job: Job) -> Json:
        """The response object of such a job, in any state.

        Raises `PayloadMissing` where the result of a completed one is gone, and `StoreUnavailable`.
        """
        if job.status is not Status.COMPLETED:
            return response_object(job, await self._asked(job))
        result: Json = orjson.loads(await self._payloads.result(job))
        goes_on = result.get("previous_response_id") is not None
        return response_object(job, await self._asked(job) if goes_on else {}, result)

    async def result(self, job: Job) -> bytes:
        """The result of a completed job of any operation, under the ids that its client knows. Raises as `shown`."""
        if job.operation != RESPONSES.name:
            return await self._payloads.result(job)
        return orjson.dumps(await self.shown(job))

    async def _asked(self, job: Job) -> Json:
        """The request's body: what a client is shown of it may be missing, its state may not."""
        try:
            body: Json = (await self._payloads.request(job))["body"]
        except PayloadMissing:
            return {}
        return body
