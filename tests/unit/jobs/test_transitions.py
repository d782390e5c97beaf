"""Every change of a job's state that is allowed is possible, and every other one is refused."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from shared.jobs import transitions
from shared.jobs.job import Job, JobFailure, JobOptions, Status
from shared.jobs.transitions import Figures, Refused, Result

START = 1_800_000_000.0
FAILURE = JobFailure("provider_error", "The provider failed.", 502)
ALLOWED = {
    (Status.QUEUED, Status.PROCESSING),
    (Status.QUEUED, Status.CANCELLED),
    (Status.QUEUED, Status.FAILED),
    (Status.PROCESSING, Status.QUEUED),
    (Status.PROCESSING, Status.COMPLETED),
    (Status.PROCESSING, Status.FAILED),
    (Status.PROCESSING, Status.CANCELLED),
}


def new_job(**options: object) -> Job:
    job = Job("j", "p", "k", "ChatCompletion", "m", "f", JobOptions(**options), START)  # type: ignore[arg-type]
    return transitions.submitted(job, START)


class Life(RuleBasedStateMachine):
    """One job, several workers, a sweeper and a canceller, in any order. The machine keeps a model of its own."""

    @initialize(retries=st.integers(0, 2), timeout=st.sampled_from([30.0, 300.0]))
    def submit(self, retries: int, timeout: float) -> None:
        self.now = START
        self.job = new_job(max_retries=retries, timeout_seconds=timeout)
        self.seen: set[tuple[Status, Status]] = set()
        self.holder: str | None = None
        self.tries = self.lost = 0
        self.ready = START
        self.began: float | None = None

    def change(self, allowed: bool, make: object, *arguments: object) -> bool:
        """Applies a transition and compares whether it was refused with what the model says."""
        before = self.job
        try:
            after = make(self.job, *arguments)  # type: ignore[operator]
        except Refused:
            assert not allowed
            assert self.job == before
            return False
        assert allowed
        if after.status is not before.status:
            self.seen.add((before.status, after.status))
        self.job = after
        return True

    @property
    def over(self) -> bool:
        return self.began is not None and self.now >= self.began + self.job.options.timeout_seconds

    @rule(seconds=st.sampled_from([0.5, 5.0, 59.0, 61.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(lease=st.sampled_from("abc"))
    def a_worker_claims(self, lease: str) -> None:
        queued = self.job.status is Status.QUEUED
        allowed = queued and self.now >= self.ready and not self.over and self.lost < 3
        if self.change(allowed, transitions.claimed, self.now, lease, "worker"):
            self.holder, self.until = lease, self.now + transitions.LEASE
            self.began = self.began or self.now

    @rule(lease=st.sampled_from("abc"), progress=st.integers(0, 95))
    def a_holder_beats(self, lease: str, progress: int) -> None:
        if self.change(self.holds(lease), transitions.held, self.now, lease, Figures(), progress, "x"):
            self.until = self.now + transitions.LEASE

    @rule(lease=st.sampled_from("abc"), delay=st.sampled_from([0.0, 10.0]))
    def a_holder_puts_it_back(self, lease: str, delay: float) -> None:
        allowed = self.holds(lease) and self.tries < self.job.options.max_retries
        if self.change(allowed, transitions.put_back, self.now, lease, delay):
            self.holder, self.ready = None, self.now + delay
            self.tries += 1

    @rule(lease=st.sampled_from("abc"))
    def a_holder_completes(self, lease: str) -> None:
        self.change(self.holds(lease), transitions.completed, self.now, lease, Result(lease, 1), Figures("m"))

    @rule(lease=st.sampled_from("abc"))
    def a_holder_fails(self, lease: str) -> None:
        self.change(self.holds(lease), transitions.failed, self.now, lease, FAILURE, Figures())

    @rule()
    def someone_cancels(self) -> None:
        self.change(not self.job.status.final, transitions.cancelled, self.now)

    @rule()
    def the_sweeper_takes_it_back(self) -> None:
        processing = self.job.status is Status.PROCESSING
        if self.change(processing and self.now > self.until, transitions.taken_back, self.now):
            self.holder, self.ready = None, self.now
            self.lost += 1

    @rule()
    def the_sweeper_gives_it_up(self) -> None:
        allowed = self.job.status is Status.QUEUED and (self.lost >= 3 or self.over)
        self.change(allowed, transitions.given_up, self.now)

    @rule()
    def the_sweeper_wakes_it(self) -> None:
        self.change(self.job.status is Status.QUEUED, transitions.woken, self.now)

    @precondition(lambda self: self.job.status.final)
    @rule()
    def it_settles(self) -> None:
        self.job = transitions.settled(transitions.charged(self.job, Figures("m")), self.now)

    def holds(self, lease: str) -> bool:
        return self.job.status is Status.PROCESSING and self.holder == lease

    @invariant()
    def only_allowed_changes_were_made(self) -> None:
        assert self.seen <= ALLOWED

    @invariant()
    def the_counts_agree(self) -> None:
        assert (self.job.retry_count, self.job.lost_leases) == (self.tries, self.lost)

    @invariant()
    def it_comes_back_from_the_store_as_it_was(self) -> None:
        assert Job.read(self.job.document()) == self.job

    @invariant()
    def the_sweeper_sees_it_until_everything_is_done(self) -> None:
        looked_for = {"sweep_key", "wake_key", "notice_key"} & self.job.document().keys()
        assert bool(looked_for) is not self.job.settled

    @invariant()
    def only_queued_jobs_can_be_taken_from_the_store(self) -> None:
        assert ("ready_key" in self.job.document()) is (self.job.status is Status.QUEUED)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


def states() -> dict[Status, Job]:
    queued = new_job()
    processing = transitions.claimed(queued, START, "a", "w")
    return {
        Status.QUEUED: queued,
        Status.PROCESSING: processing,
        Status.COMPLETED: transitions.completed(processing, START, "a", Result("a", 1), Figures()),
        Status.FAILED: transitions.failed(processing, START, "a", FAILURE, Figures()),
        Status.CANCELLED: transitions.cancelled(processing, START),
    }


def changes(job: Job) -> dict[Status, Callable[[], Job]]:
    """Every way to each state, from a job that is late enough for all of them."""
    late = START + 10_000
    ways: dict[tuple[Status, str], Callable[[], Job]] = {
        (Status.PROCESSING, "claim"): lambda: transitions.claimed(job, START, "b", "w"),
        (Status.QUEUED, "put back"): lambda: transitions.put_back(job, late, "a", 1.0),
        (Status.QUEUED, "take back"): lambda: transitions.taken_back(job, late),
        (Status.COMPLETED, "end"): lambda: transitions.completed(job, late, "a", Result("a", 1), Figures()),
        (Status.FAILED, "end"): lambda: transitions.failed(job, late, "a", FAILURE, Figures()),
        (Status.FAILED, "give up"): lambda: transitions.given_up(
            replace(job, deadline=START + 1) if job.status is Status.QUEUED else job, late
        ),
        (Status.CANCELLED, "cancel"): lambda: transitions.cancelled(job, late),
    }
    reached: dict[Status, Callable[[], Job]] = {}
    for (status, _), way in ways.items():
        try:
            assert way().status is status
        except Refused:
            continue
        reached[status] = way
    return reached


@pytest.mark.parametrize("before", list(Status))
def test_each_state_leads_exactly_where_the_table_says(before: Status) -> None:
    reached = set(changes(states()[before]))
    assert reached == {after for start, after in ALLOWED if start is before}


@pytest.mark.parametrize("status", [Status.COMPLETED, Status.FAILED, Status.CANCELLED])
def test_a_final_state_and_its_result_never_change(status: Status) -> None:
    job = states()[status]
    after = transitions.settled(transitions.charged(job, Figures("other", "P", 9)), START + 99)
    kept = ("status", "result_lease", "result_parts", "completed_at", "failure", "expires_at")
    assert [getattr(after, name) for name in kept] == [getattr(job, name) for name in kept]


def test_the_deadline_counts_from_the_first_claim() -> None:
    first = transitions.claimed(new_job(timeout_seconds=100.0), START + 50, "a", "w")
    again = transitions.claimed(transitions.put_back(first, START + 60, "a", 0.0), START + 70, "b", "w")
    assert first.deadline == again.deadline == START + 150
    assert again.started_at == START + 50


def test_wake_ups_come_at_growing_intervals() -> None:
    job, pauses = new_job(), []
    for _ in range(8):
        now = job.wake_at
        job = transitions.woken(job, now)
        pauses.append(job.wake_at - now)
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
