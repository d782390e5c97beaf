"""A job as its client sees it."""

import math
from urllib.parse import quote

from shared import Json
from shared.clock import iso
from shared.inference.headers import routed_headers
from shared.jobs.job import Job, JobFailure, Status

COLLECTION = "/v1/async/chat/completions"
RESPONSES = "/v1/responses"
_MESSAGES = {
    Status.QUEUED: "The job is queued.",
    Status.PROCESSING: "The job was submitted before, and runs.",
    Status.COMPLETED: "The job was submitted before, and is completed.",
    Status.FAILED: "The job was submitted before, and failed.",
    Status.CANCELLED: "The job was submitted before, and was cancelled.",
}


def job_data(job: Job) -> Json:
    """The job without its messages and its result. Times are ISO 8601, UTC, or null."""
    id = job.public_id or job.id
    options = job.options
    return {
        "id": id,
        "object": "job",
        "execution_id": id,
        "request_id": id,
        "status": str(job.status),
        "model": job.model,
        "model_used": job.model_used,
        "priority": options.priority,
        "created_at": iso(job.created_at),
        "submitted_at": iso(job.created_at),
        "started_at": _moment(job.started_at),
        "completed_at": _moment(job.completed_at),
        "expires_at": _moment(job.expires_at),
        "next_attempt_at": _moment(_next_attempt(job)),
        "processing_time_seconds": _processing_time(job),
        "progress_percentage": job.progress,
        "current_step": job.step,
        "retry_count": job.retry_count,
        "processed_by": job.processed_by,
        "usage": job.usage,
        "cost_usd": job.cost_usd,
        "error": failure_data(job.failure),
        "timeout_seconds": options.timeout_seconds,
        "ttl_hours": options.ttl_seconds / 3600,
        "client_id": options.client_id,
        "session_id": options.session_id,
        "tags": list(options.tags),
        "metadata": options.metadata,
        "status_endpoint": status_path(job),
        "result_endpoint": result_path(job),
    }


def submitted_data(job: Job, estimate: float | None) -> Json:
    """The answer to a submission. `estimate` is when it may be done, in seconds since 1970."""
    return {
        "id": job.public_id or job.id,
        "object": "job",
        "execution_id": job.public_id or job.id,
        "request_id": job.public_id or job.id,
        "status": str(job.status),
        "priority": job.options.priority,
        "message": _MESSAGES[job.status],
        "created_at": iso(job.created_at),
        "submitted_at": iso(job.created_at),
        "estimated_completion_time": _moment(estimate),
        "status_endpoint": status_path(job),
        "result_endpoint": result_path(job),
    }


def result_headers(job: Job) -> dict[str, str]:
    """What the result of a completed job says in its headers: as an answer that was waited for."""
    return routed_headers(job.model_used, job.provider, job.attempts, job.cost_usd, job.dropped)


def retry_after(job: Job, now: float) -> int:
    """Seconds after which it is worth asking again: longer the longer it has been waited for, 1 to 30."""
    again = _next_attempt(job)
    waited = max(0.0, now - job.created_at) / 4
    left = max(0.0, again - now) if again is not None else 0.0
    return max(1, min(30, math.ceil(max(waited, left))))


def failure_data(failure: JobFailure | None) -> Json | None:
    if failure is None:
        return None
    return {"code": failure.code, "message": failure.message, "status": failure.status}


def status_path(job: Job) -> str:
    return job_path(job) if job.public_id else f"{job_path(job)}/status"


def result_path(job: Job) -> str:
    return job_path(job) if job.public_id else f"{job_path(job)}/result"


def job_path(job: Job) -> str:
    collection = RESPONSES if job.public_id else COLLECTION
    return f"{collection}/{quote(job.public_id or job.id, safe='')}"


def _moment(time: float | None) -> str | None:
    return None if time is None else iso(time)


def _next_attempt(job: Job) -> float | None:
    return job.next_attempt_at if job.retry_count and job.step == "waiting for the next try" else None


def _processing_time(job: Job) -> float | None:
    if job.started_at is None or job.completed_at is None:
        return None
    return round(job.completed_at - job.started_at, 3)
