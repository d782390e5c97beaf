"""Everything that makes up the catalog, out of the store and into lines."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared import Json
from shared.access.writes import store_errors
from shared.catalog.redaction import without_secrets
from shared.containers import KEYS, MODELS, PROJECTS, Container
from shared.ports import DocumentStore, Query, Where
from shared.transfer.lines import first_line
from shared.transfer.records import KINDS, Kind, Refused, kind_of, line_of, read_record, stored_part

PAGE = 500
"""Documents that are read at once."""

_NOT_DELETED = (Where("role", "in", ("user", "admin")),)
"""The mark of a deleted key has no role."""


@dataclass(frozen=True, slots=True)
class Export:
    """`content` is the file. `left_out` and `doubtful` are sentences: what is not in it, what no import will take."""

    content: bytes
    counts: Counter[Kind]
    left_out: tuple[str, ...]
    doubtful: tuple[str, ...]


async def export_catalog(store: DocumentStore, endpoint_hosts: Sequence[str] = ()) -> Export:
    """Projects, models, groups and keys, by kind and id. Raises `CatalogUnavailable`.

    Each page is read as of its own moment: pause changes where the parts must fit together exactly.
    """
    lines: dict[tuple[int, str], bytes] = {}
    named: set[str] = set()
    left_out: list[str] = []
    doubtful: list[str] = []
    for container, where in ((PROJECTS, ()), (MODELS, ()), (KEYS, _NOT_DELETED)):
        for body in await _all(store, container, where):
            kind = kind_of(container, body)
            label = f"{kind} {body['id']!a}"
            if container is MODELS and without_secrets(body) != body:
                left_out.append(f"{label}: it may hold a credential, which is no part of an export")
                continue
            try:
                record = read_record(kind, body, endpoint_hosts)
            except Refused as refused:
                doubtful.append(f"{label}: {refused}")
                line = line_of(kind, stored_part(body))
            else:
                named.update(record.projects)
                line = record.line
            lines[KINDS.index(kind), str(body["id"])] = line
    lines |= _named_only(named, lines)
    counts = Counter(KINDS[kind] for kind, _ in lines)
    content = b"".join((first_line(counts), *(lines[place] for place in sorted(lines))))
    return Export(content, counts, tuple(left_out), tuple(doubtful))


def _named_only(named: set[str], lines: dict[tuple[int, str], bytes]) -> dict[tuple[int, str], bytes]:
    """Lines for projects that a key or a model names and no document tells of: an import would make them."""
    place = KINDS.index("project")
    return {(place, id): read_record("project", {"id": id}).line for id in named if (place, id) not in lines}


async def _all(store: DocumentStore, container: Container, where: tuple[Where, ...]) -> Iterator[Json]:
    found: list[Json] = []
    after: str | None = None
    with store_errors():
        while True:
            page = await store.query(container, Query(where, limit=PAGE, after=after))
            found += (stored.body for stored in page)
            if len(page) < PAGE:
                return iter(found)
            after = str(page[-1].body["id"])
