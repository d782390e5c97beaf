"""From a declared operation to its answer: what every inference function shares."""

from functions.exchange import Exchange
from functions.http import PlainReply, Reply, WhileClientStays
from functions.replies import SseReply
from shared.inference.headers import answer_headers
from shared.inference.operations import Operation
from shared.inference.request import InferenceRequest, read_request
from shared.wire.parameters import FORWARDED_HEADERS, body_headers, check_names


async def answer(exchange: Exchange, operation: Operation, model: str | None = None) -> Reply:
    """Runs one call. `model` is the deployment in an Azure-style path, which wins over the body's."""
    request = await _read(exchange, operation, model)
    inference = exchange.services.inference
    if request.streamed:
        with WhileClientStays(exchange):
            session = await inference.stream(request)
        return SseReply(session, answer_headers(session.record, session.record.upstream_headers))
    with WhileClientStays(exchange):
        answer, record = await inference.answer(request)
    return PlainReply(answer.body, 200, answer_headers(record, answer.headers))


async def _read(exchange: Exchange, operation: Operation, model: str | None) -> InferenceRequest:
    body = await exchange.json_object()
    check_names(body)
    headers = body_headers(body)
    for name in FORWARDED_HEADERS:
        value = exchange.header(name)
        if value is not None:
            headers[name] = value
    return read_request(operation, exchange.caller, exchange.request_id, body, headers, model)
