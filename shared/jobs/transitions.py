"""The states of a job: every change that there is, as a pure function. What is not here does not happen.

    -          -> queued               submitted
    -          -> failed               refused (a message whose body, model or project is invalid)
    queued     -> processing           claimed
    processing -> queued               put_back (a retry), taken_back (the lease ran out)
    processing -> completed, failed    completed, failed
    queued, processing -> cancelled    cancelled
    queued     -> failed               given_up (its deadline passed, or three leases were lost)

Each function takes the job as it is and gives it as it will be, or raises `Refused`. Time is in seconds since 1970.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from shared import Json
from shared.jobs.job import Job, JobFailure, Notice, Status, replace
from shared.jobs.notices import told

LEASE = 60.0
"""Seconds that a worker holds a job without renewing."""
MAX_LOST_LEASES = 3
FIRST_WAKE = 60.0
"""Seconds after which an event that no worker followed is published again."""
LONGEST_WAKE = 3600.0
SETTLING = 60.0
"""Seconds that who ended a job has to do what follows, before the sweeper does."""


class Refused(Exception):
    """The job is not in a state that allows this change. `job` is as it is."""

    def __init__(self, job: Job) -> None:
        super().__init__(f"not in the state {job.status}")
        self.job = job


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of a call so far: which deployment, and what it used. `usage` is a usage record's."""

    model_used: str | None = None
    provider: str | None = None
    attempts: int = 0
    fallback: bool = False
    usage: Json | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """Where a result lies: the lease under which it was written, and its number of parts.

    `dropped` names parameters that the provider did not take.
    """

    lease: str
    parts: int
    response: tuple[str, str] | None = None
    dropped: tuple[str, ...] = ()


def submitted(job: Job, now: float) -> Job:
    """A new job. Its event is about to be published."""
    return replace(job, status=Status.QUEUED, wake_at=now + FIRST_WAKE, published_at=now, next_attempt_at=now)


def refused(job: Job, now: float, failure: JobFailure) -> Job:
    """A message with an id that is a job, but none that can run."""
    return _ended(replace(job, published_at=now), now, Status.FAILED, failure)


def claimable(job: Job, now: float) -> bool:
    """Whether a worker may take it now."""
    return (
        job.status is Status.QUEUED
        and job.next_attempt_at <= now
        and (job.deadline is None or now < job.deadline)
        and job.lost_leases < MAX_LOST_LEASES
    )


def claimed(job: Job, now: float, lease: str, worker: str) -> Job:
    if not claimable(job, now):
        raise Refused(job)
    first = job.started_at is None
    taken = replace(
        job,
        status=Status.PROCESSING,
        lease_id=lease,
        lease_until=now + LEASE,
        processed_by=worker,
        started_at=now if first else job.started_at,
        deadline=now + job.options.timeout_seconds if first else job.deadline,
        progress=0,
        step="claimed",
    )
    return told(taken, "started", now) if first else taken


def held(job: Job, now: float, lease: str, figures: Figures, progress: int, step: str) -> Job:
    """The holder's sign of life: its lease goes on, and it says how far it is."""
    _require_holder(job, lease)
    known = replace(job, lease_until=now + LEASE, progress=progress, step=step)
    known = _with_figures(known, figures)
    crossed = progress // 25 > job.progress // 25
    return told(known, "progress", now) if crossed else known


def put_back(job: Job, now: float, lease: str, delay: float, attempts: int = 0) -> Job:
    """Back in the queue for another try, `delay` seconds from now. `attempts` counts the calls of providers so far."""
    _require_holder(job, lease)
    if job.retry_count >= job.options.max_retries:
        raise Refused(job)
    again = now + delay
    return replace(
        _released(job, "waiting for the next try"),
        retry_count=job.retry_count + 1,
        attempts=max(attempts, job.attempts),
        next_attempt_at=again,
        wake_at=again,
        woken=0,
    )


def completed(job: Job, now: float, lease: str, result: Result, figures: Figures) -> Job:
    _require_holder(job, lease)
    done = replace(
        _with_figures(job, figures),
        result_lease=result.lease,
        result_parts=result.parts,
        response=result.response,
        dropped=result.dropped,
        progress=100,
    )
    return _ended(done, now, Status.COMPLETED, None)


def failed(job: Job, now: float, lease: str, failure: JobFailure, figures: Figures) -> Job:
    _require_holder(job, lease)
    return _ended(_with_figures(job, figures), now, Status.FAILED, failure)


