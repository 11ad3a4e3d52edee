"""Folds the features' rules over one input. Pure: the same values give the same result, however often."""

from __future__ import annotations

from datetime import timedelta
from typing import NamedTuple

from server.core import ids
from server.core.errors import NotFound, Unprocessable
from server.core.periods import MS_PER_DAY, local_day, zone
from server.engine.catalog import CatalogIndex
from server.engine.inputs import ChangeUser, Event, Input
from server.engine.records import BoardRecord, EventRecord, LogRecord
from server.engine.state import UserState
from server.features.leaderboards import rules as leaderboards
from server.features.leaderboards.model import Standing
from server.features.metrics import rules as metrics
from server.features.metrics.model import Metric
from server.features.users import rules as users
from server.features.users.model import Profile

_LATE_MS = leaderboards.LATE_DAYS * MS_PER_DAY


class Applied(NamedTuple):
    """What one input concluded.

    ``changes`` are the standings it wrote, by board; where ``renamed``, also those that only show a new name.
    ``dropped`` are boards that the state let go of. ``metric`` and ``total`` (whole units) are an event's.
    """

    state: UserState
    record: LogRecord
    changes: dict[str, Standing]
    dropped: list[str]
    renamed: bool
    metric: Metric | None = None
    total: int = 0


def apply(index: CatalogIndex, state: UserState | None, input_: Input, generation: int = 0) -> Applied:
    """The state after ``input_`` and what it concluded. ``state`` is None for a user who is new.

    ``generation`` is that of idempotency keys now. Raises 422 or 404 if the input can't be applied to this
    state; then nothing has changed.
    """
    if isinstance(input_, ChangeUser):
        return _change_user(state, input_)
    return _event(index, state, input_, generation)


def _change_user(state: UserState | None, command: ChangeUser) -> Applied:
    if state is None and command.must_exist:
        raise NotFound(f"User not found: {ids.printable(command.user)}")
    profile = users.apply(state.profile if state else None, command.upsert, command.received_ms)
    new = UserState(profile) if state is None else _replaced(state, profile=profile)
    renamed = profile.name != (state.profile.name if state else None)
    changes = dict(new.boards) if renamed else {}
    record = LogRecord(None, _board_records(changes, new.boards))
    return Applied(new, record, changes, [], renamed)


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
    day = local_day(at_ms, tz)

    units = metrics.to_units(metric, event.value)
    total = metrics.add(metric, old.totals.get(metric.number, 0), units)
    changes = leaderboards.score_changes(
        index.open_boards(metric.number, day), old.boards, at_ms, units, late=at_ms < old.newest_ms - _LATE_MS
    )

    boards = {**old.boards, **changes}
    dropped: list[str] = []
    newest_ms = max(at_ms, old.newest_ms)
    if newest_ms // MS_PER_DAY != old.newest_ms // MS_PER_DAY and len(boards) > 1:
        newest = local_day(newest_ms, tz) - timedelta(days=1)
        dropped = leaderboards.outdated(boards, index.leaderboard_by_number, newest)
        dropped = [board for board in dropped if board not in changes]
        for board in dropped:
            del boards[board]

    renamed = profile.name != (state.profile.name if state else None)
    shown = {**boards, **changes} if renamed else changes
    new = UserState(
        profile=profile,
        newest_ms=newest_ms,
        seen_ms=seen_ms,
        totals={**old.totals, metric.number: total},
        boards=boards,
        keyed_since=generation if event.key is not None and old.keyed_since < 0 else old.keyed_since,
    )
    record = LogRecord(
        EventRecord(
            event.id,
            metric.number,
            units,
            at_ms,
            event.received_ms,
            day.toordinal(),
            event.key,
            event.attributes,
        ),
        _board_records(shown, old.boards),
    )
    return Applied(new, record, shown, dropped, renamed, metric, total)


def _board_records(changes: dict[str, Standing], before: dict[str, Standing]) -> list[BoardRecord]:
    return [
        BoardRecord(board, new.value, new.reached_ms, old.value if (old := before.get(board)) else None)
        for board, new in changes.items()
    ]


def _replaced(state: UserState, profile: Profile) -> UserState:
    return UserState(
        profile=profile,
        newest_ms=state.newest_ms,
        seen_ms=state.seen_ms,
        totals=state.totals,
        boards=state.boards,
        keyed_since=state.keyed_since,
    )
