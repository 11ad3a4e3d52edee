"""Counting in whole units (docs/http-api.md#precision)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

UNITS_MAX = 2**53 - 1
"""Greatest absolute count: 2^53 - 1 is the last integer that a double, the score of a sorted set, holds exactly
with all smaller ones."""
_HALVES_MAX = 2**51
"""Below it a double holds each half of a unit exactly."""


def whole_units(value: float, decimals: int) -> int:
    """Return a finite ``value`` in units of which ``10**decimals`` are 1, with halves rounded away from zero.

    The value is taken as its shortest decimal text, which is what the sender wrote (up to 15 digits, which a
    double keeps). So at two decimals 1.005 is exactly 100.5 units, although its double is less.
    """
    scale = 10**decimals
    scaled: float = abs(value) * scale
    if scaled < _HALVES_MAX:
        units = int(scaled)
        # IEEE division rounds correctly, so this quotient is the same double as that of the half's decimal text.
        if abs(value) >= (units + 0.5) / scale:
            units += 1
    else:
        exact = Decimal(repr(abs(value))) * scale
        units = int(exact.to_integral_value(ROUND_HALF_UP))
    return units if value >= 0 else -units
