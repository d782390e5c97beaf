"""Going on from a response: `previous_response_id` in the provider's own words, and the deployment that knows it."""

from dataclasses import replace

from shared.catalog.documents import Model
from shared.errors import InvalidValue, ProxyError
from shared.inference.request import InferenceRequest, Pin
from shared.jobs.job import Job, Status
from shared.providers.calls import Answer
from shared.responses.held import HeldResponses
from shared.responses.ids import Kept, ResponseIds
from shared.wire.events import Event

PREVIOUS = "previous_response_id"


class PreviousResponses:
    """Finds what a request goes on from, whoever keeps it."""

    def __init__(self, ids: ResponseIds, held: HeldResponses) -> None:
        self._ids = ids
        self._held = held

    async def find(self, id: str, project: str) -> Kept:
        """Where the response lies that a client calls `id`.

        Raises `NotFound` where it is not the project's own, was deleted or has expired, `InvalidValue` where a job
        has no such result, and `CatalogUnavailable` where the store cannot say.
        """
        found = await self._ids.read(id, project, PREVIOUS)
        if isinstance(found, Kept):
            return found
        return _result(id, (await self._held.get(id, found, project, PREVIOUS)).job)

    async def pinned(self, request: InferenceRequest) -> InferenceRequest:
        """The request in the provider's words; the same one where it goes on from nothing. Raises as `find`."""
        ours = request.body.get(PREVIOUS)
        if ours is None:
            return request
        kept = await self.find(ours, request.caller.project)
        return replace(
            request,
            body={**request.body, PREVIOUS: kept.id},
            pin=Pin(kept.model, ours, PREVIOUS),
            labels=OurWords(kept.id, ours),
        )


class OurWords:
    """`Labels` of a call whose answer keeps the provider's ids: only what an error says is put in our words."""

    def __init__(self, theirs: str, ours: str) -> None:
        self._theirs = theirs
        self._ours = ours

    def answer(self, answer: Answer, model: Model) -> Answer:
        return answer

    def event(self, event: Event, model: Model) -> Event:
        return event

    def error(self, error: ProxyError) -> None:
        error.message = error.message.replace(self._theirs, self._ours)


def _result(id: str, job: Job) -> Kept:
    if not job.status.final:
        raise InvalidValue(f"The response '{id}' is not finished yet.", param=PREVIOUS)
    if job.status is not Status.COMPLETED or job.response is None:
        raise InvalidValue(f"There is no result of '{id}' to go on from.", param=PREVIOUS)
    return Kept(*job.response)
