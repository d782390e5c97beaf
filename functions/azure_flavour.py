"""`/openai/…`: the same operations under the addresses that Azure OpenAI's clients use.

One function for all of them, so that no two routes overlap. `api-version` is accepted and means nothing here.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import azure.functions as func

from functions.async_chat import answer_async, answer_jobs, async_methods, job_methods
from functions.exchange import with_slashes
from functions.http import METHODS, Exchange, Reply, endpoint
from functions.inference import answer
from functions.models import show_models
from functions.realtime import answer_realtime
from functions.responses import answer_responses, response_methods
from shared.errors import MethodNotAllowed, NotFound
from shared.inference.operations import (
    CHAT_COMPLETIONS,
    COMPLETIONS,
    EMBEDDINGS,
    IMAGE_EDITS,
    IMAGE_GENERATIONS,
    MODERATIONS,
    SPEECH,
    TRANSCRIPTIONS,
    TRANSLATIONS,
    Operation,
)
from shared.services import Services

_OPERATIONS: dict[str, Operation] = {
    operation.path: operation
    for operation in (
        CHAT_COMPLETIONS,
        COMPLETIONS,
        EMBEDDINGS,
        IMAGE_GENERATIONS,
        IMAGE_EDITS,
        MODERATIONS,
        SPEECH,
        TRANSCRIPTIONS,
        TRANSLATIONS,
    )
}

_JOBS = f"{CHAT_COMPLETIONS.path}/async"


@dataclass(frozen=True, slots=True)
class Target:
    """What an address below `/openai/` means: its methods, and what answers it."""

    methods: tuple[str, ...]
    answer: Callable[[Exchange], Awaitable[Reply]]


def blueprint(services: Services) -> func.Blueprint:
    bp = func.Blueprint()

    @bp.function_name("azure_flavour")
    @bp.route(route="openai/{*rest}", methods=METHODS)
    @endpoint(services, *METHODS, access="inference", methods_at=_methods)
    async def azure_flavour(exchange: Exchange) -> Reply:
        rest = exchange.raw_path_param("rest")
        target = find_target(rest)
        if target is None:
            raise NotFound(f"There is nothing at /openai/{rest[:256]}.")
        if exchange.method not in target.methods:
            raise MethodNotAllowed(exchange.method, ", ".join(target.methods))
        return await target.answer(exchange)

    return bp


def _methods(exchange: Exchange) -> Sequence[str]:
    target = find_target(exchange.raw_path_param("rest"))
    return METHODS if target is None else target.methods


def find_target(rest: str) -> Target | None:
    """What `rest`, the path below `/openai/` or `/openai/v1/`, means. A deployment's name is one segment."""
    rest = rest.strip("/")
    head, _, tail = rest.partition("/")
    if head == "v1":
        rest = tail
        head, _, tail = rest.partition("/")
    if head == "deployments":
        name, _, path = tail.partition("/")
        return _operation(path, with_slashes(name)) if name else None
    if head == "responses":
        return Target(tuple(response_methods(tail)), lambda exchange: answer_responses(exchange, tail))
    if head == "realtime":
        return Target(("POST",) if tail else ("GET",), lambda exchange: answer_realtime(exchange, tail))
    if rest == "realtimeapi/sessions":
        return Target(("POST",), lambda exchange: answer_realtime(exchange, "sessions"))
    if head == "async":
        return Target(tuple(async_methods(tail)), lambda exchange: answer_async(exchange, tail))
    if rest == _JOBS or rest.startswith(f"{_JOBS}/"):
        below = rest.removeprefix(_JOBS)
        return Target(tuple(job_methods(below)), lambda exchange: answer_jobs(exchange, below))
    if head == "models":
        return Target(("GET", "HEAD"), lambda exchange: show_models(exchange, with_slashes(tail)))
    return _operation(rest, None)


def _operation(path: str, model: str | None) -> Target | None:
    operation = _OPERATIONS.get(path.rstrip("/"))
    if operation is None:
        return None
    return Target(("POST",), lambda exchange: answer(exchange, operation, model))
