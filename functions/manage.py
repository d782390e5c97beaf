"""`/manage/…` for administrators: models, keys, projects, usage, requests. (The host reserves `/admin`.)"""

import azure.functions as func

from functions.administration import Collection, serve_collection
from functions.exchange import with_slashes
from functions.http import METHODS, Exchange, Reply, endpoint, json_response
from shared.errors import MethodNotAllowed, NotFound
from shared.services import Services

_CRUD = ("GET", "POST", "PATCH", "DELETE")


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("manage_models")
    @bp.route(route="manage/models/{*id}", methods=METHODS)
    @endpoint(services, *_CRUD, access="admin")
    async def manage_models(exchange: Exchange) -> Reply:
        return await serve_collection(
            exchange, Collection("model", services.models), exchange.path_param("id")
        )

    @bp.function_name("manage_projects")
    @bp.route(route="manage/projects/{*id}", methods=METHODS)
    @endpoint(services, *_CRUD, access="admin")
    async def manage_projects(exchange: Exchange) -> Reply:
        # Before it is decoded: an id with a slash may end in the same word.
        id, _, action = exchange.raw_path_param("id").rpartition("/")
        if id and action == "webhook-secret":
            return await webhook_secret(exchange, with_slashes(id))
        projects = Collection("project", services.projects)
        return await serve_collection(exchange, projects, exchange.path_param("id"))

    @bp.function_name("manage_keys")
    @bp.route(route="manage/keys/{*rest}", methods=METHODS)
    @endpoint(services, *_CRUD, access="admin")
    async def manage_keys(exchange: Exchange) -> Reply:
        id, *action = exchange.raw_path_param("rest").strip("/").split("/")
        if action == ["rotate"]:
            return await rotate_key(exchange, id)
        if action:
            raise NotFound("A key's address is /manage/keys/{id} or /manage/keys/{id}/rotate.")
        return await serve_collection(exchange, Collection("key", services.key_admin), id)

    @bp.function_name("manage_usage")
    @bp.route(route="manage/usage/{*rest}", methods=METHODS)
    @endpoint(services, "GET", "POST", access="admin")
    async def manage_usage(exchange: Exchange) -> Reply:
        rest = exchange.path_param("rest").strip("/")
        if rest == "recompute":
            _only(exchange, "POST")
            done = await services.usage_report.recompute(exchange.caller, await exchange.json_object())
            return json_response(done)
        if rest:
            raise NotFound("Usage is at /manage/usage, and is made again at /manage/usage/recompute.")
        _only(exchange, "GET")
        return json_response(await services.usage_report.sums(exchange.query))

    @bp.function_name("manage_requests")
    @bp.route(route="manage/requests", methods=METHODS)
    @endpoint(services, "GET", access="admin")
    async def manage_requests(exchange: Exchange) -> Reply:
        return json_response(await services.usage_report.requests(exchange.query))

    @bp.function_name("manage_catalog_refresh")
    @bp.route(route="manage/catalog/refresh", methods=METHODS)
    @endpoint(services, "POST", access="admin")
    async def manage_catalog_refresh(exchange: Exchange) -> Reply:
        catalog = await services.catalog.refresh()
        counts = {"models": len(catalog.models), "groups": len(catalog.groups)}
        return json_response({"object": "catalog", **counts})

    return bp


async def webhook_secret(exchange: Exchange, project: str) -> Reply:
    """What the receivers of a project's webhooks verify with."""
    _only(exchange, "GET")
    await exchange.services.projects.get(project)
    secret = await exchange.services.webhooks.secrets.current(project)
    content = {"object": "webhook_secret", "project_id": project, "secret": secret}
    return json_response(content, 200, {"cache-control": "no-store"})


async def rotate_key(exchange: Exchange, id: str) -> Reply:
    """Gives the key a new secret. The body may be left out."""
    _only(exchange, "POST")
    body = await exchange.json_object() if await exchange.body() else {}
    admin = exchange.services.key_admin
    stored = await admin.rotate(exchange.caller, id, body, exchange.header("if-match"))
    return json_response(stored.body, 200, {"etag": stored.etag})


def _only(exchange: Exchange, method: str) -> None:
    if exchange.method != method:
        raise MethodNotAllowed(exchange.method, method)
