"""Which webhooks a job's changes call for."""

from shared.jobs.job import Job, Notice, replace
from shared.jobs.views import job_data
from shared.webhooks.signing import message_id

EVENTS = ("started", "progress", "completed", "failed", "cancelled")
"""What `webhook_events` may name."""


def told(job: Job, event: str, now: float) -> Job:
    """The job with one more webhook to be sent, if its client asked to be told of `event`.

    The id follows from the job, the event and its number: the same change always calls for the same message.
    """
    if job.options.webhook_url is None or event not in job.options.webhook_events:
        return job
    number = job.notified + 1
    name = event if event != "progress" else f"progress.{number}"
    notice = Notice(message_id(job.project, job.id, name), event, now, job_data(job), next_at=now)
    return replace(job, notices=(*job.notices, notice), notified=number)
