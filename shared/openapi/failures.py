"""What can go wrong, read from the tree of errors: one response for each status."""

from collections.abc import Iterator
from http import HTTPStatus

from shared import Json
from shared.errors import ClientGone, ProviderRefusal, ProxyError
from shared.openapi.endpoint import JSON
from shared.openapi.schema import nullable, record, ref, text

MEANINGS = {
    400: "The request is at fault; `param` names the field.",
    401: "No key, a wrong one or one that has expired.",
    403: "The key may not do this.",
    404: "There is no such thing, or it is not for this caller to know of.",
    405: "The address does not take this method; `Allow` says which it does.",
    409: "It is there already, or something else stands in the way.",
    412: "It has changed: `If-Match` no longer holds.",
    413: "The body is larger than the app takes.",
    429: "Too much at once, here or at the provider; `Retry-After` says when to come back.",
    500: "The proxy failed. The request id finds it in the log.",
    502: "The provider failed, with its own message.",
    503: "There is nothing to ask, or the catalog or the keys cannot be read.",
    504: "The provider was silent for too long.",
}
"""Statuses of errors, and when they come."""

ERROR_SCHEMAS: Json = {
    "Error": record(
        {
            "error": record(
                {
                    "message": text("What went wrong, for people."),
                    "type": text("The kind of error, by which official SDKs choose their class."),
                    "param": nullable(text("The field at fault (`messages[1].role`).")),
                    "code": nullable(text("The error, for programs.")),
                },
                ("message", "type", "param", "code"),
            )
        },
        ("error",),
        "OpenAI's envelope: every error has it, and all four fields.",
    )
}


def error_codes() -> dict[int, tuple[str, tuple[str, ...]]]:
    """`{status: (type, codes)}` of all errors that the proxy itself raises."""
    found: dict[int, tuple[str, list[str]]] = {}
    for error in _all(ProxyError):
        # These two carry a status of someone else's: the provider's own, and one that nobody is left to read.
        if error in (ProviderRefusal, ClientGone) or error.code is None:
            continue
        codes = found.setdefault(error.status, (error.type, []))[1]
        if error.code not in codes:
            codes.append(error.code)
    return {status: (type, tuple(codes)) for status, (type, codes) in sorted(found.items())}


def error_responses() -> Json:
    """The responses `Error400` … of the document."""
    codes = error_codes()
    return {response_name(status): _response(status, *codes[status]) for status in MEANINGS}


def response_name(status: int) -> str:
    return f"Error{status}"


def _response(status: int, type: str, codes: tuple[str, ...]) -> Json:
    listed = ", ".join(f"`{code}`" for code in codes)
    example = {"message": HTTPStatus(status).phrase + ".", "type": type, "param": None, "code": codes[0]}
    return {
        "description": f"{MEANINGS[status]} `type` is `{type}`, `code` one of {listed}.",
        "content": {JSON: {"schema": ref("Error"), "example": {"error": example}}},
    }


def _all(error: type[ProxyError]) -> Iterator[type[ProxyError]]:
    yield error
    for child in error.__subclasses__():
        yield from _all(child)
