"""`GET /v1/models` and `GET /v1/models/{id}`: what the caller may use. An id may hold slashes."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint, json_response
from shared.catalog.view import list_models, one_model
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("models")
    @bp.route(route="v1/models/{*id}", methods=METHODS)
    @endpoint(services, "GET", "HEAD", access="inference")
    async def models(exchange: Exchange) -> Reply:
        return await show_models(exchange, exchange.path_param("id"))

    return bp


async def show_models(exchange: Exchange, id: str) -> Reply:
    """The model `id` means, or all models where it is empty."""
    catalog = exchange.services.catalog
    if id:
        return json_response(await one_model(catalog, exchange.caller, id))
    return json_response(await list_models(catalog, exchange.caller, exchange.query))
