"""Folds the features' rules over one input. Pure: the same values give the same result, however often."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import msgspec

from server.core import ids
from server.core.errors import NotFound, Unprocessable
from server.core.periods import MS_PER_DAY, local_day, local_time, zone
from server.engine.catalog import CatalogIndex
from server.engine.inputs import ChangeStreak, ChangeUser, Correction, Event, Fill, Input, RemoveStanding
from server.engine.records import BoardRecord, EventRecord, LogRecord, PauseRecord, StreakChange, StreakRecord
from server.engine.state import UserState
from server.features.leaderboards import rules as leaderboards
from server.features.leaderboards.model import Standing
from server.features.leaderboards.ranking import is_ranked
from server.features.metrics import rules as metrics
from server.features.metrics.model import Metric
from server.features.streaks import rules as streaks
from server.features.streaks.model import NONE, Streaks
from server.features.users import rules as users
from server.features.users.model import Profile

NO_STEPS: list[streaks.Step] = []
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
        return _change_user(index, state, input_)
    if state is None:
        raise NotFound(f"User not found: {ids.printable(input_.user)}")
    if isinstance(input_, RemoveStanding):
        return _remove(index, state, input_)
    if isinstance(input_, Fill):
        return _fill(index, state, input_)
    if isinstance(input_, ChangeStreak):
        return _change_streak(index, state, input_)
    return _correct(index, state, input_)


def _change_user(index: CatalogIndex, state: UserState | None, command: ChangeUser) -> Applied:
    if state is None and command.must_exist:
        raise NotFound(f"User not found: {ids.printable(command.user)}")
    profile = users.apply(state.profile if state else None, command.upsert, command.received_ms)
    old = state or UserState(profile)
    return _applied(index, old, state is None, {"profile": profile}, None, _regrouped(index, old, profile))


def _event(index: CatalogIndex, state: UserState | None, event: Event, generation: int) -> Applied:
    metric = index.metric_by_key.get(event.metric)
    if metric is None:
        raise Unprocessable(f"Unknown metric key: {event.metric}")
    profile = users.apply(state.profile if state else None, event.upsert, event.received_ms)
    old = state or UserState(profile)

    seen_ms = old.seen_ms
    if event.timestamp_ms is None:
        # A clock that steps back must not bring back a local day that is over.
        at_ms = seen_ms = max(event.received_ms, seen_ms)
    else:
        at_ms = event.timestamp_ms
    tz = zone(profile.tz)
    moment = local_time(at_ms, tz)
    day = moment.date()

    units = metrics.to_units(metric, event.value)
    total = metrics.add(metric, old.totals.get(metric.number, 0), units)
    late = at_ms < old.newest_ms - _LATE_MS
    changes = _regrouped(index, old, profile)
    standings = _merged(old.boards, changes) if changes else old.boards
    changes.update(
        leaderboards.score_changes(
            index.open_boards(metric.number, day),
            standings,
            profile.attributes,
            moment,
            at_ms,
            units,
            late=late,
            blocked=old.blocked,
        )
    )

    dropped: list[str] = []
    newest_ms = max(at_ms, old.newest_ms)
    if newest_ms // MS_PER_DAY != old.newest_ms // MS_PER_DAY and len(standings) > 1:
        newest = local_day(newest_ms, tz) - timedelta(days=1)
        dropped = leaderboards.outdated(standings, index.leaderboard_by_number, newest)
        dropped = [board for board in dropped if board not in changes]
    keyed = event.key is not None and old.keyed_since < 0
    fields = {
        "profile": profile,
        "newest_ms": newest_ms,
        "seen_ms": seen_ms,
        "totals": {**old.totals, metric.number: total},
        "keyed_since": generation if keyed else old.keyed_since,
    }
    extended, steps = False, NO_STEPS
    if metric.number in index.streaks.thresholds and not late:
        newest_day = local_day(newest_ms, tz).toordinal()
        fields["streaks"], extended, steps = streaks.count(
            index.streaks, old.streaks or NONE, metric.number, units, day.toordinal(), newest_day, at_ms
        )
    record = EventRecord(
        event.id,
        metric.number,
        units,
        at_ms,
        event.received_ms,
        day.toordinal(),
        event.key,
        event.attributes,
        late,
        extended=extended,
    )
    change = StreakChange([StreakRecord(*step) for step in steps]) if steps else None
    return _applied(index, old, state is None, fields, record, changes, dropped, metric, total, change)


def _change_streak(index: CatalogIndex, state: UserState, command: ChangeStreak) -> Applied:
    wanted, today = index.streaks, local_day(command.received_ms, zone(state.profile.tz)).toordinal()
    pause, pauses = command.pause, []
    old = state.streaks or NONE
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
        case _ if pause is None:
            raise AssertionError("a pause is missing")
        case "pause":
            new = streaks.paused(old, pause) if pause.start >= today else None
            problem = "start must not lie before today in the user's zone"
            pauses = [PauseRecord(pause.id, pause.start, pause.end)]
        case _:
            new = streaks.unpaused(old, pause.id)
            problem = ""
            pauses = [PauseRecord(pause.id, pause.start, 0)]
    if new is None:
        raise Unprocessable(problem)
    change = StreakChange([StreakRecord(*step) for step in streaks.changed(old, new)], pauses)
    return _applied(index, state, False, {"streaks": new}, None, {}, change=change)


def _remove(index: CatalogIndex, state: UserState, command: RemoveStanding) -> Applied:
    live = leaderboards.live(index.leaderboard_by_number, state.boards)
    changes = leaderboards.removal(live, command.leaderboard, command.run)
    blocked = state.blocked
    if command.block is not None:
        others = tuple(name for name in blocked if name != command.blocks)
        blocked = (*others, command.blocks) if command.block else others
    filled = state.filled
    if command.run is None and command.leaderboard not in filled:
        filled = (*filled, command.leaderboard)  # what was taken off must not come back from stored events
    return _applied(index, state, False, {"blocked": blocked, "filled": filled}, None, changes)


def _correct(index: CatalogIndex, state: UserState, command: Correction) -> Applied:
    metric = index.metric_by_number.get(command.metric)
    if metric is None:
        raise Unprocessable("the event's metric has been deleted")
    total = metrics.add(metric, state.totals.get(metric.number, 0), command.units)
    tz = zone(state.profile.tz)
    boards = index.open_boards(metric.number, command.day)
    changes = leaderboards.score_changes(
        [board for board in boards if board.leaderboard.operator == "sum"],
        state.boards,
        state.profile.attributes,
        local_time(command.at_ms, tz),
        command.at_ms,
        command.units,
        late=command.late,
        blocked=state.blocked,
    )
    # A user who was taken off a board does not come back by a correction.
    changes = {board: standing for board, standing in changes.items() if board in state.boards}
    changes.update(leaderboards.reread(boards, state.boards, command.standings))
    record = EventRecord(
        command.id,
        metric.number,
        command.units,
        command.at_ms,
        command.received_ms,
        command.day.toordinal(),
        late=command.late,
        corrects=command.corrects,
    )
    fields = {"totals": {**state.totals, metric.number: total}}
    return _applied(index, state, False, fields, record, changes, [], metric, total)


def _fill(index: CatalogIndex, state: UserState, command: Fill) -> Applied:
    changes: leaderboards.Changes = {}
    filled = state.filled
    for number, standings in command.standings.items():
        board = index.leaderboard_by_number.get(number)
        if board is not None and number not in filled:
            filled = (*filled, number)
            attributes = state.profile.attributes
            changes.update(leaderboards.placed(board, state.boards, attributes, standings, state.blocked))
    newest = local_day(state.newest_ms, zone(state.profile.tz)) - timedelta(days=1)
    dropped = leaderboards.outdated(changes, index.leaderboard_by_number, newest)
    return _applied(index, state, False, {"filled": filled}, None, changes, dropped)


def _regrouped(index: CatalogIndex, old: UserState, profile: Profile) -> leaderboards.Changes:
    if profile.attributes == old.profile.attributes or not old.boards:
        return {}
    return leaderboards.regroup(index.leaderboard_by_number, old.boards, profile.attributes)


def _merged(boards: dict[str, Standing], changes: leaderboards.Changes) -> dict[str, Standing]:
    merged: dict[str, Any] = {**boards, **changes}
    return {board: standing for board, standing in merged.items() if standing is not None}


def _applied(
    index: CatalogIndex,
    old: UserState,
    is_new: bool,
    fields: dict[str, Any],
    event: EventRecord | None,
    changes: leaderboards.Changes,
    dropped: list[str] | None = None,
    metric: Metric | None = None,
    total: int = 0,
    change: StreakChange | None = None,
) -> Applied:
    """The new state with its record. Leaving a board where the user has no standing is no change."""
    dropped = dropped or []
    boards = {**old.boards, **changes} if changes else old.boards
    if dropped or None in changes.values():
        boards = {b: s for b, s in boards.items() if s is not None and b not in dropped}
    state: UserState = _replace(old, boards=boards, **fields)
    profile, before = state.profile, old.profile
    relabelled = (
        profile.name is not None or bool(profile.attributes)
        if is_new
        else (profile.name != before.name or profile.attributes != before.attributes)
    )
    shown: leaderboards.Changes = changes
    if relabelled:
        # What is left comes first: a group that is joined is ranked among the others as they are then.
        left = {board: None for board, standing in changes.items() if standing is None}
        shown = {**left, **leaderboards.live(index.leaderboard_by_number, state.boards), **changes}
    if any(not is_ranked(board) for board in shown):
        shown = {board: standing for board, standing in shown.items() if is_ranked(board)}
    records = [
        BoardRecord(
            board,
            None if new is None else new.value,
            0 if new is None else new.reached_ms,
            was.value if (was := old.boards.get(board)) is not None else None,
        )
        for board, new in shown.items()
    ]
    return Applied(state, LogRecord(event, records, change), shown, dropped, relabelled, metric, total)


_replace = msgspec.structs.replace
