"""What a user has come to, as answers show it: achievements and points, by the catalog that is at hand."""

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
from podium.game.streaks.history import Became, became, history
from podium.game.streaks.model import NONE
from podium.game.users.model import Profile
from podium.game.users.shapes import User
from podium.game.users.shapes import shown as shown_user

__all__ = [
    "Archived",
    "Became",
    "BestPlace",
    "EventPoints",
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
"""What gave points and is no longer in the catalog, by number."""


def cause(kind: str, body: object) -> Trigger | Leaderboard | None:
    """What gave points, from the row of its kind; None for a kind that gives none."""
    if kind == "points trigger":
        return msgspec.convert(body, Trigger)
    return msgspec.convert(body, Leaderboard) if kind == "leaderboard" else None


def metric_name(index: CatalogIndex, id_: str | None) -> str | None:
    """The name of a metric, None where it is gone."""
    metric = index.metric_by_id.get(id_ or "")
    return metric.name if metric is not None else None


def user_achievement(index: CatalogIndex, one: Achievement, achieved_ms: int | None) -> UserAchievement:
    """An achievement as a user stands to it."""
    return UserAchievement(
        **achievement_fields(one, metric_name(index, one.metric_id)),
        achieved_at=None if achieved_ms is None else iso(achieved_ms),
    )


def metric_achievements(index: CatalogIndex, metric_id: str, state: UserState) -> list[UserAchievement]:
    """The achievements of a metric that a user may complete, or has completed."""
    return [
        user_achievement(index, one, state.achieved_ms(one.number))
        for one in index.achievements.of_metric.get(metric_id, ())
        if is_visible(index, one, state)
    ]


def is_visible(index: CatalogIndex, one: Achievement, state: UserState) -> bool:
    """Whether a user sees an achievement: who has completed it sees a locked one too."""
    if one.number in state.achieved:
        return one.status != "inactive"
    goal = index.achievements.goals.get(one.number)
    return goal is not None and goal.is_for(state.profile.attributes)


def completed(index: CatalogIndex, completions: Iterable[CompletionRecord]) -> list[UserAchievement]:
    """The achievements that were completed, but for the silent ones."""
    by_number = index.achievements.by_number
    return [
        user_achievement(index, by_number[one.achievement], one.at_ms)
        for one in completions
        if not one.silent and one.achievement in by_number
    ]


def trigger(index: CatalogIndex, one: Trigger, *, archived: bool = False) -> PointsTrigger:
    """A trigger with the names of what it hangs on."""
    achievement = index.achievements.by_id.get(one.achievement_id or "")
    name = achievement.name if achievement is not None else None
    return points.trigger(one, metric_name(index, one.metric_id), name, archived=archived)


def award(index: CatalogIndex, one: AwardRecord, moment: datetime, archived: Archived) -> PointsAward | None:
    """An award, seen at a local time without a zone; None where nobody knows any more what gave it."""
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
    """What awards did to a user's points, by the key of the system. The level is there where it changed."""
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
    """The user as answers show it."""
    return shown_user(id_, profile)


class BestPlace(LeaderboardConfig, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard, and the best place that a user had on it in a period; ``value`` is rounded down."""

    rank: int
    value: int


def best_place(index: CatalogIndex, board: Leaderboard, rank: int, units: int) -> BestPlace:
    """The leaderboard with a place on it, ``units`` in units of what it ranks by."""
    source = index.source_of(board)
    return BestPlace(**leaderboard_fields(board, source), rank=rank, value=units // source.scale)


def streak_past(
    index: CatalogIndex, state: UserState, now_ms: int, lived: Mapping[int, tuple[int, bool, bool]], most: int
) -> list[Became]:
    """What became of the user's streak, period by period, oldest first, in the last ``most`` periods; ``lived`` as
    in ``streaks.history``."""
    if not lived:
        return []
    wanted, today = (
        index.streak_rules(state.wishes, state.profile.tz),
        local_day(now_ms, zone(state.profile.tz)).toordinal(),
    )
    number = min(most, period_of(wanted.frequency, today) - min(lived) + 1)
    return list(became(history(wanted, state.streaks or NONE, today, number, lived)))


def streak_period(index: CatalogIndex, day: date) -> int:
    """The number of the streak's period that holds a day."""
    return period_of(index.streaks.frequency, day.toordinal())


def streak_days(index: CatalogIndex, period: int) -> tuple[date, date]:
    """The first and the last day of a period of the streak."""
    frequency = index.streaks.frequency
    return date.fromordinal(first_day(frequency, period)), date.fromordinal(last_day(frequency, period))
