"""What a metric is."""

from __future__ import annotations

from typing import Literal

import msgspec

UnitType = Literal["number", "currency"]


class Metric(msgspec.Struct, frozen=True, rename="camel"):
    """Something that users do, counted in whole units of 10^-``decimals``.

    ``number`` is small, unique in the space and never reused: it stands for the metric in states and keys.
    """

    id: str
    number: int
    key: str
    name: str
    unit_type: UnitType = "number"
    units: str = ""
    decimals: int = 3

    def value(self, units: int) -> float:
        """The value of a count of whole units."""
        return float(units / 10**self.decimals)
