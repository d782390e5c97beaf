"""`/manage/dead-letters…` for administrators: events of the jobs' hubs that are no job, and the way back."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint, json_response
from shared.errors import MethodNotAllowed, NotFound
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("manage_dead_letters")
    @bp.route(route="manage/dead-letters/{*rest}", methods=METHODS)
    @endpoint(services, "GET", "POST", access="admin")
    async def manage_dead_letters(exchange: Exchange) -> Reply:
        letters = services.dead_letters
        id, *action = exchange.path_param("rest").strip("/").split("/")
        if action not in ([], ["retry"]):
            raise NotFound("A dead letter's address is /manage/dead-letters/{id}, or …/{id}/retry.")
        wanted = "POST" if action else "GET"
        if exchange.method != wanted:
            raise MethodNotAllowed(exchange.method, wanted)
        if action:
            return json_response(await letters.put_back(exchange.caller, id))
        if id:
            return json_response(await letters.get(id))
        return json_response(await letters.list(exchange.query))

    return bp
