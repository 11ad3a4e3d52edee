"""The answer to an event (docs/http-api.md#the-answer-to-an-event)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple, cast

import msgspec

from podium.game.achievements.shapes import UserAchievement
from podium.game.catalog import CatalogIndex
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import group_name, group_values, scale_of, shown_rank, split_board
from podium.game.leaderboards.runs import named_run
from podium.game.leaderboards.shapes import EventGroup, EventLeaderboard, broken_down, event_leaderboard
from podium.game.metrics.model import Metric
from podium.game.periods import local_day, local_time, zone
from podium.game.points.shapes import EventPoints, PointsBoost, boost
from podium.game.progress import changed_points, completed
from podium.game.records import GroupMove, LogItem, LogRecord, decode_record
from podium.game.state import UserState, decode_state
from podium.game.streaks.model import NONE
from podium.game.streaks.rules import standing
from podium.game.streaks.shapes import Streak, base
from podium.intake.commit import Placing, placings
from podium.spaces.space import Space


class EventStreak(Streak, frozen=True, kw_only=True, rename="camel"):
    """The user's streak, and whether this event lengthened it."""

    extended: bool


class EventResponse(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Everything that one event caused. ``total`` is the metric's new total."""

    event_id: str
    metric_id: str
    total: float
    achievements: list[UserAchievement] = []
    current_streak: EventStreak
    points: dict[str, EventPoints] = {}
    leaderboards: dict[str, EventLeaderboard]
    idempotency_key: str | msgspec.UnsetType = msgspec.UNSET
    idempotent_replayed: bool | msgspec.UnsetType = msgspec.UNSET


encode_answer = msgspec.json.Encoder().encode


class _Template(NamedTuple):
    """A board of one run as events show it: what is the same in each answer, encoded once.

    ``head`` ends before the ranks, ``tail`` follows them and lacks the group and the brace. ``inner``: the board
    of one group where groups are ranked, which is not shown by itself.
    """

    leaderboard: Leaderboard
    scale: int
    head: bytes
    tail: bytes
    inner: bool


_RANKS = b',"rank":null,"previousRank":null,"threshold":0'


@lru_cache(maxsize=4_096)
def _template(index: CatalogIndex, board: str) -> _Template | None:
    number, run, group = split_board(board)
    leaderboard = index.leaderboard_by_number.get(number)
    if leaderboard is None:
        return None
    source = index.source_of(leaderboard)
    shown = event_leaderboard(leaderboard, source, named_run(leaderboard, run))
    if group is not None:
        shown = broken_down(shown, leaderboard.breakdown_attributes, group)
    head, _, tail = encode_answer(shown).partition(_RANKS)
    inner = leaderboard.group_by is not None and group is not None
    return _Template(leaderboard, scale_of(source.scale, leaderboard.order), head, tail.removesuffix(b"}"), inner)


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
    record: LogRecord | None = None,
    at_ms: int = 0,
) -> EventResponse:
    """The answer to an event that was accepted, or replayed: then ``state`` and ``places`` are today's, and there
    is no ``record``. ``key`` is its idempotency key. The streak is shown as of the user's newest event or of
    ``at_ms``, whichever is later."""
    extended = record is not None and record.event is not None and record.event.extended
    return EventResponse(
        event_id=event_id,
        metric_id=metric.id,
        total=metric.value(state.totals.get(metric.number, 0)),
        achievements=_achievements(index, record),
        current_streak=_streak(index, state, at_ms, extended=extended),
        points=_points(index, state, record),
        leaderboards=_leaderboards(index, metric.id, state, places, groups, record),
        idempotency_key=key if key is not None else msgspec.UNSET,
        idempotent_replayed=replayed if key is not None else msgspec.UNSET,
    )


def _achievements(index: CatalogIndex, record: LogRecord | None) -> list[UserAchievement]:
    return completed(index, record.completions) if record is not None and record.completions else []


def _points(index: CatalogIndex, state: UserState, record: LogRecord | None) -> dict[str, EventPoints]:
    if record is None or not record.awards:
        return {}
    # What came due by time alone is not what the event caused, where there is one.
    awards = [one for one in record.awards if one.by_event or record.event is None]
    return changed_points(index, state, awards, record.awards[-1].at_ms)


