"""Carries a user through time: what comes due happens at its own instant, once, in order
(docs/decisions/0011-time-is-input.md).

A state knows up to where it was carried. An event, a command and a tick carry it on first, so that none of them
depends on another having come in time.
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
from podium.game.streaks.advance import Passing, next_passing, passings
from podium.game.unit_of_work import Turn


class _Boundary(NamedTuple):
    """A boost for one user begins, or ends."""

    rule: BoostRule
    system: int
    begins: bool


class _Moment(NamedTuple):
    """Something comes due at an instant; ``order`` among what does at the same."""

    at_ms: int
    order: int
    what: Passing | Goal | TriggerRule | _Boundary


def carry(turn: Turn, now_ms: int) -> None:
    """Bring everything that came due up to now."""
    today = local_day(now_ms, turn.tz).toordinal()
    from_ms, from_day = turn.carried_ms or now_ms, turn.carried_day or today
    for at_ms, _, what in sorted(_due(turn, from_ms, from_day, now_ms, today), key=lambda due: due[:2]):
        # A midnight that lay behind already when the user moved there comes now.
        turn.at(at_ms if at_ms > from_ms else now_ms)
        if isinstance(what, Passing):
            _pass(turn, what)
        elif isinstance(what, Goal):
            if what.is_for(turn.profile.attributes):
                turn.complete(what)
        elif isinstance(what, TriggerRule):
            turn.fire([what])
        else:
            turn.tell("boost_started" if what.begins else "boost_finished", what.rule.boost.number, what.system)
        turn.settle()
    turn.carried_ms = max(now_ms, turn.carried_ms)
    turn.carried_day = max(today, turn.carried_day)
    turn.due_moved = True


def next_due(turn: Turn) -> int:
    """The instant (ms) at which something comes due next, 0 for never."""
    now_ms, tz = turn.now_ms, turn.tz
    today = max(local_day(now_ms, tz).toordinal(), turn.carried_day)
    days: list[int] = []
    instants: list[int] = []
    passing = next_passing(turn.streak_rules, turn.streaks, today)
    if passing is not None:
        days.append(passing)
    days += [day for _, day in _anniversaries(turn) if day > today]
    created_ms = turn.profile.created_ms
    for rule in turn.index.points.timed:
        if rule.trigger.time_unit == "hours":
            step_ms = rule.step * MS_PER_HOUR
            instants.append(created_ms + ((now_ms - created_ms) // step_ms + 1) * step_ms)
        else:
            created = _first_day(turn)
            days.append(created + (max(0, today - created) // rule.step + 1) * rule.step)
    for _, boost in turn.index.points.own(turn.user):
        boundaries = (boost.begins, boost.ends)
        instants += [instant(one.replace(tzinfo=tz)) for one in boundaries if one is not None]
    instants += [midnight(day, tz) for day in days if day <= date.max.toordinal()]
    return min((at_ms for at_ms in instants if at_ms > now_ms), default=0)


@lru_cache(maxsize=10_000)
def midnight(day: int, tz: tzinfo) -> int:
    """The instant (ms) at which a local day, an ordinal, begins."""
    return instant(datetime.fromordinal(day).replace(tzinfo=tz))


def _due(turn: Turn, from_ms: int, from_day: int, now_ms: int, today: int) -> Iterator[_Moment]:
    tz = turn.tz
    for passing in passings(turn.streak_rules, turn.streaks, today):
        if passing.day > from_day:
            yield _Moment(midnight(passing.day, tz), 0, passing)
    for goal, day in _anniversaries(turn):
        if from_day < day <= today:
            yield _Moment(midnight(day, tz), 1, goal)
    created_ms = turn.profile.created_ms
    for rule in turn.index.points.timed:
        since_ms = max(from_ms, rule.trigger.active_ms)
        if rule.trigger.time_unit == "hours":
            step_ms = rule.step * MS_PER_HOUR
            first = max(1, (since_ms - created_ms) // step_ms + 1)
            for at_ms in range(created_ms + first * step_ms, now_ms + 1, step_ms):
                yield _Moment(at_ms, 2, rule)
        else:
            created = _first_day(turn)
            first = max(1, (from_day - created) // rule.step + 1)
            for day in range(created + first * rule.step, today + 1, rule.step):
                if midnight(day, tz) > rule.trigger.active_ms:
                    yield _Moment(midnight(day, tz), 2, rule)
    for system, boost in turn.index.points.own(turn.user):
        for boundary, begins in ((boost.begins, True), (boost.ends, False)):
            if boundary is not None and from_ms < (at_ms := instant(boundary.replace(tzinfo=tz))) <= now_ms:
                yield _Moment(at_ms, 3, _Boundary(boost, system, begins))


def _first_day(turn: Turn) -> int:
    """The local day on which the user was made, wherever the user is now."""
    return turn.old.first_day or local_day(turn.profile.created_ms, turn.tz).toordinal()


def _anniversaries(turn: Turn) -> Iterator[tuple[Goal, int]]:
    if turn.profile.sign_up and turn.index.achievements.anniversaries:
        signed_up = date.fromisoformat(turn.profile.sign_up)
        for goal in turn.index.achievements.anniversaries:
            if goal.number not in turn.achieved:
                yield goal, anniversary(signed_up, goal.needs).toordinal()


def _pass(turn: Turn, passing: Passing) -> None:
    if passing.kind == "earned":
        turn.tell("freeze_earned", passing.amount, passing.freezes)
    elif passing.kind == "frozen":
        turn.tell("freeze_used", 1, passing.freezes)
        track = turn.streak_rules.track
        length = turn.streaks.tracks[track].stretches[-1].length
        turn.periods.append(StreakRecord(track, passing.period, length, frozen=True))
    else:
        turn.tell("streak_lost", passing.amount, turn.streak_rules.track)
        turn.score(STREAK, 0, only_held=True)
