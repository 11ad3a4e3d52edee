"""Collect everything that one input does to a user, in the order of docs/http-api.md#order-within-an-event.

The order is user, metric, streak, achievements, points, levels, boards. Pure: a unit of work exists during one
``apply``, and never changes the state that it began with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from podium.game.achievements.rules import Goal, anniversary
from podium.game.catalog import STREAK, CatalogIndex
from podium.game.errors import Unprocessable
from podium.game.filters import matches
from podium.game.leaderboards import rules as leaderboards
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.leaderboards.ranking import is_ranked, split_board
from podium.game.leaderboards.runs import named_run
from podium.game.metrics import rules as metrics
from podium.game.metrics.model import Metric
from podium.game.periods import local_day, local_time, zone
from podium.game.points import rules as points
from podium.game.points.boosts import Boosting
from podium.game.points.rules import OutOfPoints, TriggerRule, fired
from podium.game.records import (
    AwardRecord,
    BoardRecord,
    CompletionRecord,
    EventRecord,
    FactKind,
    FactRecord,
    LogRecord,
    PauseRecord,
    StandingRecord,
    StreakChange,
    StreakRecord,
)
from podium.game.state import UserState
from podium.game.streaks import rules as streaks
from podium.game.streaks.changes import moved
from podium.game.streaks.model import NONE, Streaks
from podium.game.users.model import Profile

_replace = msgspec.structs.replace


class UnitOfWork:
    """The changes of one input so far. ``old`` is the state before, or the first one of a user who ``is_new``.

    ``source`` is the part of awards' ids that names the input, so that the same input always gives the same ids.
    Call ``at`` with the instant before anything is counted or awarded.
    """

    # Fixed slots: there are too many attributes for Python to share the keys of instances' dictionaries.
    __slots__ = (
        *("_dated", "_pending", "achieved", "advanced_day", "advanced_ms", "at_ms", "awards"),
        *("boards", "by_event", "changes", "completions", "counts", "day", "dropped"),
        *("due_changed", "facts", "filled", "index", "is_new", "lost", "moment", "newest"),
        *("newest_ms", "now_ms", "old", "pauses", "periods", "points", "profile", "source"),
        *("streaks", "taken", "totals", "tz", "user", "wishes"),
    )

    def __init__(self, index: CatalogIndex, user: str, old: UserState, now_ms: int, *, is_new: bool) -> None:
        self.index = index
        self.user = user
        self.old = old
        self.now_ms = now_ms
        self.is_new = is_new
        self.profile = old.profile
        self.tz = zone(old.profile.tz)
        self.at_ms = -1
        self.moment: datetime
        self.day: date
        self.source = user
        self.by_event = False
        self.streaks: Streaks = old.streaks or NONE
        # The mappings are shared with the old state, which may be cached and applied again. So they are never
        # changed in place: each change replaces them by a copy.
        self.totals = old.totals
        self.points = old.points
        self.taken = old.taken
        self.achieved = old.achieved
        self.counts = old.counts
        self.wishes = old.wishes
        self.advanced_ms, self.advanced_day = old.advanced_ms, old.advanced_day
        self.newest, self.newest_ms = old.newest, old.newest_ms
        self.boards = old.boards
        """The user's present standings."""
        self.changes: leaderboards.Changes = {}
        self.dropped: list[str] = []
        self.awards: list[AwardRecord] = []
        self.completions: list[CompletionRecord] = []
        self.facts: list[FactRecord] = []
        self.periods: list[StreakRecord] = []
        self.pauses: list[PauseRecord] = []
        self.filled: tuple[int, ...] = ()
        """Numbers of leaderboards onto which a backfill brings the user."""
        self.lost: bool | None = None
        """True or False after a command: the streak is 0 now, or isn't."""
        self.due_changed = is_new
        """True if the instant of the next timed change may have changed."""
        self._pending: list[tuple[TriggerRule, int]] = []
        self._dated = (-1, 0)
        """The last result of ``_day_of``: an instant (ms) and its local day (an ordinal)."""

    def at(self, at_ms: int) -> None:
        """Set the instant (ms) of all that follows."""
        if at_ms == self.at_ms:
            return
        self.at_ms = at_ms
        self.moment = local_time(at_ms, self.tz)
        self.day = self.moment.date()

    @property
    def streak_rules(self) -> streaks.Rules:
        """Return the streak's rules for this user."""
        return self.index.streak_rules(self.wishes, self.profile.tz)

    @property
    def streak_length(self) -> int:
        """Return the length of the streak on the current day."""
        return streaks.standing(self.streak_rules, self.streaks, self.day.toordinal()).length

    def change_profile(self, profile: Profile) -> None:
        """Change the user's profile. Standings move to the boards of new attributes."""
        before, self.profile = self.profile, profile
        if profile.tz != before.tz:
            left, self.tz = self.tz, zone(profile.tz)
            newest = self.old.newest
            # Only events of the streak's metrics count here. A state of an older release has no times by metric.
            times = (newest.get(metric, 0) for metric in self.streak_rules.thresholds)
            newest_ms = max(times, default=0) if newest else self.old.newest_ms
            self.streaks = moved(self.streaks, newest_ms, self.now_ms, left, self.tz)
            self.at_ms = -1  # the local time has to be computed again, even for the same instant
            self.due_changed = True
        if profile.sign_up != before.sign_up:  # anniversaries depend on it
            self.due_changed = True
        if profile.attributes != before.attributes and self.boards:
            self.move(leaderboards.regroup(self.index.leaderboard_by_number, self.boards, profile.attributes))

    def restore(self, held: Mapping[str, Standing]) -> None:
        """Add standings that the state had dropped."""
        if held:
            self.old = _replace(self.old, boards={**held, **self.old.boards})
            self.boards = {**held, **self.boards}

    def drop(self, kept: Collection[str]) -> None:
        """Drop the ranked standings again, except the boards that the state ``kept``."""
        self.dropped += [board for board in self.boards if board not in kept and is_ranked(board)]

    def move(self, changes: leaderboards.Changes) -> None:
        """Apply changes of standings."""
        if not changes:
            return
        self.changes.update(changes)
        boards: dict[str, Any] = {**self.boards, **changes}
        if None in changes.values():
            boards = {board: standing for board, standing in boards.items() if standing is not None}
        self.boards = boards

    def score(
        self,
        source: int,
        units: int,
        *,
        late: bool = False,
        only_held: bool = False,
        only_current: bool = False,
        join_runs: bool = True,
    ) -> None:
        """Count units on all boards of a source (metric, points system or streak).

        With ``only_held`` the user is not added to boards. With ``only_current`` only boards by the present streak
        are changed. Without ``join_runs`` the user is not added to runs of repeating leaderboards, nor to any
        board by negative units.
        """
        boards = self.index.open_boards(source, self.day)
        if only_current:
            boards = tuple(board for board in boards if board.leaderboard.scoring == "current")
        if not boards:
            return
        changes = leaderboards.score_changes(
            boards,
            self.boards,
            self.profile.attributes,
            self.moment,
            self.at_ms,
            units,
            late=late,
            blocked=self.old.blocked,
        )
        if only_held:
            changes = {board: standing for board, standing in changes.items() if board in self.boards}
        if not join_runs:
            changes = {
                board: standing
                for board, standing in changes.items()
                if board in self.boards or (units > 0 and not split_board(board).run)
            }
        self.move(changes)

    def count(self, metric: Metric, units: int) -> None:
        """Add to a metric's total.

        Raises:
            Unprocessable: The total can't be counted exactly.
        """
        after = metrics.add(metric, self.totals.get(metric.number, 0), units)
        self.totals = {**self.totals, metric.number: after}

    def apply_rules(
        self, metric: Metric, units: int, attributes: dict[str, str] | None, *, corrects: bool = False
    ) -> None:
        """Apply the achievements and triggers of a metric to units that were just counted.

        A correction completes nothing.
        """
        number, index = metric.number, self.index
        after = self.totals[number]
        before = after - units  # ``count`` has added them already
        for goal in index.achievements.on_metric.get(number, ()):
            if goal.number in self.achieved:
                continue
            was, now = before, after
            if goal.events:
                if not matches(goal.events, attributes):
                    continue
                was, now = self._add(goal.number, units)
            if not corrects and now >= goal.needs and goal.is_for(self.profile.attributes):
                # If it was reached before this event, only the reconciliation hasn't seen it yet, which completes
                # silently.
                self.complete(goal, silent=was >= goal.needs)
        for rule in index.points.on_metric.get(number, ()):
            was, now = before, after
            if rule.events:
                if not matches(rule.events, attributes):
                    continue
                was, now = self._add(rule.number, units)
            if times := fired(rule.step, was, now):
                self._pending.append((rule, times))

    def _add(self, number: int, units: int) -> tuple[int, int]:
        before = self.counts.get(number, 0)
        if self.counts is self.old.counts:  # copied only once: an event may reach hundreds of rules
            self.counts = dict(self.counts)
        self.counts[number] = before + units
        return before, before + units

    def extend_streak(self, metric: Metric, units: int, newest_ms: int) -> bool:
        """Count units for the streak; ``newest_ms`` is the instant of the newest event. Return whether it was
        lengthened."""
        wanted = self.streak_rules
        if metric.number not in wanted.thresholds:
            return False
        index = wanted.track
        old = self.streaks.tracks[index].stretches
        self.streaks, extended, steps = streaks.count(
            wanted, self.streaks, metric.number, units, self.day.toordinal(), self._day_of(newest_ms), self.at_ms
        )
        self.periods += [StreakRecord(*step) for step in steps]
        if steps:
            self.due_changed = True
        if extended:
            new = self.streaks.tracks[index].stretches[-1]
            # The streak grew from one stretch, from two that a late event joins, or from none.
            self._lengthened([one.length for one in old if one.length and one.last >= new.first], new.length)
        return extended

    def _lengthened(self, befores: list[int], after: int) -> None:
        before = max(befores, default=0)
        for goal in self.index.achievements.on_streak:
            if goal.number not in self.achieved and after >= goal.needs and goal.is_for(self.profile.attributes):
                self.complete(goal, silent=before >= goal.needs)
        for rule in self.index.points.on_streak:
            # Each stretch that was joined has had the awards for its own length already.
            times = after // rule.step - sum(one // rule.step for one in befores)
            if times > 0:
                self._pending.append((rule, times))
        self.score(STREAK, after)

    def rank_streak(self) -> None:
        """Update the boards by the present streak after a command.

        Repeating runs rank the longest streak that was reached in them, which only lengthening changes.
        """
        if any(board.leaderboard.scoring == "current" for board in self.index.open_boards(STREAK, self.day)):
            self.score(STREAK, self.streak_length, only_current=True)

    def complete(self, goal: Goal, *, silent: bool = False) -> None:
        """Complete an achievement, and achievements that are made of it."""
        # Stored in whole seconds since the user's creation, so that a state with many achievements stays small.
        created_ms = self.profile.created_ms
        since_s = (self.at_ms - created_ms) // 1000
        if self.achieved is self.old.achieved:  # copied only once: hundreds may be completed together
            self.achieved = dict(self.achieved)
        self.achieved[goal.number] = since_s
        self.completions.append(CompletionRecord(goal.number, created_ms + since_s * 1000, silent))
        self._pending += [(rule, 1) for rule in self.index.points.on_achievement.get(goal.number, ())]
        for whole in self.index.achievements.composed(goal.number, self.achieved, self.profile.attributes):
            if whole.number not in self.achieved:
                self.complete(whole, silent=silent)

    def complete_reached(self, *, silent: bool) -> None:
        """Complete all achievements that the user has reached, after a change of attributes or of the catalog."""
        for goal in self.reached(self.index.achievements.goals.values()):
            if goal.number not in self.achieved:  # a composite may have been completed with its last part
                self.complete(goal, silent=silent)

    def reached(self, goals: Iterable[Goal]) -> list[Goal]:
        """Return the goals that the user has reached and not completed."""
        found = []
        for goal in goals:
            if goal.number in self.achieved or not goal.is_for(self.profile.attributes):
                continue
            match goal.achievement.trigger:
                case "metric":
                    units = self.counts if goal.events else self.totals
                    reached = units.get(goal.number if goal.events else goal.metric, 0) >= goal.needs
                case "streak":
                    reached = self.streak_length >= goal.needs
                case "anniversary":
                    signed_up = self.profile.sign_up
                    reached = (
                        signed_up is not None
                        and anniversary(date.fromisoformat(signed_up), goal.needs) <= self.day
                    )
                case "achievement":
                    reached = bool(goal.parts) and all(part in self.achieved for part in goal.parts)
                case _:
                    reached = False
            if reached:
                found.append(goal)
        return found

    def queue_triggers(self, rules: Iterable[TriggerRule]) -> None:
        """Have triggers fire once at the next ``award_pending``."""
        self._pending += [(rule, 1) for rule in rules]

    def award_pending(self, *, may_block: bool = False, late: bool = False, only_held: bool = False) -> None:
        """Award the points of all triggers that have fired, and update levels and boards.

        Raises:
            Unprocessable: With ``may_block``, a deduction that may block exceeds the user's points.
        """
        if not self._pending:
            return
        gained: dict[int, int] = {}
        attributes, rules = self.profile.attributes, self.index.points
        # All triggers of a system have the same boosts at one instant.
        boosts: dict[int, Boosting | None] = {}
        pending = self._pending
        # In a fixed order, because ``max_points`` and blocking deductions make the result depend on it.
        for rule, times in sorted(pending, key=_by_type) if len(pending) > 1 else pending:
            if not rule.is_for(attributes):
                continue
            system = rule.system
            if system not in boosts:
                boosts[system] = rules.boosting(self.user, system, attributes, self.moment)
            total = self.points.get(system, 0)
            try:
                taken = self.taken.get(rule.number, 0)
                given = points.award(rules, total, rule, times, boosts[system], taken=taken, may_block=may_block)
            except OutOfPoints:
                name = rules.systems[system].name
                raise Unprocessable(f"Out of points: {name} would fall below 0") from None
            if given is not None:
                gained[system] = gained.get(system, 0) + given.awarded
                self._award(given)
                if rule.points < 0 and rule.trigger.type == "metric":
                    # The deduction may be less than the trigger's points, if the user had too few. A correction
                    # must give back only what was really deducted.
                    self.taken = {**self.taken, rule.number: taken - given.awarded}
        self._pending = []
        self._update_levels_and_boards(gained, late=late, only_held=only_held)

    def give(self, system: int, amount: int, cause: int, *, join_runs: bool = True) -> None:
        """Give points without a trigger. ``join_runs`` is as in ``score``."""
        known = self.index.points.systems.get(system)
        if known is None:
            return
        total = self.points.get(system, 0)
        given = points.limited(known, total, amount)
        if given:
            self._award(points.Award(system, cause, given, total + given))
            self._update_levels_and_boards({system: given}, join_runs=join_runs)

    def _award(self, given: points.Award) -> None:
        self.points = {**self.points, given.system: given.total}
        self.awards.append(
            AwardRecord(
                points.award_id(self.source, given.trigger, self.at_ms),
                given.system,
                given.trigger,
                given.awarded,
                given.total,
                self.at_ms,
                self.day.toordinal(),
                given.boosts,
                self.by_event,
            )
        )

    def _update_levels_and_boards(
        self, gained: dict[int, int], *, late: bool = False, only_held: bool = False, join_runs: bool = True
    ) -> None:
        """Update levels and boards after points were gained, by the number of the system."""
        for system, amount in gained.items():
            total = self.points[system]
            level = self.index.points.level(system, total)
            if level is not self.index.points.level(system, total - amount):
                self.add_fact("level", level.number if level is not None else 0, system)
            self.score(system, amount, late=late, only_held=only_held, join_runs=join_runs)

    def add_fact(self, kind: FactKind, amount: int, subject: int) -> None:
        """Record a fact at the current instant."""
        self.facts.append(FactRecord(kind, self.at_ms, amount, subject))

    def has_dropped_run(self, source: int) -> bool:
        """Return whether the state has dropped a run by this source that holds the current day.

        A score there would overwrite the standing. Events are too young for that, unless the leaderboard was by
        another metric before.
        """
        older = self.old.older
        for _, name, _, _ in self.index.open_boards(source, self.day):
            number, run, _ = split_board(name)
            if run and run <= older.get(number, ""):
                return True
        return False

    def drop_outdated(self) -> None:
        """Drop standings in runs that no event of this user can reach any more."""
        if len(self.boards) > 1:
            self.dropped = [board for board in self.outdated(self.boards) if board not in self.changes]

    def outdated(self, standings: Mapping[str, Standing | None]) -> list[str]:
        """Return the boards in runs that no event of this user can reach any more."""
        newest = self._day_before(self.newest_ms)
        # ``newest_of`` must include the present event.
        now = _replace(self.old, newest=self.newest, newest_ms=self.newest_ms)
        days: dict[int, date] = {}

        def newest_of(board: Leaderboard) -> date:
            source = self.index.source_of(board)
            if source.kind != "metric":
                return newest
            if source.number not in days:
                days[source.number] = self._day_before(now.newest_of(source.number))
            return days[source.number]

        return leaderboards.outdated(standings, self.index.leaderboard_by_number, newest, newest_of)

    def _day_before(self, at_ms: int) -> date:
        return local_day(at_ms, self.tz) - timedelta(days=1)

    def state(self, **fields: Any) -> UserState:
        """Return the new state, with further fields changed."""
        boards, older = self.boards, self.old.older
        if self.dropped:
            older = leaderboards.older_runs(self.index.leaderboard_by_number, older, self.dropped)
            boards = {board: standing for board, standing in boards.items() if board not in self.dropped}
        found: UserState = _replace(
            self.old,
            profile=self.profile,
            totals=self.totals,
            boards=boards,
            streaks=self.streaks if self.streaks is not NONE else self.old.streaks,  # stays None without a streak
            points=self.points,
            taken=self.taken,
            achieved=self.achieved,
            counts=self.counts,
            wishes=self.wishes,
            advanced_ms=self.advanced_ms,
            advanced_day=self.advanced_day,
            older=older,
            newest=self.newest,
            newest_ms=self.newest_ms,
            **fields,
        )
        return found

    @property
    def relabelled(self) -> bool:
        """Return whether the name or the attributes, which boards show, have changed."""
        profile, before = self.profile, self.old.profile
        if self.is_new:
            return profile.name is not None or bool(profile.attributes)
        return profile.name != before.name or profile.attributes != before.attributes

    def changed_boards(self, *, relabelled: bool) -> dict[str, Standing | None]:
        """Return the changes of ranked boards. If the user is relabelled, include all boards that show the
        user."""
        changes = self.changes
        if relabelled:
            # Boards that the user leaves come first: a group that is joined is then ranked among the others after
            # it.
            left = {board: None for board, standing in changes.items() if standing is None}
            live = leaderboards.live(self.index.leaderboard_by_number, self.boards)
            changes = {**left, **{b: s for b, s in live.items() if b not in self.dropped}, **changes}
        if not all(map(is_ranked, changes)):
            changes = {board: standing for board, standing in changes.items() if is_ranked(board)}
        return changes

    def _history_day(self, event: EventRecord, board: str) -> int:
        """Return the day (ordinal) of the board's history for an event that is older than the user's newest one.

        It is the day of the newest event (of the same metric, on a board by a metric), or the run's last day. On
        the event's own day it would contradict the rows of later days.
        """
        newest_ms, end = self.old.newest_ms, None
        number, run, _ = split_board(board)
        leaderboard = self.index.leaderboard_by_number.get(number)
        if leaderboard is not None:
            end = named_run(leaderboard, run).end
            source = self.index.source_of(leaderboard)
            if source.kind == "metric":
                newest_ms = self.old.newest_of(source.number)
        newest = local_day(newest_ms, self.tz)
        return max(event.day, (newest if end is None else min(newest, end)).toordinal())

    def _filled_day(self, board: str, new: Standing) -> int:
        """Return the day (ordinal) on which a user joined a board onto which a backfill brings the user now.

        It is the day on which the standing was reached, within the dates of the run.
        """
        number, run, _ = split_board(board)
        leaderboard = self.index.leaderboard_by_number[number]
        first, last = named_run(leaderboard, run)
        day = max(local_day(new.reached_ms, self.tz), first)
        return (day if last is None else min(day, last)).toordinal()

    def record(self, event: EventRecord | None, shown: dict[str, Standing | None]) -> LogRecord:
        """Return the record for the log."""
        old = self.old.boards
        behind = event is not None and event.at_ms < self.old.newest_ms
        if event is None and self.at_ms < 0:
            self.at(self.now_ms)  # an erasure, before which no instant was set
        today = self.day.toordinal() if event is None else event.day
        boards = []
        for board, new in shown.items():
            was = old.get(board)
            day = self._history_day(event, board) if event is not None and behind else 0
            boards.append(
                BoardRecord(
                    board,
                    None if new is None else new.value,
                    0 if new is None else new.reached_ms,
                    None if was is None else was.value,
                    day,
                    was is None or self._day_of(was.reached_ms) < (day or today),
                )
            )
        if self.filled:
            boards = [
                one
                if (new := shown[one.board]) is None
                or one.previous is not None
                or split_board(one.board).leaderboard not in self.filled
                else _replace(one, day=self._filled_day(one.board, new))
                for one in boards
            ]
        change = StreakChange(self.periods, self.pauses, self.lost) if self.periods or self.pauses else None
        dropped = [
            StandingRecord(board, held.value, held.reached_ms)
            for board in self.dropped
            if (held := self.boards.get(board)) is not None and is_ranked(board)
        ]
        return LogRecord(event, boards, change, self.awards, self.completions, self.facts, self.filled, dropped)

    def _day_of(self, at_ms: int) -> int:
        """Return the local day of an instant, as an ordinal.

        The last result is cached, since standings that one event moved have the same instant.
        """
        if at_ms != self._dated[0]:
            self._dated = at_ms, local_day(at_ms, self.tz).toordinal()
        return self._dated[1]


_ORDER = {"user_creation": 0, "metric": 1, "streak": 2, "achievement": 3, "time": 4}
"""The order of triggers' types (docs/http-api.md#order-within-an-event)."""


def _by_type(fired_: tuple[TriggerRule, int]) -> int:
    return _ORDER[fired_[0].trigger.type]
