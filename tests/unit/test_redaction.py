"""Credentials are taken out of texts; the rest stays readable."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.telemetry.redaction import REDACTED, scrub

JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhcHAifQ.c2lnbmF0dXJl-x_y"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (
            "Incorrect API key provided: sk-proj-ab**yz. Find it here.",
            "Incorrect API key provided: [redacted]. Find it here.",
        ),
        ("Authorization: Bearer abcdef", "Authorization: Bearer [redacted]"),
        ("'authorization': 'Basic dXNlcjpw'", "'authorization': 'Basic [redacted]'"),
        ("sent Bearer 0a1b2c3d4e, got 401", "sent Bearer [redacted], got 401"),
        ("x-api-key: abc123", "x-api-key: [redacted]"),
        ("api-key=abc123&x=1", "api-key=[redacted]&x=1"),
        ('{"api_key": "abc", "model": "m"}', '{"api_key": "[redacted]", "model": "m"}'),
        (r"{\"api_key\": \"abc\", \"n\": 1}", r"{\"api_key\": \"[redacted]\", \"n\": 1}"),
        ("{'client_secret': 'abc~1', 'x': 1}", "{'client_secret': '[redacted]', 'x': 1}"),
        ("GET /v1beta/models?key=abc&alt=sse", "GET /v1beta/models?key=[redacted]&alt=sse"),
        ("https://app/api?code=abc==&x=1", "https://app/api?code=[redacted]&x=1"),
        ("key AIzaSyA0123456789-_x in use", "key [redacted] in use"),
        (f"token {JWT} expired", "token [redacted] expired"),
        ("https://host/blob?se=2026&sig=a%2Bb%3D&sp=r", "https://host/blob?se=2026&sig=[redacted]&sp=r"),
        (
            "SharedAccessKeyName=n;SharedAccessKey=abc=;x",
            "SharedAccessKeyName=n;SharedAccessKey=[redacted];x",
        ),
        ("AccountKey=abc==;EndpointSuffix=core", "AccountKey=[redacted];EndpointSuffix=core"),
        ("X-Amz-Signature=abc&X-Amz-Date=1", "X-Amz-Signature=[redacted]&X-Amz-Date=1"),
        ("https://user:pass@host/path", "https://[redacted]@host/path"),
        ("llmp_0123456789abcdef_ABCdef0123456789", "llmp_0123456789abcdef_[redacted]"),
        ("llmp_ABCdef0123456789", "llmp_[redacted]"),
        ("ya29.a0Abc-def_ghi.j", "[redacted]"),
        ("hf_abcdefghijklmnop", "[redacted]"),
        ("ghp_abcdefghijklmnop1234", "[redacted]"),
        ("AKIAIOSFODNN7EXAMPLE", "[redacted]"),
        ("whsec_MfKQ9r8GKYqrTwjU", "[redacted]"),
        ("a -----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY----- b", "a [redacted] b"),
        (r"-----BEGIN RSA PRIVATE KEY-----\nMII\n-----END RSA PRIVATE KEY-----\n", r"[redacted]\n"),
        ("cut off: -----BEGIN PRIVATE KEY-----\nMII", "cut off: [redacted]"),
        ("password=abc token=def", "password=[redacted] token=[redacted]"),
        ("Set-Cookie: session=abc; Path=/", "Set-Cookie: [redacted]; Path=/"),
    ],
)
def test_a_credential_goes_and_what_stands_around_it_stays(text: str, clean: str) -> None:
    assert scrub(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "The model `gpt-9` does not exist or you do not have access to it.",
        "max_tokens: 5 is too large, max_completion_tokens=10",
        "The bearer token is missing.",
        "Use basic authentication for this.",
        "Invalid API key. Please pass a valid API key.",
        "messages[1].role must be one of user, assistant",
        "usage: prompt_tokens=12, completion_tokens=3",
        "https://platform.example.com/docs?page=2#keys",
        "a task-based, risk-averse plan",
        "time 12:30, ratio 1:2, mail someone@example.com",
        "finish_reason=stop, code=invalid_value, key_id=abc",
        "ß漢字🙂",
        "",
    ],
)
def test_ordinary_words_stay(text: str) -> None:
    assert scrub(text) == text


def test_a_known_secret_goes_wherever_it_stands() -> None:
    assert scrub("got 0f3bca1e from 'x0f3bca1ey'", ["0f3bca1e"]) == "got [redacted] from 'x[redacted]y'"


def test_a_known_secret_goes_in_the_spelling_of_an_address_and_of_json() -> None:
    secret = 'a+b/c="d"\nß'
    text = 'url a%2Bb%2Fc%3D%22d%22%0A%C3%9F json a+b/c=\\"d\\"\\nß'
    assert scrub(text, [secret]) == "url [redacted] json [redacted]"


def test_a_secret_that_holds_another_goes_whole() -> None:
    assert scrub("value abcdef-ghijkl", ["abcdef", "abcdef-ghijkl"]) == "value [redacted]"


def test_a_secret_that_is_too_short_takes_no_words_apart() -> None:
    assert scrub("an error in the model", ["", "e", "model"]) == "an error in the model"


@given(st.text(max_size=200), st.text(min_size=6, max_size=40))
def test_no_text_keeps_a_known_secret(around: str, secret: str) -> None:
    clean = scrub(f"{around}{secret}{around}", [secret])
    assert secret not in clean or secret in REDACTED + around


@given(st.text(alphabet="sk-_=:&?\"'\\ bearer.eyJapi key@/llmp0123", max_size=300))
def test_scrubbing_twice_changes_nothing_more(text: str) -> None:
    once = scrub(text)
    assert scrub(once) == once


@pytest.mark.parametrize(
    "piece",
    [
        "eyJ",
        "eyJaaaaaaa.",
        "a-",
        "-----BEGIN PRIVATE KEY-----",
        "://",
        "llmp_",
        "llmp_abcdefgh_",
        "sk-",
        "bearer ",
        "basic    ",
        "api_key=",
        "api_key: ",
        "cookie:   ",
        "://a",
        'authorization\\"',
        "token=",
        "=",
        "key",
    ],
)
def test_a_hostile_text_costs_no_more_than_its_length(piece: str) -> None:
    def seconds(length: int) -> float:
        text = piece * (length // len(piece))
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            scrub(text)
            best = min(best, time.perf_counter() - began)
        return best

    # Sixteen times the length: a quadratic pattern would take 256 times as long, and seconds.
    assert seconds(160_000) < 60 * max(seconds(10_000), 0.001)
