"""Where documents live: one table of containers, which the infrastructure is checked against."""

from dataclasses import dataclass
from itertools import chain

DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Container:
    """A container of the document store.

    `partition` is the document's field that holds the partition key. `time_to_live` is Cosmos DB's
    `defaultTtl`: None keeps documents for ever, -1 lets each document set its own, else seconds.

    `indexes` are what queries find documents by: each names the fields that are compared for equality, and last
    the one that is ordered by or compared by range; ties are in the order of ids. `filters` are fields that
    queries look at in what an index, a partition or the whole container gave them; a name that ends in `[]` is
    an array of which they ask what it contains. A query by any other field is refused. `id` and `partition`
    need no mention.
    """

    name: str
    partition: str
    time_to_live: int | None
    indexes: tuple[tuple[str, ...], ...] = ()
    filters: tuple[str, ...] = ()

    def queried(self) -> frozenset[str]:
        """All fields that a query may name, `[]` included, `id` and the partition's own among them."""
        return frozenset(chain(("id", self.partition), chain.from_iterable(self.indexes), self.filters))


MODELS = Container("models", "id", None, filters=("projects[]",))
KEYS = Container("keys", "id", -1, indexes=(("updated_at",), ("project",)), filters=("role",))
PROJECTS = Container("projects", "id", None)
HEALTH = Container("health", "id", 7 * DAY_SECONDS)
COUNTERS = Container("counters", "id", -1, filters=("kind", "day", "project", "key_id", "user", "model"))
USAGE = Container(
    "usage",
    "partition",
    -1,
    indexes=(
        ("sort_key",),
        ("partition", "sort_key"),
        ("day", "sort_key"),
        ("project", "sort_key"),
        ("key_id", "sort_key"),
        ("request_id", "sort_key"),
    ),
    filters=("user", "model", "status", "operation"),
)
AUDIT = Container("audit", "day", -1)
JOBS = Container(
    "jobs",
    "id",
    -1,
    indexes=(
        ("project", "operation", "sort_key"),
        ("project", "operation", "status", "sort_key"),
        ("queue", "ready_key"),
        ("sweep_key",),
        ("wake_key",),
        ("notice_key",),
        ("sort_key",),
        ("ended_key",),
        ("status",),
    ),
    filters=("listed_until",),
)
JOB_PAYLOADS = Container("job_payloads", "job", -1)
DEAD_LETTERS = Container("dead_letters", "day", -1, indexes=(("day", "sort_key"),))

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
