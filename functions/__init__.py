"""The functions of the app: triggers that parse a request, call one service and write the answer."""

from collections.abc import Callable

import azure.functions as func

from functions import (
    azure_flavour,
    chat_completions,
    completions,
    fallback,
    health,
    manage,
    models,
)
from functions.web_app import leave_out_pages
from shared.services import Services

BLUEPRINTS: tuple[Callable[[Services], func.Blueprint], ...] = (
    chat_completions.blueprint,
    completions.blueprint,
    models.blueprint,
    azure_flavour.blueprint,
    manage.blueprint,
    health.blueprint,
    fallback.blueprint,
)
"""One factory per group of functions. Names decide where two routes match, not this order."""


def create_app(services: Services) -> func.FunctionApp:
    """The function app over one set of services."""
    leave_out_pages()
    app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
    for blueprint in BLUEPRINTS:
        app.register_functions(blueprint(services))
    return app
