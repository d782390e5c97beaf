"""The usage record of a job: what it says, and what the job's head takes from it."""

from shared import Json
from shared.jobs.job import Job, Status
from shared.jobs.transitions import Figures
from shared.usage.records import UsageRecord
from shared.wire.usage import recorded_usage

CANCELLED = 499
"""Status of a cancelled job's record: as for a client that went away."""


def usage_record(job: Job, figures: Figures | None = None) -> UsageRecord:
    """The one record of an ended job, under the job's id and of the day on which it ended.

    `figures` are the holder's of a job that was cancelled while it ran. Without them the head's count, and are marked
    as estimated where it was not the holder that ended the job: it may have gone on after it wrote them.
    """
    known = figures or _figures_of_head(job)
    return UsageRecord(
        id=job.id,
        request_id=job.public_id or job.id,
        time=job.completed_at,
        project=job.project,
        key_id=job.key_id,
        operation=job.operation,
        status=_status(job),
        model_requested=job.model,
        model=known.model_used,
        provider=known.provider,
        user=job.user,
        usage=None if known.usage is None else recorded_usage(known.usage),
        cost_usd=known.cost_usd,
        duration_ms=_duration(job),
        attempts=known.attempts,
        fallback=known.fallback,
        error_code=job.failure.code if job.failure else None,
    )


def recorded_figures(document: Json) -> Figures:
    """What the head of a job says once this record of it is there."""
    return Figures(
        model_used=document["model"],
        provider=document["provider"],
        attempts=document["attempts"],
        fallback=document["fallback"],
        usage=document["usage"],
        cost_usd=document["cost_usd"],
    )


def _figures_of_head(job: Job) -> Figures:
    usage = job.usage
    if usage is not None and not _ended_by_holder(job):
        usage = {**usage, "estimated": True}
    return Figures(job.model_used, job.provider, job.attempts, job.fallback, usage, job.cost_usd)


def _ended_by_holder(job: Job) -> bool:
    return job.status in (Status.COMPLETED, Status.FAILED) and job.lease_id is not None


def _status(job: Job) -> int:
    if job.status is Status.CANCELLED:
        return CANCELLED
    return 200 if job.failure is None else job.failure.status


def _duration(job: Job) -> float | None:
    if job.started_at is None or job.completed_at is None:
        return None
    return (job.completed_at - job.started_at) * 1000
