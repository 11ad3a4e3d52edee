"""Folds the features' rules over one input. Pure: the same values give the same result, however often."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from podium.game import ids
from podium.game.advance import carry, next_due
from podium.game.catalog import CatalogIndex
from podium.game.errors import NotFound, Unprocessable
from podium.game.inputs import (
    ChangePreferences,
    ChangeStreak,
    ChangeUser,
    Complete,
    Correction,
    Erase,
    Event,
    Fill,
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
from podium.game.unit_of_work import Turn
from podium.game.users import rules as users
from podium.game.users.model import Profile
from podium.game.users.rules import NOTHING, Upsert

BY_HAND = 0
"""The cause of points that support gave."""
_LATE_MS = leaderboards.LATE_DAYS * MS_PER_DAY


class Applied(NamedTuple):
    """What one input concluded.

    ``changes`` are the standings it wrote on boards that are ranked, by board, None where the user left; where
    ``relabelled``, also those that only show a new name or attributes. ``dropped`` are boards that the state let
    go of while the user stays there. ``metric`` and ``total`` (whole units) are an event's.
    """

    state: UserState
    record: LogRecord
    changes: leaderboards.Changes
    dropped: list[str]
    relabelled: bool
    metric: Metric | None = None
    total: int = 0


def apply(index: CatalogIndex, state: UserState | None, input_: Input, generation: int = 0) -> Applied:
    """The state after ``input_`` and what it concluded. ``state`` is None for a user who is new.

    ``generation`` is that of idempotency keys now. Raises 422 or 404 if the input can't be applied to this
    state; then nothing has changed.
    """
    if isinstance(input_, Event):
        return _event(index, state, input_, generation)
    if isinstance(input_, ChangeUser):
        if state is None and input_.must_exist:
            raise NotFound(f"User not found: {ids.printable(input_.user)}")
        turn = _begin(index, state, input_.user, input_.upsert, input_.received_ms)
        turn.settle()
        return _end(turn)
    if isinstance(input_, Complete):
        return _complete(index, state, input_)
    if state is None:
        raise NotFound(f"User not found: {ids.printable(input_.user)}")
    if isinstance(input_, Erase):
        return _erase(index, state, input_)
    turn = _begin(index, state, input_.user, NOTHING, input_.received_ms)
    if isinstance(input_, RemoveStanding):
        return _remove(turn, input_)
    if isinstance(input_, Correction):
        return _correct(turn, input_)
    if isinstance(input_, Fill):
        return _fill(turn, input_)
    if isinstance(input_, Recount):
        return _recount(turn, input_)
    if isinstance(input_, MoveOlder):
        return _move_older(turn, input_)
    if isinstance(input_, ChangeStreak):
        return _change_streak(turn, input_)
    if isinstance(input_, ChangePreferences):
        return _change_preferences(turn, input_)
    if isinstance(input_, GivePoints):
        turn.source = input_.id
        turn.give(input_.system, input_.amount, BY_HAND, join_runs=input_.join_runs)
        return _end(turn)
    return _reward(turn, input_) if isinstance(input_, Reward) else _tick(turn, input_)


def _begin(index: CatalogIndex, state: UserState | None, user: str, upsert: Upsert, now_ms: int) -> Turn:
    """The turn of an input: time is carried up to now, then the profile is changed, or the user made."""
    if state is None:
        profile = users.apply(None, upsert, now_ms, control=is_control(index.settings, user))
        day = local_day(now_ms, zone(profile.tz)).toordinal()
        old = UserState(profile, carried_ms=now_ms, carried_day=day, first_day=day)
        turn = Turn(index, user, old, now_ms, is_new=True)
        turn.at(now_ms)
        if index.points.on_creation:
            turn.fire(index.points.on_creation)
        if profile.sign_up is not None and index.achievements.anniversaries:
            turn.look_around(silent=False)
        return turn
    turn = Turn(index, user, state, now_ms, is_new=False)
    if state.due_ms and now_ms >= state.due_ms:
        carry(turn, now_ms)
    turn.at(now_ms)
    if upsert is not NOTHING:
        profile = users.apply(state.profile, upsert, now_ms)
        if profile is not state.profile:
            before = state.profile
            turn.enter(profile)
            if profile.tz != before.tz and turn.carried_day:
                carry(turn, now_ms)
            turn.at(now_ms)
            if index.achievements.goals and (
                profile.attributes != before.attributes or profile.sign_up != before.sign_up
            ):
                turn.look_around(silent=False)
    return turn


def _end(
    turn: Turn,
    event: EventRecord | None = None,
    metric: Metric | None = None,
    **fields: Any,
) -> Applied:
    if turn.due_moved:
        fields["due_ms"] = next_due(turn)
    relabelled = turn.relabelled
    shown = turn.shown(relabelled=relabelled)
    total = turn.totals.get(metric.number, 0) if metric is not None else 0
    record = turn.record(event, shown)
    return Applied(turn.state(**fields), record, shown, turn.dropped, relabelled, metric, total)


def _event(index: CatalogIndex, state: UserState | None, event: Event, generation: int) -> Applied:
    metric = index.metric_by_key.get(event.metric)
    if metric is None:
        raise Unprocessable(f"Unknown metric key: {event.metric}")
    turn = _begin(index, state, event.user, event.upsert, event.received_ms)
    turn.source, turn.by_event = event.id, True
    old = turn.old
    seen_ms = old.seen_ms
    if event.timestamp_ms is None:
        # A clock that steps back must not bring back a local day that is over.
        at_ms = seen_ms = max(event.received_ms, seen_ms)
    else:
        at_ms = event.timestamp_ms
    turn.at(at_ms)

    units = metrics.to_units(metric, event.value)
    fields: dict[str, Any] = {}
    newest_before_ms = old.newest_of(metric.number)
    newest_of_metric_ms = max(at_ms, newest_before_ms)
    late = at_ms < newest_before_ms - _LATE_MS or (bool(old.older) and turn.has_let_go(metric.number))
    # Points and streaks hang on several metrics: there the state lets go of the past by the user's newest event.
    behind = late or at_ms < old.newest_ms - _LATE_MS
    turn.newest_ms = newest_ms = max(at_ms, old.newest_ms)
    if newest_of_metric_ms != old.newest.get(metric.number):
        turn.newest = {**old.newest, metric.number: newest_of_metric_ms}
    turn.count(metric, units)
    if metric.max_per_day is not None:
        fields["gained"] = _gained(turn, metric, units, newest_of_metric_ms)
    turn.score(metric.number, units, late=late)
    extended = not behind and turn.extend(metric, units, local_day(newest_ms, turn.tz).toordinal())
    turn.reach(metric, units, event.attributes)
    turn.settle(may_block=True, late=behind)

    if (
        newest_of_metric_ms // MS_PER_DAY != newest_before_ms // MS_PER_DAY
        or newest_ms // MS_PER_DAY != old.newest_ms // MS_PER_DAY
    ):
        turn.drop_outdated()
    keyed = event.key is not None and old.keyed_since < 0
    record = EventRecord(
        event.id,
        metric.number,
        units,
        at_ms,
        event.received_ms,
        turn.day.toordinal(),
        event.key,
        event.attributes,
        late,
        extended=extended,
        behind=behind,
    )
    return _end(
        turn,
        record,
        metric,
        seen_ms=seen_ms,
        keyed_since=generation if keyed else old.keyed_since,
        **fields,
    )


def _gained(turn: Turn, metric: Metric, units: int, newest_ms: int) -> dict[int, dict[int, int]]:
    """What was gained on the last days of each metric that has a most for a day."""
    of_days = turn.old.gained.get(metric.number, {})
    newest = local_day(newest_ms, turn.tz).toordinal()
    return {
        **turn.old.gained,
        metric.number: metrics.gained(metric, of_days, turn.day.toordinal(), newest, units),
    }


def _change_streak(turn: Turn, command: ChangeStreak) -> Applied:
    wanted, today = turn.streak_rules, turn.day.toordinal()
    pause, old = command.pause, turn.streaks
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
            if length := turn.streak_length:
                turn.tell("streak_lost", length, wanted.track)
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
            turn.pauses.append(PauseRecord(pause.id, pause.start, pause.end))
        case _:
            left = pause.end >= pause.start
            new = streaks.unpaused(old, pause.id)
            new = streaks.paused(new, pause) if left else new
            problem = ""
            turn.pauses.append(PauseRecord(pause.id, pause.start, pause.end if left else 0))
    if new is None:
        raise Unprocessable(problem)
    turn.streaks = new
    turn.due_moved = True
    steps = streaks.taken_back(*command.undone) if command.undone is not None else streaks.changed(old, new)
    turn.periods += [StreakRecord(*step) for step in steps]
    if command.action in ("restore", "reset", "undo"):
        turn.lost = not turn.streak_length
        turn.rank_streak()
    return _end(turn)


def _change_preferences(turn: Turn, command: ChangePreferences) -> Applied:
    fields: dict[str, Any] = {}
    if command.channels is not None:
        channels = {**turn.old.channels, **command.channels}
        fields["channels"] = {type_: wanted for type_, wanted in channels.items() if wanted is not None}
    if command.wishes is not None:
        turn.wishes = msgspec.structs.replace(turn.wishes or Wishes(), **command.wishes)
        turn.due_moved = True
        turn.rank_streak()
    return _end(turn, **fields)


def _complete(index: CatalogIndex, state: UserState | None, command: Complete) -> Applied:
    turn = _begin(index, state, command.user, command.upsert, command.received_ms)
    if command.achievement not in turn.achieved:
        goal = index.achievements.goals.get(command.achievement)
        if goal is None:
            raise Unprocessable("The achievement is not active")
        if not goal.is_for(turn.profile.attributes):
            raise Unprocessable("The user's attributes don't match those of the achievement")
        turn.by_event = True
        turn.complete(goal)
    turn.settle()
    return _end(turn)


def _reward(turn: Turn, command: Reward) -> Applied:
    given = turn.old.rewarded
    last = given.get(command.leaderboard)
    if last is not None and command.run <= last:
        return _end(turn)
    turn.source = f"{turn.user} {command.leaderboard}:{command.run}"
    for number in command.achievements:
        goal = turn.index.achievements.goals.get(number)
        if goal is not None and number not in turn.achieved:
            turn.complete(goal)
    turn.settle()
    for system, amount in command.points.items():
        turn.give(system, amount, command.leaderboard)
    for _ in range(command.freezes):
        more = streaks.given(turn.streak_rules, turn.streaks, turn.day.toordinal())
        if more is None:
            break
        turn.streaks = more
        turn.due_moved = True
    return _end(turn, rewarded={**given, command.leaderboard: command.run})


def _tick(turn: Turn, tick: Tick) -> Applied:
    if tick.sweep:
        # The catalog is other than when the state was last carried: what it asks for may be due by now.
        if turn.carried_ms < tick.received_ms:
            carry(turn, tick.received_ms)
            turn.at(tick.received_ms)
        turn.due_moved = True
        turn.counts = {**turn.counts, **tick.counts}
        turn.rank_streak()
        turn.look_around(silent=True)
        turn.settle()
    return _end(turn)


def _remove(turn: Turn, command: RemoveStanding) -> Applied:
    state = turn.old
    blocked = state.blocked
    if command.block is False:
        return _end(turn, blocked=tuple(name for name in blocked if name != command.blocks))
    live = leaderboards.live(turn.index.leaderboard_by_number, turn.boards)
    turn.move(leaderboards.removal(live, command.leaderboard, command.run))
    if command.block and command.blocks not in blocked:
        blocked = (*blocked, command.blocks)
    filled = state.filled
    if command.run is None and command.leaderboard not in filled:
        filled = (*filled, command.leaderboard)  # what was taken off must not come back from stored events
    return _end(turn, blocked=blocked, filled=filled)


def _erase(index: CatalogIndex, state: UserState, command: Erase) -> Applied:
    """The user leaves every board, and a state of nobody stands for the one that goes."""
    turn = Turn(index, command.user, state, command.received_ms, is_new=False)
    turn.move(dict.fromkeys(state.boards))
    shown = turn.shown(relabelled=True)
    nobody = UserState(Profile(command.received_ms, command.received_ms))
    return Applied(nobody, turn.record(None, shown), shown, [], relabelled=True)


def _correct(turn: Turn, command: Correction) -> Applied:
    """Totals, boards and points follow; streaks and achievements stay (docs/http-api.md#moderation)."""
    index = turn.index
    metric = index.metric_by_number.get(command.metric)
    if metric is None:
        raise Unprocessable("the event's metric has been deleted")
    kept = turn.boards
    turn.recall(command.held)
    turn.at(command.at_ms)
    turn.day = command.day
    turn.source, turn.by_event = command.id, True
    turn.count(metric, command.units)
    boards = index.open_boards(metric.number, command.day)
    changes = leaderboards.score_changes(
        [board for board in boards if board.leaderboard.scoring == "sum"],
        turn.boards,
        turn.profile.attributes,
        local_time(command.at_ms, turn.tz),
        command.at_ms,
        command.units,
        late=command.late,
        blocked=turn.old.blocked,
    )
    # A user who was taken off a board does not come back by a correction.
    changes = {board: standing for board, standing in changes.items() if board in turn.boards}
    changes.update(leaderboards.reread(boards, turn.boards, command.standings))
    turn.move(changes)
    turn.reach(metric, command.units, command.attributes, corrects=True)
    turn.settle(late=command.behind, only_held=True)
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
    if metric.max_per_day is not None and command.units < 0:
        fields["gained"] = _gained(turn, metric, command.units, turn.old.newest_of(metric.number))
    if command.held:
        turn.let_go(kept)
    return _end(turn, record, metric, **fields)


def _move_older(turn: Turn, command: MoveOlder) -> Applied:
    kept = turn.boards
    held = {board: standing for board, standing in command.held.items() if board not in kept}
    turn.recall(held)
    if command.attributes is None:
        turn.move(dict.fromkeys(held))
    else:
        turn.move(leaderboards.regroup(turn.index.leaderboard_by_number, held, command.attributes))
    turn.let_go(kept)
    return _end(turn)


def _fill(turn: Turn, command: Fill) -> Applied:
    """The runs that no event of the user can reach any more are let go of again at once: a state does not grow
    with the years."""
    changes: leaderboards.Changes = {}
    filled = turn.old.filled
    turn.recall(command.held)
    for number, standings in command.standings.items():
        board = turn.index.leaderboard_by_number.get(number)
        if board is None or (number in filled and not command.again):
            continue
        attributes = turn.profile.attributes
        changes.update(backfill.placed(board, turn.boards, attributes, standings, turn.old.blocked))
        if number in command.done and number not in filled:
            filled = (*filled, number)
    if not command.again:
        turn.filled = tuple(command.standings)
    turn.move(changes)
    turn.dropped = turn.outdated({**command.held, **changes})
    return _end(turn, filled=filled)


def _recount(turn: Turn, command: Recount) -> Applied:
    turn.streaks = command.streaks
    turn.due_moved = True
    turn.periods += [StreakRecord(*step) for step in command.steps]
    turn.lost = not turn.streak_length
    turn.rank_streak()
    longest = command.streaks.tracks[turn.streak_rules.track].best
    for goal in turn.index.achievements.on_streak:
        if goal.number not in turn.achieved and longest >= goal.needs and goal.is_for(turn.profile.attributes):
            turn.complete(goal, silent=True)
    turn.settle()
    return _end(turn)
