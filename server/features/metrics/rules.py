"""How a metric counts: values become whole units, units add up (contract.md, section 16: precision)."""

from __future__ import annotations

from math import floor, isfinite

from server.core.errors import Unprocessable
from server.core.numbers import UNITS_MAX
from server.features.metrics.model import Metric

VALUE_MAX = 1e15
"""Largest size of one event's value (contract.md, section 16: sizes)."""


def to_units(metric: Metric, value: float) -> int:
    """``value`` in whole units of the metric, halves away from zero; 422 where it can't be counted exactly."""
    if not isfinite(value) or abs(value) > VALUE_MAX:
        raise Unprocessable("value must lie within ±1e15")
    scaled: float = abs(value) * 10**metric.decimals
    if scaled > UNITS_MAX:
        raise Unprocessable(f"value must lie within ±{UNITS_MAX / 10**metric.decimals:g} for this metric")
    units = floor(scaled + 0.5) if scaled < UNITS_MAX / 2 else round(scaled)
    return units if value >= 0 else -units


def add(metric: Metric, total: int, units: int) -> int:
    """The new total in whole units; 422 where it can't be counted exactly any more."""
    added = total + units
    if abs(added) > UNITS_MAX:
        raise Unprocessable(f"the total of {metric.key} would pass ±{UNITS_MAX / 10**metric.decimals:g}")
    return added