def cancelled(job: Job, now: float) -> Job:
    """Fixes the state. The charge of a job that runs is left to its holder, until the lease runs out."""
    if job.status not in (Status.QUEUED, Status.PROCESSING):
        raise Refused(job)
    running = job.status is Status.PROCESSING
    over = _ended(job, now, Status.CANCELLED, None)
    until = (job.lease_until or now) if running else now + SETTLING
    return replace(over, wake_at=until, lease_id=job.lease_id, lease_until=job.lease_until)


def taken_back(job: Job, now: float) -> Job:
    """The lease ran out: its holder is dead, or cannot reach the store."""
    if job.status is not Status.PROCESSING or job.lease_until is None or now <= job.lease_until:
        raise Refused(job)
    return replace(
        _released(job, "waiting for another worker"),
        lost_leases=job.lost_leases + 1,
        next_attempt_at=now,
        wake_at=now,
        woken=0,
    )


def hopeless(job: Job, now: float) -> JobFailure | None:
    """Why a queued job will not be run again; None while it may."""
    if job.status is not Status.QUEUED:
        return None
    if job.lost_leases >= MAX_LOST_LEASES:
        return JobFailure("worker_lost", "Three workers were lost while they ran this job.", 500)
    if job.deadline is not None and now >= job.deadline:
        return out_of_time(job)
    return None


def out_of_time(job: Job) -> JobFailure:
    seconds = job.options.timeout_seconds
    return JobFailure(
        "job_timeout", f"The job took longer than its {seconds:g} seconds.", 504, "upstream_error"
    )


def given_up(job: Job, now: float) -> Job:
    failure = hopeless(job, now)
    if failure is None:
        raise Refused(job)
    return _ended(job, now, Status.FAILED, failure)


def woken(job: Job, now: float) -> Job:
    """Its event was published again: the next time comes later."""
    if job.status is not Status.QUEUED:
        raise Refused(job)
    pause = min(FIRST_WAKE * 2**job.woken, LONGEST_WAKE)
    return replace(job, wake_at=now + pause, woken=job.woken + 1, published_at=now)


def charged(job: Job, figures: Figures) -> Job:
    """The usage record is there; `figures` are what it holds."""
    if not job.status.final:
        raise Refused(job)
    return replace(_known(job, figures), charged=True)


def charge_open_until(job: Job) -> float | None:
    """Until when the charge of a cancelled job is its holder's to make; None where anyone may."""
    return job.lease_until if job.status is Status.CANCELLED and job.lease_id is not None else None


def kept(job: Job, until: float) -> Job:
    """What was submitted stays in the store that long."""
    return replace(job, request_kept_until=max(until, job.request_kept_until))


def notified(job: Job, outcomes: Sequence[tuple[str, Notice | None]]) -> Job:
    """What came of webhooks, by id: the notice as it is to be tried again, or None: delivered or given up."""
    known = dict(outcomes)
    left = [known.get(notice.id, notice) for notice in job.notices]
    return replace(job, notices=tuple(notice for notice in left if notice is not None))


def settled(job: Job, now: float) -> Job:
    """After the end: what is still to be done decides when the sweeper looks again."""
    if not job.status.final:
        raise Refused(job)
    due = [notice.next_at for notice in job.notices]
    if not job.charged:
        due.append(max(now + SETTLING, charge_open_until(job) or now))
    return replace(job, wake_at=min(due)) if due else replace(job, settled=True)


def deleted(job: Job) -> Job:
    """Its client wants it gone. The head stays as long as its event may come again, for no one to see."""
    if not job.status.final:
        raise Refused(job)
    return replace(job, deleted=True)


def _require_holder(job: Job, lease: str) -> None:
    if job.status is not Status.PROCESSING or job.lease_id != lease:
        raise Refused(job)


def _released(job: Job, step: str) -> Job:
    return replace(job, status=Status.QUEUED, lease_id=None, lease_until=None, progress=0, step=step)


def _with_figures(job: Job, figures: Figures) -> Job:
    if figures.model_used is None and figures.usage is None and not figures.attempts:
        return job
    return _known(job, figures)


def _known(job: Job, figures: Figures) -> Job:
    return replace(
        job,
        model_used=figures.model_used,
        provider=figures.provider,
        attempts=figures.attempts,
        fallback=figures.fallback,
        usage=figures.usage,
        cost_usd=figures.cost_usd,
    )


def _ended(job: Job, now: float, status: Status, failure: JobFailure | None) -> Job:
    over = replace(
        job,
        status=status,
        failure=failure,
        completed_at=now,
        expires_at=now + job.options.ttl_seconds,
        step=str(status),
        wake_at=now + SETTLING,
    )
    return told(over, str(status), now)
