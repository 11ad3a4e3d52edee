"""Boosts: when they hold, for whom, and what they make of an award (contract.md, sections 8 and 16)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from server.core.filters import matches
from server.features.points.model import Boost

BoostStatus = Literal["scheduled", "active", "finished"]


class BoostRule(NamedTuple):
    """A boost with its multiplier as an exact fraction, and the local instants between which it holds."""

    boost: Boost
    numerator: int
    denominator: int
    begins: datetime
    ends: datetime | None

    def holds(self, moment: datetime) -> bool:
        """Whether it multiplies what is awarded at a local time (without a zone)."""
        if moment < self.begins or (self.ends is not None and moment >= self.ends):
            return False
        return not self.boost.weekdays or moment.isoweekday() % 7 in self.boost.weekdays

    def status(self, moment: datetime) -> BoostStatus:
        """What it is at a local time (without a zone)."""
        if moment < self.begins:
            return "scheduled"
        return "finished" if self.ends is not None and moment >= self.ends else "active"


def rule_of(boost: Boost) -> BoostRule:
    """The rule of a boost."""
    numerator, denominator = Decimal(str(boost.multiplier)).as_integer_ratio()
    begins = datetime.combine(boost.start, time.fromisoformat(boost.start_time) if boost.start_time else time.min)
    ends = None
    if boost.end is not None:
        ends = datetime.combine(boost.end, time.min) + timedelta(days=1)
        if boost.end_time is not None:
            ends = datetime.combine(boost.end, time.fromisoformat(boost.end_time))
    return BoostRule(boost, numerator, denominator, begins, ends)


def holding(rules: Iterable[BoostRule], attributes: Mapping[str, str], moment: datetime) -> list[BoostRule]:
    """The boosts that multiply what a user with these attributes is awarded at a local time."""
    return [
        rule
        for rule in rules
        if rule.holds(moment)
        and (not rule.boost.user_attributes or matches(rule.boost.user_attributes, attributes))
    ]


def boosted(amount: int, rules: Sequence[BoostRule]) -> int:
    """A positive amount times all multipliers, rounded once: as the boost says that began last. Halves go away
    from zero."""
    numerator, denominator = amount, 1
    for rule in rules:
        numerator *= rule.numerator
        denominator *= rule.denominator
    rounding = max(rules, key=lambda rule: (rule.begins, rule.boost.number)).boost.rounding
    if rounding == "up":
        return -(-numerator // denominator)
    if rounding == "nearest":
        return (2 * numerator + denominator) // (2 * denominator)
    return numerator // denominator
