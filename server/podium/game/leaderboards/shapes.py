"""Leaderboards in the form of the application API and the live protocol (docs/http-api.md#leaderboards)."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from podium.game.filters import AttributeFilter
from podium.game.leaderboards.model import (
    Aggregate,
    Leaderboard,
    Operator,
    Order,
    RankBy,
    RunUnit,
    Source,
    TieRule,
)
from podium.game.leaderboards.ranking import group_values
from podium.game.leaderboards.runs import Run, RunState

VisibleStatus = Literal["scheduled", "active", "finished"]


class LeaderboardConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The common fields of answers about a leaderboard. Dates and times of day are local to the ranked user;
    attributes are named by key. The fields about groups are included if ``groupBy`` is set."""

    id: str
    key: str
    name: str
    rank_by: RankBy
    metric_key: str | UnsetType = UNSET
    metric_name: str | UnsetType = UNSET
    points_system_key: str | UnsetType = UNSET
    points_system_name: str | UnsetType = UNSET
    description: str | None
    start: date
    end: date | None
    start_time: str | None
    end_time: str | None
    max_participants: int
    run_unit: RunUnit | None
    run_interval: int | None
    breakdown_attribute: Annotated[str | None, msgspec.Meta(extra_json_schema={"deprecated": True})]
    breakdown_attributes: tuple[str, ...]
    user_attributes: tuple[AttributeFilter, ...]
    tie_rule: TieRule
    order: Order
    operator: Operator
    group_by: str | None
    aggregate: Aggregate | UnsetType = UNSET
    aggregate_top: int | UnsetType = UNSET
    min_members: int | UnsetType = UNSET
    keep_on_leave: bool | UnsetType = UNSET
    display_attributes: tuple[str, ...] = ()
    public: bool


class AttributeValue(msgspec.Struct, frozen=True, gc=False):
    """An attribute of a leaderboard's breakdown, and the user's value."""

    key: str
    value: str


