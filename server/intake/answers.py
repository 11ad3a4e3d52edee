"""What an event is answered with (contract.md, section 5)."""

from __future__ import annotations

from functools import lru_cache

import msgspec

from server.engine.catalog import CatalogIndex
from server.engine.records import LogItem, decode_record
from server.engine.state import UserState, decode_state
from server.features.leaderboards.ranking import shown_rank, split_board
from server.features.leaderboards.runs import named_run
from server.features.leaderboards.shapes import EventLeaderboard, event_leaderboard
from server.features.metrics.model import Metric
from server.intake.commit import Placing, placings


class EventStreak(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The user's streak, and whether this event lengthened it."""

    length: int
    frequency: str
    started: str | None = None
    period_start: str | None = None
    period_end: str | None = None
    expires: str | None = None
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


NO_STREAK = EventStreak(length=0, frequency="daily", extended=False)

encode_answer = msgspec.json.Encoder().encode


@lru_cache(maxsize=4_096)
def _template(index: CatalogIndex, board: str) -> EventLeaderboard | None:
    number, run = split_board(board)
    leaderboard = index.leaderboard_by_number.get(number)
    if leaderboard is None:
        return None
    metric = index.metric_by_id[leaderboard.metric_id]
    return event_leaderboard(leaderboard, metric.key, metric.name, named_run(leaderboard, run))


def event_response(
    index: CatalogIndex,
    metric: Metric,
    key: str | None,
    event_id: str,
    state: UserState,
    places: list[Placing],
    *,
    replayed: bool,
) -> EventResponse:
    """The answer to an event that was accepted, or replayed: then ``state`` and ``places`` are today's.
    ``key`` is its idempotency key."""
    boards: dict[str, EventLeaderboard] = {}
    for placing in places:
        template = _template(index, placing.board)
        if template is None or metric.id != index.leaderboard_by_key[template.key].metric_id:
            continue  # a board that only showed the user's new name
        boards[template.key] = place(template, placing, metric.decimals)
    return EventResponse(
        event_id=event_id,
        metric_id=metric.id,
        total=metric.value(state.totals.get(metric.number, 0)),
        current_streak=NO_STREAK,
        leaderboards=boards,
        idempotency_key=key if key is not None else msgspec.UNSET,
        idempotent_replayed=replayed if key is not None else msgspec.UNSET,
    )


def logged_response(index: CatalogIndex, item: LogItem) -> EventResponse | None:
    """The answer that the item's event was given; None where it has none, or its metric is gone."""
    record = decode_record(item.record)
    event = record.event
    metric = index.metric_by_number.get(event.metric) if event is not None else None
    if event is None or metric is None:
        return None
    places = placings((board.board for board in record.boards), item.ranks)
    state = decode_state(item.state)
    return event_response(index, metric, event.key, event.id, state, places, replayed=False)


def place(template: EventLeaderboard, placing: Placing, decimals: int) -> EventLeaderboard:
    """The board with the user's ranks; a rank beyond ``maxParticipants`` is none."""
    most = template.max_participants
    return msgspec.structs.replace(
        template,
        rank=shown_rank(placing.after, most),
        previous_rank=shown_rank(placing.before, most),
        threshold=0 if placing.threshold is None else placing.threshold // 10**decimals,
    )
