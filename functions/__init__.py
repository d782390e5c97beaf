"""The functions of the app: triggers that parse a request, call one service and write the answer."""

from collections.abc import Callable

import azure.functions as func
from azure.functions.decorators.function_app import Function

from functions import (
    async_chat,
    azure_flavour,
    chat_completions,
    completions,
    dead_letters,
    embeddings,
    fallback,
    health,
    images,
    job_consumer,
    maintenance,
    manage,
    model_search,
    models,
    moderations,
    realtime,
    reference,
    responses,
    speech,
    transcriptions,
)
from functions.web_app import leave_out_pages
from shared.services import Services

BLUEPRINTS: tuple[Callable[[Services], func.Blueprint], ...] = (
    chat_completions.blueprint,
    completions.blueprint,
    async_chat.blueprint,
    responses.blueprint,
    embeddings.blueprint,
    moderations.blueprint,
    images.blueprint,
    speech.blueprint,
    transcriptions.blueprint,
    models.blueprint,
    realtime.blueprint,
    model_search.blueprint,
    azure_flavour.blueprint,
    manage.blueprint,
    dead_letters.blueprint,
    job_consumer.blueprint,
    health.blueprint,
    maintenance.blueprint,
    reference.blueprint,
    fallback.blueprint,
)
"""One factory per group of functions. Names decide where two routes match, not this order."""


class ProxyApp(func.FunctionApp):
    """A function app that notes the addresses of its functions when a host reads them."""

    def __init__(self, services: Services) -> None:
        super().__init__(http_auth_level=func.AuthLevel.ANONYMOUS)
        self._services = services

    def get_functions(self) -> list[Function]:
        functions = super().get_functions()
        triggers = [trigger.get_dict_repr() for function in functions if (trigger := function.get_trigger())]
        self._services.routes = tuple(
            sorted(f"/{trigger['route']}" for trigger in triggers if trigger.get("route"))
        )
        return functions


def create_app(services: Services) -> func.FunctionApp:
    """The function app over one set of services."""
    leave_out_pages()
    app = ProxyApp(services)
    for blueprint in BLUEPRINTS:
        app.register_functions(blueprint(services))
    return app
