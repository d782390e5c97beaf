"""`POST /v1/audio/transcriptions` and `/translations`: a form with a recording in, its text out."""

import azure.functions as func

from functions.http import METHODS, Exchange, Reply, endpoint
from functions.inference import answer
from shared.inference.operations import TRANSCRIPTIONS, TRANSLATIONS
from shared.services import Services


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("transcriptions")
    @bp.route(route="v1/audio/transcriptions", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def transcriptions(exchange: Exchange) -> Reply:
        return await answer(exchange, TRANSCRIPTIONS)

    @bp.function_name("translations")
    @bp.route(route="v1/audio/translations", methods=METHODS)
    @endpoint(services, "POST", access="inference")
    async def translations(exchange: Exchange) -> Reply:
        return await answer(exchange, TRANSLATIONS)

    return bp
