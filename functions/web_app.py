"""The worker's own web application, without the pages that FastAPI adds to it.

A plain `FastAPI()` answers `/docs`, `/redoc`, `/openapi.json` and `/docs/oauth2-redirect` by itself. In Azure's worker
such a request never reaches the function that the host has already started, and that invocation waits until its
time-out ends the process. The worker makes its application from this class, so it must be changed before the
worker starts its server, which it does after it has imported `function_app`.
"""

from collections.abc import Callable
from typing import Any

from azurefunctions.extensions.http.fastapi import web
from fastapi import FastAPI


def _without_pages(app: web.WebApp) -> None:
    app.web_app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)


def leave_out_pages() -> None:
    """From here on the worker's web application has no pages of its own."""
    initialise: Callable[[Any], None] = _without_pages
    web.WebApp.__init__ = initialise
