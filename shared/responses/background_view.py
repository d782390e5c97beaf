"""A response in the background as its client sees it (OpenAI's API reference, Responses)."""

from shared import Json
from shared.jobs.job import Job, Status
from shared.responses.previous import PREVIOUS
from shared.responses.writer import response_head

_STATUSES = {
    Status.QUEUED: "queued",
    Status.PROCESSING: "in_progress",
    Status.COMPLETED: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}
_UNNAMED = "server_error"
"""What OpenAI calls an error that has no name of its own."""


def response_object(job: Job, body: Json, result: Json | None = None) -> Json:
    """The response of a job. `body` is the request's, `result` the provider's response of a completed job.

    The ids are those that the client knows; all times are in whole seconds since 1970.
    """
    if result is not None:
        return _completed(job, body, result)
    shown = response_head(body, _id(job), job.model_used or job.model or "", int(job.created_at))
    shown["status"] = _STATUSES[job.status]
    shown["background"] = True
    shown["completed_at"] = None
    if job.failure is not None:
        shown["error"] = {"code": job.failure.code or _UNNAMED, "message": job.failure.message}
    return shown


def _completed(job: Job, body: Json, result: Json) -> Json:
    shown = {**result, "id": _id(job), "created_at": int(job.created_at), "background": True}
    if PREVIOUS in result or body.get(PREVIOUS) is not None:
        shown[PREVIOUS] = body.get(PREVIOUS)
    done = job.completed_at is not None and result.get("status") == "completed"
    shown["completed_at"] = int(job.completed_at or 0) if done else None
    return shown


def _id(job: Job) -> str:
    return job.public_id or job.id
