"""Where a request about responses goes: ids read, the deployment pinned, and ours put in the provider's place."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import quote

from shared.access.caller import Caller
from shared.inference.operations import RESPONSES, STORED_RESPONSES
from shared.inference.request import InferenceRequest, Pin
from shared.responses.labels import PREFIX, ResponseLabels
from shared.signed_ids import SignedIds, no_such_id

_PREVIOUS = "previous_response_id"


@dataclass(frozen=True, slots=True)
class Action:
    """What can be done with a stored response: a method, and OpenAI's path below its id."""

    method: str
    path: str = ""


class Responses:
    """Prepares the pipeline's requests."""

    def __init__(self, ids: SignedIds) -> None:
        self._ids = ids

    async def create(self, request: InferenceRequest) -> InferenceRequest:
        """A checked request for a new response, as the pipeline can run it.

        Raises `NotFound` for a `previous_response_id` that is not the caller's own, and `ProviderUnavailable`
        without the key that signs: then no provider is asked for what could not be named.
        """
        signer = await self._ids.signer()
        project = request.caller.project
        ours = request.body.get(_PREVIOUS)
        if ours is None:
            return replace(request, labels=ResponseLabels(signer, project))
        model, theirs = await self._held(ours, project, _PREVIOUS)
        return replace(
            request,
            body={**request.body, _PREVIOUS: theirs},
            pin=Pin(model, ours, _PREVIOUS),
            labels=ResponseLabels(signer, project, {(model, theirs): ours}),
        )

    async def about(
        self,
        id: str,
        action: Action,
        caller: Caller,
        request_id: str,
        headers: Mapping[str, str],
        query: tuple[tuple[str, str], ...] = (),
        streamed: bool = False,
    ) -> InferenceRequest:
        """A request about a stored response. Raises `NotFound` where `id` is not the caller's own."""
        model, theirs = await self._held(id, caller.project, None)
        signer = await self._ids.signer()
        path = f"{RESPONSES.path}/{quote(theirs, safe='')}"
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
            pin=Pin(model, id),
            labels=ResponseLabels(signer, caller.project, {(model, theirs): id}),
        )

    async def _held(self, id: str, project: str, param: str | None) -> tuple[str, str]:
        """(catalog's id of the deployment, the provider's id) of a response."""
        parts = await self._ids.verify(PREFIX, id, project, param=param)
        if len(parts) != 2:
            raise no_such_id(id, param)
        return parts[0], parts[1]