class EventGroup(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """The user's group on a leaderboard that ranks groups. Ranks are null if it has too few members."""

    group: str
    rank: int | None
    previous_rank: int | None
    value: float | None
    members: int


class EventLeaderboard(LeaderboardConfig, frozen=True, kw_only=True, rename="camel"):
    """A board that an event moved. ``start`` and ``end`` are those of its run. ``threshold`` is the lowest value
    that enters the board now, 0 while it is not full."""

    rank: int | None
    previous_rank: int | None
    threshold: int
    breakdown_attribute_values: list[AttributeValue] | UnsetType = UNSET
    breakdown_attribute_value: Annotated[str | UnsetType, msgspec.Meta(extra_json_schema={"deprecated": True})] = (
        UNSET
    )
    group: EventGroup | UnsetType = UNSET


class ListedLeaderboard(LeaderboardConfig, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard with its status on today's date in the space's home zone."""

    status: VisibleStatus


class RunInfo(msgspec.Struct, frozen=True, rename="camel"):
    """A run, with local dates, both inclusive. It is ``provisional`` once its dates are over in the home zone, and
    ``final`` from ``finalAt`` on, when they are over in all zones."""

    start: date
    end: date | None
    state: RunState
    final_at: str | None = None


class Ranking(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One row of a ranking. ``value`` is ``exactValue`` rounded down; rows are sorted by the exact value."""

    user_id: str
    user_name: str | None
    rank: int
    value: int
    exact_value: float
    attributes: dict[str, str] | UnsetType = UNSET


class RankedLeaderboard(ListedLeaderboard, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard and rows of one of its runs. ``nextCursor`` begins the next page; the last page has none."""

    run: RunInfo
    participants: int
    rankings: list[Ranking]
    next_cursor: str | UnsetType = UNSET


class ExactRanking(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One row of a ranking. ``value`` is exact."""

    user_id: str
    user_name: str | None
    rank: int | None
    value: float
    attributes: dict[str, str] | UnsetType = UNSET


class Around(ListedLeaderboard, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard and the rows around a user in one of its runs. There are none if the user is not ranked."""

    run: RunInfo
    participants: int
    rankings: list[ExactRanking]


class Friend(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """One of the given users. ``rank`` is the rank among them, ``overallRank`` that on the board, null beyond
    ``maxParticipants``. ``value`` is exact."""

    user_id: str
    user_name: str | None
    rank: int
    overall_rank: int | None
    value: float
    attributes: dict[str, str] | UnsetType = UNSET


class Friends(ListedLeaderboard, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard and those of the given users who are on it, the best first."""

    run: RunInfo
    rankings: list[Friend]


class GroupRanking(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A group in a ranking of groups. ``value`` is exact; ``members`` is the number of users who have scored in
    the run."""

    group: str
    rank: int
    value: float
    members: int


class RankedGroups(ListedLeaderboard, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard and its ranked groups. ``groups`` is the number of all groups."""

    run: RunInfo
    groups: int
    rankings: list[GroupRanking]


class GroupDay(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A day on which a group's place changed, with the place at its end. ``rank`` and ``value`` are null while it
    had too few members; ``value`` is exact."""

    date: date
    rank: int | None
    value: float | None
    members: int


class GroupMembers(ListedLeaderboard, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard, one of its groups, and the group's ranked members. ``group.rank`` is null while the group has
    too few members. ``history`` is that of the group, the oldest first."""

    run: RunInfo
    group: EventGroup
    participants: int
    rankings: list[ExactRanking]
    history: list[GroupDay]


class UserPlace(ListedLeaderboard, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard and a user's place in its current run. ``value`` is exact."""

    run: RunInfo
    rank: int | None
    value: float


class RankedDay(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A day on which the user's value changed, with rank and value after its last change and before its first.
    ``timestamp`` is midnight UTC of the day; values are rounded down."""

    date: date
    timestamp: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time", "deprecated": True})]
    previous_rank: int | None
    rank: int | None
    previous_value: int | None
    value: int


class UserLeaderboard(LeaderboardConfig, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard and a user's place in one of its runs. Rank and values are null if the user is not on the
    board, ``rank`` also beyond ``maxParticipants``. ``value`` is ``exactValue`` rounded down."""

    rank: int | None
    value: int | None
    exact_value: float | None
    history: list[RankedDay]


def config(board: Leaderboard, source: Source) -> LeaderboardConfig:
    """Return the leaderboard's configuration."""
    return LeaderboardConfig(**_fields(board, source))


def listed(board: Leaderboard, source: Source, status: VisibleStatus) -> ListedLeaderboard:
    """Return the leaderboard for a list."""
    return ListedLeaderboard(**_fields(board, source), status=status)


def fields(board: Leaderboard, source: Source) -> dict[str, Any]:
    """Return the common fields of answers about a leaderboard, by field of ``LeaderboardConfig``."""
    return _fields(board, source)


def user_leaderboard(
    board: Leaderboard,
    source: Source,
    rank: int | None,
    value: int | None,
    exact_value: float | None,
    history: list[RankedDay],
) -> UserLeaderboard:
    """Return the leaderboard with a user's place in a run."""
    return UserLeaderboard(
        **_fields(board, source),
        rank=rank,
        value=value,
        exact_value=exact_value,
        history=history,
    )


def event_leaderboard(board: Leaderboard, source: Source, run: Run) -> EventLeaderboard:
    """Return a board of one run, without its ranks yet."""
    fields = _fields(board, source) | {"start": run.start, "end": run.end}
    return EventLeaderboard(**fields, rank=None, previous_rank=None, threshold=0)


def broken_down(board: EventLeaderboard, keys: tuple[str, ...], group: str) -> EventLeaderboard:
    """Return the board of one group (a ``group_name``) of a leaderboard with a breakdown."""
    values = [AttributeValue(key, value) for key, value in zip(keys, group_values(group), strict=False)]
    if not values:
        return board
    single = values[0].value if len(values) == 1 else UNSET
    return msgspec.structs.replace(board, breakdown_attribute_values=values, breakdown_attribute_value=single)


def _fields(board: Leaderboard, source: Source) -> dict[str, Any]:
    return {
        "id": board.id,
        "key": board.key,
        "name": board.name,
        "rank_by": board.rank_by,
        **_ranked_by(source),
        "description": board.description,
        "start": board.start,
        "end": board.end,
        "start_time": board.start_time,
        "end_time": board.end_time,
        "max_participants": board.most,
        "run_unit": board.run_unit,
        "run_interval": board.run_interval,
        "breakdown_attribute": board.breakdown_attributes[0] if len(board.breakdown_attributes) == 1 else None,
        "breakdown_attributes": board.breakdown_attributes,
        "user_attributes": board.user_attributes,
        "tie_rule": board.tie_rule,
        "order": board.order,
        "operator": board.operator,
        "group_by": board.group_by,
        **_grouping(board),
        "display_attributes": board.display_attributes,
        "public": board.public,
    }


def _ranked_by(source: Source) -> dict[str, Any]:
    if source.kind == "metric":
        return {"metric_key": source.key, "metric_name": source.name}
    return {"points_system_key": source.key, "points_system_name": source.name} if source.kind == "points" else {}


def _grouping(board: Leaderboard) -> dict[str, Any]:
    if board.group_by is None:
        return {}
    return {
        "aggregate": board.aggregate,
        "aggregate_top": board.aggregate_top if board.aggregate == "top" else UNSET,
        "min_members": board.min_members,
        "keep_on_leave": board.keep_on_leave,
    }
