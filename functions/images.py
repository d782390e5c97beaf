"""`POST /v1/images/generations`, `/edits` and `/variations`: JSON or forms in; JSON, or events, out."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint
from functions.inference import answer
from shared.inference.operations import IMAGE_EDITS, IMAGE_GENERATIONS, IMAGE_VARIATIONS
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("image_generations")
    @bp.route(route="v1/images/generations", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def image_generations(exchange: Exchange) -> Reply:
        return await answer(exchange, IMAGE_GENERATIONS)

    @bp.function_name("image_edits")
    @bp.route(route="v1/images/edits", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def image_edits(exchange: Exchange) -> Reply:
        return await answer(exchange, IMAGE_EDITS)

    @bp.function_name("image_variations")
    @bp.route(route="v1/images/variations", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def image_variations(exchange: Exchange) -> Reply:
        return await answer(exchange, IMAGE_VARIATIONS)

    return bp
