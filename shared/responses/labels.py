"""The ids of one project's responses, as its clients see them and as the provider knows them.

An id holds the catalog's id of the deployment and the provider's own id, signed for the project.
"""

from collections.abc import Mapping

import orjson

from shared import Json
from shared.catalog.documents import Model
from shared.errors import InvalidProviderResponse, ProxyError
from shared.providers.calls import Answer
from shared.signed_ids import Signer
from shared.wire.events import Event

PREFIX = "resp_"
MAX_PROVIDER_ID = 1024
"""Bytes of a provider's id that make sense; OpenAI's have 53."""
_NAMES = ("id", "response_id", "previous_response_id")


class ResponseLabels:
    """Puts our ids in the place of the provider's. `known` are ours by (model's id, the provider's id)."""

    def __init__(
        self, signer: Signer, project: str, known: Mapping[tuple[str, str], str] | None = None
    ) -> None:
        self._signer = signer
        self._project = project
        self._made = dict(known or {})

    def answer(self, answer: Answer, model: Model) -> Answer:
        """A plain answer under our ids. Its bytes stay as they are but for those."""
        if answer.content.get("object") == "list":
            return answer
        found = self._found(answer.content, model)
        if not found:
            return answer
        content = {**answer.content, **{name: ours for name, (_, ours) in found.items()}}
        body = answer.body
        for theirs, ours in found.values():
            quoted = orjson.dumps(theirs)
            if quoted not in body:
                # Written with escapes: then it is written anew.
                return Answer(
                    orjson.dumps(content),
                    content,
                    answer.headers,
                    answer.usage,
                    answer.dropped,
                    answer.content_type,
                )
            body = body.replace(quoted, orjson.dumps(ours))
        return Answer(body, content, answer.headers, answer.usage, answer.dropped, answer.content_type)

    def event(self, event: Event, model: Model) -> Event:
        """An event under our ids; the same one where it holds none."""
        chunk = event.chunk
        response = chunk.get("response")
        changed: Json = {}
        if isinstance(response, dict) and (found := self._found(response, model)):
            changed["response"] = {**response, **{name: ours for name, (_, ours) in found.items()}}
        if isinstance(theirs := chunk.get("response_id"), str):
            changed["response_id"] = self._ours(theirs, model)
        if not changed:
            return event
        chunk = {**chunk, **changed}
        return Event(orjson.dumps(chunk), chunk, event.name)

    def error(self, error: ProxyError) -> None:
        """Takes the provider's ids out of an error's words."""
        for (_, theirs), ours in self._made.items():
            error.message = error.message.replace(theirs, ours)

    def _found(self, response: Json, model: Model) -> dict[str, tuple[str, str]]:
        """(the provider's id, ours) by field."""
        return {
            name: (value, self._ours(value, model))
            for name in _NAMES
            if isinstance(value := response.get(name), str) and value
        }

    def _ours(self, theirs: str, model: Model) -> str:
        known = self._made.get((model.id, theirs))
        if known is None:
            if len(theirs.encode()) > MAX_PROVIDER_ID:
                raise InvalidProviderResponse("The provider's id of the response is too long.")
            known = self._made[(model.id, theirs)] = self._signer.sign(
                PREFIX, (model.id, theirs), self._project
            )
        return known
