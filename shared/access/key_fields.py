"""What an administrator may say about a key, and how it is shown."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from shared import Json
from shared.access.caller import DEFAULT_PROJECT
from shared.access.limits import LimitFields, limit_warnings
from shared.access.validation import Label, Metadata, ModelId, ProjectId, StrictBody

_LONGEST_GRACE = 30 * 86_400


def _utc(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError("must be an ISO 8601 time with its zone, such as 2030-01-31T12:00:00Z") from None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


Time = Annotated[str, AfterValidator(_utc)]


class KeyFields(LimitFields):
    """The editable fields of a key. `models` is an allow-list of model and group ids; null allows all."""

    project: ProjectId = DEFAULT_PROJECT
    name: Label | None = None
    role: Literal["user", "admin"] = "user"
    models: Annotated[list[ModelId], Field(min_length=1, max_length=1000)] | None = None
    expires_at: Time | None = None
    enabled: bool = True
    metadata: Metadata = {}


class Rotation(StrictBody):
    """`grace_seconds`: how long the secret before goes on working."""

    grace_seconds: Annotated[int, Field(ge=0, le=_LONGEST_GRACE)] = 86_400


EDITABLE = tuple(KeyFields.model_fields)


def key_view(body: Mapping[str, object]) -> Json:
    """A key as `/manage` shows it: never with its secret or a digest of it."""
    view: Json = {"object": "key", "id": body["id"]}
    for name in ("project", "name", "role", "models"):
        view[name] = body.get(name)
    for name in ("rpm", "tpm", "max_parallel", "budget_usd", "budget_period"):
        view[name] = body.get(name)
    for name in ("expires_at", "enabled", "metadata", "created_at", "updated_at", "previous_until"):
        view[name] = body.get(name)
    warnings = limit_warnings(view)
    return {**view, "warnings": warnings} if warnings else view
