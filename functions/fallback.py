"""The last function by name: serves `/`, and answers every unknown path in the error envelope."""

from collections.abc import Sequence

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint, json_response
from shared import SERVICE, VERSION
from shared.errors import MethodNotAllowed, NotFound
from shared.services import Services

ROOT_METHODS = ("GET", "HEAD")


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("zz_fallback")
    @bp.route(route="{*path}", methods=METHODS)
    @endpoint(services, *METHODS, access="open", methods_at=_methods)
    async def zz_fallback(exchange: Exchange) -> Reply:
        path = exchange.raw_path_param("path").strip("/")
        if path:
            raise NotFound(f"There is nothing at /{path[:256]}.")
        if exchange.method not in ROOT_METHODS:
            raise MethodNotAllowed(exchange.method, ", ".join(ROOT_METHODS))
        return json_response({"service": SERVICE, "version": VERSION, "routes": list(services.routes)})

    return bp


def _methods(exchange: Exchange) -> Sequence[str]:
    """An unknown path takes no method, but a page must be able to ask for it to read that it is unknown."""
    return METHODS if exchange.raw_path_param("path").strip("/") else ROOT_METHODS
