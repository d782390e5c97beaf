"""JSON Merge Patch (RFC 7396)."""

from typing import cast

from shared import Json
from shared.errors import InvalidValue

DEEPEST = 32


def merge_patch(target: Json, patch: Json, depth: int = DEEPEST) -> Json:
    """`target` with `patch` applied: null removes a member, objects merge, anything else replaces.

    Raises `InvalidValue` for objects nested deeper than `depth`.
    """
    if depth == 0:
        raise InvalidValue("The patch is nested too deeply.")
    merged = dict(target)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            before = merged.get(name)
            merged[name] = merge_patch(
                cast(Json, before) if isinstance(before, dict) else {}, value, depth - 1
            )
        else:
            merged[name] = value
    return merged
