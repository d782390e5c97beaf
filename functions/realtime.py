"""`/v1/realtime/…`: client secrets, sessions and calls, whose media flow between client and provider; and
`/v1/audio/realtime/sessions/{id}`: what is known of a session that this host relays.

The WebSocket itself is the local host's: Azure Functions has none.
"""

from collections.abc import Sequence
from contextlib import AsyncExitStack

import azure.functions as func

from functions.exchange import with_slashes
from functions.http import (
    METHODS,
    Exchange,
    PlainReply,
    Reply,
    WhileClientStays,
    endpoint,
    json_response,
)
from functions.inference import forwarded
from functions.uploads import read_form
from shared import Json
from shared.errors import NotFound, UnsupportedOperation
from shared.inference.headers import answer_headers
from shared.providers.calls import Form
from shared.realtime.asked import Asked
from shared.realtime.opening import ACTIONS, Opened
from shared.services import Services
from shared.wire.parameters import body_headers, check_names, forwarded_body
from shared.wire.realtime import (
    MAX_SDP,
    Offer,
    read_offer,
    secret_model_path,
    session_model_path,
    transcription_model_path,
)

_JSON_FLOWS = {
    "client_secrets": secret_model_path,
    "sessions": session_model_path,
    "transcription_sessions": transcription_model_path,
}
"""Flows that take JSON and answer in it, with where their bodies name the model."""


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("realtime")
    @bp.route(route="v1/realtime/{*rest}", methods=METHODS)
    @endpoint(services, "GET", "POST", access="inference", methods_at=_methods)
    async def realtime(exchange: Exchange) -> Reply:
        return await answer_realtime(exchange, exchange.raw_path_param("rest").strip("/"))

    @bp.function_name("realtime_sessions")
    @bp.route(route="v1/audio/realtime/{*rest}", methods=METHODS)
    @endpoint(services, "GET", "HEAD", access="inference")
    async def realtime_sessions(exchange: Exchange) -> Reply:
        head, _, id = exchange.raw_path_param("rest").strip("/").partition("/")
        if not head:
            raise _no_socket()
        if head != "sessions" or not id:
            raise _nothing(exchange)
        sessions = exchange.services.live.sessions
        return json_response(sessions.get(with_slashes(id), exchange.caller.project).view())

    return bp


def _methods(exchange: Exchange) -> Sequence[str]:
    return ("POST",) if exchange.raw_path_param("rest").strip("/") else ("GET",)


async def answer_realtime(exchange: Exchange, rest: str) -> Reply:
    """Answers what lies at `rest` below `/v1/realtime/`; the caller is known."""
    if not rest:
        raise _no_socket()
    place = _JSON_FLOWS.get(rest)
    if place is not None:
        body = await exchange.json_object()
        check_names(body)
        asked = _asked(exchange, body)
        with WhileClientStays(exchange):
            return _reply(
                await exchange.services.openings.post(asked, f"realtime/{rest}", forwarded_body(body), place)
            )
    head, _, tail = rest.partition("/")
    id, _, action = tail.partition("/")
    if head == "calls" and not tail:
        return await _call(exchange)
    if head != "calls" or action not in ACTIONS:
        raise _nothing(exchange)
    body = await exchange.json_object() if await exchange.body() else {}
    check_names(body)
    asked = _asked(exchange, body)
    with WhileClientStays(exchange):
        return _reply(
            await exchange.services.openings.act(asked, with_slashes(id), action, forwarded_body(body))
        )


def _no_socket() -> UnsupportedOperation:
    """A host that has WebSockets never asks a function for one."""
    return UnsupportedOperation(
        "This address is for WebSockets, and none arrived: Azure Functions does not serve them. Open a session by "
        "POST /v1/realtime/client_secrets or /v1/realtime/calls, and connect to the provider."
    )


async def _call(exchange: Exchange) -> Reply:
    offer = await _offer(exchange)
    with WhileClientStays(exchange):
        opened = await exchange.services.openings.call(_asked(exchange, {}), offer)
    reply = _reply(opened)
    if opened.call_id is not None:
        # Below the address that the client used: what it then does with the call comes the same way.
        path = str(exchange.request.scope["path"]).rstrip("/")
        reply.raw_headers.append((b"location", f"{path}/{opened.call_id}".encode()))
    return reply


async def _offer(exchange: Exchange) -> Offer:
    """The offer out of `application/sdp`, a form, or JSON as OpenAI's Python client sends it."""
    kind = (exchange.header("content-type") or "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        async with AsyncExitStack() as cleanup:
            form, fields = await read_form(exchange, cleanup)
            check_names(fields)
            return read_offer(_text(form, fields, "sdp"), _text(form, fields, "session"))
    if kind in ("application/sdp", "text/plain"):
        return read_offer((await exchange.body()).decode("utf-8", "replace"), None)
    body = await exchange.json_object()
    check_names(body)
    return read_offer(body.get("sdp"), body.get("session"))


def _text(form: Form, fields: Json, name: str) -> object:
    """A field, or the text of a file of that name: `curl -F sdp=@offer.sdp` sends one."""
    if name in fields:
        return fields[name]
    for file in form.files:
        if file.field == name:
            return file.content.read(MAX_SDP + 1).decode("utf-8", "replace")
    return None


def _asked(exchange: Exchange, body: Json) -> Asked:
    """The caller and the query's model (`deployment` under Azure's addresses); a body's own model wins over it."""
    model = exchange.query.get("model") or exchange.query.get("deployment")
    headers = {**body_headers(body), **forwarded(exchange)}
    return Asked(exchange.caller, exchange.request_id, model, headers)


def _reply(opened: Opened) -> PlainReply:
    posted = opened.posted
    return PlainReply(
        posted.body, posted.status, answer_headers(opened.record, posted.headers), posted.content_type
    )


def _nothing(exchange: Exchange) -> NotFound:
    return NotFound(f"There is nothing at {str(exchange.request.scope['path'])[:256]}.")
