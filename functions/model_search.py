"""`GET /api/models` and `GET /api/models/search`: what the caller may use, by what it can do and what it costs."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint, json_response
from shared.catalog.search import search_models
from shared.errors import NotFound
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("model_search")
    @bp.route(route="api/models/{*rest}", methods=METHODS)
    @endpoint(services, "GET", "HEAD", access="inference")
    async def model_search(exchange: Exchange) -> Reply:
        if exchange.path_param("rest").strip("/") not in ("", "search"):
            raise NotFound(
                "Models are searched at /api/models and /api/models/search; one is at /v1/models/{id}."
            )
        return json_response(await search_models(services.catalog, exchange.caller, exchange.query))

    return bp
