"""Where documents live: one table of containers, which the infrastructure is checked against."""

from dataclasses import dataclass

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the document store.

    `partition` is the document's field that holds the partition key. `time_to_live` is Cosmos DB's
    `defaultTtl`: None keeps documents for ever, -1 lets each document set its own, else seconds.
    """

    name: str
    partition: str
    time_to_live: int | None


MODELS = Container("models", "id", None)
KEYS = Container("keys", "id", -1)
PROJECTS = Container("projects", "id", None)
HEALTH = Container("health", "id", 7 * DAY_SECONDS)
COUNTERS = Container("counters", "id", -1)
USAGE = Container("usage", "partition", -1)
AUDIT = Container("audit", "day", -1)
JOBS = Container("jobs", "id", -1)
JOB_PAYLOADS = Container("job_payloads", "job", -1)
DEAD_LETTERS = Container("dead_letters", "day", -1)

CONTAINERS = (
    MODELS,
    KEYS,
    PROJECTS,
    HEALTH,
    COUNTERS,
    USAGE,
    AUDIT,
    JOBS,
    JOB_PAYLOADS,
    DEAD_LETTERS,
)
"""Containers that the code uses. `usage` is partitioned by `<project>|<YYYY-MM-DD>`, `job_payloads` by the job's
id, `audit` and `dead_letters` by day."""
