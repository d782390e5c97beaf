"""Where a request about responses goes: ids read, the deployment pinned, and ours put in the provider's place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from shared.access.caller import Caller
from shared.inference.operations import RESPONSES, STORED_RESPONSES
from shared.inference.request import InferenceRequest, Pin
from shared.responses.ids import InJob, Kept, ResponseIds
from shared.responses.labels import ResponseLabels
from shared.responses.previous import PREVIOUS, PreviousResponses


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done with a stored response: a method, and OpenAI's path below its id."""

    method: str
    path: str = ""


class Responses:
    """Prepares the pipeline's requests."""

    def __init__(self, ids: ResponseIds, previous: PreviousResponses) -> None:
        self._ids = ids
        self._previous = previous

    async def find(self, id: str, project: str) -> Kept | InJob:
        """Who has the response that the caller calls `id`. Raises `NotFound` where it is not the project's own."""
        return await self._ids.read(id, project)

    async def create(self, request: InferenceRequest) -> InferenceRequest:
        """A checked request for a new response, as the pipeline can run it.

        Raises what `PreviousResponses.find` raises about a `previous_response_id`, and `ProviderUnavailable`
        without the key that signs: then no provider is asked for what could not be named.
        """
        signer = await self._ids.signer()
        project = request.caller.project
        pinned = await self._previous.pinned(request)
        if pinned.pin is None:
            return replace(request, labels=ResponseLabels(signer, project))
        known = {(pinned.pin.model, pinned.body[PREVIOUS]): pinned.pin.id}
        return replace(pinned, labels=ResponseLabels(signer, project, known))

    async def about(
        self,
        id: str,
        kept: Kept,
        action: Action,
        caller: Caller,
        request_id: str,
        headers: Mapping[str, str],
        query: tuple[tuple[str, str], ...] = (),
        streamed: bool = False,
    ) -> InferenceRequest:
        """A request about what a provider keeps, and the client calls `id`."""
        signer = await self._ids.signer()
        path = f"{RESPONSES.path}/{quote(kept.id, safe='')}"
        return InferenceRequest(
            operation=replace(
                STORED_RESPONSES,
                path=f"{path}/{action.path}" if action.path else path,
                method=action.method,
            ),
            caller=caller,
            request_id=request_id,
            body={},
            model=None,
            streamed=streamed,
            headers=headers,
            query=query,
            pin=Pin(kept.model, id),
            labels=ResponseLabels(signer, caller.project, {(kept.model, kept.id): id}),
        )
