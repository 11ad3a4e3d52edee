"""Boosts: when they hold, for whom, and what they make of an award (docs/http-api.md#boosts)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from podium.game.filters import matches
from podium.game.points.model import Boost, Rounding

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


class Boosting(NamedTuple):
    """Boosts that hold together: their numbers, the product of the multipliers as a fraction, and how it is
    rounded."""

    numbers: tuple[int, ...]
    numerator: int
    denominator: int
    rounding: Rounding


def together(rules: Sequence[BoostRule]) -> Boosting | None:
    """Boosts multiply each other; the one that began last says how what they give is rounded. None for none."""
    if not rules:
        return None
    numerator, denominator = 1, 1
    for rule in rules:
        numerator *= rule.numerator
        denominator *= rule.denominator
    last = max(rules, key=lambda rule: (rule.begins, rule.boost.number))
    return Boosting(tuple(rule.boost.number for rule in rules), numerator, denominator, last.boost.rounding)


def boosted(amount: int, boosting: Boosting) -> int:
    """A positive amount times all multipliers, rounded once; halves go away from zero."""
    numerator, denominator = amount * boosting.numerator, boosting.denominator
    if boosting.rounding == "up":
        return -(-numerator // denominator)
    if boosting.rounding == "nearest":
        return (2 * numerator + denominator) // (2 * denominator)
    return numerator // denominator
