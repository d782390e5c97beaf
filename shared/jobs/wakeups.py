"""The event that wakes a worker up for a job: its id, project and priority. The job itself lies in the store."""

from collections.abc import Mapping, Sequence

import orjson

from shared.jobs.job import Job, Queue
from shared.ports import Event, EventPublisher

RUN = "run"
"""The `action` of such an event."""


class Wakeups:
    """Publishes to the hub of each job's queue. `hubs` are their names."""

    def __init__(self, publisher: EventPublisher, hubs: Mapping[Queue, str]) -> None:
        self._publisher = publisher
        self._hubs = hubs

    async def publish(self, jobs: Sequence[Job]) -> None:
        """Raises `EventError`; some may be published then. That one is published twice does no harm."""
        for queue, hub in self._hubs.items():
            events = [wakeup(job) for job in jobs if job.queue is queue]
            if events:
                await self._publisher.publish(hub, events)


def wakeup(job: Job) -> Event:
    priority = job.options.priority
    body = {"action": RUN, "execution_id": job.id, "project_id": job.project, "priority": priority}
    return Event(job.id, orjson.dumps(body), {"priority": priority})
