"""`POST /v1/audio/speech`: text in, audio out as it is made, or in events with `stream_format: "sse"`."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint
from functions.inference import answer
from shared.inference.operations import SPEECH
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("speech")
    @bp.route(route="v1/audio/speech", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def speech(exchange: Exchange) -> Reply:
        return await answer(exchange, SPEECH)

    return bp
