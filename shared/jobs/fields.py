"""The fields of a job in the body that submits it: checked, and kept apart from what travels to the provider."""

import unicodedata
from collections.abc import Callable

from shared import Json
from shared.errors import InvalidValue
from shared.jobs.job import JobOptions
from shared.jobs.notices import EVENTS
from shared.webhooks.addresses import check_webhook_url

PRIORITIES = {"critical": 1, "high": 3, "normal": 5, "low": 8}
"""Words for `priority`."""
MAX_LABEL = 256
"""Characters of `client_id` and `session_id`."""
MAX_TAGS, MAX_TAG = 16, 64
MAX_PAIRS, MAX_KEY, MAX_VALUE = 16, 64, 512
"""Of `metadata` (OpenAI's API reference)."""

JOB_FIELDS = frozenset(
    """
priority timeout_seconds ttl_hours webhook_url callback_url webhook_events async_max_retries async_retry_delay
client_id session_id tags
""".split()
)
"""Fields that are the job's alone and never travel on. `metadata` is OpenAI's own too."""

_DEFAULT = JobOptions()


def read_options(body: Json, local: bool) -> JobOptions:
    """What a body says of its job; null is as absent. `local` mode allows webhooks to this machine.

    Raises `InvalidValue` that names the field.
    """
    return JobOptions(
        priority=_priority(body.get("priority")),
        timeout_seconds=_number(body, "timeout_seconds", 30, 3600, _DEFAULT.timeout_seconds),
        ttl_seconds=3600 * _number(body, "ttl_hours", 1, 168, _DEFAULT.ttl_seconds / 3600),
        max_retries=_retries(body.get("async_max_retries")),
        retry_delay=_number(body, "async_retry_delay", 0.1, 60, _DEFAULT.retry_delay),
        webhook_url=_webhook_url(body, local),
        webhook_events=_webhook_events(body.get("webhook_events")),
        client_id=_label(body, "client_id"),
        session_id=_label(body, "session_id"),
        tags=_tags(body.get("tags")),
        metadata=_metadata(body.get("metadata")),
    )


def without_job_fields(body: Json) -> Json:
    """The body that is asked of the provider."""
    return {name: value for name, value in body.items() if name not in JOB_FIELDS}


def _priority(value: object) -> int:
    if value is None:
        return _DEFAULT.priority
    if isinstance(value, str) and value in PRIORITIES:
        return PRIORITIES[value]
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 10:
        return value
    words = ", ".join(f"'{word}'" for word in PRIORITIES)
    raise InvalidValue(
        f"'priority' must be a whole number from 1 to 10, or one of {words}.", param="priority"
    )


def _number(body: Json, name: str, low: float, high: float, default: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidValue(f"'{name}' must be a number from {low:g} to {high:g}.", param=name)
    return float(value)


def _retries(value: object) -> int:
    if value is None:
        return _DEFAULT.max_retries
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 5:
        raise InvalidValue(
            "'async_max_retries' must be a whole number from 0 to 5.", param="async_max_retries"
        )
    return value


def _webhook_url(body: Json, local: bool) -> str | None:
    named = {name: body[name] for name in ("webhook_url", "callback_url") if body.get(name) is not None}
    checked = {name: check_webhook_url(url, local, name) for name, url in named.items()}
    if len(set(checked.values())) > 1:
        raise InvalidValue(
            "'webhook_url' and 'callback_url' mean the same and must not differ.", param="callback_url"
        )
    return next(iter(checked.values()), None)


def _webhook_events(value: object) -> tuple[str, ...]:
    if value is None:
        return _DEFAULT.webhook_events
    known = ", ".join(f"'{event}'" for event in EVENTS)
    rule = f"'webhook_events' must be an array out of {known}."
    return tuple(dict.fromkeys(_texts(value, "webhook_events", len(EVENTS), EVENTS.__contains__, rule)))


def _label(body: Json, name: str) -> str | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > MAX_LABEL or not _printable(value):
        raise InvalidValue(
            f"'{name}' must be text of at most {MAX_LABEL} characters, without control characters.",
            param=name,
        )
    return value


def _tags(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    rule = f"'tags' must be an array of at most {MAX_TAGS} texts of 1 to {MAX_TAG} characters."
    return _texts(value, "tags", MAX_TAGS, lambda text: 1 <= len(text) <= MAX_TAG and _printable(text), rule)


def _texts(value: object, name: str, most: int, allowed: Callable[[str], bool], rule: str) -> tuple[str, ...]:
    """The texts of an array. Raises `InvalidValue` with `rule`, for the array or for its first wrong item."""
    if not isinstance(value, list) or len(value) > most:
        raise InvalidValue(rule, param=name)
    for index, item in enumerate(value):
        if not isinstance(item, str) or not allowed(item):
            raise InvalidValue(rule, param=f"{name}[{index}]")
    return tuple(value)


def _metadata(value: object) -> Json:
    if value is None:
        return {}
    if not isinstance(value, dict) or len(value) > MAX_PAIRS:
        raise InvalidValue(f"'metadata' must be an object of at most {MAX_PAIRS} pairs.", param="metadata")
    for key, text in value.items():
        if len(key) > MAX_KEY:
            raise InvalidValue(
                f"A key of 'metadata' must have at most {MAX_KEY} characters.", param="metadata"
            )
        if not isinstance(text, str) or len(text) > MAX_VALUE:
            raise InvalidValue(
                f"A value of 'metadata' must be text of at most {MAX_VALUE} characters.",
                param=f"metadata.{key}",
            )
    return dict(value)


def _printable(text: str) -> bool:
    return not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in text)
