"""Which fields of a document a patch may touch."""

from collections.abc import Collection

from shared import Json
from shared.errors import InvalidValue


def editable_patch(patch: Json, view: Json, editable: Collection[str]) -> Json:
    """`patch` without what it only repeats: a client may send back the whole object that it was shown.

    Raises `InvalidValue` for another value of a field that cannot be changed. A field that nobody knows stays
    in, for the validation to refuse.
    """
    wanted: Json = {}
    for name, value in patch.items():
        if name in editable or name not in view:
            wanted[name] = value
        elif value != view[name]:
            raise InvalidValue(f"'{name}' cannot be changed.", param=name)
    return wanted
