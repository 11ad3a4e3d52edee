"""Build the parts of answers about a user's achievements, points, places and streak."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime

import msgspec
from msgspec import UNSET

from podium.game.achievements.model import Achievement
from podium.game.achievements.shapes import UserAchievement
from podium.game.achievements.shapes import fields as achievement_fields
from podium.game.catalog import CatalogIndex
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.shapes import LeaderboardConfig
from podium.game.leaderboards.shapes import fields as leaderboard_fields
from podium.game.periods import iso, local_day, local_time, zone
from podium.game.points import shapes as points
from podium.game.points.model import Trigger
from podium.game.points.shapes import EventPoints, PointsAward, PointsTrigger
from podium.game.records import AwardRecord, CompletionRecord
from podium.game.state import UserState
from podium.game.streaks.calendar import first_day, last_day, period_of
from podium.game.streaks.history import StreakOutcome, history, outcomes
from podium.game.streaks.model import NONE
from podium.game.users.model import Profile
from podium.game.users.shapes import User
from podium.game.users.shapes import shown as shown_user

__all__ = [
    "Archived",
    "BestPlace",
    "EventPoints",
    "StreakOutcome",
    "User",
    "UserAchievement",
    "award",
    "best_place",
    "cause",
    "changed_points",
    "completed",
    "is_visible",
    "metric_achievements",
    "metric_name",
    "streak_days",
    "streak_past",
    "streak_period",
    "trigger",
    "user",
    "user_achievement",
]

Archived = Mapping[int, Trigger | Leaderboard]
"""Archived triggers and leaderboards that gave points, by number."""


def cause(kind: str, body: object) -> Trigger | Leaderboard | None:
    """Return the cause of points from a row of ``catalog_items``, or None for a kind that gives no points."""
    if kind == "points trigger":
        return msgspec.convert(body, Trigger)
    return msgspec.convert(body, Leaderboard) if kind == "leaderboard" else None


def metric_name(index: CatalogIndex, id_: str | None) -> str | None:
    """Return the name of a metric, or None if it is archived."""
    metric = index.metric_by_id.get(id_ or "")
    return metric.name if metric is not None else None


def user_achievement(index: CatalogIndex, one: Achievement, achieved_ms: int | None) -> UserAchievement:
    """Return an achievement with the time at which a user completed it."""
    return UserAchievement(
        **achievement_fields(one, metric_name(index, one.metric_id)),
        achieved_at=None if achieved_ms is None else iso(achieved_ms),
    )


def metric_achievements(index: CatalogIndex, metric_id: str, state: UserState) -> list[UserAchievement]:
    """Return the achievements of a metric that a user may complete, or has completed."""
    return [
        user_achievement(index, one, state.achieved_ms(one.number))
        for one in index.achievements.of_metric.get(metric_id, ())
        if is_visible(index, one, state)
    ]


def is_visible(index: CatalogIndex, one: Achievement, state: UserState) -> bool:
    """Return whether a user sees an achievement. Locked ones are visible only to users who have completed them."""
    if one.number in state.achieved:
        return one.status != "inactive"
    goal = index.achievements.goals.get(one.number)
    return goal is not None and goal.is_for(state.profile.attributes)


def completed(index: CatalogIndex, completions: Iterable[CompletionRecord]) -> list[UserAchievement]:
    """Return the achievements that were completed, except silently."""
    by_number = index.achievements.by_number
    return [
        user_achievement(index, by_number[one.achievement], one.at_ms)
        for one in completions
        if not one.silent and one.achievement in by_number
    ]


def trigger(index: CatalogIndex, one: Trigger, *, archived: bool = False) -> PointsTrigger:
    """Return a trigger with the names of its metric and achievement."""
    achievement = index.achievements.by_id.get(one.achievement_id or "")
    name = achievement.name if achievement is not None else None
    return points.trigger(one, metric_name(index, one.metric_id), name, archived=archived)


def award(index: CatalogIndex, one: AwardRecord, moment: datetime, archived: Archived) -> PointsAward | None:
    """Return an award, with boosts as of a local time without a zone, or None if its cause is unknown."""
    cause: Trigger | Leaderboard | None = index.points.triggers.get(one.cause)
    gone = cause is None
    if cause is None:
        cause = index.leaderboard_by_number.get(one.cause) or archived.get(one.cause)
    if isinstance(cause, Trigger):
        shown = trigger(index, cause, archived=gone)
    elif cause is None and one.cause:
        return None
    else:
        made = iso(one.at_ms if cause is None else cause.created_ms)
        shown = PointsTrigger(
            id=one.id if cause is None else cause.id,
            type="manual" if cause is None else "leaderboard",
            points=one.awarded,
            status="active",
            user_attributes=(),
            created=made,
            updated=made,
        )
    rules = (index.points.boost(number) for number in one.boosts)
    boosts = [points.boost(rule, moment) for rule in rules if rule is not None]
    return PointsAward(
        id=one.id,
        awarded=one.awarded,
        date=iso(one.at_ms),
        total=one.total,
        trigger=shown,
        boosts=boosts or UNSET,
    )


def changed_points(
    index: CatalogIndex, state: UserState, awards: Sequence[AwardRecord], now_ms: int
) -> dict[str, EventPoints]:
    """Return the effect of awards on a user's points, by key of the system. The level is included if it
    changed."""
    found: dict[str, EventPoints] = {}
    moment = local_time(now_ms, zone(state.profile.tz)).replace(tzinfo=None)
    by_system: dict[int, list[AwardRecord]] = {}
    for one in awards:
        by_system.setdefault(one.system, []).append(one)
    for number, given in by_system.items():
        system = index.points.systems.get(number)
        if system is None:
            continue
        total = given[-1].total
        level = index.points.level(number, total)
        moved = level != index.points.level(number, given[0].total - given[0].awarded)
        shown = (award(index, one, moment, {}) for one in given)
        found[system.key] = EventPoints(
            **points.base(system),
            total=total,
            added=sum(one.awarded for one in given),
            awards=[one for one in shown if one is not None],
            level=(points.level(level) if level is not None else None) if moved else UNSET,
        )
    return found


def user(id_: str, profile: Profile) -> User:
    """Return a user in the form of the API."""
    return shown_user(id_, profile)


class BestPlace(LeaderboardConfig, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard, and a user's best place on it in a period. ``value`` is rounded down."""

    rank: int
    value: int


