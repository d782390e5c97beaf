"""What LiteLLM's exceptions mean: each of its classes once, most specific first.

LiteLLM guesses a class from the text of an error. Where the provider's own answer can still be found behind
its exception, status, code and message are taken from there, and the class only says what kind it was.
"""

import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from shared.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    InvalidProviderResponse,
    InvalidValue,
    ProviderCredentialRefused,
    ProviderError,
    ProviderRefusal,
    ProviderServerError,
    ProviderTimeout,
    ProviderUnreachable,
    ProxyError,
    UnsupportedParameter,
)
from shared.providers.litellm_lane.words import MESSAGE_LIMIT, clean, readable
from shared.providers.openai_errors import error_of, retry_seconds, visible_headers
from shared.telemetry.redaction import scrub

KINDS: dict[str, str] = {
    "ContextWindowExceededError": "context",
    "ContentPolicyViolationError": "policy",
    "RejectedRequestError": "policy",
    "GuardrailRaisedException": "policy",
    "BlockedPiiEntityError": "policy",
    "ModifyResponseException": "policy",
    "SensitiveDataRouteException": "policy",
    "UnsupportedParamsError": "parameter",
    "ImageFetchError": "value",
    "JSONSchemaValidationError": "answer",
    "APIResponseValidationError": "answer",
    "AuthenticationError": "credential",
    "PermissionDeniedError": "credential",
    "PaymentRequiredError": "refusal",
    "RateLimitError": "refusal",
    "NotFoundError": "refusal",
    "UnprocessableEntityError": "refusal",
    "VectorStoreSearchError": "refusal",
    "LiteLLMUnknownProvider": "setup",
    "ModelNotMappedError": "setup",
    "BudgetExceededError": "setup",
    "InvalidRequestError": "refusal",
    "BadRequestError": "refusal",
    "Timeout": "timeout",
    "APIConnectionError": "connection",
    "MidStreamFallbackError": "server",
    "ServiceUnavailableError": "server",
    "BadGatewayError": "server",
    "InternalServerError": "server",
    "MockException": "server",
    "APIError": "server",
    "OpenAIError": "server",
}
"""The names of LiteLLM's exceptions and what each means. A subclass stands before its parent."""

_TRANSLATING = ("map_openai_params", "transform_request", "transform_messages", "get_optional_params", "_pt")
"""Parts of the names of LiteLLM's functions that translate requests, as a traceback shows them."""
_STATUSES = {
    "PaymentRequiredError": 402,
    "NotFoundError": 404,
    "UnprocessableEntityError": 422,
    "RateLimitError": 429,
}
_GOOGLE_LOGIN = {
    "RefreshError": "credential",
    "DefaultCredentialsError": "credential",
    "TransportError": "connection",
}
"""Exceptions of Google's login library, which LiteLLM does not know."""
_NETWORK = ("httpx", "httpcore", "aiohttp")


@dataclass(slots=True)
class Found:
    """What could be learned from an exception and those behind it."""

    name: str = ""
    kind: str = ""
    status: int | None = None
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    timed_out: bool = False
    disconnected: bool = False
    broken: bool = False
    foreign: bool = False
    """Whether something stands behind it that no provider did: a fault in a library."""
    untranslated: BaseException | None = None
    """What went wrong while the request was put into the provider's words, before it was sent."""


def proxy_error(error: BaseException, secrets: Sequence[str] = ()) -> ProxyError:
    """The proxy's error for whatever LiteLLM or a library below it raised, without any of `secrets`."""
    for item in _behind(error):
        if isinstance(item, ProxyError):
            # Raised by our own checks below LiteLLM, and wrapped on its way up.
            return item
    found = examine(error)
    message = clean(error, secrets)
    retry_after = retry_seconds(found.headers)
    visible = visible_headers(found.headers)
    if found.status is not None and found.status >= 300:
        known = error_of(found.status, scrub(readable(found.body), secrets).encode(), found.headers)
        return _refined(known, found.kind, visible)
    if found.untranslated is not None:
        return _unfit(found.untranslated, secrets)
    if found.kind == "parameter":
        return UnsupportedParameter(message)
    if found.kind == "timeout" or found.timed_out:
        return ProviderTimeout("The provider did not answer in time.")
    if found.kind == "credential":
        return ProviderCredentialRefused("The provider refused the proxy's credential for this model.")
    if found.disconnected or (found.kind == "connection" and not found.foreign):
        return ProviderUnreachable("The connection to the provider failed or broke off.")
    if found.broken or found.kind == "answer":
        return InvalidProviderResponse("The provider's answer is not in its own format.")
    if found.kind == "context":
        return ContextLengthExceeded(message)
    if found.kind == "policy":
        return ContentPolicyViolation(message)
    if found.kind == "value":
        return InvalidValue(message)
    if found.kind == "refusal":
        return _refusal(found.name, message, visible, retry_after)
    if found.kind == "server":
        return ProviderServerError(message, headers=visible, retry_after=retry_after)
    return ProviderError("The call of the provider failed.")


def _unfit(error: BaseException, secrets: Sequence[str]) -> ProxyError:
    """The request has a shape or a value that the provider's format has no words for."""
    if type(error) in (ValueError, Exception):
        return InvalidValue(clean(error, secrets))
    return InvalidValue("The request has a shape that cannot be put into this provider's format.")


def _refined(known: ProxyError, kind: str, visible: Mapping[str, str]) -> ProxyError:
    """Where LiteLLM knows the provider's words for a full context or a refused content, its kind counts."""
    if isinstance(known, ProviderRefusal) and known.status in (400, 413, 422):
        if kind == "context":
            return ContextLengthExceeded(known.message, param=known.param, headers=visible)
        if kind == "policy":
            return ContentPolicyViolation(known.message, param=known.param, headers=visible)
    return known


