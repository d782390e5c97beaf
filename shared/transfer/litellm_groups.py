"""Several entries of one name as a group, and other names for what there is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from shared import Json
from shared.catalog.documents import Group
from shared.transfer.litellm_entries import Entry
from shared.transfer.litellm_file import Path
from shared.transfer.litellm_values import Remarks

STRATEGIES = {
    "simple-shuffle": "round-robin",
    "least-busy": "least-connections",
    "latency-based-routing": "least-latency",
    "cost-based-routing": "cost-optimized",
}
"""`routing_strategy` of LiteLLM and what comes next to it here."""
_KNOWN = get_args(Group.model_fields["strategy"].annotation)


@dataclass(slots=True)
class Draft:
    """A document of the file to be, and where it comes from."""

    path: Path
    document: Json

    @property
    def id(self) -> str:
        return str(self.document["id"])

    @property
    def members(self) -> list[str]:
        """Ids of the models that serve it: its own, or a group's."""
        if self.document.get("kind") == "group":
            return [member["id"] for member in self.document["members"]]
        return [self.id]


@dataclass(slots=True)
class Named:
    """All entries of one `model_name`; None stands for one that was refused."""

    entries: list[tuple[Path, Entry | None]] = field(default_factory=list)


def member_ids(name: str, named: Named, taken: set[str]) -> list[str]:
    """An id for each entry of a group: its own one if it is free, else the name with a number."""
    ids = []
    for number, (_, entry) in enumerate(named.entries, 1):
        id = entry.id if entry is not None and entry.id else ""
        if not id or id in taken:
            id = f"{name}-{number}"
        while id in taken:
            id += "-"
        taken.add(id)
        ids.append(id)
    return ids


def make_group(name: str, named: Named, ids: Sequence[str], strategy: str, remarks: Remarks) -> Draft:
    """The group of the entries that were not refused; at least one of them."""
    served = [(path, entry, id) for (path, entry), id in zip(named.entries, ids, strict=True) if entry]
    members: list[Json] = [{"id": id} for _, _, id in served]
    document: Json = {"kind": "group", "id": name, "members": members, "strategy": strategy}
    orders = [entry.order for _, entry, _ in served]
    if any(order is not None for order in orders):
        # LiteLLM asks the lowest first, and an entry without one before all.
        document["strategy"] = "priority"
        places = sorted(range(len(served)), key=lambda place: orders[place] or 0)
        document["members"] = [members[place] for place in places]
    elif strategy == "round-robin":
        shares = _shares([entry for _, entry, _ in served])
        if shares:
            document["strategy"] = "weighted"
            document["members"] = [
                {**member, "weight": share} for member, share in zip(members, shares, strict=True) if share
            ]
            for (path, _, _), share in zip(served, shares, strict=True):
                if not share:
                    remarks.add(path, "left out of its group: it has no weight, and others have one")
    return Draft(named.entries[0][0], document)


def group_strategy(written: object, path: Path, remarks: Remarks) -> str:
    """The strategy for a `routing_strategy`; `round-robin`, with a remark, for one that there is not."""
    wanted = STRATEGIES.get(str(written), "")
    if wanted in _KNOWN:
        return wanted
    remarks.add(path, "nothing here corresponds to it: groups use round-robin")
    return "round-robin"


def alias_of(alias: str, target: Draft, path: Path) -> Draft:
    """A group that is another name for a model or a group."""
    document = dict(target.document)
    if document.get("kind") != "group":
        document = {"kind": "group", "members": [{"id": target.id}], "strategy": "round-robin"}
    return Draft(path, {**document, "id": alias})


def _shares(entries: Sequence[Entry]) -> list[float]:
    """Weights, else requests or tokens per minute, as LiteLLM takes them for its shuffle; empty without any."""
    for shares in (
        [entry.weight for entry in entries],
        [_limit(entry, "rpm") for entry in entries],
        [_limit(entry, "tpm") for entry in entries],
    ):
        if any(shares):
            return [min(share or 0, 1_000_000) for share in shares]
    return []


def _limit(entry: Entry, name: str) -> float | None:
    limits: Mapping[str, float] = entry.document.get("limits", {})
    return limits.get(name)
