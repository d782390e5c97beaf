"""`POST /v1/chat/completions`: JSON, or server-sent events with `stream: true`."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint
from functions.inference import answer
from shared.inference.operations import CHAT_COMPLETIONS
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("chat_completions")
    @bp.route(route="v1/chat/completions", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def chat_completions(exchange: Exchange) -> Reply:
        return await answer(exchange, CHAT_COMPLETIONS)

    return bp
