"""Where the demo model keeps its last responses: in memory, for as long as the process lives."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from shared import Json
from shared.errors import ProviderRefusal
from shared.providers.calls import Call
from shared.responses.items import page_of_items, whole_number

MAX_RESPONSES = 1000
MAX_BYTES = 64 * 1024 * 1024
"""What all that is kept may take as JSON; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """JSON, so that what is kept cannot change: the response, the items of its own input, its events."""

    response: bytes
    items: bytes
    events: bytes
    previous: str | None

    @property
    def size(self) -> int:
        return len(self.response) + len(self.items) + len(self.events)


class Shelf:
    """Answers what OpenAI answers about stored responses (API reference, Responses)."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._size = 0

    def keep(self, response: Json, items: list[Json], events: list[Json]) -> None:
        kept = _Kept(
            orjson.dumps(response),
            orjson.dumps(items),
            orjson.dumps(events),
            response.get("previous_response_id"),
        )
        self._kept[response["id"]] = kept
        self._size += kept.size
        while len(self._kept) > MAX_RESPONSES or self._size > MAX_BYTES:
            self._drop(next(iter(self._kept)))

    def history(self, id: Any) -> list[Json] | None:
        """All items up to the end of this response, in order; None where it is not here."""
        kept = self._kept.get(id) if isinstance(id, str) else None
        if kept is None:
            return None
        chain = [kept]
        while kept.previous is not None and (earlier := self._kept.get(kept.previous)) is not None:
            chain.append(earlier)
            kept = earlier
        items: list[Json] = []
        for link in reversed(chain):
            items += orjson.loads(link.items)
            items += orjson.loads(link.response)["output"]
        return items

    def answer(self, call: Call) -> Json:
        """What a call about a stored response gets. Raises `ProviderRefusal` and `InvalidValue`."""
        id, kept, action = self._found(call)
        if action == "input_items":
            return page_of_items(orjson.loads(kept.items), dict(call.query))
        if call.method == "DELETE":
            self._drop(id)
            return {"id": id, "object": "response", "deleted": True}
        # A response is whole before anyone knows its id: there is nothing left to cancel.
        content: Json = orjson.loads(kept.response)
        return content

    def events(self, call: Call) -> Iterator[Json]:
        """The events of a stored response once more, after number `starting_after`."""
        _, kept, _ = self._found(call)
        after = whole_number(dict(call.query), "starting_after", -1)
        for event in orjson.loads(kept.events):
            if event["sequence_number"] > after:
                yield event

    def _found(self, call: Call) -> tuple[str, _Kept, str]:
        id, _, action = call.path.removeprefix("responses/").partition("/")
        kept = self._kept.get(id)
        if kept is None:
            raise ProviderRefusal(f"Response with id '{id}' not found.", 404)
        return id, kept, action

    def _drop(self, id: str) -> None:
        self._size -= self._kept.pop(id).size