def _refusal(name: str, message: str, visible: Mapping[str, str], retry_after: float | None) -> ProxyError:
    """A refusal of LiteLLM's own: the request cannot be put into the provider's words."""
    status = _STATUSES.get(name, 400)
    if status == 400:
        return InvalidValue(message, headers=visible)
    kind = "rate_limit_error" if status == 429 else "invalid_request_error"
    return ProviderRefusal(message, status, type=kind, headers=visible, retry_after=retry_after)


def examine(error: BaseException) -> Found:
    """Walks from an exception to those behind it and notes what each one shows."""
    found = Found()
    for item in _behind(error):
        module = type(item).__module__
        name = _known_name(type(item))
        if name and not found.kind:
            found.name, found.kind = name, KINDS[name]
        found.kind = _GOOGLE_LOGIN.get(type(item).__name__, found.kind) if _of(item, "google") else found.kind
        if not name:
            _read_answer(item, found)
            found.foreign = found.foreign or not module.startswith(("litellm", "openai", *_NETWORK))
            found.untranslated = found.untranslated or _while_translating(item)
        if isinstance(item, TimeoutError) or "Timeout" in type(item).__name__:
            found.timed_out = True
        elif _of(item, *_NETWORK) or isinstance(item, ConnectionError):
            found.disconnected = found.disconnected or not hasattr(item, "response")
        elif type(item).__name__ == "APIConnectionError" and module.startswith("openai"):
            found.disconnected = True
        if isinstance(item, (orjson.JSONDecodeError, UnicodeDecodeError)) or (
            type(item).__name__ == "JSONDecodeError"
        ):
            found.broken = True
        headers = getattr(item, "litellm_response_headers", None)
        if headers and not found.headers:
            found.headers = _lowered(headers)
    return found


def _while_translating(item: BaseException) -> BaseException | None:
    """The exception itself, if it was raised where LiteLLM translates a request."""
    if not _is_plain(item):
        return None
    return item if _passed_through(item, *_TRANSLATING) else None


def _is_plain(item: BaseException) -> bool:
    """Whether it is one of Python's own exceptions for odd data."""
    return type(item) is Exception or isinstance(item, (ValueError, TypeError, LookupError, AttributeError))


def _passed_through(item: BaseException, *words: str) -> bool:
    """Whether an exception came up through a function whose name holds one of these words."""
    names = (frame.f_code.co_name for frame, _ in traceback.walk_tb(item.__traceback__))
    return any(word in name for name in names for word in words)


def _behind(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        item = pending.pop(0)
        if item is None or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        original = getattr(item, "original_exception", None)
        pending += [
            original if isinstance(original, BaseException) else None,
            item.__cause__,
            item.__context__,
        ]


def _known_name(kind: type) -> str | None:
    """The first of LiteLLM's public classes among a class and its parents."""
    for parent in kind.__mro__:
        if parent.__module__ == "litellm.exceptions" and parent.__name__ in KINDS:
            return parent.__name__
    return None


def _read_answer(item: BaseException, found: Found) -> None:
    """The provider's own answer, where this exception holds it: the one farthest behind is the truest."""
    status = getattr(item, "status_code", None)
    response = getattr(item, "response", None)
    message = getattr(item, "message", None)
    headers = getattr(item, "headers", None) or getattr(response, "headers", None)
    if not isinstance(status, int) or not 400 <= status < 600:
        code = getattr(item, "code", None)
        if type(item).__name__ == "APIError" and hasattr(item, "body"):
            # OpenAI's client raises this for an error event in a stream, which has no status of its own.
            found.status = int(code) if isinstance(code, str) and code.isdigit() else 500
            found.body = orjson.dumps({"error": item.body})
        return
    if _made_up(item, found):
        return
    body = getattr(item, "body", None)
    found.status = status
    if isinstance(body, Mapping):
        found.body = orjson.dumps({"error": dict(body)}, default=str)
    elif isinstance(message, bytes):
        found.body = message
    elif isinstance(message, str):
        found.body = message.encode()
    if headers:
        found.headers = _lowered(headers)


def _made_up(item: BaseException, found: Found) -> bool:
    """Whether nobody sent this status: LiteLLM gives one to broken connections and unreadable answers too."""
    behind = item.__cause__ or item.__context__
    while behind is not None:
        if _of(behind, *_NETWORK) and not hasattr(behind, "response"):
            return True
        if _is_plain(behind):
            found.broken = found.broken or _passed_through(behind, "response")
            return True
        behind = behind.__cause__ or behind.__context__
    return False


def _of(item: BaseException, *packages: str) -> bool:
    """Whether an exception's class comes from one of these packages."""
    return type(item).__module__.partition(".")[0] in packages


def _lowered(headers: Any) -> dict[str, str]:
    try:
        return {str(name).lower(): str(value) for name, value in dict(headers).items()}
    except (TypeError, ValueError):
        return {}


_STATUS_OF_TYPE = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "timeout_error": 504,
}
"""Anthropic's error types and the status each has where it is not in a stream (Anthropic's API reference)."""


def stream_error(error: Any, secrets: Sequence[str] = ()) -> ProxyError:
    """The error for an error event within a stream, in OpenAI's, Anthropic's or Google's words."""
    text = scrub(readable(orjson.dumps({"error": error})), secrets)
    if not isinstance(error, dict):
        return ProviderServerError(scrub(str(error)[:MESSAGE_LIMIT], secrets))
    code = error.get("code")
    status = code if isinstance(code, int) else int(code) if isinstance(code, str) and code.isdigit() else 0
    if not 400 <= status < 600:
        kind = error.get("type")
        status = _STATUS_OF_TYPE.get(kind, 500) if isinstance(kind, str) else 500
    return error_of(status, text.encode(), {})
