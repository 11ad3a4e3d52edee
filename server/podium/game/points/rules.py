"""The rules of points: awards of triggers, and the level of a total (docs/http-api.md#triggers)."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from hashlib import sha1
from typing import NamedTuple

from podium.game.filters import AttributeFilter, matches
from podium.game.numbers import UNITS_MAX
from podium.game.points.boosts import Boosting, BoostRule, boosted, holding, rule_of, together
from podium.game.points.model import Boost, Level, PointsSystem, Trigger

MS_PER_HOUR = 3_600_000
TOGETHER_MAX = 10_000
"""Most combinations of boosts that are cached."""


class TriggerRule(NamedTuple):
    """An active trigger, with numbers instead of ids. ``step`` is in units of the metric, periods, hours or
    days."""

    trigger: Trigger
    number: int
    system: int
    points: int
    step: int
    users: tuple[AttributeFilter, ...]
    events: tuple[AttributeFilter, ...]

    def is_for(self, attributes: Mapping[str, str]) -> bool:
        """Return whether the trigger applies to a user with these attributes."""
        return not self.users or matches(self.users, attributes)


class Award(NamedTuple):
    """Points that were awarded or deducted: the numbers of system and trigger, the ``total`` after it, and the
    numbers of the boosts that multiplied it."""

    system: int
    trigger: int
    awarded: int
    total: int
    boosts: tuple[int, ...] = ()


class OutOfPoints(Exception):
    """A deduction that may block would bring the total below 0."""


class PointsRules:
    """The points systems of a catalog, indexed for the hot path."""

    def __init__(
        self,
        systems: Iterable[PointsSystem],
        triggers: Iterable[Trigger],
        levels: Iterable[Level],
        boosts: Iterable[Boost],
        metrics: Mapping[str, tuple[int, int]],
        achievements: Mapping[str, int],
    ) -> None:
        """``metrics`` has number and units of 1 by id, ``achievements`` the number by id."""
        self.systems = {system.number: system for system in systems}
        """By number."""
        self.by_key = {system.key: system for system in self.systems.values()}
        numbers = {system.id: system.number for system in self.systems.values()}
        self.on_metric: dict[int, list[TriggerRule]] = defaultdict(list)
        """By the metric's number. Triggers that award come before triggers that deduct."""
        self.on_achievement: dict[int, list[TriggerRule]] = defaultdict(list)
        """By the achievement's number."""
        self.on_streak: list[TriggerRule] = []
        self.on_creation: list[TriggerRule] = []
        self.timed: list[TriggerRule] = []
        self.triggers: dict[int, Trigger] = {}
        """Triggers of every status, by number."""
        for one in sorted(triggers, key=lambda trigger: trigger.points < 0):
            self.triggers[one.number] = one
            system = numbers.get(one.system_id)
            if one.status == "active" and system is not None:
                self._place(one, system, metrics, achievements)
        self.levels: dict[int, list[Level]] = {number: [] for number in self.systems}
        """By the system's number, the lowest first."""
        for level in sorted(levels, key=lambda level: level.points):
            if level.system_id in numbers:
                self.levels[numbers[level.system_id]].append(level)
        self.level_by_number = {one.number: one for of_system in self.levels.values() for one in of_system}
        self._steps = {number: [level.points for level in of_system] for number, of_system in self.levels.items()}
        self._together: dict[tuple[int, ...], Boosting | None] = {}
        self._boosts: dict[int, Boost] = {}
        self._rules: dict[int, BoostRule] = {}
        self.shared: dict[int, list[BoostRule]] = {number: [] for number in self.systems}
        """Boosts for more than one user, by the system's number."""
        self.personal: dict[str, tuple[Boost, ...]] = {}
        """Boosts for one user, by user id. There may be 100,000, so their rules are only made when needed
        (``own``)."""
        self._systems = numbers
        own: dict[str, list[Boost]] = {}
        for boost in boosts:
            system = numbers.get(boost.system_id)
            if system is None:
                continue
            self._boosts[boost.number] = boost
            if boost.user_id is None:
                self.shared[system].append(self._rule(boost))
            else:
                own.setdefault(boost.user_id, []).append(boost)
        self.personal.update((user, tuple(boosts)) for user, boosts in own.items())

    def boost(self, number: int) -> BoostRule | None:
        """Return the rule of a boost, by its number, or None if it is archived."""
        found = self._boosts.get(number)
        return None if found is None else self._rule(found)

    def own(self, user: str) -> list[tuple[int, BoostRule]]:
        """Return the boosts for one user, each with the number of its system."""
        return [(self._systems[one.system_id], self._rule(one)) for one in self.personal.get(user, ())]

    def _rule(self, boost: Boost) -> BoostRule:
        rule = self._rules.get(boost.number)
        if rule is None:
            rule = self._rules[boost.number] = rule_of(boost)
        return rule

    def _place(
        self, one: Trigger, system: int, metrics: Mapping[str, tuple[int, int]], achievements: Mapping[str, int]
    ) -> None:
        def rule(step: int) -> TriggerRule:
            return TriggerRule(
                one, one.number, system, one.points, step, one.user_attributes, one.event_attributes
            )

        if one.type == "metric":
            if one.metric_id is not None and one.metric_id in metrics:
                number, scale = metrics[one.metric_id]
                self.on_metric[number].append(rule((one.metric_threshold or 1) * scale))
        elif one.type == "achievement":
            if one.achievement_id is not None and one.achievement_id in achievements:
                self.on_achievement[achievements[one.achievement_id]].append(rule(1))
        elif one.type == "streak":
            self.on_streak.append(rule(one.streak_length or 1))
        elif one.type == "time":
            self.timed.append(rule(one.time_interval or 1))
        else:
            self.on_creation.append(rule(1))

    def boosting(self, user: str, system: int, attributes: Mapping[str, str], moment: datetime) -> Boosting | None:
        """Return the boosts that apply to a system's awards to a user at a local time, or None for none."""
        boosts = self.shared[system]
        if user in self.personal:
            boosts = [*boosts, *(rule for number, rule in self.own(user) if number == system)]
        if not boosts:
            return None
        held = holding(boosts, attributes, moment.replace(tzinfo=None))
        numbers = tuple([rule.boost.number for rule in held])
        if numbers not in self._together:
            if len(self._together) >= TOGETHER_MAX:
                self._together.clear()
            self._together[numbers] = together(held)
        return self._together[numbers]

    def level(self, system: int, total: int) -> Level | None:
        """Return the highest level that a total reaches, or None below the first."""
        at = bisect_right(self._steps[system], total)
        return self.levels[system][at - 1] if at else None


