"""How outcomes of calls become a status."""

import inspect

import pytest

from shared import errors
from shared.errors import (
    ClientGone,
    InvalidValue,
    ProviderCredentialRefused,
    ProviderRefusal,
    ProviderServerError,
    ProviderTimeout,
    ProviderUnavailable,
    ProxyError,
)
from shared.health.marks import (
    Mark,
    Outcome,
    failure_code,
    mark_of_probe,
    mark_of_traffic,
    read_mark,
    says_nothing,
)

NOW = 1_800_000_000.0
SERVER_ERROR = "provider_error"


def traffic(outcomes: str, latency_ms: float = 100.0) -> Mark:
    """A mark of calls: `+` went well, `-` failed, `r` was refused for its rate, `u` found nothing to ask."""
    codes = {"-": SERVER_ERROR, "r": "rate_limit_exceeded", "u": "provider_unavailable"}
    calls = [
        Outcome(NOW + index, outcome == "+", latency_ms, codes.get(outcome))
        for index, outcome in enumerate(outcomes)
    ]
    return mark_of_traffic("m", calls, NOW + len(calls))


@pytest.mark.parametrize(
    ("outcomes", "status"),
    [
        ("", "unknown"),
        ("+", "healthy"),
        ("++++++++++++++++++-+", "healthy"),
        ("+++++++-+", "degraded"),
        ("-", "degraded"),
        ("--", "degraded"),
        ("---", "unhealthy"),
        ("++++++++++++---", "unhealthy"),
        ("--+", "unhealthy"),
        ("++r", "rate_limited"),
        ("r", "rate_limited"),
        ("+++++++++++++++++++r+", "healthy"),
        ("+u", "unavailable"),
    ],
)
def test_outcomes_become_a_status(outcomes: str, status: str) -> None:
    assert traffic(outcomes).status == status


def test_a_mark_says_how_often_and_with_what_calls_failed() -> None:
    mark = traffic("++--")
    assert mark.error_rate == 0.5
    assert mark.error_code == SERVER_ERROR
    assert mark.latency_ms == 100.0
    assert mark.checked_at == NOW + 3
    assert mark.source == "traffic"


def test_a_slow_model_is_degraded() -> None:
    assert traffic("+++", latency_ms=61_000).status == "degraded"


def test_a_healthy_mark_carries_no_error() -> None:
    assert traffic("+" * 30 + "-" + "+").error_code is None


def test_a_probes_error_rate_moves_by_fifths() -> None:
    first = mark_of_probe("m", 20.0, None, NOW, None)
    second = mark_of_probe("m", 20.0, SERVER_ERROR, NOW, first)
    third = mark_of_probe("m", 20.0, None, NOW, second)
    assert [first.error_rate, second.error_rate, third.error_rate] == [0.0, 0.2, 0.16]
    assert [first.status, second.status, third.status] == ["healthy", "unhealthy", "healthy"]
    assert third.error_code is None


def test_a_slow_probe_is_degraded() -> None:
    assert mark_of_probe("m", 5_001.0, None, NOW, None).status == "degraded"


def test_a_mark_is_read_as_it_was_written() -> None:
    mark = traffic("++--")
    document = mark.document()
    assert read_mark(document) == mark
    assert set(document) == {
        "id",
        "status",
        "latency_ms",
        "error_rate",
        "error_code",
        "checked_at",
        "source",
    }


@pytest.mark.parametrize(
    "change",
    [{"status": "splendid"}, {"status": None}, {"checked_at": "yesterday"}, {"checked_at": None}, {"id": 5}],
)
def test_a_document_that_is_no_mark_is_passed_over(change: dict[str, object]) -> None:
    assert read_mark({**traffic("+").document(), **change}) is None


def test_a_mark_grows_old() -> None:
    mark = traffic("+")
    assert mark.current(NOW + 300, interval=60)
    assert not mark.current(NOW + 301, interval=60)
    assert mark.current(NOW + 1200, interval=600)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProviderRefusal("slow down", 429, code="insufficient_quota"), "rate_limit_exceeded"),
        (ProviderRefusal("what?", 400), None),
        (ProviderRefusal("no such", 404, code="model_not_found"), None),
        (ProviderRefusal("too slow", 408), "provider_error"),
        (ProviderCredentialRefused("refused"), "credential_refused"),
        (ProviderUnavailable("no secret"), "provider_unavailable"),
        (ProviderServerError("oops"), "provider_error"),
        (ProviderTimeout("silence"), "provider_timeout"),
    ],
)
def test_an_error_speaks_against_the_model_or_not(error: ProxyError, code: str | None) -> None:
    assert failure_code(error) == code
    assert not says_nothing(error)


@pytest.mark.parametrize("error", [ClientGone(), InvalidValue("no")])
def test_an_error_of_the_caller_says_nothing(error: ProxyError) -> None:
    assert says_nothing(error)
    assert failure_code(error) is None


def test_every_error_of_a_provider_is_judged() -> None:
    judged = 0
    for _, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.UpstreamError) and error is not ProviderRefusal:
            assert failure_code(error("x")) is not None, error
            judged += 1
    assert judged >= 8
