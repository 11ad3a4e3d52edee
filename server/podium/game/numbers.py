"""Counting in whole units (docs/http-api.md#precision)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

UNITS_MAX = 2**53 - 1
"""Largest size of a count: a double, which is what a sorted set has, can tell 2^53 - 1 from all that is larger."""
_HALVES_MAX = 2**51
"""Below it a double holds each half of a unit exactly."""


def whole_units(value: float, decimals: int) -> int:
    """Return ``value``, a finite one, in units of which ``10**decimals`` are 1; halves go away from zero.

    The value is what its shortest decimal text says, as whoever sent it wrote it (up to 15 digits, which a double
    keeps): at two decimals 1.005 is a half more than 100 units, though its double is less.
    """
    scale = 10**decimals
    scaled: float = abs(value) * scale
    if scaled < _HALVES_MAX:
        units = int(scaled)
        # A quotient is rounded as texts are: this is the very double that the text of the half gives.
        if abs(value) >= (units + 0.5) / scale:
            units += 1
    else:
        exact = Decimal(repr(abs(value))) * scale
        units = int(exact.to_integral_value(ROUND_HALF_UP))
    return units if value >= 0 else -units
