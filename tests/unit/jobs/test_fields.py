"""The fields of a job in a body: what they mean, and where their limits are."""

from typing import Any

import pytest

from shared import Json
from shared.errors import InvalidValue
from shared.jobs.fields import JOB_FIELDS, PRIORITIES, read_options, without_job_fields
from shared.jobs.job import JobOptions

HOOK = "https://hooks.example.com/jobs"

GOOD: list[tuple[str, Any, str, Any]] = [
    ("priority", 1, "priority", 1),
    ("priority", 10, "priority", 10),
    *(("priority", word, "priority", number) for word, number in PRIORITIES.items()),
    ("timeout_seconds", 30, "timeout_seconds", 30),
    ("timeout_seconds", 3600, "timeout_seconds", 3600),
    ("timeout_seconds", 30.5, "timeout_seconds", 30.5),
    ("ttl_hours", 1, "ttl_seconds", 3600),
    ("ttl_hours", 168, "ttl_seconds", 168 * 3600),
    ("ttl_hours", 1.5, "ttl_seconds", 5400),
    ("webhook_url", HOOK, "webhook_url", HOOK),
    ("callback_url", HOOK, "webhook_url", HOOK),
    ("webhook_events", ["started", "progress"], "webhook_events", ("started", "progress")),
    ("webhook_events", ["failed", "failed"], "webhook_events", ("failed",)),
    ("webhook_events", [], "webhook_events", ()),
    ("async_max_retries", 0, "max_retries", 0),
    ("async_max_retries", 5, "max_retries", 5),
    ("async_retry_delay", 0.1, "retry_delay", 0.1),
    ("async_retry_delay", 60, "retry_delay", 60),
    ("client_id", "c" * 256, "client_id", "c" * 256),
    ("session_id", "Sitzung 1 – früh", "session_id", "Sitzung 1 – früh"),
    ("tags", ["t" * 64] * 16, "tags", ("t" * 64,) * 16),
    ("metadata", {"k" * 64: "v" * 512}, "metadata", {"k" * 64: "v" * 512}),
    ("metadata", {str(number): "" for number in range(16)}, "metadata", {str(n): "" for n in range(16)}),
]


def wrong(field: str, *values: Any, param: str | None = None) -> list[tuple[str, Any, str]]:
    return [(field, value, param or field) for value in values]


WRONG = [
    *wrong("priority", 0, 11, 1.5, True, "urgent", "3", "HIGH", [], {}),
    *wrong("timeout_seconds", 29.9, 3601, True, "300", [], 1e300),
    *wrong("ttl_hours", 0.99, 168.1, False, "24"),
    *wrong("webhook_url", 7, "", "x", "http://example.com/", "https://10.0.0.1/"),
    *wrong("callback_url", 7, "https://localhost/", "ftp://example.com/"),
    *wrong("webhook_events", "completed", {}, ["failed"] * 6),
    *wrong("webhook_events", ["completed", "done"], ["failed", 7], param="webhook_events[1]"),
    *wrong("async_max_retries", -1, 6, 1.0, True, "1"),
    *wrong("async_retry_delay", 0, 0.09, 60.1, True, "1"),
    *wrong("client_id", 7, "c" * 257, "a\nb", "a\x00b", []),
    *wrong("session_id", 7, "s" * 257, "a\x7fb"),
    *wrong("tags", "tag", {}, ["t"] * 17),
    *wrong("tags", *(["good", tag] for tag in ("", "t" * 65, 7, None, "a\tb")), param="tags[1]"),
    *wrong("metadata", [], "text", {str(number): "" for number in range(17)}, {"k" * 65: "v"}),
    *wrong("metadata", {"k": 7}, {"k": None}, {"k": {}}, {"k": "v" * 513}, param="metadata.k"),
]


@pytest.mark.parametrize(("field", "value", "option", "expected"), GOOD)
def test_a_field_within_its_limits_is_taken(field: str, value: Any, option: str, expected: Any) -> None:
    assert getattr(read_options({field: value}, local=False), option) == expected


@pytest.mark.parametrize(("field", "value", "param"), WRONG)
def test_a_field_beyond_its_limits_is_refused_by_name(field: str, value: Any, param: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        read_options({field: value}, local=False)
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_value", param)
    assert len(caught.value.message) < 300


def test_what_is_absent_or_null_has_its_default() -> None:
    nulls: Json = dict.fromkeys((*JOB_FIELDS, "metadata"))
    assert read_options({}, local=False) == read_options(nulls, local=False) == JobOptions()
    default = JobOptions()
    assert (default.priority, default.timeout_seconds, default.ttl_seconds) == (5, 300, 24 * 3600)
    assert (default.max_retries, default.retry_delay) == (3, 1)
    assert default.webhook_events == ("completed", "failed", "cancelled")


def test_the_two_names_of_the_webhooks_address_may_say_the_same_and_nothing_else() -> None:
    assert read_options({"webhook_url": HOOK, "callback_url": HOOK}, local=False).webhook_url == HOOK
    assert read_options({"webhook_url": HOOK, "callback_url": None}, local=False).webhook_url == HOOK
    with pytest.raises(InvalidValue) as caught:
        read_options({"webhook_url": HOOK, "callback_url": HOOK + "/other"}, local=False)
    assert caught.value.param == "callback_url"


def test_webhooks_go_to_this_machine_in_local_mode_alone() -> None:
    address = "http://127.0.0.1:8000/hooks"
    assert read_options({"webhook_url": address}, local=True).webhook_url == address
    with pytest.raises(InvalidValue):
        read_options({"webhook_url": address}, local=False)


def test_a_refused_address_is_not_repeated() -> None:
    with pytest.raises(InvalidValue) as caught:
        read_options({"webhook_url": "http://user:s3cret@example.com/?token=s3cret"}, local=False)
    assert "s3cret" not in str(caught.value.envelope())


def test_the_jobs_own_fields_do_not_travel_on() -> None:
    body: Json = {"model": "m", "metadata": {"a": "b"}, "priority": 1, "tags": ["t"], "top_k": 3}
    assert without_job_fields(body) == {"model": "m", "metadata": {"a": "b"}, "top_k": 3}
