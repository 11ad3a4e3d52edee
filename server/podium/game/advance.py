"""Advance a user through time: each timed change happens once, in order, at its own instant
(docs/decisions/0011-time-is-input.md).

A state has the instant up to which it was advanced. Events, commands and ticks advance it first, so that none of
them depends on another one having come in time.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, tzinfo
from functools import lru_cache
from typing import NamedTuple

from podium.game.achievements.rules import Goal, anniversary
from podium.game.catalog import STREAK
from podium.game.periods import instant, local_day
from podium.game.points.boosts import BoostRule
from podium.game.points.rules import MS_PER_HOUR, TriggerRule
from podium.game.records import StreakRecord
from podium.game.streaks.advance import TimedChange, next_timed_change, timed_changes
from podium.game.unit_of_work import UnitOfWork


class _Boundary(NamedTuple):
    """The begin or end of a boost for one user."""

    rule: BoostRule
    system: int
    begins: bool


class _Moment(NamedTuple):
    """A timed change at an instant. ``order`` sorts changes of the same instant."""

    at_ms: int
    order: int
    what: TimedChange | Goal | TriggerRule | _Boundary


def advance(work: UnitOfWork, now_ms: int) -> None:
    """Apply all timed changes up to now, and set ``advanced_ms`` and ``advanced_day``."""
    today = local_day(now_ms, work.tz).toordinal()
    from_ms, from_day = work.advanced_ms or now_ms, work.advanced_day or today
    # Sorted by instant and order only: the changes themselves can't be compared.
    for at_ms, _, what in sorted(_due(work, from_ms, from_day, now_ms, today), key=lambda due: due[:2]):
        # After a move to another zone, a midnight there may already have passed. Its changes happen now.
        work.at(at_ms if at_ms > from_ms else now_ms)
        if isinstance(what, TimedChange):
            _apply_change(work, what)
        elif isinstance(what, Goal):
            if what.is_for(work.profile.attributes):
                work.complete(what)
        elif isinstance(what, TriggerRule):
            work.queue_triggers([what])
        else:
            work.add_fact(
                "boost_started" if what.begins else "boost_finished", what.rule.boost.number, what.system
            )
        work.award_pending()
    # Never backwards: the clock may step back, and a move to the west gives an earlier day. Neither may repeat
    # changes.
    work.advanced_ms = max(now_ms, work.advanced_ms)
    work.advanced_day = max(today, work.advanced_day)
    work.due_changed = True


def next_due(work: UnitOfWork) -> int:
    """Return the instant (ms) of the next timed change, 0 for never."""
    now_ms, tz = work.now_ms, work.tz
    today = max(local_day(now_ms, tz).toordinal(), work.advanced_day)
    days: list[int] = []
    instants: list[int] = []
    change = next_timed_change(work.streak_rules, work.streaks, today)
    if change is not None:
        days.append(change)
    days += [day for _, day in _anniversaries(work) if day > today]
    created_ms = work.profile.created_ms
    for rule in work.index.points.timed:
        if rule.trigger.time_unit == "hours":
            step_ms = rule.step * MS_PER_HOUR
            instants.append(created_ms + ((now_ms - created_ms) // step_ms + 1) * step_ms)
        else:
            created = _first_day(work)
            days.append(created + (max(0, today - created) // rule.step + 1) * rule.step)
    for _, boost in work.index.points.own(work.user):
        boundaries = (boost.begins, boost.ends)
        instants += [instant(one.replace(tzinfo=tz)) for one in boundaries if one is not None]
    instants += [midnight(day, tz) for day in days if day <= date.max.toordinal()]
    return min((at_ms for at_ms in instants if at_ms > now_ms), default=0)


@lru_cache(maxsize=10_000)
def midnight(day: int, tz: tzinfo) -> int:
    """Return the instant (ms) at which a local day (an ordinal) begins."""
    return instant(datetime.fromordinal(day).replace(tzinfo=tz))


def _due(work: UnitOfWork, from_ms: int, from_day: int, now_ms: int, today: int) -> Iterator[_Moment]:
    tz = work.tz
    for change in timed_changes(work.streak_rules, work.streaks, today):
        if change.day > from_day:
            yield _Moment(midnight(change.day, tz), 0, change)
    for goal, day in _anniversaries(work):
        if from_day < day <= today:
            yield _Moment(midnight(day, tz), 1, goal)
    created_ms = work.profile.created_ms
    for rule in work.index.points.timed:
        since_ms = max(from_ms, rule.trigger.active_ms)
        if rule.trigger.time_unit == "hours":
            step_ms = rule.step * MS_PER_HOUR
            first = max(1, (since_ms - created_ms) // step_ms + 1)
            for at_ms in range(created_ms + first * step_ms, now_ms + 1, step_ms):
                yield _Moment(at_ms, 2, rule)
        else:
            created = _first_day(work)
            first = max(1, (from_day - created) // rule.step + 1)
            for day in range(created + first * rule.step, today + 1, rule.step):
                if midnight(day, tz) > rule.trigger.active_ms:
                    yield _Moment(midnight(day, tz), 2, rule)
    for system, boost in work.index.points.own(work.user):
        for boundary, begins in ((boost.begins, True), (boost.ends, False)):
            if boundary is not None and from_ms < (at_ms := instant(boundary.replace(tzinfo=tz))) <= now_ms:
                yield _Moment(at_ms, 3, _Boundary(boost, system, begins))


def _first_day(work: UnitOfWork) -> int:
    """Return the local day on which the user was created, in the zone of that time."""
    return work.old.first_day or local_day(work.profile.created_ms, work.tz).toordinal()


def _anniversaries(work: UnitOfWork) -> Iterator[tuple[Goal, int]]:
    if work.profile.sign_up and work.index.achievements.anniversaries:
        signed_up = date.fromisoformat(work.profile.sign_up)
        for goal in work.index.achievements.anniversaries:
            if goal.number not in work.achieved:
                yield goal, anniversary(signed_up, goal.needs).toordinal()


def _apply_change(work: UnitOfWork, change: TimedChange) -> None:
    if change.kind == "earned":
        work.add_fact("freeze_earned", change.amount, change.freezes)
    elif change.kind == "frozen":
        work.add_fact("freeze_used", 1, change.freezes)
        track = work.streak_rules.track
        length = work.streaks.tracks[track].stretches[-1].length
        work.periods.append(StreakRecord(track, change.period, length, frozen=True))
    else:
        work.add_fact("streak_lost", change.amount, work.streak_rules.track)
        work.score(STREAK, 0, only_held=True)
