"""`POST /v1/embeddings`: vectors of texts or token lists, as floats or in base64."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint
from functions.inference import answer
from shared.inference.operations import EMBEDDINGS
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("embeddings")
    @bp.route(route="v1/embeddings", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def embeddings(exchange: Exchange) -> Reply:
        return await answer(exchange, EMBEDDINGS)

    return bp
