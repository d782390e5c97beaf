"""From a declared operation to its answer: what every inference function shares."""

from contextlib import AsyncExitStack

from functions.exchange import Exchange
from functions.http import PlainReply, Reply, WhileClientStays
from functions.replies import BytesReply, SseReply
from functions.uploads import read_form
from shared import Json
from shared.inference.headers import answer_headers
from shared.inference.operations import Operation
from shared.inference.request import InferenceRequest, read_request
from shared.wire.parameters import FORWARDED_HEADERS, body_headers, check_names


async def answer(exchange: Exchange, operation: Operation, model: str | None = None) -> Reply:
    """Runs one call. `model` is the deployment in an Azure-style path, which wins over the body's."""
    if operation.as_json is not None and _is_json(exchange):
        operation = operation.as_json
    if not operation.multipart:
        return await run(exchange, await read(exchange, operation, model))
    async with AsyncExitStack() as uploads:
        request = await _read_form(exchange, operation, model, uploads)
        return await run(exchange, request, uploads)


async def run(exchange: Exchange, request: InferenceRequest, uploads: AsyncExitStack | None = None) -> Reply:
    """Runs a call that was read: as events, in bytes or plain. `uploads` are closed at the end of the events."""
    inference = exchange.services.inference
    if request.streamed:
        with WhileClientStays(exchange):
            session = await inference.stream(request)
        # A stream may be answered before the provider has the whole upload: the files stay until its end.
        kept = uploads.pop_all() if uploads is not None else None
        return SseReply(session, answer_headers(session.record, session.record.upstream_headers), kept)
    if request.operation.bytes:
        with WhileClientStays(exchange):
            download = await inference.download(request)
        return BytesReply(download, answer_headers(download.record, download.record.upstream_headers))
    with WhileClientStays(exchange):
        answer, record = await inference.answer(request)
    return PlainReply(answer.body, 200, answer_headers(record, answer.headers), answer.content_type)


def _is_json(exchange: Exchange) -> bool:
    return (exchange.header("content-type") or "").lower().startswith("application/json")


async def read(exchange: Exchange, operation: Operation, model: str | None) -> InferenceRequest:
    """The request of a JSON body, checked."""
    return read_body(exchange, operation, await exchange.json_object(), model)


def read_body(
    exchange: Exchange, operation: Operation, body: Json, model: str | None = None
) -> InferenceRequest:
    check_names(body)
    headers = {**body_headers(body), **forwarded(exchange)}
    return read_request(operation, exchange.caller, exchange.request_id, body, headers, model)


async def _read_form(
    exchange: Exchange, operation: Operation, model: str | None, cleanup: AsyncExitStack
) -> InferenceRequest:
    form, body = await read_form(exchange, cleanup)
    check_names(body)
    headers = forwarded(exchange)
    return read_request(operation, exchange.caller, exchange.request_id, body, headers, model, form)


def forwarded(exchange: Exchange) -> dict[str, str]:
    """The client's headers that travel on."""
    return {name: value for name in FORWARDED_HEADERS if (value := exchange.header(name)) is not None}
