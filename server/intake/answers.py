"""What an event is answered with (contract.md, section 5)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import msgspec

from server.core.periods import local_day, zone
from server.engine.catalog import CatalogIndex
from server.engine.records import GroupMove, LogItem, decode_record
from server.engine.state import UserState, decode_state
from server.features.leaderboards.model import Leaderboard
from server.features.leaderboards.ranking import group_name, group_values, scale_of, shown_rank, split_board
from server.features.leaderboards.runs import named_run
from server.features.leaderboards.shapes import (
    EventGroup,
    EventLeaderboard,
    broken_down,
    event_leaderboard,
)
from server.features.metrics.model import Metric
from server.features.streaks.model import NONE
from server.features.streaks.rules import standing
from server.features.streaks.shapes import Streak, base
from server.intake.commit import Placing, placings


class EventStreak(Streak, frozen=True, kw_only=True, rename="camel"):
    """The user's streak, and whether this event lengthened it."""

    extended: bool


class EventResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that one event caused. ``total`` is the metric's new total."""

    event_id: str
    metric_id: str
    total: float
    achievements: tuple[()] = ()
    current_streak: EventStreak
    points: dict[str, None] = {}
    leaderboards: dict[str, EventLeaderboard]
    idempotency_key: str | msgspec.UnsetType = msgspec.UNSET
    idempotent_replayed: bool | msgspec.UnsetType = msgspec.UNSET


encode_answer = msgspec.json.Encoder().encode


@lru_cache(maxsize=4_096)
def _template(index: CatalogIndex, board: str) -> EventLeaderboard | None:
    number, run, group = split_board(board)
    leaderboard = index.leaderboard_by_number.get(number)
    if leaderboard is None:
        return None
    metric = index.metric_by_id[leaderboard.metric_id]
    template = event_leaderboard(leaderboard, metric.key, metric.name, named_run(leaderboard, run))
    return template if group is None else broken_down(template, leaderboard.breakdown_attributes, group)


def event_response(
    index: CatalogIndex,
    metric: Metric,
    key: str | None,
    event_id: str,
    state: UserState,
    places: list[Placing],
    groups: Sequence[GroupMove],
    *,
    replayed: bool,
    extended: bool = False,
    at_ms: int = 0,
) -> EventResponse:
    """The answer to an event that was accepted, or replayed: then ``state`` and ``places`` are today's.
    ``key`` is its idempotency key, ``extended`` whether it lengthened the streak, which is shown as of the user's
    newest event or of ``at_ms``, whichever is later."""
    boards: dict[str, EventLeaderboard] = {}
    for placing in places:
        template = _template(index, placing.board)
        if template is None or not placing.after:
            continue  # left by a change of attributes
        leaderboard = index.leaderboard_by_key[template.key]
        if metric.id != leaderboard.metric_id:
            continue  # a board that only showed the user's new name
        if leaderboard.group_by is not None and split_board(placing.board).group is not None:
            continue  # the place within the user's group
        shown = place(template, placing, scale_of(metric.decimals, leaderboard.order))
        boards[template.key] = with_group(shown, placing.board, leaderboard, metric, state, groups)
    return EventResponse(
        event_id=event_id,
        metric_id=metric.id,
        total=metric.value(state.totals.get(metric.number, 0)),
        current_streak=_streak(index, state, at_ms, extended=extended),
        leaderboards=boards,
        idempotency_key=key if key is not None else msgspec.UNSET,
        idempotent_replayed=replayed if key is not None else msgspec.UNSET,
    )


def _streak(index: CatalogIndex, state: UserState, at_ms: int, *, extended: bool) -> EventStreak:
    rules = index.streaks
    if not rules.thresholds:
        return EventStreak(length=0, frequency=rules.frequency, extended=False)
    today = local_day(max(at_ms, state.newest_ms), zone(state.profile.tz)).toordinal()
    found = standing(rules, state.streaks or NONE, today)
    return EventStreak(**base(rules, found), extended=extended)


def logged_response(index: CatalogIndex, item: LogItem) -> EventResponse | None:
    """The answer that the item's event was given; None where it has none, or its metric is gone."""
    record = decode_record(item.record)
    event = record.event
    metric = index.metric_by_number.get(event.metric) if event is not None else None
    if event is None or metric is None:
        return None
    places = placings((board.board for board in record.boards), item.ranks)
    state = decode_state(item.state)
    return event_response(
        index, metric, event.key, event.id, state, places, item.groups, replayed=False, extended=event.extended
    )


def place(template: EventLeaderboard, placing: Placing, scale: int) -> EventLeaderboard:
    """The board with the user's ranks; a rank beyond ``maxParticipants`` is none."""
    most = template.max_participants
    return msgspec.structs.replace(
        template,
        rank=shown_rank(placing.after, most),
        previous_rank=shown_rank(placing.before, most),
        threshold=0 if placing.threshold is None else placing.threshold // scale,
    )


def with_group(
    shown: EventLeaderboard,
    board: str,
    leaderboard: Leaderboard,
    metric: Metric,
    state: UserState,
    groups: Sequence[GroupMove],
) -> EventLeaderboard:
    """The board with the user's group, where groups are ranked and the user has one."""
    if leaderboard.group_by is None or not groups:
        return shown
    own = state.profile.attributes.get(leaderboard.group_by)
    for move in groups:
        if own and move.board == board and move.group == group_name((own,)):
            group = event_group(move, scale_of(metric.decimals, leaderboard.order))
            return msgspec.structs.replace(shown, group=group)
    return shown


def event_group(move: GroupMove, scale: int) -> EventGroup:
    """A group as it stands; its value is None while it has too few members to be ranked."""
    return EventGroup(
        group=group_values(move.group)[0],
        rank=move.after or None,
        previous_rank=move.before or None,
        value=-float(move.score) / scale + 0.0 if move.score else None,
        members=move.members,
    )
