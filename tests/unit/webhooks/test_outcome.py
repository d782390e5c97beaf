"""What an answer means, and when the next try comes."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.webhooks.outcome import Verdict, outcome_of, retry_after
from shared.webhooks.pauses import LONGEST_PAUSE, PAUSES, next_pause

NOW = 1_800_000_000.0
ids = st.text(max_size=20)


@given(status=st.integers(0, 10_000), text=st.text(max_size=30))
def test_every_status_has_one_meaning(status: int, text: str) -> None:
    outcome = outcome_of(status, {"Retry-After": text}, NOW)
    assert outcome.status == status
    assert (outcome.verdict is Verdict.DELIVERED) is (200 <= status < 300)
    assert (outcome.verdict is Verdict.TRY_AGAIN) is (status in (408, 429) or 500 <= status < 600)
    if outcome.verdict is not Verdict.TRY_AGAIN:
        assert outcome.retry_after is None


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0.0),
        (" 120 ", 120.0),
        ("1.5", 1.5),
        ("Fri, 15 Jan 2027 08:01:00 GMT", 60.0),
        ("Friday, 15-Jan-27 08:01:00 GMT", 60.0),
        ("Fri, 15 Jan 2027 08:01:00 -0000", 60.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1e3", None),
        ("1_000", None),
        ("nan", None),
        ("inf", None),
        ("\u0661\u0662", None),
        ("9" * 400, None),
        ("Fri, 99 Jan 2027 08:01:00 GMT", None),
        ("Fri, 15 Jan 99999 08:01:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after(text, NOW) == seconds


@given(text=st.text(max_size=40))
def test_any_retry_after_is_a_number_of_seconds_or_nothing(text: str) -> None:
    seconds = retry_after(text, NOW)
    assert seconds is None or (seconds >= 0 and math.isfinite(seconds))


def test_five_more_tries_follow_the_first_after_growing_pauses() -> None:
    pauses = [next_pause("msg_1", tries) for tries in range(1, 8)]
    assert pauses[5:] == [None, None]
    made = [pause for pause in pauses if pause is not None]
    assert len(made) == len(PAUSES) == 5
    assert made == sorted(made)


@given(id=ids, tries=st.integers(1, 5), asked=st.none() | st.floats(0, 1e9))
def test_a_pause_is_never_shorter_than_asked_and_never_much_longer(
    id: str, tries: int, asked: float | None
) -> None:
    pause = next_pause(id, tries, asked)
    assert pause is not None
    least = max(PAUSES[tries - 1], min(asked or 0.0, LONGEST_PAUSE))
    assert least <= pause <= least * 1.2
    assert pause == next_pause(id, tries, asked)


def test_messages_that_failed_together_do_not_come_back_together() -> None:
    pauses = sorted(next_pause(f"msg_{n}", 3) or 0.0 for n in range(200))
    assert pauses[0] < PAUSES[2] * 1.05
    assert pauses[-1] > PAUSES[2] * 1.15
    assert len(set(pauses)) == 200


def test_there_is_no_pause_before_the_first_try() -> None:
    with pytest.raises(ValueError, match="follows a try"):
        next_pause("msg_1", 0)
