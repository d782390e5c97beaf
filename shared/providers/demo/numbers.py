"""A number for the bounds of a JSON Schema."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, isfinite
from typing import Any


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Bounds as fractions; None where there is none. `above` and `below`: the bound itself is excluded."""

    low: Fraction | None
    above: bool
    high: Fraction | None
    below: bool
    multiple: Fraction | None

    def hold(self, value: Fraction) -> bool:
        if self.low is not None and (value < self.low or (self.above and value == self.low)):
            return False
        if self.high is not None and (value > self.high or (self.below and value == self.high)):
            return False
        return self.multiple is None or value % self.multiple == 0


def number_between(schema: Mapping[str, Any], *, whole: bool, variant: int = 0) -> int | float | None:
    """The number within `minimum`, `maximum`, their exclusive forms and `multipleOf` that is nearest to 1.

    `variant` 1 is the next one, and so on. None where there is no such number. Counted in fractions: 0.3 is
    a multiple of 0.1 as JSON writes it, though not in binary.
    """
    bounds = _read(schema)
    low, high, step = bounds.low, bounds.high, bounds.multiple
    if whole:
        step = Fraction((step or Fraction(1)).numerator)
    grid = step or Fraction(1)
    least = None if low is None else (floor(low / grid) + 1 if bounds.above else ceil(low / grid))
    most = None if high is None else (ceil(high / grid) - 1 if bounds.below else floor(high / grid))
    index = _nth(least, most, variant)
    if index is not None:
        return _plain(index * grid, whole)
    if step is None and low is not None and high is not None:
        middle = low + (high - low) * Fraction(1, 2 + variant)
        return _plain(middle, whole) if bounds.hold(middle) else None
    return None


def allows_number(schema: Mapping[str, Any], value: float) -> bool:
    """Whether a finite number keeps to the bounds."""
    return _read(schema).hold(Fraction(repr(value)))


def _read(schema: Mapping[str, Any]) -> _Bounds:
    low, above = _bound(schema, "minimum", "exclusiveMinimum", max)
    high, below = _bound(schema, "maximum", "exclusiveMaximum", min)
    multiple = _fraction(schema.get("multipleOf"))
    return _Bounds(low, above, high, below, multiple if multiple is not None and multiple > 0 else None)


def _nth(least: int | None, most: int | None, variant: int) -> int | None:
    """The `variant`-th whole number of a range: from the one nearest to 1 upwards, then downwards."""
    start = 1
    if least is not None and least > start:
        start = least
    if most is not None and most < start:
        start = most
    if least is not None and start < least:
        return None
    up = None if most is None else most - start
    if up is None or variant <= up:
        return start + variant
    index = start - (variant - up)
    return index if least is None or index >= least else None


def _bound(
    schema: Mapping[str, Any], inclusive: str, exclusive: str, tighter: Any
) -> tuple[Fraction | None, bool]:
    """The tighter of both forms, and whether it is excluded itself (in draft 4 by `true`)."""
    including, excluding = _fraction(schema.get(inclusive)), _fraction(schema.get(exclusive))
    if excluding is None:
        return including, schema.get(exclusive) is True
    if including is None or tighter(including, excluding) == excluding:
        return excluding, True
    return including, False


def _fraction(value: object) -> Fraction | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        return Fraction(value)
    return Fraction(repr(value)) if isfinite(value) else None


def _plain(value: Fraction, whole: bool) -> int | float:
    return int(value) if whole or value.denominator == 1 else float(value)