def award(
    rules: PointsRules,
    total: int,
    rule: TriggerRule,
    times: int,
    boosting: Boosting | None = None,
    *,
    taken: int = 0,
    may_block: bool = False,
) -> Award | None:
    """Return the award of a trigger that fired ``times`` to a user with ``total`` points, or None for nothing.

    Negative ``times`` revert earlier awards or deductions. ``taken`` is the sum that the trigger has really
    deducted, which is less than it should have been if the user had too few points: no more than that is given
    back.

    Raises:
        OutOfPoints: A deduction ``may_block``, and the total doesn't suffice.
    """
    amount = rule.points * times
    boosts: tuple[int, ...] = ()
    if boosting is not None and amount > 0 and rule.points > 0:
        amount, boosts = boosted(amount, boosting), boosting.numbers
    elif amount > 0 > rule.points:
        amount = min(amount, taken)
    if may_block and amount < 0 and rule.trigger.block_if_out_of_points and total + amount < 0:
        raise OutOfPoints
    given = limited(rules.systems[rule.system], total, amount)
    return Award(rule.system, rule.number, given, total + given, boosts) if given else None


def limited(system: PointsSystem, total: int, amount: int) -> int:
    """Return the part of an amount that can be added to ``total``, so that it stays between 0 and the system's
    maximum."""
    if amount < 0:
        return max(amount, -total)
    most = UNITS_MAX if system.max_points is None else system.max_points
    return max(0, min(amount, most - total))


def fired(step: int, before: int, after: int) -> int:
    """Return the number of multiples of ``step`` that were passed between two totals, negative on the way down."""
    return after // step - before // step


def award_id(source: str, cause: int, at_ms: int) -> str:
    """Return the id of an award: always the same one for the same award."""
    digest = sha1(f"{source} {cause} {at_ms}".encode(), usedforsecurity=False).hexdigest()
    # The text of a UUID of version 5. The class would take three times as long.
    return f"{digest[:8]}-{digest[8:12]}-5{digest[13:16]}-8{digest[17:20]}-{digest[20:32]}"
