"""Counting in whole units (contract.md, section 16: precision)."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

UNITS_MAX = 2**53
"""Largest size of a count: whole units beyond it are not exact in a sorted set's double."""
_SLIP = 2.0**-51
"""By how much of itself a product of doubles may miss that of the texts: two roundings of 2**-53, doubled."""


def whole_units(value: float, decimals: int) -> int:
    """Return ``value``, a finite one, in units of which ``10**decimals`` are 1; halves go away from zero.

    The value is what its shortest decimal text says, as whoever sent it wrote it (up to 15 digits, which a double
    keeps): at two decimals 1.005 is a half more than 100 units, though its double is less.
    """
    scaled: float = abs(value) * 10**decimals
    units = int(scaled)
    rest = scaled - units
    if abs(rest - 0.5) > scaled * _SLIP:
        units += rest > 0.5
    else:  # too near to a half for doubles: the text decides
        exact = Decimal(repr(abs(value))).scaleb(decimals)
        units = int(exact.to_integral_value(ROUND_HALF_UP))
    return units if value >= 0 else -units
