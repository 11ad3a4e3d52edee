"""How a metric counts: values become whole units, units add up (docs/http-api.md#precision)."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from podium.game.errors import Unprocessable
from podium.game.metrics.model import Metric
from podium.game.numbers import UNITS_MAX, whole_units

KEPT_DAYS = 9
"""Days whose gains a state keeps where a metric has a most for a day: those that events may be late, and a move
across the date line."""
VALUE_MAX = 1e15
"""Largest size of one event's value (docs/http-api.md#sizes)."""


def to_units(metric: Metric, value: float) -> int:
    """``value`` in whole units of the metric, halves away from zero; 422 where it can't be counted exactly."""
    if not isfinite(value) or abs(value) > VALUE_MAX:
        raise Unprocessable("value must lie within ±1e15")
    units = whole_units(value, metric.decimals)
    if abs(units) > UNITS_MAX:
        raise Unprocessable(f"value must lie within ±{UNITS_MAX / 10**metric.decimals:g} for this metric")
    return units


def add(metric: Metric, total: int, units: int) -> int:
    """The new total in whole units; 422 where it can't be counted exactly any more."""
    added = total + units
    if abs(added) > UNITS_MAX:
        raise Unprocessable(f"the total of {metric.key} would pass ±{UNITS_MAX / 10**metric.decimals:g}")
    return added


def check_value(metric: Metric, value: float) -> None:
    """422 naming the limit of an event's value that is broken."""
    if metric.min_value is not None and value < metric.min_value:
        raise Unprocessable(f"value must not be below the metric's minValue, {metric.min_value:g}")
    if metric.max_value is not None and value > metric.max_value:
        raise Unprocessable(f"value must not be above the metric's maxValue, {metric.max_value:g}")


def gained(metric: Metric, of_days: Mapping[int, int], day: int, newest: int, units: int) -> dict[int, int]:
    """What was gained on the last days (ordinals), in units, with these; 422 where a day would pass the most.

    What is taken away makes room again.
    """
    kept = {one: sum_ for one, sum_ in of_days.items() if one >= newest - KEPT_DAYS}
    total = kept.get(day, 0) + units
    if units > 0 and metric.max_per_day is not None and total > to_units(metric, metric.max_per_day):
        raise Unprocessable(f"the day's total would pass the metric's maxPerDay, {metric.max_per_day:g}")
    kept[day] = total
    return kept
