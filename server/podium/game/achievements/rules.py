"""The rules of achievements (docs/http-api.md#achievements)."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from podium.game.achievements.model import Achievement
from podium.game.filters import AttributeFilter, matches


class Goal(NamedTuple):
    """An active achievement. ``needs`` is in units of the ``metric`` (a number), periods or years; ``parts`` are
    the numbers of the achievements that it is made of. With filters by event attributes the units are counted
    apart (``UserState.counts``)."""

    number: int
    achievement: Achievement
    needs: int
    users: tuple[AttributeFilter, ...]
    events: tuple[AttributeFilter, ...]
    parts: frozenset[int]
    metric: int = 0

    def is_for(self, attributes: Mapping[str, str]) -> bool:
        """Return whether a user with these attributes may complete it."""
        return not self.users or matches(self.users, attributes)


class AchievementRules:
    """The achievements of a catalog, indexed for the hot path."""

    def __init__(self, achievements: Iterable[Achievement], metrics: Mapping[str, tuple[int, int]]) -> None:
        """``metrics`` has number and units of 1 by id."""
        all_ = tuple(achievements)
        self.of_metric: dict[str, list[Achievement]] = {}
        """Achievements with the trigger ``metric``, by the metric's id."""
        for one in all_:
            if one.trigger == "metric" and one.metric_id is not None:
                self.of_metric.setdefault(one.metric_id, []).append(one)
        self.by_number = {one.number: one for one in all_}
        self.by_id = {one.id: one for one in all_}
        self.by_key = {one.key: one for one in all_ if one.own_key is not None}
        self.on_metric: dict[int, list[Goal]] = defaultdict(list)
        """By the metric's number."""
        self.on_streak: list[Goal] = []
        self.composite: dict[int, list[Goal]] = defaultdict(list)
        """By the number of each of its parts."""
        self.anniversaries: list[Goal] = []
        self.goals: dict[int, Goal] = {}
        """Active achievements, by number."""
        for one in all_:
            if one.status == "active":
                self._place(one, metrics)

    def _place(self, one: Achievement, metrics: Mapping[str, tuple[int, int]]) -> None:
        number, scale = metrics.get(one.metric_id or "", (0, 1))
        parts = frozenset(self.by_id[id_].number if id_ in self.by_id else -1 for id_ in one.achievement_ids)
        needs = one.streak_length or one.anniversary_years or 0
        if one.trigger == "metric":
            needs = math.ceil(Decimal(str(one.metric_value or 0)) * scale)
        goal = Goal(one.number, one, needs, one.user_attributes, one.event_attributes, parts, number)
        if one.trigger == "metric":
            if not number:
                return
            self.on_metric[number].append(goal)
        elif one.trigger == "streak":
            self.on_streak.append(goal)
        elif one.trigger == "achievement":
            for part in parts:
                self.composite[part].append(goal)
        elif one.trigger == "anniversary":
            self.anniversaries.append(goal)
        self.goals[one.number] = goal

    def composed(self, part: int, achieved: Mapping[int, int], attributes: Mapping[str, str]) -> Iterator[Goal]:
        """Yield the goals with this part all of whose parts are completed, and which are not completed
        themselves."""
        for goal in self.composite.get(part, ()):
            reached = all(one in achieved for one in goal.parts)
            if reached and goal.number not in achieved and goal.is_for(attributes):
                yield goal


def anniversary(signed_up: date, years: int) -> date:
    """Return the same day some years later; 28 February for a 29th that doesn't exist."""
    try:
        return signed_up.replace(year=signed_up.year + years)
    except ValueError:
        return date(signed_up.year + years, 2, 28) if signed_up.year + years <= date.max.year else date.max
