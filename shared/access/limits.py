"""The limits that a key or a project may carry. They are kept but not enforced yet, and that is said."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from shared import Json
from shared.access.validation import StrictBody

Period = Literal["day", "month", "total"]
Count = Annotated[int, Field(ge=1, le=1_000_000_000_000)]

NAMES = ("rpm", "tpm", "max_parallel", "budget_usd")


class LimitFields(StrictBody):
    """Requests and tokens per minute, requests at once, and US dollars per day, per month or in total."""

    rpm: Count | None = None
    tpm: Count | None = None
    max_parallel: Count | None = None
    budget_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    budget_period: Annotated[Period | None, Field(validate_default=True)] = None

    @field_validator("budget_period")
    @classmethod
    def _goes_with_a_budget(cls, period: Period | None, info: ValidationInfo) -> Period | None:
        if info.data.get("budget_usd") is not None:
            return period or "month"
        if period is not None and "budget_usd" in info.data:
            raise ValueError("needs a budget_usd")
        return None


def without_orphans(patch: Json, merged: Json) -> Json:
    """`merged`, without the period of a budget that `patch` has taken away."""
    if merged.get("budget_usd") is None and "budget_period" not in patch:
        return {name: value for name, value in merged.items() if name != "budget_period"}
    return merged


def limit_warnings(body: Json) -> list[str]:
    """One sentence for each limit that is set and not enforced."""
    return [f"{name} is not enforced yet" for name in NAMES if body.get(name) is not None]
