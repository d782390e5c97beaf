"""`POST /v1/completions`: the legacy text completions."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint
from functions.inference import answer
from shared.inference.operations import COMPLETIONS
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("completions")
    @bp.route(route="v1/completions", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def completions(exchange: Exchange) -> Reply:
        return await answer(exchange, COMPLETIONS)

    return bp
