"""What an upstream's failure means, in every shape in which servers tell it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import (
    ContentPolicyViolation,
    ContextLengthExceeded,
    ProviderCredentialRefused,
    ProviderError,
    ProviderRefusal,
    ProviderServerError,
    ProxyError,
)
from shared.providers.openai_errors import (
    error_in_stream,
    error_of,
    read_error,
    retry_seconds,
    visible_headers,
)

SECRET = "fake-plain-secret-of-the-provider-77"


def failed(status: int, body: Any, headers: dict[str, str] | None = None) -> ProxyError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return error_of(status, content, headers or {}, SECRET)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "broken"}}, "broken"),
        ({"error": "broken"}, "broken"),
        ({"message": "broken"}, "broken"),
        ({"detail": "broken"}, "broken"),
        ({"object": "error", "message": "broken", "type": "BadRequestError", "code": 400}, "broken"),
        ([{"error": {"message": "broken", "status": "INVALID_ARGUMENT"}}], "broken"),
        ({"error": {"msg": "broken"}}, "broken"),
        ("broken", "broken"),
        (b"broken\n", "broken"),
        (b"<html><body>Bad gateway</body></html>", None),
        (b"", None),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b"[]", None),
        (b"null", None),
        ({"error": None}, None),
        ({"error": {"message": {"deep": 1}}}, None),
        ({"error": {"message": ""}}, None),
        ({"detail": [{"loc": ["body"], "msg": "broken"}]}, None),
    ],
)
def test_the_message_is_found_in_every_shape(body: Any, message: str | None) -> None:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert read_error(content)[0] == message
    assert failed(400, body).message == (message or "The provider refused the request (status 400).")


@pytest.mark.parametrize(
    ("status", "kind", "shown"),
    [
        (301, ProviderError, 502),
        (307, ProviderError, 502),
        (400, ProviderRefusal, 400),
        (401, ProviderCredentialRefused, 502),
        (403, ProviderCredentialRefused, 502),
        (404, ProviderRefusal, 404),
        (408, ProviderRefusal, 408),
        (409, ProviderRefusal, 409),
        (413, ProviderRefusal, 413),
        (422, ProviderRefusal, 422),
        (424, ProviderRefusal, 424),
        (429, ProviderRefusal, 429),
        (500, ProviderServerError, 502),
        (503, ProviderServerError, 502),
        (529, ProviderServerError, 502),
    ],
)
def test_each_status_has_its_meaning(status: int, kind: type[ProxyError], shown: int) -> None:
    error = failed(status, {"error": {"message": "no", "type": "t", "param": "p", "code": "c"}})
    assert type(error) is kind
    assert error.status == shown
    if kind is ProviderRefusal:
        assert error.envelope()["error"] == {"message": "no", "type": "t", "param": "p", "code": "c"}


def test_a_refused_credential_is_not_told_in_the_providers_words() -> None:
    for status in (401, 403):
        error = failed(status, {"error": {"message": f"Incorrect key {SECRET[:10]}***"}})
        assert "Incorrect" not in error.message
        assert SECRET[:10] not in json.dumps(error.envelope())


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "x", "code": "context_length_exceeded"}, ContextLengthExceeded),
        ({"message": "x", "code": "string_above_max_length"}, ContextLengthExceeded),
        ({"message": "This model's maximum context length is 8192 tokens."}, ContextLengthExceeded),
        ({"message": "Prompt is too long: 9 > 8"}, ContextLengthExceeded),
        ({"message": "x", "code": "content_filter"}, ContentPolicyViolation),
        ({"message": "x", "code": "ResponsibleAIPolicyViolation"}, ContentPolicyViolation),
        ({"message": "triggering Azure OpenAI's content management policy"}, ContentPolicyViolation),
        ({"message": "rejected by our safety system"}, ContentPolicyViolation),
    ],
)
def test_a_full_context_and_a_refused_content_are_told_apart(
    status: int, error: dict[str, str], kind: type[ProxyError]
) -> None:
    found = failed(status, {"error": error})
    assert type(found) is kind
    assert found.status == 400
    assert type(failed(429, {"error": error})) is ProviderRefusal


def test_numbers_and_other_things_in_a_code_become_words_or_nothing() -> None:
    assert failed(404, {"error": {"message": "x", "code": 404}}).code == "404"
    odd: tuple[Any, ...] = (True, None, {}, [], "")
    for code in odd:
        assert failed(404, {"error": {"message": "x", "code": code}}).code is None
    assert failed(429, {"message": "slow"}).envelope()["error"]["type"] == "rate_limit_error"


@pytest.mark.parametrize(
    "error",
    [
        {"message": f"the key {SECRET} is bad"},
        {"message": "x", "code": SECRET},
        {"message": "x", "type": SECRET},
        {"message": "x", "param": f"headers.{SECRET}"},
        {"message": "x" * 1990 + SECRET},
        {"message": "x", "code": "y" * 190 + SECRET},
        f"the key {SECRET} is bad",
    ],
)
@pytest.mark.parametrize("status", [400, 404, 429, 500])
def test_no_field_repeats_the_credential(error: Any, status: int) -> None:
    for body in ({"error": error}, [{"error": error}], error):
        shown = json.dumps(failed(status, body).envelope())
        assert SECRET not in shown
        assert SECRET[:12] not in shown, "nor the half of it that a cut leaves over"
    assert SECRET[:12] not in json.dumps(error_in_stream(error, SECRET).envelope())


def test_plain_text_at_the_limit_does_not_show_half_a_credential() -> None:
    shown = failed(500, b"x" * 1990 + SECRET.encode()).message
    assert SECRET[:6] not in shown
    assert len(shown) <= 2000


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "999999"}, None),
        ({}, None),
    ],
)
def test_the_time_to_wait_is_read_as_the_sdks_read_it(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_seconds(headers) == seconds
    error = failed(429, {"message": "slow"}, headers)
    assert isinstance(error, ProviderRefusal)
    assert error.retry_after == seconds


def test_only_limits_and_the_time_to_wait_are_passed_on() -> None:
    visible = visible_headers(
        {
            "X-RateLimit-Remaining-Tokens": "5",
            "Retry-After": "3",
            "Set-Cookie": "a=b",
            "OpenAI-Organization": "org",
            "Connection": "close",
            "x-request-id": "theirs",
        }
    )
    assert visible == {"x-upstream-ratelimit-remaining-tokens": "5", "retry-after": "3"}


@pytest.mark.parametrize(
    ("error", "kind", "status"),
    [
        ({"message": "x", "code": "context_length_exceeded"}, ContextLengthExceeded, 400),
        ({"message": "x", "code": "content_filter"}, ContentPolicyViolation, 400),
        ({"message": "x", "code": "rate_limit_exceeded"}, ProviderRefusal, 429),
        ({"message": "x", "code": 429}, ProviderRefusal, 429),
        ({"message": "x", "type": "server_error"}, ProviderServerError, 502),
        ("x", ProviderServerError, 502),
        (["x"], ProviderServerError, 502),
    ],
)
def test_an_error_within_a_stream_has_the_same_meanings(
    error: Any, kind: type[ProxyError], status: int
) -> None:
    found = error_in_stream(error)
    assert (type(found), found.status) == (kind, status)


@given(st.integers(300, 599), st.binary(max_size=200))
def test_no_answer_is_too_odd_to_be_told(status: int, body: bytes) -> None:
    envelope = error_of(status, body, {}, SECRET).envelope()["error"]
    assert envelope["message"]
    assert set(envelope) == {"message", "type", "param", "code"}
