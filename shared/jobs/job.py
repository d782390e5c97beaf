"""A job as the store keeps it: the small head, apart from its request and its result."""

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from shared import Json
from shared.clock import iso

PRIORITY_LIMIT = 3
"""Jobs up to this priority go through the hub of urgent ones."""
NEVER = "9"
"""`listed_until` of a job that has not ended: after every date."""


class Status(StrEnum):
    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in (Status.COMPLETED, Status.FAILED, Status.CANCELLED)


class Queue(StrEnum):
    """The two queues, each behind a hub of its own."""

    PRIORITY = "priority"
    NORMAL = "normal"

    @staticmethod
    def of(priority: int) -> "Queue":
        return Queue.PRIORITY if priority <= PRIORITY_LIMIT else Queue.NORMAL


@dataclass(frozen=True, slots=True)
class JobFailure:
    """What a failed job shows as `error`, and `/result` answers with: an entry of the table of errors."""

    code: str | None
    message: str
    status: int
    type: str = "server_error"
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """A webhook still to be sent. `data` is the job as it was then, without messages and result.

    `id` is the `webhook-id`, the same at every try. `at` and `next_at` are seconds since 1970; `tries` counts those
    that were made.
    """

    id: str
    event: str
    at: float
    data: Json
    tries: int = 0
    next_at: float = 0.0


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a submission says of the job itself. Times in seconds."""

    priority: int = 5
    timeout_seconds: float = 300.0
    ttl_seconds: float = 24 * 3600.0
    max_retries: int = 3
    retry_delay: float = 1.0
    webhook_url: str | None = None
    webhook_events: tuple[str, ...] = ("completed", "failed", "cancelled")
    client_id: str | None = None
    session_id: str | None = None
    tags: tuple[str, ...] = ()
    metadata: Json = field(default_factory=dict)


# Without slots: `replace` copies its fields at once.
@dataclass(frozen=True)
class Job:
    """The head of a job. All times are in seconds since 1970.

    `fingerprint` stands for project, operation and body, so that the same submission is known again. `key_models` is
    the key's allow-list at submit (None: all that the project may use). `wake_at` is when the sweeper publishes its
    event again, `woken` how often it did, `published_at` when its event was last (or is about to be) published.
    `lease_until` is when others may take it from the worker that holds `lease_id`. `deadline` counts from the first
    claim. `usage` and `cost_usd` are the holder's last figures until the end. `charged` says that the usage record is
    there. `result_lease` names the payload of the result and `result_parts` how many documents it has. `dropped` names
    parameters that the provider did not take. `public_id` is the id under which a client knows a background response;
    `response` the (model, provider's id) of its result.
    """

    id: str
    project: str
    key_id: str
    operation: str
    model: str | None
    fingerprint: str
    options: JobOptions
    created_at: float
    status: Status = Status.QUEUED
    request_parts: int = 0
    request_kept_until: float = 0.0
    key_models: tuple[str, ...] | None = None
    user: str | None = None
    public_id: str | None = None
    wake_at: float = 0.0
    woken: int = 0
    published_at: float = 0.0
    next_attempt_at: float = 0.0
    retry_count: int = 0
    lost_leases: int = 0
    started_at: float | None = None
    deadline: float | None = None
    lease_id: str | None = None
    lease_until: float | None = None
    processed_by: str | None = None
    progress: int = 0
    step: str = "queued"
    completed_at: float | None = None
    expires_at: float | None = None
    failure: JobFailure | None = None
    model_used: str | None = None
    provider: str | None = None
    attempts: int = 0
    fallback: bool = False
    usage: Json | None = None
    cost_usd: float | None = None
    charged: bool = False
    result_lease: str | None = None
    result_parts: int = 0
    response: tuple[str, str] | None = None
    dropped: tuple[str, ...] = ()
    notices: tuple[Notice, ...] = ()
    notified: int = 0
    settled: bool = False
    deleted: bool = False
    revision: str = ""

    @property
    def queue(self) -> Queue:
        return Queue.of(self.options.priority)

    @property
    def sort_key(self) -> str:
        """Orders jobs by when they were submitted."""
        return moment_key(self.created_at, self.id)

    @property
    def sweep_key(self) -> str | None:
        """Orders jobs by when the sweeper must see to their state or charge; None where there is nothing to see to."""
        if self.status is Status.QUEUED:
            time = self.deadline
        elif self.status is Status.PROCESSING:
            time = self.lease_until
        else:
            time = None if self.settled or (self.charged and self.notices) else self.wake_at
        return None if time is None else moment_key(time, self.id)

    @property
    def wake_key(self) -> str | None:
        """Orders queued jobs by when their event is published again."""
        return moment_key(self.wake_at, self.id) if self.status is Status.QUEUED else None

    @property
    def notice_key(self) -> str | None:
        """Orders jobs by when the sweeper sends a webhook; an ended one is charged first."""
        if not self.notices or (self.status.final and not self.charged):
            return None
        return moment_key(min(notice.next_at for notice in self.notices), self.id)

    @property
    def ended_key(self) -> str | None:
        """Orders jobs by when they ended; None while they have not."""
        return None if self.completed_at is None else moment_key(self.completed_at, self.id)

    def gone(self, now: float) -> bool:
        """Whether it is no more to be seen by anyone."""
        return self.deleted or (self.expires_at is not None and self.expires_at <= now)

    def document(self) -> Json:
        """The document of the container `jobs`, with the keys that its queries need."""
        values, body = self.__dict__, {}
        for name, default in _DEFAULTS:
            value = values[name]
            if value is not None and value != default:
                body[name] = value if type(value) in _PLAIN else _plain(value)
        body["id"], body["status"], body["queue"] = self.id, str(self.status), str(self.queue)
        body["sort_key"] = self.sort_key
        body["listed_until"] = self._listed_until()
        for name in ("sweep_key", "wake_key", "notice_key"):
            key = getattr(self, name)
            if key is not None:
                body[name] = key
        if self.status is Status.QUEUED:
            body["ready_key"] = moment_key(max(self.created_at, self.next_attempt_at), self.id)
        ended_key = self.ended_key
        if ended_key is not None:
            body["ended_key"] = ended_key
        return body

    @staticmethod
    def read(body: Json) -> "Job":
        """The job of such a document."""
        values: dict[str, Any] = {name: value for name, value in body.items() if name in _NAMES}
        values.setdefault("model", None)
        values["status"] = Status(body["status"])
        options = dict(body["options"])
        for name in ("webhook_events", "tags"):
            if name in options:
                options[name] = tuple(options[name])
        values["options"] = JobOptions(**options)
        if values.get("failure"):
            values["failure"] = JobFailure(**values["failure"])
        values["notices"] = tuple(Notice(**notice) for notice in body.get("notices", ()))
        for name in ("key_models", "response", "dropped"):
            if values.get(name) is not None:
                values[name] = tuple(values[name])
        return Job(**values)

    def _listed_until(self) -> str:
        if self.deleted:
            return ""
        return NEVER if self.expires_at is None else iso(self.expires_at)


def moment_key(time: float, id: str) -> str:
    """A unique text that sorts by time: 13 digits of milliseconds since 1970, and the id."""
    return f"{max(0, int(time * 1000)):013d}-{id}"


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    names = _PARTS.get(type(value))
    if names is not None:
        return {name: _plain(getattr(value, name)) for name in names}
    return str(value) if isinstance(value, StrEnum) else value


def _names(kind: type[JobOptions | JobFailure | Notice]) -> Iterable[str]:
    return tuple(item.name for item in fields(kind))


_PLAIN = frozenset((str, int, float, bool, dict))
_PARTS: dict[type[object], Iterable[str]] = {kind: _names(kind) for kind in (JobOptions, JobFailure, Notice)}
_DEFAULTS = tuple((item.name, item.default) for item in fields(Job))
_NAMES = frozenset(name for name, _ in _DEFAULTS)

if TYPE_CHECKING:
    from dataclasses import replace
else:

    def replace(job: Job, **changes: object) -> Job:
        """As that of `dataclasses`, whose time grows with the number of fields. A job is changed some ten times."""
        changed = object.__new__(Job)
        changed.__dict__.update(job.__dict__, **changes)
        return changed


__all__ = [
    "NEVER",
    "Job",
    "JobFailure",
    "JobOptions",
    "Notice",
    "Queue",
    "Status",
    "moment_key",
    "replace",
]
