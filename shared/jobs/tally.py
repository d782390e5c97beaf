"""Counts and averages of jobs, kept up to date from jobs as they are made and as they end: no store, no clock."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from shared import Json
from shared.clock import iso
from shared.jobs.job import Job, Status

HALF_LIFE = 3600.0
"""Seconds after which a job counts half as much in averages and throughput."""
_NOTHING = 1e-100


@dataclass(slots=True)
class Counts:
    """Of one project or one queue: how many there were ever, and decayed sums.

    `left` and `queue_seconds` are of jobs that were claimed, `ran` and `processing_seconds` of those that ran to an end
    of their own.
    """

    created: int = 0
    completed: int = 0
    failed: int = 0
    cancelled: int = 0
    left: float = 0.0
    queue_seconds: float = 0.0
    ran: float = 0.0
    processing_seconds: float = 0.0

    def add_ended(self, job: Job, weight: float) -> None:
        if job.status is Status.COMPLETED:
            self.completed += 1
        elif job.status is Status.FAILED:
            self.failed += 1
        else:
            self.cancelled += 1
        if job.started_at is None or job.completed_at is None:
            return
        self.left += weight
        self.queue_seconds += weight * max(0.0, job.started_at - job.created_at)
        if job.status is not Status.CANCELLED:
            self.ran += weight
            self.processing_seconds += weight * max(0.0, job.completed_at - job.started_at)

    def decay(self, factor: float) -> None:
        for name in ("left", "queue_seconds", "ran", "processing_seconds"):
            value = getattr(self, name) * factor
            setattr(self, name, value if value > _NOTHING else 0.0)

    @property
    def ended(self) -> int:
        return self.completed + self.failed + self.cancelled

    @property
    def average_queue_time(self) -> float | None:
        return self.queue_seconds / self.left if self.left else None

    @property
    def average_processing_time(self) -> float | None:
        return self.processing_seconds / self.ran if self.ran else None

    def plus(self, other: "Counts") -> "Counts":
        mine, others = asdict(self), asdict(other)
        return Counts(**{name: mine[name] + others[name] for name in mine})


@dataclass(slots=True)
class Tally:
    """All that is counted. Times are in seconds since 1970.

    Jobs are counted up to `counted_until`, the last ones being `created_key` and `ended_key`. Sums have decayed to
    `as_of`; `since` is when the first job was made. `processing` and `queued` are what was found at the last look, by
    project and by queue; `queued` is None where there were too many to look at.
    """

    counted_until: float = 0.0
    as_of: float = 0.0
    since: float = 0.0
    created_key: str | None = None
    ended_key: str | None = None
    projects: dict[str, Counts] = field(default_factory=dict)
    queues: dict[str, Counts] = field(default_factory=dict)
    processing: dict[str, dict[str, int]] = field(default_factory=dict)
    queued: dict[str, dict[str, int]] | None = None

    def advance(self, to: float) -> None:
        """Lets the sums decay until `to`, before the jobs up to then are added."""
        self.counted_until = to
        if to <= self.as_of:
            return
        factor = math.exp2((self.as_of - to) / HALF_LIFE)
        for counts in (*self.projects.values(), *self.queues.values()):
            counts.decay(factor)
        self.as_of = to

    def add_created(self, jobs: Iterable[Job]) -> None:
        """The next ones after `created_key`."""
        for job in jobs:
            if not self.since:
                self.since = job.created_at
            for counts in self._of(job):
                counts.created += 1
            self.created_key = job.sort_key

    def add_ended(self, jobs: Iterable[Job]) -> None:
        """The next ones after `ended_key`."""
        for job in jobs:
            age = max(0.0, self.as_of - (job.completed_at or self.as_of))
            for counts in self._of(job):
                counts.add_ended(job, math.exp2(-age / HALF_LIFE))
            self.ended_key = job.ended_key

    def cut_off(self, key: str | None) -> None:
        """Says that there are more jobs than were added: those after this key."""
        if key is not None:
            self.counted_until = min(self.counted_until, int(key.partition("-")[0]) / 1000)

    def look(self, processing: Iterable[Job], queued: Iterable[Job] | None) -> None:
        """Notes which jobs are in these states now."""
        self.processing = _groups(processing)
        self.queued = None if queued is None else _groups(queued)

    def metrics(self, project: str | None) -> Json:
        """What `/v1/async/metrics` shows, of one project or of all."""
        groups = "queues" if project is None else "projects"
        if project is None:
            counts = Counts()
            for one in self.queues.values():
                counts = counts.plus(one)
        else:
            counts = self.projects.get(project, Counts())
        processing = _number(self.processing, groups, project)
        queued = self._queued(groups, project, counts, processing)
        return {
            "total_jobs": queued + processing + counts.ended,
            "queued_jobs": queued,
            "processing_jobs": processing,
            "completed_jobs": counts.completed,
            "failed_jobs": counts.failed,
            "cancelled_jobs": counts.cancelled,
            "average_queue_time_seconds": _rounded(counts.average_queue_time),
            "average_processing_time_seconds": _rounded(counts.average_processing_time),
            "as_of": iso(self.counted_until),
        }

    def wait(self, queue: str) -> float | None:
        """Seconds that a job added to this queue now may take until it is done; None before anything was measured.

        Those ahead leave at the measured rate, or as fast as those that run now make room, whichever is faster: the
        measured rate of a queue that was empty says nothing of what it could do.
        """
        counts = self.queues.get(queue, Counts())
        average = counts.average_processing_time
        if average is None:
            return None
        processing = _number(self.processing, "queues", queue)
        ahead = self._queued("queues", queue, counts, processing)
        if not ahead or not average:
            return average
        return ahead / max(self._throughput(counts), max(1, processing) / average) + average

    def document(self, id: str) -> Json:
        return {"id": id, "kind": "jobs", **asdict(self)}

    @staticmethod
    def read(body: Json) -> "Tally":
        values: dict[str, Any] = {name: body[name] for name in Tally.__dataclass_fields__ if name in body}
        for name in ("projects", "queues"):
            values[name] = {key: Counts(**counts) for key, counts in values[name].items()}
        return Tally(**values)

    def _of(self, job: Job) -> tuple[Counts, Counts]:
        return (
            self.projects.setdefault(job.project, Counts()),
            self.queues.setdefault(str(job.queue), Counts()),
        )

    def _queued(self, groups: str, name: str | None, counts: Counts, processing: int) -> int:
        if self.queued is not None:
            return _number(self.queued, groups, name)
        return max(0, counts.created - counts.ended - processing)

    def _throughput(self, counts: Counts) -> float:
        """Jobs per second that left the queue, over the last hours or for as long as there is a count."""
        seen = max(1.0, self.as_of - self.since)
        return counts.left / (HALF_LIFE / math.log(2) * (1 - math.exp2(-seen / HALF_LIFE)))


def _groups(jobs: Iterable[Job]) -> dict[str, dict[str, int]]:
    groups: dict[str, dict[str, int]] = {"projects": {}, "queues": {}}
    for job in jobs:
        for group, name in (("projects", job.project), ("queues", str(job.queue))):
            groups[group][name] = groups[group].get(name, 0) + 1
    return groups


def _number(groups: dict[str, dict[str, int]], group: str, name: str | None) -> int:
    """Of one, or of all in the group."""
    numbers = groups.get(group, {})
    return sum(numbers.values()) if name is None else numbers.get(name, 0)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
