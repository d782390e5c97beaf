"""Sessions that are opened over HTTP: their media then flow between the client and the provider, past the proxy."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import orjson

from shared import Json
from shared.access.caller import Caller
from shared.catalog.documents import Model
from shared.inference.deadlines import Deadlines
from shared.inference.operations import REALTIME, REALTIME_OPENING, Operation
from shared.inference.pipeline import Inference
from shared.inference.record import CallRecord
from shared.inference.request import Pin
from shared.providers.calls import Call, Provider
from shared.providers.openai_wire import Body, OpenAIWire, Posted
from shared.realtime.addresses import http_address
from shared.realtime.asked import Asked
from shared.signed_ids import SignedIds
from shared.wire.realtime import Offer, model_at, secret_model_path, session_model_path, with_model

if TYPE_CHECKING:
    import aiohttp

CALL_PREFIX = "rtc_"
"""What a call's id begins with, the provider's and ours."""
ACTIONS = ("hangup", "refer", "accept", "reject")
"""What can be done with a call."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A provider's answer, and the call's id as the client gets it."""

    posted: Posted
    record: CallRecord
    call_id: str | None = None


class Openings:
    """Opens sessions at providers with the model taken from the catalog. What they use is not counted."""

    def __init__(self, inference: Inference, wire: OpenAIWire, ids: SignedIds) -> None:
        self._inference = inference
        self._wire = wire
        self._ids = ids

    async def post(
        self, asked: Asked, path: str, body: Json, place: Callable[[Json], tuple[str, ...]]
    ) -> Opened:
        """A JSON call below `/v1/`; `place` says where its body names the model, which wins over `asked.model`."""
        where = place(body)
        named = model_at(body, where)
        if named is not None:
            asked = replace(asked, model=named)

        def made(model: Model) -> Body:
            return orjson.dumps(with_model(body, where, model.deployment))

        return await self._send(asked, REALTIME_OPENING, path, made)

    async def call(self, asked: Asked, offer: Offer) -> Opened:
        """A WebRTC call. The proxy's credential opens it, so the session goes along: with an offer alone the
        provider would ask for a client secret.
        """
        session = offer.session if "type" in offer.session else {"type": "realtime", **offer.session}
        outer = {"session": session}
        where = secret_model_path(outer)
        named = model_at(outer, where)
        if named is not None:
            asked = replace(asked, model=named)

        def made(model: Model) -> Body:
            return partial(_form, offer.sdp, with_model(outer, where, model.deployment)["session"])

        opened = await self._send(asked, REALTIME_OPENING, "realtime/calls", made)
        location, model = opened.posted.location, opened.record.model
        call_id = location.partition("?")[0].rstrip("/").rpartition("/")[2]
        if not call_id or model is None:
            return opened
        signed = await self._ids.sign(CALL_PREFIX, (model.id, call_id), asked.caller.project)
        return replace(opened, call_id=signed)

    async def act(self, asked: Asked, id: str, action: str, body: Json) -> Opened:
        """One of `ACTIONS` on a call of the caller's project. Raises `NotFound` for every other id."""
        pin, call_id = await self.pinned(id, asked.caller)
        named = model_at(body, session_model_path(body)) if action == "accept" else None
        if named is not None:
            asked = replace(asked, model=named)

        def made(model: Model) -> Body:
            if not body:
                return b"{}" if action == "accept" else None
            return orjson.dumps({**body, "model": model.deployment} if named is not None else body)

        # A call that has begun can be ended whatever the budget.
        operation = REALTIME_OPENING if action == "accept" else REALTIME
        path = f"realtime/calls/{call_id}/{action}"
        return await self._send(replace(asked, pin=pin), operation, path, made)

    async def pinned(self, id: str, caller: Caller) -> tuple[Pin, str]:
        """Where a call lies, and the provider's id of it. Raises `NotFound`."""
        model, call_id = await self._ids.verify(CALL_PREFIX, id, caller.project)
        return Pin(model, id), call_id

    async def _send(
        self, asked: Asked, operation: Operation, path: str, made: Callable[[Model], Body]
    ) -> Opened:
        async def attempt(provider: Provider, call: Call, limits: Deadlines) -> Posted:
            return await self._wire.post(http_address(call.model, path), made(call.model), call)

        posted, record = await self._inference.begin(asked.request(operation), attempt)
        self._inference.settle(record, 200)
        return Opened(posted, record)


def _form(sdp: str, session: Json) -> "aiohttp.FormData":
    import aiohttp

    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("sdp", sdp, content_type="application/sdp")
    form.add_field("session", orjson.dumps(session).decode(), content_type="application/json")
    return form
