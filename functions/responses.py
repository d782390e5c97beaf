"""`/v1/responses…`: new responses, plain, as events or in the background, and what can be done with a stored one."""

from collections.abc import Sequence

import azure.functions as func

from functions.background_responses import (
    answer_in_background,
    asks_for_events,
    create_in_background,
    wanted_in_background,
)
from functions.exchange import with_slashes
from functions.http import METHODS, Exchange, Reply, endpoint
from functions.inference import forwarded, read_body, run
from shared.errors import MethodNotAllowed, NotFound
from shared.inference.operations import RESPONSES
from shared.responses.ids import InJob
from shared.responses.service import Action
from shared.services import Services

_ACTIONS = {
    "": (Action("GET"), Action("DELETE")),
    "cancel": (Action("POST", "cancel"),),
    "input_items": (Action("GET", "input_items"),),
}
"""What can be done below an id, by the rest of the path."""
_DECLARED = ("POST", "GET", "DELETE")
_QUERY = frozenset(
    (
        "after",
        "before",
        "limit",
        "order",
        "include",
        "include[]",
        "stream",
        "starting_after",
        "include_obfuscation",
    )
)
"""The query that is passed on (OpenAI's API reference)."""


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("responses")
    @bp.route(route="v1/responses/{*rest}", methods=METHODS)
    @endpoint(
        services,
        *_DECLARED,
        access="inference",
        methods_at=lambda exchange: response_methods(_rest(exchange)),
    )
    async def responses(exchange: Exchange) -> Reply:
        return await answer_responses(exchange, _rest(exchange))

    return bp


def response_methods(rest: str) -> Sequence[str]:
    """The methods of an address below `responses/`; all where there is nothing."""
    id, _, below = rest.strip("/").partition("/")
    if not id:
        return ("POST",)
    return tuple(action.method for action in _ACTIONS[below]) if below in _ACTIONS else _DECLARED


async def answer_responses(exchange: Exchange, rest: str) -> Reply:
    """`rest` is the path below `responses/`: empty, or an id and what to do with it."""
    id, _, below = rest.strip("/").partition("/")
    if not id:
        if exchange.method != "POST":
            raise MethodNotAllowed(exchange.method, "POST")
        body = await exchange.json_object()
        if wanted_in_background(body):
            return await create_in_background(exchange, body)
        request = read_body(exchange, RESPONSES, body)
        return await run(exchange, await exchange.services.responses.create(request))
    actions = _ACTIONS.get(below)
    if actions is None:
        raise NotFound("There is nothing at this address below a response.")
    for action in actions:
        if action.method == exchange.method:
            return await _about(exchange, with_slashes(id), action)
    raise MethodNotAllowed(exchange.method, ", ".join(action.method for action in actions))


async def _about(exchange: Exchange, id: str, action: Action) -> Reply:
    query = tuple(
        (name, value) for name, value in exchange.request.query_params.multi_items() if name in _QUERY
    )
    streamed = action == Action("GET") and asks_for_events(exchange)
    responses = exchange.services.responses
    found = await responses.find(id, exchange.caller.project)
    if isinstance(found, InJob):
        return await answer_in_background(exchange, id, found, action)
    request = await responses.about(
        id, found, action, exchange.caller, exchange.request_id, forwarded(exchange), query, streamed
    )
    await exchange.body()
    return await run(exchange, request)


def _rest(exchange: Exchange) -> str:
    return exchange.raw_path_param("rest")