def best_place(index: CatalogIndex, board: Leaderboard, rank: int, units: int) -> BestPlace:
    """Return a leaderboard with a place on it. ``units`` are whole units of its source."""
    source = index.source_of(board)
    return BestPlace(**leaderboard_fields(board, source), rank=rank, value=units // source.scale)


def streak_past(
    index: CatalogIndex, state: UserState, now_ms: int, past: Mapping[int, tuple[int, bool, bool]], most: int
) -> list[StreakOutcome]:
    """Return the outcomes of the user's streak in the last ``most`` periods, the oldest first. ``past`` is as in
    ``streaks.history``."""
    if not past:
        return []
    wanted, today = (
        index.streak_rules(state.wishes, state.profile.tz),
        local_day(now_ms, zone(state.profile.tz)).toordinal(),
    )
    number = min(most, period_of(wanted.frequency, today) - min(past) + 1)
    return list(outcomes(history(wanted, state.streaks or NONE, today, number, past)))


def streak_period(index: CatalogIndex, day: date) -> int:
    """Return the number of the streak's period that contains a day."""
    return period_of(index.streaks.frequency, day.toordinal())


def streak_days(index: CatalogIndex, period: int) -> tuple[date, date]:
    """Return the first and the last day of a period of the streak."""
    frequency = index.streaks.frequency
    return date.fromordinal(first_day(frequency, period)), date.fromordinal(last_day(frequency, period))
