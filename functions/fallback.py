"""The last function by name: serves `/`, and answers every unknown path in the error envelope."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint, json_response
from shared import SERVICE, VERSION
from shared.errors import MethodNotAllowed, NotFound
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("zz_fallback")
    @bp.route(route="{*path}", methods=METHODS)
    @endpoint(services, *METHODS, access="open")
    async def zz_fallback(exchange: Exchange) -> Reply:
        path = exchange.raw_path_param("path").strip("/")
        if path:
            raise NotFound(f"There is nothing at /{path[:256]}.")
        if exchange.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(exchange.method, "GET, HEAD")
        return json_response({"service": SERVICE, "version": VERSION, "routes": list(services.routes)})

    return bp
