"""`/v1/async/…` and `/v1/chat/completions/async…`: chat completions as jobs, which are polled or told about."""

from collections.abc import Sequence

import azure.functions as func

from functions.exchange import with_slashes
from functions.http import METHODS, Exchange, PlainReply, Reply, endpoint, json_response
from functions.inference import forwarded
from shared.errors import MethodNotAllowed, NotFound
from shared.inference.operations import CHAT_COMPLETIONS
from shared.jobs.service import scope
from shared.jobs.submission import MAX_BODY
from shared.jobs.views import job_data, job_path, result_headers, retry_after, submitted_data
from shared.services import Services

_COLLECTION = ("GET", "POST")
_BELOW = {"": ("GET", "DELETE"), "status": ("GET",), "result": ("GET",), "cancel": ("POST",)}
"""The methods of a job's addresses, by the rest of the path after its id."""
_CHAT = CHAT_COMPLETIONS.path
_DECLARED = ("GET", "POST", "DELETE")


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("async_chat")
    @bp.route(route="v1/async/{*rest}", methods=METHODS)
    @endpoint(
        services, *_DECLARED, access="inference", methods_at=lambda exchange: async_methods(_rest(exchange))
    )
    async def async_chat(exchange: Exchange) -> Reply:
        return await answer_async(exchange, _rest(exchange))

    @bp.function_name("chat_completions_async")
    @bp.route(route="v1/chat/completions/async/{*rest}", methods=METHODS)
    @endpoint(
        services, *_DECLARED, access="inference", methods_at=lambda exchange: job_methods(_rest(exchange))
    )
    async def chat_completions_async(exchange: Exchange) -> Reply:
        return await answer_jobs(exchange, _rest(exchange))

    return bp


def async_methods(rest: str) -> Sequence[str]:
    """The methods of an address below `async/`; all where there is nothing."""
    rest = rest.strip("/")
    if rest == "metrics":
        return ("GET",)
    below = _below_chat(rest)
    return _DECLARED if below is None else job_methods(below)


def job_methods(rest: str) -> Sequence[str]:
    """The methods of an address below the collection of jobs; all where there is nothing."""
    id, _, below = rest.strip("/").partition("/")
    return _BELOW.get(below, _DECLARED) if id else _COLLECTION


async def answer_async(exchange: Exchange, rest: str) -> Reply:
    """`rest` is the path below `async/`."""
    rest = rest.strip("/")
    if rest == "metrics":
        project = exchange.query.get("project_id") or None
        return json_response(await exchange.services.jobs.metrics(exchange.caller, project))
    below = _below_chat(rest)
    if below is None:
        raise NotFound("Jobs are at /v1/async/chat/completions, their figures at /v1/async/metrics.")
    return await answer_jobs(exchange, below)


async def answer_jobs(exchange: Exchange, rest: str) -> Reply:
    """`rest` is the path below the collection of jobs: empty, or a job's id and what of it is asked for."""
    id, _, below = rest.strip("/").partition("/")
    if not id:
        return await (_submit(exchange) if exchange.method == "POST" else _list(exchange))
    if below not in _BELOW:
        raise NotFound("There is nothing at this address below a job.")
    if exchange.method not in _BELOW[below]:
        raise MethodNotAllowed(exchange.method, ", ".join(_BELOW[below]))
    return await _about(exchange, with_slashes(id), below)


async def _submit(exchange: Exchange) -> Reply:
    jobs = exchange.services.jobs
    content = await exchange.json_object(MAX_BODY)
    key = exchange.header("idempotency-key")
    job = await jobs.submit(exchange.caller, content, forwarded(exchange), key)
    answer = submitted_data(job, await jobs.estimate(job))
    return json_response(answer, 202, {"location": job_path(job)})


async def _list(exchange: Exchange) -> Reply:
    return json_response(await exchange.services.jobs.list(_project(exchange), exchange.query))


async def _about(exchange: Exchange, id: str, below: str) -> Reply:
    jobs, project = exchange.services.jobs, _project(exchange)
    if below == "result":
        return await _result(exchange, project, id)
    if below == "status":
        return json_response(job_data(await jobs.status(project, id)))
    if exchange.method == "GET":
        return json_response(await jobs.get(project, id))
    return json_response(job_data((await jobs.cancel(project, id, CHAT_COMPLETIONS.name)).job))


async def _result(exchange: Exchange, project: str, id: str) -> Reply:
    job, result = await exchange.services.jobs.result(project, id)
    if result is None:
        seconds = retry_after(job, exchange.services.clock.time())
        return json_response(job_data(job), 202, {"retry-after": str(seconds)})
    return PlainReply(result, 200, result_headers(job))


def _project(exchange: Exchange) -> str:
    return scope(exchange.caller, exchange.query.get("project_id") or None)


def _rest(exchange: Exchange) -> str:
    return exchange.raw_path_param("rest")


def _below_chat(rest: str) -> str | None:
    """The path below `chat/completions`; None for another one."""
    if rest == _CHAT:
        return ""
    return rest.removeprefix(f"{_CHAT}/") if rest.startswith(f"{_CHAT}/") else None
