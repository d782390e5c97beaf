"""What is known of sessions, and for how long."""

import pytest

from shared.clock import ManualClock
from shared.errors import NotFound
from shared.realtime.sessions import Sessions


def test_a_session_is_active_until_it_ends_and_is_remembered_after() -> None:
    sessions = Sessions(ManualClock())
    session = sessions.begin("team", "voice")
    assert sessions.get(session.id, "team").view()["status"] == "active"
    sessions.end(session)
    assert sessions.get(session.id, "team").view()["status"] == "ended"


def test_another_project_learns_nothing_of_it() -> None:
    sessions = Sessions(ManualClock())
    session = sessions.begin("team", "voice")
    for id, project in ((session.id, "other"), ("sess_made_up", "team"), ("", "team")):
        with pytest.raises(NotFound):
            sessions.get(id, project)


def test_of_those_that_ended_the_last_are_kept_and_no_active_one_is_lost() -> None:
    sessions = Sessions(ManualClock(), kept=3)
    active = sessions.begin("team", "voice")
    ended = [sessions.begin("team", "voice") for _ in range(10)]
    for session in ended:
        sessions.end(session)
    assert sessions.get(active.id, "team") is active
    for session in ended[:7]:
        with pytest.raises(NotFound):
            sessions.get(session.id, "team")
    for session in ended[7:]:
        assert sessions.get(session.id, "team") is session


def test_no_two_sessions_share_an_id() -> None:
    sessions = Sessions(ManualClock())
    assert len({sessions.begin("team", "voice").id for _ in range(100)}) == 100
