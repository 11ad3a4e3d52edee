"""Apply one input to a user's state by all rules. Pure: the same values always give the same result."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from podium.game import ids
from podium.game.advance import advance, next_due
from podium.game.catalog import CatalogIndex
from podium.game.errors import NotFound, Unprocessable
from podium.game.inputs import (
    ChangePreferences,
    ChangeStreak,
    ChangeUser,
    Complete,
    Correction,
    CountHistory,
    Erase,
    Event,
    GivePoints,
    Input,
    MoveOlder,
    Recount,
    RemoveStanding,
    Reward,
    Tick,
)
from podium.game.leaderboards import backfill
from podium.game.leaderboards import rules as leaderboards
from podium.game.metrics import rules as metrics
from podium.game.metrics.model import Metric
from podium.game.periods import MS_PER_DAY, local_day, local_time, zone
from podium.game.records import EventRecord, LogRecord, PauseRecord, StreakRecord
from podium.game.space_settings import is_control
from podium.game.state import UserState
from podium.game.streaks import changes as streaks
from podium.game.streaks.model import Streaks, Wishes
from podium.game.unit_of_work import UnitOfWork
from podium.game.users import rules as users
from podium.game.users.model import Profile
from podium.game.users.rules import NOTHING, Upsert

BY_HAND = 0
"""The cause (a trigger's number otherwise) of points that support gave."""
_LATE_MS = leaderboards.LATE_DAYS * MS_PER_DAY


class Applied(NamedTuple):
    """The result of one input.

    ``changes`` are the new standings on ranked boards, None where the user left the board; if ``relabelled``, also
    those that only show a new name or attributes. ``dropped`` are boards that the state doesn't keep any more,
    while the user stays on them. ``metric`` and ``total`` (whole units) are those of an event.
    """

    state: UserState
    record: LogRecord
    changes: leaderboards.Changes
    dropped: list[str]
    relabelled: bool
    metric: Metric | None = None
    total: int = 0


def apply(index: CatalogIndex, state: UserState | None, input_: Input, generation: int = 0) -> Applied:
    """Return the state after ``input_``, and the record of its changes. ``state`` is None for a new user.

    ``generation`` is the present generation of idempotency keys.

    Raises:
        Unprocessable: The input can't be applied to this state.
        NotFound: The input needs an existing user.
    """
    if isinstance(input_, Event):
        return _event(index, state, input_, generation)
    if isinstance(input_, ChangeUser):
        if state is None and input_.must_exist:
            raise NotFound(f"User not found: {ids.printable(input_.user)}")
        work = _begin(index, state, input_.user, input_.upsert, input_.received_ms)
        work.award_pending()
        return _end(work)
    if isinstance(input_, Complete):
        return _complete(index, state, input_)
    if state is None:
        raise NotFound(f"User not found: {ids.printable(input_.user)}")
    if isinstance(input_, Erase):
        return _erase(index, state, input_)
    work = _begin(index, state, input_.user, NOTHING, input_.received_ms)
    if isinstance(input_, RemoveStanding):
        return _remove(work, input_)
    if isinstance(input_, Correction):
        return _correct(work, input_)
    if isinstance(input_, CountHistory):
        return _count_history(work, input_)
    if isinstance(input_, Recount):
        return _recount(work, input_)
    if isinstance(input_, MoveOlder):
        return _move_older(work, input_)
    if isinstance(input_, ChangeStreak):
        return _change_streak(work, input_)
    if isinstance(input_, ChangePreferences):
        return _change_preferences(work, input_)
    if isinstance(input_, GivePoints):
        work.source = input_.id
        work.give(input_.system, input_.amount, BY_HAND, join_runs=input_.join_runs)
        return _end(work)
    return _reward(work, input_) if isinstance(input_, Reward) else _tick(work, input_)


def _begin(index: CatalogIndex, state: UserState | None, user: str, upsert: Upsert, now_ms: int) -> UnitOfWork:
    """Return the unit of work of an input, advanced to now and with the profile changed or the user created."""
    if state is None:
        profile = users.apply(None, upsert, now_ms, control=is_control(index.settings, user))
        day = local_day(now_ms, zone(profile.tz)).toordinal()
        old = UserState(profile, advanced_ms=now_ms, advanced_day=day, first_day=day)
        work = UnitOfWork(index, user, old, now_ms, is_new=True)
        work.at(now_ms)
        if index.points.on_creation:
            work.queue_triggers(index.points.on_creation)
        # A sign-up day in the past may complete anniversaries at once.
        if profile.sign_up is not None and index.achievements.anniversaries:
            work.complete_reached(silent=False)
        return work
    work = UnitOfWork(index, user, state, now_ms, is_new=False)
    if state.due_ms and now_ms >= state.due_ms:  # nearly all inputs find nothing due, and skip the work
        advance(work, now_ms)
    work.at(now_ms)
    if upsert is not NOTHING:
        profile = users.apply(state.profile, upsert, now_ms)
        if profile is not state.profile:
            before = state.profile
            work.change_profile(profile)
            if profile.tz != before.tz and work.advanced_day:
                # In the new zone a midnight may have passed already, for which ``due_ms`` was not computed.
                advance(work, now_ms)
            work.at(now_ms)
            if index.achievements.goals and (
                profile.attributes != before.attributes or profile.sign_up != before.sign_up
            ):
                work.complete_reached(silent=False)
    return work


def _end(
    work: UnitOfWork,
    event: EventRecord | None = None,
    metric: Metric | None = None,
    **fields: Any,
) -> Applied:
    if work.due_changed:
        fields["due_ms"] = next_due(work)
    relabelled = work.relabelled
    shown = work.changed_boards(relabelled=relabelled)
    total = work.totals.get(metric.number, 0) if metric is not None else 0
    record = work.record(event, shown)
    return Applied(work.state(**fields), record, shown, work.dropped, relabelled, metric, total)


def _event(index: CatalogIndex, state: UserState | None, event: Event, generation: int) -> Applied:
    metric = index.metric_by_key.get(event.metric)
    if metric is None:
        raise Unprocessable(f"Unknown metric key: {event.metric}")
    work = _begin(index, state, event.user, event.upsert, event.received_ms)
    work.source, work.by_event = event.id, True
    old = work.old
    seen_ms = old.seen_ms
    if event.timestamp_ms is None:
        # If the clock steps back, a local day that is over must not come again.
        at_ms = seen_ms = max(event.received_ms, seen_ms)
    else:
        at_ms = event.timestamp_ms
    work.at(at_ms)

    units = metrics.to_units(metric, event.value)
    fields: dict[str, Any] = {}
    newest_before_ms = old.newest_of(metric.number)
    newest_of_metric_ms = max(at_ms, newest_before_ms)
    late = at_ms < newest_before_ms - _LATE_MS or (bool(old.older) and work.has_dropped_run(metric.number))
    # Points and streaks depend on several metrics, so for them the user's newest event of any metric decides which
    # runs and periods the state still has.
    behind = late or at_ms < old.newest_ms - _LATE_MS
    work.newest_ms = newest_ms = max(at_ms, old.newest_ms)
    if newest_of_metric_ms != old.newest.get(metric.number):  # copies only if it changes: this is the hot path
        work.newest = {**old.newest, metric.number: newest_of_metric_ms}
    work.count(metric, units)
    if metric.max_per_day is not None:
        fields["gained"] = _gained(work, metric, units, newest_of_metric_ms)
    work.score(metric.number, units, late=late)
    extended = not behind and work.extend_streak(metric, units, newest_ms)
    work.apply_rules(metric, units, event.attributes)
    work.award_pending(may_block=True, late=behind)

    # Standings become outdated by a later day only, so most events needn't look at them.
    if (
        newest_of_metric_ms // MS_PER_DAY != newest_before_ms // MS_PER_DAY
        or newest_ms // MS_PER_DAY != old.newest_ms // MS_PER_DAY
    ):
        work.drop_outdated()
    keyed = event.key is not None and old.keyed_since < 0
    record = EventRecord(
        event.id,
        metric.number,
        units,
        at_ms,
        event.received_ms,
        work.day.toordinal(),
        event.key,
        event.attributes,
        late,
        extended=extended,
        behind=behind,
    )
    return _end(
        work,
        record,
        metric,
        seen_ms=seen_ms,
        keyed_since=generation if keyed else old.keyed_since,
        **fields,
    )


def _gained(work: UnitOfWork, metric: Metric, units: int, newest_ms: int) -> dict[int, dict[int, int]]:
    """Return the gains of the last days, by metric, of metrics with ``max_per_day``, with these units added."""
    of_days = work.old.gained.get(metric.number, {})
    newest = local_day(newest_ms, work.tz).toordinal()
    return {
        **work.old.gained,
        metric.number: metrics.gained(metric, of_days, work.day.toordinal(), newest, units),
    }


def _change_streak(work: UnitOfWork, command: ChangeStreak) -> Applied:
    wanted, today = work.streak_rules, work.day.toordinal()
    pause, old = command.pause, work.streaks
    new: Streaks | None
    match command.action:
        case "freeze":
            new = streaks.given(wanted, old, today)
            problem = "Would exceed maximum freeze limit"
        case "restore":
            new = streaks.restored(wanted, old, today)
            problem = "No streak to restore"
        case "reset":
            new = streaks.reset(wanted, old)
            problem = ""
            if length := work.streak_length:
                work.add_fact("streak_lost", length, wanted.track)
        case "undo":
            if command.undone is None:
                raise AssertionError("what to undo is missing")
            new = streaks.undone(old, *command.undone)
            problem = "The streak has changed since; it can't be undone"
        case _ if pause is None:
            raise AssertionError("a pause is missing")
        case "pause":
            new = streaks.paused(old, pause) if pause.start >= today else None
            problem = "start must not lie before today in the user's zone"
            work.pauses.append(PauseRecord(pause.id, pause.start, pause.end))
        case _:
            left = pause.end >= pause.start
            new = streaks.unpaused(old, pause.id)
            new = streaks.paused(new, pause) if left else new
            problem = ""
            work.pauses.append(PauseRecord(pause.id, pause.start, pause.end if left else 0))
    if new is None:
        raise Unprocessable(problem)
    work.streaks = new
    work.due_changed = True
    steps = streaks.taken_back(*command.undone) if command.undone is not None else streaks.changed(old, new)
    work.periods += [StreakRecord(*step) for step in steps]
    if command.action in ("restore", "reset", "undo"):
        work.lost = not work.streak_length
        work.rank_streak()
    return _end(work)


def _change_preferences(work: UnitOfWork, command: ChangePreferences) -> Applied:
    fields: dict[str, Any] = {}
    if command.channels is not None:
        channels = {**work.old.channels, **command.channels}
        fields["channels"] = {type_: wanted for type_, wanted in channels.items() if wanted is not None}
    if command.wishes is not None:
        work.wishes = msgspec.structs.replace(work.wishes or Wishes(), **command.wishes)
        work.due_changed = True
        work.rank_streak()
    return _end(work, **fields)


def _complete(index: CatalogIndex, state: UserState | None, command: Complete) -> Applied:
    work = _begin(index, state, command.user, command.upsert, command.received_ms)
    if command.achievement not in work.achieved:
        goal = index.achievements.goals.get(command.achievement)
        if goal is None:
            raise Unprocessable("The achievement is not active")
        if not goal.is_for(work.profile.attributes):
            raise Unprocessable("The user's attributes don't match those of the achievement")
        work.by_event = True
        work.complete(goal)
    work.award_pending()
    return _end(work)


def _reward(work: UnitOfWork, command: Reward) -> Applied:
    given = work.old.rewarded
    last = given.get(command.leaderboard)
    # Names of runs sort by date, and runs are rewarded in that order, so the last name covers all before it.
    if last is not None and command.run <= last:
        return _end(work)
    work.source = f"{work.user} {command.leaderboard}:{command.run}"
    for number in command.achievements:
        goal = work.index.achievements.goals.get(number)
        if goal is not None and number not in work.achieved:
            work.complete(goal)
    work.award_pending()
    for system, amount in command.points.items():
        work.give(system, amount, command.leaderboard)
    for _ in range(command.freezes):
        more = streaks.given(work.streak_rules, work.streaks, work.day.toordinal())
        if more is None:
            break
        work.streaks = more
        work.due_changed = True
    return _end(work, rewarded={**given, command.leaderboard: command.run})


def _tick(work: UnitOfWork, tick: Tick) -> Applied:
    if tick.reconciles:
        # The catalog has changed since the state was advanced, so timed changes of the new one may be due.
        if work.advanced_ms < tick.received_ms:
            advance(work, tick.received_ms)
            work.at(tick.received_ms)
        work.due_changed = True
        work.counts = {**work.counts, **tick.counts}
        work.rank_streak()
        work.complete_reached(silent=True)
        work.award_pending()
    return _end(work)


def _remove(work: UnitOfWork, command: RemoveStanding) -> Applied:
    state = work.old
    blocked = state.blocked
    if command.block is False:
        return _end(work, blocked=tuple(name for name in blocked if name != command.blocks))
    live = leaderboards.live(work.index.leaderboard_by_number, work.boards)
    work.move(leaderboards.removal(live, command.leaderboard, command.run))
    if command.block and command.blocks not in blocked:
        blocked = (*blocked, command.blocks)
    filled = state.filled
    if command.run is None and command.leaderboard not in filled:
        filled = (*filled, command.leaderboard)  # a backfill must not bring the user back from stored events
    return _end(work, blocked=blocked, filled=filled)


def _erase(index: CatalogIndex, state: UserState, command: Erase) -> Applied:
    """Remove the user from all boards, and replace the state by an empty one."""
    work = UnitOfWork(index, command.user, state, command.received_ms, is_new=False)
    work.move(dict.fromkeys(state.boards))
    shown = work.changed_boards(relabelled=True)
    nobody = UserState(Profile(command.received_ms, command.received_ms))
    return Applied(nobody, work.record(None, shown), shown, [], relabelled=True)


def _correct(work: UnitOfWork, command: Correction) -> Applied:
    """Correct totals, boards and points. Streaks and achievements stay (docs/http-api.md#moderation)."""
    index = work.index
    metric = index.metric_by_number.get(command.metric)
    if metric is None:
        raise Unprocessable("the event's metric has been deleted")
    kept = work.boards
    work.restore(command.held)
    work.at(command.at_ms)
    work.day = command.day  # the stored day of the event: the user may have moved to another zone since
    work.source, work.by_event = command.id, True
    work.count(metric, command.units)
    boards = index.open_boards(metric.number, command.day)
    changes = leaderboards.score_changes(
        [board for board in boards if board.leaderboard.scoring == "sum"],
        work.boards,
        work.profile.attributes,
        local_time(command.at_ms, work.tz),
        command.at_ms,
        command.units,
        late=command.late,
        blocked=work.old.blocked,
    )
    # A correction must not bring back a user who was removed from a board.
    changes = {board: standing for board, standing in changes.items() if board in work.boards}
    changes.update(leaderboards.reread(boards, work.boards, command.standings))
    work.move(changes)
    work.apply_rules(metric, command.units, command.attributes, corrects=True)
    work.award_pending(late=command.behind, only_held=True)
    record = EventRecord(
        command.id,
        metric.number,
        command.units,
        command.at_ms,
        command.received_ms,
        command.day.toordinal(),
        attributes=command.attributes,
        late=command.late,
        corrects=command.corrects,
        behind=command.behind,
    )
    fields: dict[str, Any] = {}
    # A negative correction makes room again under ``max_per_day``. A positive one is support's decision, and
    # passes it.
    if metric.max_per_day is not None and command.units < 0:
        fields["gained"] = _gained(work, metric, command.units, work.old.newest_of(metric.number))
    if command.held:
        work.drop(kept)
    return _end(work, record, metric, **fields)


def _move_older(work: UnitOfWork, command: MoveOlder) -> Applied:
    kept = work.boards
    # Standings that the state itself has are newer than those that were read for the command.
    held = {board: standing for board, standing in command.held.items() if board not in kept}
    work.restore(held)
    if command.attributes is None:
        work.move(dict.fromkeys(held))
    else:
        work.move(leaderboards.regroup(work.index.leaderboard_by_number, held, command.attributes))
    work.drop(kept)
    return _end(work)


def _count_history(work: UnitOfWork, command: CountHistory) -> Applied:
    """Add the standings of a backfill. Runs that no event of the user can reach any more are dropped at once.

    So a state doesn't grow with the years.
    """
    changes: leaderboards.Changes = {}
    filled = work.old.filled
    work.restore(command.held)
    for number, standings in command.standings.items():
        board = work.index.leaderboard_by_number.get(number)
        if board is None or (number in filled and not command.again):  # archived, or counted meanwhile
            continue
        attributes = work.profile.attributes
        changes.update(backfill.placed(board, work.boards, attributes, standings, work.old.blocked))
        if number in command.done and number not in filled:
            filled = (*filled, number)
    if not command.again:
        work.filled = tuple(command.standings)
    work.move(changes)
    work.dropped = work.outdated({**command.held, **changes})
    return _end(work, filled=filled)


def _recount(work: UnitOfWork, command: Recount) -> Applied:
    work.streaks = command.streaks
    work.due_changed = True
    work.periods += [StreakRecord(*step) for step in command.steps]
    work.lost = not work.streak_length
    work.rank_streak()
    longest = command.streaks.tracks[work.streak_rules.track].best
    for goal in work.index.achievements.on_streak:
        if goal.number not in work.achieved and longest >= goal.needs and goal.is_for(work.profile.attributes):
            work.complete(goal, silent=True)
    work.award_pending()
    return _end(work)