def _leaderboards(
    index: CatalogIndex,
    metric_id: str | None,
    state: UserState,
    places: list[Placing],
    groups: Sequence[GroupMove],
    record: LogRecord | None,
) -> dict[str, EventLeaderboard]:
    """The boards of the event's metric, and others that were moved, by key; without a record all of ``places``."""
    boards: dict[str, EventLeaderboard] = {}
    # Others may be named only because they show the user's new name.
    moved = {one.board for one in record.boards if one.value != one.previous} if record is not None else None
    for placing in places:
        if not placing.after:
            continue
        template = _template(index, placing.board)
        if template is None or template.inner:
            continue
        leaderboard = template.leaderboard
        if moved is not None and leaderboard.source_id != metric_id and placing.board not in moved:
            continue
        group = _own_group(leaderboard, placing.board, template.scale, state, groups) if groups else None
        boards[leaderboard.key] = _shown(template, placing, group)
    return boards


def _streak(index: CatalogIndex, state: UserState, at_ms: int, *, extended: bool) -> EventStreak:
    rules = index.streak_rules(state.wishes, state.profile.tz)
    if not rules.thresholds:
        return EventStreak(length=0, frequency=rules.frequency, extended=False)
    today = local_day(max(at_ms, state.newest_ms), zone(state.profile.tz)).toordinal()
    found = standing(rules, state.streaks or NONE, today)
    return EventStreak(**base(rules, found), extended=extended)


class UserChange(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A change of a user without an event: by time or by a command."""

    achievements: list[UserAchievement]
    current_streak: EventStreak
    points: dict[str, EventPoints]
    leaderboards: dict[str, EventLeaderboard]
    boosts: list[PointsBoost]


def logged_response(index: CatalogIndex, item: LogItem) -> EventResponse | UserChange | None:
    """Return the answer that the item's event was given, or the change that happened without one; None where
    nothing did that is shown."""
    if item.erased:
        return None
    record = decode_record(item.record)
    event = record.event
    if event is None and not (record.awards or record.completions or record.facts or record.streak):
        return None
    places = placings((board.board for board in record.boards), item.ranks)
    state = decode_state(item.state)
    if event is not None:
        metric = index.metric_by_number.get(event.metric)
        if metric is None:
            return None
        return event_response(
            index, metric, event.key, event.id, state, places, item.groups, replayed=False, record=record
        )
    moment = local_time(state.advanced_ms, zone(state.profile.tz)).replace(tzinfo=None)
    changed = [fact.amount for fact in record.facts if fact.kind in ("boost_started", "boost_finished")]
    return UserChange(
        achievements=_achievements(index, record),
        current_streak=_streak(index, state, state.advanced_ms, extended=False),
        points=_points(index, state, record),
        leaderboards=_leaderboards(index, None, state, places, item.groups, record),
        boosts=[boost(rule, moment) for rule in map(index.points.boost, changed) if rule is not None],
    )


def _shown(template: _Template, placing: Placing, group: EventGroup | None) -> EventLeaderboard:
    """The board with the user's ranks, as its JSON; a rank beyond ``maxParticipants`` is none."""
    most = template.leaderboard.most
    threshold = 0 if placing.threshold is None else _entering(placing.threshold, template.scale)
    rank, previous = shown_rank(placing.after, most), shown_rank(placing.before, most)
    encoded = b'%b,"rank":%b,"previousRank":%b,"threshold":%d%b' % (
        template.head,
        b"null" if rank is None else b"%d" % rank,
        b"null" if previous is None else b"%d" % previous,
        threshold,
        template.tail,
    )
    if group is not None:
        encoded += b',"group":' + encode_answer(group)
    # It is only ever encoded: for that it stands as well for the struct that it was made from.
    return cast(EventLeaderboard, msgspec.Raw(encoded + b"}"))


def _entering(units: int, scale: int) -> int:
    """The integer nearest to the last score that counts which is as good: rounded up, where less is better (a
    negative ``scale``) down."""
    return -(-units // scale) if scale > 0 else units // scale


def _own_group(
    leaderboard: Leaderboard, board: str, scale: int, state: UserState, groups: Sequence[GroupMove]
) -> EventGroup | None:
    """The user's group on a board, where groups are ranked and the user has one."""
    if leaderboard.group_by is None:
        return None
    own = state.profile.attributes.get(leaderboard.group_by)
    for move in groups:
        if own and move.board == board and move.group == group_name((own,)):
            return event_group(move, scale)
    return None


def event_group(move: GroupMove, scale: int) -> EventGroup:
    """A group as it stands; its value is None while it has too few members to be ranked."""
    return EventGroup(
        group=group_values(move.group)[0],
        rank=move.after or None,
        previous_rank=move.before or None,
        value=-float(move.score) / scale + 0.0 if move.score else None,
        members=move.members,
    )


def logged_answer(space: Space, item: LogItem) -> bytes | None:
    """Return what an item's event was answered with, as JSON, or what happened to its user without one; None where
    nothing did that is shown."""
    answer = logged_response(space.index, item)
    return encode_answer(answer) if answer is not None else None
