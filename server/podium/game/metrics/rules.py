"""The rules of metrics: convert values to whole units, and add units up (docs/http-api.md#precision)."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from podium.game.errors import Unprocessable
from podium.game.metrics.model import Metric
from podium.game.numbers import UNITS_MAX, whole_units

KEPT_DAYS = 9
"""Days whose gains a state keeps for metrics with ``max_per_day``: those by which events may be late, and two for
a move across the date line."""
VALUE_MAX = 1e15
"""Greatest absolute value of one event (docs/http-api.md#sizes)."""


def to_units(metric: Metric, value: float) -> int:
    """Return ``value`` in whole units of the metric, with halves rounded away from zero.

    Raises:
        Unprocessable: It is too large to be counted exactly.
    """
    if not isfinite(value) or abs(value) > VALUE_MAX:
        raise Unprocessable("value must lie within ±1e15")
    units = whole_units(value, metric.decimals)
    if abs(units) > UNITS_MAX:
        raise Unprocessable(f"value must lie within ±{UNITS_MAX / 10**metric.decimals:g} for this metric")
    return units


def add(metric: Metric, total: int, units: int) -> int:
    """Return the new total in whole units.

    Raises:
        Unprocessable: It is too large to be counted exactly.
    """
    added = total + units
    if abs(added) > UNITS_MAX:
        raise Unprocessable(f"the total of {metric.key} would pass ±{UNITS_MAX / 10**metric.decimals:g}")
    return added


def check_value(metric: Metric, value: float) -> None:
    """Check an event's value against the metric's limits.

    Raises:
        Unprocessable: It lies outside. The message names the limit.
    """
    if metric.min_value is not None and value < metric.min_value:
        raise Unprocessable(f"value must not be below the metric's minValue, {metric.min_value:g}")
    if metric.max_value is not None and value > metric.max_value:
        raise Unprocessable(f"value must not be above the metric's maxValue, {metric.max_value:g}")


def gained(metric: Metric, of_days: Mapping[int, int], day: int, newest: int, units: int) -> dict[int, int]:
    """Return the gains of the last days (ordinals), in units, with these units added.

    Negative units make room for further gains.

    Raises:
        Unprocessable: The day's gain would exceed ``max_per_day``.
    """
    kept = {one: sum_ for one, sum_ in of_days.items() if one >= newest - KEPT_DAYS}
    total = kept.get(day, 0) + units
    if units > 0 and metric.max_per_day is not None and total > to_units(metric, metric.max_per_day):
        raise Unprocessable(f"the day's total would pass the metric's maxPerDay, {metric.max_per_day:g}")
    kept[day] = total
    return kept
