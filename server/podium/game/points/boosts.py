"""The rules of boosts: their times, their users, and their effect on an award (docs/http-api.md#boosts)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import Literal, NamedTuple

from podium.game.filters import matches
from podium.game.points.model import Boost, Rounding

BoostStatus = Literal["scheduled", "active", "finished"]


class BoostRule(NamedTuple):
    """A boost with its multiplier as an exact fraction, and the local times between which it applies."""

    boost: Boost
    numerator: int
    denominator: int
    begins: datetime
    ends: datetime | None

    def holds(self, moment: datetime) -> bool:
        """Return whether the boost applies to awards at a local time (without a zone)."""
        if moment < self.begins or (self.ends is not None and moment >= self.ends):
            return False
        return not self.boost.weekdays or moment.isoweekday() % 7 in self.boost.weekdays

    def status(self, moment: datetime) -> BoostStatus:
        """Return the boost's status at a local time (without a zone)."""
        if moment < self.begins:
            return "scheduled"
        return "finished" if self.ends is not None and moment >= self.ends else "active"


def rule_of(boost: Boost) -> BoostRule:
    """Return the rule of a boost."""
    numerator, denominator = Decimal(str(boost.multiplier)).as_integer_ratio()
    begins = datetime.combine(boost.start, time.fromisoformat(boost.start_time) if boost.start_time else time.min)
    ends = None
    if boost.end is not None:
        ends = datetime.combine(boost.end, time.min) + timedelta(days=1)
        if boost.end_time is not None:
            ends = datetime.combine(boost.end, time.fromisoformat(boost.end_time))
    return BoostRule(boost, numerator, denominator, begins, ends)


def holding(rules: Iterable[BoostRule], attributes: Mapping[str, str], moment: datetime) -> list[BoostRule]:
    """Return the boosts that apply to awards at a local time, to a user with these attributes."""
    return [
        rule
        for rule in rules
        if rule.holds(moment)
        and (not rule.boost.user_attributes or matches(rule.boost.user_attributes, attributes))
    ]


class Boosting(NamedTuple):
    """Boosts that apply together: their numbers, the product of their multipliers as a fraction, and the
    rounding."""

    numbers: tuple[int, ...]
    numerator: int
    denominator: int
    rounding: Rounding


def together(rules: Sequence[BoostRule]) -> Boosting | None:
    """Return the combination of boosts, or None for none. The one that began last decides the rounding."""
    if not rules:
        return None
    numerator, denominator = 1, 1
    for rule in rules:
        numerator *= rule.numerator
        denominator *= rule.denominator
    last = max(rules, key=lambda rule: (rule.begins, rule.boost.number))
    return Boosting(tuple(rule.boost.number for rule in rules), numerator, denominator, last.boost.rounding)


def boosted(amount: int, boosting: Boosting) -> int:
    """Return a positive amount times all multipliers, rounded once. Halves are rounded away from zero."""
    numerator, denominator = amount * boosting.numerator, boosting.denominator
    if boosting.rounding == "up":
        return -(-numerator // denominator)
    if boosting.rounding == "nearest":
        return (2 * numerator + denominator) // (2 * denominator)
    return numerator // denominator
