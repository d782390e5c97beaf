"""LiteLLM's lists of fallbacks, put into the models and groups that they are for."""

from collections.abc import Iterator, Mapping

from shared import Json
from shared.transfer.litellm_file import Path
from shared.transfer.litellm_groups import Draft
from shared.transfer.litellm_values import Remarks

KINDS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
_ANY = "*"


def add_fallbacks(
    kind: str, path: Path, written: object, drafts: Mapping[str, Draft], remarks: Remarks
) -> None:
    """One of `KINDS`, as `[{name: [name, …]}, …]`. A list for every name (`*`) fills in where there is none."""
    for where, name, targets in _lists(path, written, remarks):
        if name == _ANY:
            if kind == "fallbacks":
                add_default(where, targets, drafts, remarks)
            else:
                remarks.add(where, "left out: name the models that it is for")
            continue
        draft = drafts.get(name)
        if draft is None:
            remarks.add(where, f"left out: there is no {name!a} in what is imported")
            continue
        ids = _usable(where, targets, drafts, remarks)
        for document in _bearers(kind, draft, drafts):
            _set(document, kind, [id for id in ids if id not in (name, document["id"])])


def add_default(path: Path, targets: object, drafts: Mapping[str, Draft], remarks: Remarks) -> None:
    """The same fallbacks for every model and group that has none."""
    ids = _usable(path, targets, drafts, remarks)
    inside = {
        id for draft in drafts.values() for id in draft.members if draft.document.get("kind") == "group"
    }
    for draft in drafts.values():
        # A member of a group falls back by its group.
        if draft.id not in inside or draft.document.get("kind") == "group":
            _set(draft.document, "fallbacks", [id for id in ids if id != draft.id])


def _bearers(kind: str, draft: Draft, drafts: Mapping[str, Draft]) -> Iterator[Json]:
    """The documents that bear a list: groups have only `fallbacks`, so their members bear the others."""
    if kind == "fallbacks":
        yield draft.document
    else:
        for id in draft.members:
            if id in drafts:
                yield drafts[id].document


def _set(document: Json, kind: str, ids: list[str]) -> None:
    """What comes first stands: the router's own settings before those of the library, names before `*`."""
    if ids and kind not in document:
        document[kind] = ids


def _lists(path: Path, written: object, remarks: Remarks) -> Iterator[tuple[Path, str, object]]:
    entries = written if isinstance(written, list) else [written]
    later: list[tuple[Path, str, object]] = []
    for index, entry in enumerate(entries):
        where = (*path, index) if isinstance(written, list) else path
        if not isinstance(entry, Mapping):
            remarks.add(where, "left out: is no mapping of a name to names")
            continue
        for name, targets in entry.items():
            found = ((*where, name), name, targets)
            if name == _ANY:
                later.append(found)
            else:
                yield found
    yield from later


def _usable(path: Path, targets: object, drafts: Mapping[str, Draft], remarks: Remarks) -> list[str]:
    ids: dict[str, None] = {}
    for target in targets if isinstance(targets, list) else [targets]:
        if not isinstance(target, str):
            remarks.add(path, "left out: a fallback with parameters of its own")
        elif target not in drafts:
            remarks.add(path, f"left out: there is no {target!a} in what is imported")
        else:
            ids[target] = None
    return list(ids)
