"""`POST /v1/moderations`: whether texts and pictures are harmful, and in which way."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint
from functions.inference import answer
from shared.inference.operations import MODERATIONS
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("moderations")
    @bp.route(route="v1/moderations", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def moderations(exchange: Exchange) -> Reply:
        return await answer(exchange, MODERATIONS)

    return bp
