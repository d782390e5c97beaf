"""How an address of the app is described. `shared.openapi.declared` has what its function says of itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from shared import Json
from shared.inference.operations import Operation
from shared.openapi.declared import Access

JSON = "application/json"
EVENTS = "text/event-stream"
FORM = "multipart/form-data"


@dataclass(frozen=True, slots=True)
class Example:
    """A request that works on a first start, where the demo models answer. `name` is unique in its endpoint.

    `body` is JSON, or the fields of a form, of which `files` are sent as files: the name of the field and what kind
    of file it is (`wav`, `png`). `query` and `path` fill the address. `demo` is False for what the demo models
    cannot do.
    """

    name: str
    summary: str
    body: Json | None = None
    files: Mapping[str, Literal["wav", "png"]] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    path: Mapping[str, str] = field(default_factory=dict)
    demo: bool = True


@dataclass(frozen=True, slots=True)
class Answer:
    """A good answer: its status, and a schema for each media type (None where there is nothing to say).

    `routed`: it says which model made it, as the answers of operations do.
    """

    description: str
    content: Mapping[str, Json | None] = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    routed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One method of one address. `function` is the name of the function that serves it; `id` is unique.

    `request` has a schema for each media type that the body may have. `errors` are statuses beside those that
    follow from who may call and from there being a body. `access` says who may, where the function leaves that to
    its addresses.
    """

    function: str
    method: str
    path: str
    id: str
    tag: str
    summary: str
    text: str = ""
    parameters: Sequence[Json] = ()
    request: Mapping[str, Json] = field(default_factory=dict)
    optional_body: bool = False
    examples: Sequence[Example] = ()
    answers: Sequence[Answer] = ()
    errors: Sequence[int] = ()
    operation: Operation | None = None
    access: Access | None = None


INFERENCE_ERRORS = (404, 429, 502, 503, 504)


def inference(
    operation: Operation,
    *,
    function: str,
    id: str,
    tag: str,
    summary: str,
    request: Json,
    answers: Sequence[Answer],
    text: str = "",
    examples: Sequence[Example] = (),
    parameters: Sequence[Json] = (),
    errors: Sequence[int] = (),
) -> Endpoint:
    """The endpoint of a declared operation: `POST` at its path. `request` is a schema, or one per media type."""
    media = request if any("/" in name for name in request) else {_media(operation): request}
    return Endpoint(
        function=function,
        method="POST",
        path=f"/v1/{operation.path}",
        id=id,
        tag=tag,
        summary=summary,
        text=text,
        parameters=parameters,
        request=media,
        examples=examples,
        answers=answers,
        errors=(*errors, *INFERENCE_ERRORS),
        operation=operation,
    )


def _media(operation: Operation) -> str:
    return FORM if operation.multipart else JSON


def in_path(name: str, description: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
    }


def in_query(name: str, description: str, schema: Json | None = None) -> Json:
    return {"name": name, "in": "query", "description": description, "schema": schema or {"type": "string"}}


def in_header(name: str, description: str) -> Json:
    return {"name": name, "in": "header", "description": description, "schema": {"type": "string"}}
