"""What came of one try to deliver a webhook, and what an answer means."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum

_SECONDS = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9})?")


class Verdict(StrEnum):
    DELIVERED = "delivered"
    TRY_AGAIN = "try_again"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Outcome:
    """`status` is the receiver's, None without an answer. `reason` is a clause without addresses or secrets.

    `retry_after` is what the receiver asked for, in seconds from now.
    """

    verdict: Verdict
    reason: str
    status: int | None = None
    retry_after: float | None = None


def try_again(reason: str) -> Outcome:
    return Outcome(Verdict.TRY_AGAIN, reason)


def given_up(reason: str) -> Outcome:
    return Outcome(Verdict.GIVEN_UP, reason)


def outcome_of(status: int, headers: Mapping[str, str], now: float) -> Outcome:
    """What an answer means. `now` is in seconds since 1970, for a `Retry-After` that is a date."""
    if 200 <= status < 300:
        return Outcome(Verdict.DELIVERED, "the receiver took it", status)
    if status in (408, 429) or 500 <= status < 600:
        after = retry_after(headers.get("Retry-After", ""), now)
        return Outcome(Verdict.TRY_AGAIN, f"the receiver answered {status}", status, after)
    if 300 <= status < 400:
        return Outcome(Verdict.GIVEN_UP, "the receiver redirects, which is not followed", status)
    return Outcome(Verdict.GIVEN_UP, f"the receiver answered {status}", status)


def retry_after(text: str, now: float) -> float | None:
    """Seconds, out of a number of seconds or a date (RFC 9110, 10.2.3); None where it is neither."""
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        when = parsedate_to_datetime(text)
        return max(0.0, (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, OverflowError):
        return None
