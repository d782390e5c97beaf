"""What an upstream's failure means, for every upstream that speaks OpenAI's wire format."""

from collections.abc import Mapping
from typing import Any

import orjson

from shared.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    ProviderCredentialRefused,
    ProviderError,
    ProviderRefusal,
    ProviderServerError,
    ProxyError,
)
from shared.telemetry.redaction import scrub

_CONTEXT_CODES = frozenset(("context_length_exceeded", "string_above_max_length"))
_CONTEXT_PHRASES = ("maximum context length", "context window", "prompt is too long", "context length")
_POLICY_CODES = frozenset(
    (
        "content_filter",
        "content_policy_violation",
        "image_content_policy_violation",
        "responsibleaipolicyviolation",
    )
)
_POLICY_PHRASES = ("content management policy", "content policy", "safety system")
_REQUEST_CODES = frozenset(
    """
unsupported_parameter unsupported_value unsupported_image_media_type empty_image_file image_too_large image_too_small
image_parse_error image_file_too_large image_file_not_found failed_to_download_image bad_request
""".split()
)
"""Codes of a stream's error that say that the request is at fault (OpenAI's API reference, Responses)."""
_MESSAGE_LIMIT = 2000
_WORD_LIMIT = 200
_READ_LIMIT = 20_000
"""Characters of a message that are looked at: far more than the limits and the longest credential together."""


def error_of(status: int, body: bytes, headers: Mapping[str, str], secret: str | None = None) -> ProxyError:
    """The error for an answer of 300 or above. `secret` is what must not be repeated to the caller."""
    message, kind, param, code = read_error(body, secret)
    retry_after = retry_seconds(headers)
    visible = visible_headers(headers)
    if status in (401, 403):
        return ProviderCredentialRefused(
            f"The provider refused the proxy's credential for this model (status {status}).", headers=visible
        )
    if status < 400:
        return ProviderError(f"The provider answered with a redirect (status {status}).", headers=visible)
    if status >= 500:
        return ProviderServerError(
            message or f"The provider failed (status {status}).", headers=visible, retry_after=retry_after
        )
    lowered = (message or "").lower()
    if status in (400, 413, 422):
        if code in _CONTEXT_CODES or any(phrase in lowered for phrase in _CONTEXT_PHRASES):
            return ContextLengthExceeded(message or "", param=param, code=code, headers=visible)
        if (code or "").lower() in _POLICY_CODES or any(phrase in lowered for phrase in _POLICY_PHRASES):
            return ContentPolicyViolation(message or "", param=param, code=code, headers=visible)
    return ProviderRefusal(
        message or f"The provider refused the request (status {status}).",
        status,
        type=kind or ("rate_limit_error" if status == 429 else "invalid_request_error"),
        param=param,
        code=code,
        headers=visible,
        retry_after=retry_after,
    )


def error_in_stream(error: Any, secret: str | None = None) -> ProxyError:
    """The error for `{"error": …}` that came with a status of 200, in a stream or alone."""
    message, _, param, code = _fields(error, secret)
    lowered = (message or "").lower()
    if code in _CONTEXT_CODES or any(phrase in lowered for phrase in _CONTEXT_PHRASES):
        return ContextLengthExceeded(message or "", param=param, code=code)
    if (code or "").lower() in _POLICY_CODES:
        return ContentPolicyViolation(message or "", param=param, code=code)
    if code in ("rate_limit_exceeded", "insufficient_quota", "429"):
        return ProviderRefusal(message or "", 429, type="rate_limit_error", code=code)
    if code and (code.startswith("invalid_") or code in _REQUEST_CODES):
        return ProviderRefusal(message or "The provider refused the request.", 400, param=param, code=code)
    return ProviderServerError(message or "The provider reported an error.", param=param)


def read_error(
    body: bytes, secret: str | None = None
) -> tuple[str | None, str | None, str | None, str | None]:
    """(message, type, param, code) out of an error body in any of the shapes that servers use."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body[:_READ_LIMIT].decode("utf-8", "replace").strip()
        plain = text if text and not text.startswith("<") else None
        return _clean(plain, secret), None, None, None
    if isinstance(content, list) and content:
        content = content[0]
    if not isinstance(content, dict):
        return _clean(content if isinstance(content, str) else None, secret), None, None, None
    return _fields(content.get("error", content), secret)


def _fields(error: Any, secret: str | None) -> tuple[str | None, str | None, str | None, str | None]:
    if isinstance(error, str):
        return _clean(error, secret), None, None, None
    if not isinstance(error, Mapping):
        return None, None, None, None
    message = next(
        (error[name] for name in ("message", "detail", "msg") if isinstance(error.get(name), str)), None
    )
    code = error.get("code")
    return (
        _clean(message, secret),
        _word(error.get("type"), secret),
        _word(error.get("param"), secret),
        _word(str(code) if isinstance(code, int) and not isinstance(code, bool) else code, secret),
    )


def _word(value: Any, secret: str | None) -> str | None:
    return _clean(value, secret, _WORD_LIMIT) if isinstance(value, str) else None


def _clean(text: str | None, secret: str | None, limit: int = _MESSAGE_LIMIT) -> str | None:
    if not text:
        return None
    # Cut after the cleaning: half a credential at the cut would not be recognized.
    return scrub(text[:_READ_LIMIT], (secret,) if secret else ())[:limit]


def retry_seconds(headers: Mapping[str, str]) -> float | None:
    """Seconds out of `retry-after-ms` or `retry-after` (RFC 9110, as a number; a date counts as not said)."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) / scale
        except (KeyError, ValueError):
            continue
        if 0 <= seconds < 86_400:
            return seconds
    return None


def visible_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The provider's headers that a caller may see: its limits under `x-upstream-…`, and `retry-after`."""
    visible = {}
    for name, value in headers.items():
        lowered = name.lower()
        if lowered.startswith("x-ratelimit-"):
            visible["x-upstream-" + lowered[2:]] = value
        elif lowered in ("retry-after", "retry-after-ms"):
            visible[lowered] = value
    return visible
