"""`GET /v1/openapi.json` and `GET /v1/docs`: what the app serves, for programs and for people."""

import asyncio
import hashlib
from collections.abc import Callable

import azure.functions as func
import orjson

from functions.azure_flavour import find_target
from functions.http import METHODS, Exchange, PlainReply, Reply, endpoint
from functions.replies import JSON_TYPE, empty_response
from shared import Json
from shared.services import Services


class Kept:
    """Bytes that are made once, when they are first asked for, with their `ETag`."""

    def __init__(self, type: str, make: Callable[[], bytes], **headers: str) -> None:
        self._type = type
        self._make = make
        self._headers = {"cache-control": "no-cache", **headers}
        self._body: bytes | None = None

    async def reply(self, exchange: Exchange) -> Reply:
        """The bytes, or 304 where `If-None-Match` has their tag (RFC 9110, 13.1.2)."""
        if self._body is None:
            # It takes a tenth of a second, and a new app has better things to do with its event loop.
            self._body = await asyncio.to_thread(self._make)
            self._headers["etag"] = f'"{hashlib.sha256(self._body).hexdigest()[:32]}"'
        known = exchange.header("if-none-match")
        if known is not None and _names(known, self._headers["etag"]):
            return empty_response(304, self._headers)
        return PlainReply(self._body, 200, self._headers, self._type)


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()
    document = Kept(JSON_TYPE, lambda: orjson.dumps(describe(services)))

    def make_page() -> bytes:
        from shared.openapi.page import reference_page

        return reference_page(describe(services))

    page = Kept("text/html; charset=utf-8", make_page, **_page_headers())

    @bp.function_name("openapi_document")
    @bp.route(route="v1/openapi.json", methods=METHODS)
    @endpoint(services, "GET", "HEAD", access="open")
    async def openapi_document(exchange: Exchange) -> Reply:
        return await document.reply(exchange)

    @bp.function_name("reference_page")
    @bp.route(route="v1/docs", methods=METHODS)
    @endpoint(services, "GET", "HEAD", access="open")
    async def reference_page(exchange: Exchange) -> Reply:
        return await page.reply(exchange)

    return bp


def describe(services: Services) -> Json:
    """The OpenAPI document of this app."""
    from shared.openapi.document import build_document

    return build_document(services.functions, azure_methods, require_keys=services.settings.require_keys)


def azure_methods(rest: str) -> tuple[str, ...]:
    """The methods of what lies at `/openai/{rest}`; none where nothing does."""
    target = find_target(rest)
    return () if target is None else target.methods


def _page_headers() -> dict[str, str]:
    """The page has no scripts and loads nothing: whatever may be smuggled into it stays text."""
    policy = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
    return {
        "content-security-policy": f"{policy}; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
    }


def _names(header: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    return "*" in tags or etag in tags
