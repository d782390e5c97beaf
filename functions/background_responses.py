"""Responses in the background over HTTP: the routes of `/v1/responses` where a job stands behind the id."""

from functions.exchange import Exchange
from functions.http import PlainReply, json_response
from functions.inference import forwarded
from shared import Json
from shared.errors import UnsupportedParameter
from shared.jobs.job import Status
from shared.jobs.views import result_headers
from shared.responses.ids import InJob
from shared.responses.service import Action


def wanted_in_background(body: Json) -> bool:
    return body.get("background") is True


def asks_for_events(exchange: Exchange) -> bool:
    """Whether a `GET` asks for the events of a response."""
    return exchange.query.get("stream", "").lower() in ("true", "1")


async def create_in_background(exchange: Exchange, body: Json) -> PlainReply:
    made = await exchange.services.response_jobs.create(
        exchange.caller, body, forwarded(exchange), exchange.header("idempotency-key")
    )
    return json_response(made)


async def answer_in_background(exchange: Exchange, id: str, found: InJob, action: Action) -> PlainReply:
    """What `action` does with the response. `id` is what the client calls it."""
    jobs, project = exchange.services.response_jobs, exchange.caller.project
    await exchange.body()
    match action.method, action.path:
        case "GET", "input_items":
            return json_response(await jobs.input_items(id, found, project, exchange.query))
        case "POST", "cancel":
            return json_response(await jobs.cancel(id, found, project))
        case "DELETE", _:
            return json_response(await jobs.delete(id, found, exchange.caller, exchange.request_id))
    if asks_for_events(exchange):
        raise UnsupportedParameter("A response in the background has no events to stream.", param="stream")
    shown, job = await jobs.show(id, found, project)
    if job.status is not Status.COMPLETED:
        return json_response(shown)
    # A completed one has the headers of a response that was not waited for.
    return json_response(shown, 200, result_headers(job))
