"""The metric, an item of the catalog."""

from __future__ import annotations

from typing import Literal

import msgspec

UnitType = Literal["number", "currency"]


class Metric(msgspec.Struct, frozen=True, rename="camel"):
    """Something that users do, counted in whole units of 10^-``decimals``.

    ``number`` is small, unique in the space and never reused. It names the metric in states and keys. Against
    cheating, an event's value must lie between ``min_value`` and ``max_value``, and a user's gain on a local day
    must not exceed ``max_per_day``.
    """

    id: str
    number: int
    key: str
    name: str
    unit_type: UnitType = "number"
    units: str = ""
    decimals: int = 3
    min_value: float | None = None
    max_value: float | None = None
    max_per_day: float | None = None

    def value(self, units: int) -> float:
        """Return the value of a count of whole units."""
        return float(units / 10**self.decimals)
