"""Counting in whole units (contract.md, section 16: precision)."""

UNITS_MAX = 2**53
"""Largest size of a count: whole units beyond it are not exact in a sorted set's double."""
