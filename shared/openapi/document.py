"""The OpenAPI 3.1 document, put together of what functions declare and what is described of their addresses."""

import importlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from shared import SERVICE, VERSION, Json
from shared.openapi.declared import Access, Declared
from shared.openapi.endpoint import EVENTS, Answer, Endpoint, Example, in_path
from shared.openapi.failures import ERROR_SCHEMAS, error_codes, error_responses, response_name

PARTS = (
    "chat",
    "jobs",
    "responses",
    "embeddings",
    "images",
    "audio",
    "realtime",
    "models",
    "manage",
    "dead_letters",
    "service",
)
"""The modules beside this one that describe endpoints, in the order of the document."""

AzureMethods = Callable[[str], tuple[str, ...]]
"""Which methods the path below `/openai/` takes; none where there is nothing."""

_SCHEMES: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer <key>`"},
    "api_key": {"type": "apiKey", "in": "header", "name": "api-key"},
    "x_api_key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
_ANSWER_HEADERS: Json = {
    "x-request-id": "The request's id: the client's, or ours.",
    "openai-processing-ms": "Milliseconds until the answer began.",
    "x-llmproxy-version": "The proxy's version.",
    "x-llmproxy-model": "The model that answered.",
    "x-llmproxy-provider": "Its provider.",
    "x-llmproxy-attempts": "How often providers were asked.",
    "x-llmproxy-cache": "`hit`, `miss` or `off`.",
    "x-llmproxy-cost-usd": "What the call cost, where the model has a price; not on streams.",
    "x-llmproxy-dropped-params": "Parameters that the provider does not take and that were left out.",
}
_ALWAYS = ("x-request-id", "openai-processing-ms", "x-llmproxy-version")


def described() -> tuple[Endpoint, ...]:
    """Every endpoint that is described."""
    return tuple(endpoint for part in _parts() for endpoint in part.ENDPOINTS)


def build_document(
    declared: Mapping[str, Declared], azure: AzureMethods, *, require_keys: bool = True
) -> Json:
    """The document of an app that has the `declared` functions, by name. `azure` knows its Azure addresses."""
    paths: Json = {}
    bodies: Json = {}
    for endpoint in described():
        function = declared.get(endpoint.function)
        if function is None:
            continue
        security = _security(endpoint.access or function.access, require_keys)
        if endpoint.request:
            bodies[endpoint.id] = _request(endpoint)
        operation = _operation(endpoint, endpoint.access or function.access, security)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
        for number, path in enumerate(_azure_paths(endpoint, azure)):
            paths.setdefault(path, {})[endpoint.method.lower()] = _azure_operation(operation, path, number)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM Proxy for Azure Functions",
            "version": VERSION,
            "summary": "One OpenAI-compatible address for many LLM providers.",
            "description": _introduction(),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/", "description": f"This {SERVICE}"}],
        "tags": _tags(paths),
        "paths": paths,
        "components": {
            "schemas": dict(sorted(_schemas().items())),
            "requestBodies": bodies,
            "responses": error_responses(),
            "headers": {name: _header(meaning) for name, meaning in _ANSWER_HEADERS.items()},
            "securitySchemes": _SCHEMES,
        },
    }


def _parts() -> Iterator[Any]:
    for name in PARTS:
        yield importlib.import_module(f"shared.openapi.{name}")


def _schemas() -> Json:
    found: Json = dict(ERROR_SCHEMAS)
    for part in _parts():
        found.update(part.SCHEMAS)
    return found


def _security(access: Access, require_keys: bool) -> list[Json]:
    if access == "open":
        return []
    keys: list[Json] = [{name: []} for name in _SCHEMES]
    return [*keys, {}] if access == "inference" and not require_keys else keys


def _operation(endpoint: Endpoint, access: Access, security: list[Json]) -> Json:
    text = "\n\n".join(part for part in (endpoint.text, _who(access)) if part)
    operation: Json = {"operationId": endpoint.id, "tags": [endpoint.tag], "summary": endpoint.summary}
    if text:
        operation["description"] = text
    if endpoint.parameters:
        operation["parameters"] = [_with_example(item, endpoint.examples) for item in endpoint.parameters]
    if endpoint.request:
        operation["requestBody"] = {"$ref": f"#/components/requestBodies/{endpoint.id}"}
    operation["responses"] = _responses(endpoint, access)
    operation["security"] = security
    return operation


def _who(access: Access) -> str:
    return "For administrators." if access == "admin" else ""


def _with_example(parameter: Json, examples: Any) -> Json:
    """The parameter with the first value that an example gives it."""
    for example in examples:
        value = (example.path if parameter["in"] == "path" else example.query).get(parameter["name"])
        if value is not None:
            return {**parameter, "example": _typed(value, parameter["schema"])}
    return parameter


def _typed(value: str, schema: Json) -> Any:
    kinds: dict[str, Callable[[str], Any]] = {"integer": int, "number": float}
    return kinds.get(str(schema.get("type")), str)(value)


def _request(endpoint: Endpoint) -> Json:
    content: Json = {}
    for media, schema in endpoint.request.items():
        examples = {item.name: _example(item) for item in endpoint.examples if _goes_with(item, media)}
        content[media] = {"schema": schema, **({"examples": examples} if examples else {})}
    return {"required": not endpoint.optional_body, "content": content}


def _goes_with(example: Example, media: str) -> bool:
    """Files are sent in forms alone; a body without them is the fields of a form only where there is no JSON."""
    return example.body is not None and (bool(example.files) == (media == "multipart/form-data"))


def _example(example: Example) -> Json:
    files = {field: f"example.{kind}" for field, kind in example.files.items()}
    return {"summary": example.summary, "value": {**(example.body or {}), **files}}


def _responses(endpoint: Endpoint, access: Access) -> Json:
    found = {str(answer.status): _answer(answer, endpoint) for answer in endpoint.answers}
    statuses = {*endpoint.errors, 405, 500}
    if access != "open":
        statuses |= {401, 503}
    if access != "open" or endpoint.operation is not None:
        statuses.add(403)
    if endpoint.request:
        statuses |= {400, 413}
    for status in sorted(statuses):
        found.setdefault(str(status), {"$ref": f"#/components/responses/{response_name(status)}"})
    return dict(sorted(found.items()))


def _answer(answer: Answer, endpoint: Endpoint) -> Json:
    names = _ANSWER_HEADERS if endpoint.operation is not None or answer.routed else _ALWAYS
    headers: Json = {name: {"$ref": f"#/components/headers/{name}"} for name in names}
    headers.update({name: _header(meaning) for name, meaning in answer.headers.items()})
    found: Json = {"description": answer.description, "headers": headers}
    if answer.content:
        found["content"] = {media: _media(media, schema) for media, schema in answer.content.items()}
    return found


def _media(media: str, schema: Json | None) -> Json:
    if schema is None:
        return {}
    # OpenAPI 3.1 has no word for the events of a stream: the schema is that of the data of one.
    return {"schema": schema, "x-each-event": True} if media == EVENTS else {"schema": schema}


def _header(meaning: str) -> Json:
    return {"description": meaning, "schema": {"type": "string"}}


def _azure_paths(endpoint: Endpoint, azure: AzureMethods) -> Iterator[str]:
    """Azure's addresses of the same: by deployment where Azure has that, and below `/openai/v1/`."""
    if not endpoint.path.startswith("/v1/"):
        return
    rest = endpoint.path.removeprefix("/v1/")
    deployment = f"deployments/{{deployment}}/{rest}"
    if endpoint.operation is not None and endpoint.method in azure(deployment):
        yield f"/openai/{deployment}"
    if endpoint.method in azure(f"v1/{rest}"):
        yield f"/openai/v1/{rest}"


def _azure_operation(operation: Json, path: str, number: int) -> Json:
    parameters = list(operation.get("parameters", ()))
    if "{deployment}" in path:
        parameters.insert(
            0, in_path("deployment", "Id of a model or group; it wins over `model` in the body.")
        )
    parameters.append({"name": "api-version", "in": "query", "schema": {"type": "string"}})
    # The examples are with the first address: here they would only be longer to read.
    return {
        **operation,
        "operationId": f"azure{'V1' if '/v1/' in path else ''}_{operation['operationId']}",
        "tags": ["Azure OpenAI's addresses"],
        "parameters": parameters,
        "x-same-as": operation["operationId"],
    }


def _tags(paths: Json) -> list[Json]:
    names = (tag for item in paths.values() for operation in item.values() for tag in operation["tags"])
    return [{"name": name} for name in dict.fromkeys(names)]


def _introduction() -> str:
    rows = "\n".join(
        f"| {status} | `{type}` | {', '.join(f'`{code}`' for code in codes)} |"
        for status, (type, codes) in error_codes().items()
    )
    return (
        "Any SDK of OpenAI works with this address as its `base_url` (with `/v1`), and `AzureOpenAI` with it as its "
        "`azure_endpoint`. A key goes into `Authorization: Bearer`, `api-key` or `X-API-Key`; two that differ are "
        "refused. Streams are server-sent events.\n\n"
        "Errors are always `application/json` in OpenAI's envelope, with all four of `message`, `type`, `param` and "
        "`code`. A provider's own 4xx keeps its status, code and param.\n\n"
        f"| Status | `type` | `code` |\n|---|---|---|\n{rows}\n"
    )
