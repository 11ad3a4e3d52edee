"""Bodies and answers of ``/admin/v1/leaderboards`` (docs/http-api.md#leaderboard-fields)."""

from __future__ import annotations

from datetime import date
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from podium.game.leaderboards.model import MAX_PARTICIPANTS, Aggregate, Operator, Order, RankBy, RunUnit, TieRule
from podium.game.leaderboards.rules import ShownStatus
from podium.http.catalog_resource import Update
from podium.http.date_fields import TimeOfDay
from podium.http.filters import AttributeFilterItem, Filters
from podium.jobs.backfill_progress import BackfillProgress

RUN_INTERVAL_MAX = 1_000
"""Days, months or years of a run, for the same reason."""
ATTRIBUTES_MAX = 10
"""Most attributes in a filter or a breakdown."""
DISPLAYED_MAX = 5
"""Most attributes shown on a row (docs/http-api.md#leaderboard-fields)."""
REWARDS_MAX = 20
"""Most rewards, each for a range of places."""
REWARDED_MAX = 100_000
"""Last place that may be rewarded."""
AGGREGATE_TOP_MAX = 100
"""Most members of a group whose mean is its score (docs/http-api.md#leaderboard-fields)."""

Participants = Annotated[
    int, Meta(ge=1, le=MAX_PARTICIPANTS, description="Number of ranks that are shown; null: all.")
]
RunInterval = Annotated[int, Meta(ge=1, le=RUN_INTERVAL_MAX)]

AttributeIds = Annotated[tuple[str, ...], Meta(max_length=ATTRIBUTES_MAX, description="UUIDs of user attributes.")]
AttributeKeys = Annotated[
    tuple[str, ...], Meta(max_length=DISPLAYED_MAX, description="Keys of user attributes shown on each row.")
]
Top = Annotated[int, Meta(ge=1, le=AGGREGATE_TOP_MAX)]
Members = Annotated[int, Meta(ge=1, le=MAX_PARTICIPANTS)]


class RewardPoints(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Points of a system, by its key."""

    system_key: str
    amount: Annotated[int, Meta(ge=1, le=1_000_000_000)]


class RewardItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """The reward of the places ``fromRank`` to ``toRank`` of a run, given when it is final: one or several of
    points, an achievement and freezes."""

    from_rank: Annotated[int, Meta(ge=1, le=REWARDED_MAX)]
    to_rank: Annotated[int, Meta(ge=1, le=REWARDED_MAX)]
    points: RewardPoints | None = None
    achievement_key: str | None = None
    freezes: Annotated[int, Meta(ge=0, le=100)] = 0


Rewards = Annotated[tuple[RewardItem, ...], Meta(max_length=REWARDS_MAX)]


class CreateLeaderboard(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A leaderboard to create. ``start`` defaults to today in the space's home zone.


    Status ``scheduled`` is ``active`` with a start to come; ``finished`` needs an end in the past.
    """

    name: str
    key: str
    rank_by: RankBy
    metric_id: str | None = None
    points_system_id: str | None = None
    description: str | None = None
    status: ShownStatus | None = None
    start: date | None = None
    end: date | None = None
    max_participants: Participants | None = None
    run_unit: RunUnit | None = None
    run_interval: RunInterval | None = None
    start_time: TimeOfDay | None = None
    end_time: TimeOfDay | None = None
    user_attributes: Filters | None = None
    breakdown_attributes: AttributeIds | None = None
    display_attributes: AttributeKeys | None = None
    tie_rule: TieRule | None = None
    order: Order | None = None
    operator: Operator | None = None
    group_by: str | None = None
    aggregate: Aggregate | None = None
    aggregate_top: Top | None = None
    min_members: Members | None = None
    keep_on_leave: bool | None = None
    rewards: Rewards | None = None
    public: bool | None = None


class UpdateLeaderboard(Update, frozen=True, rename="camel"):
    """A change of a leaderboard; null clears ``description``, ``end``, ``maxParticipants``, ``runUnit``, the times
    of day, ``groupBy`` and the lists of attributes."""

    name: str | UnsetType = UNSET
    key: str | UnsetType = UNSET
    rank_by: RankBy | UnsetType = UNSET
    metric_id: str | UnsetType | None = UNSET
    points_system_id: str | UnsetType | None = UNSET
    description: str | UnsetType | None = UNSET
    status: ShownStatus | UnsetType = UNSET
    start: date | UnsetType = UNSET
    end: date | UnsetType | None = UNSET
    max_participants: Participants | UnsetType | None = UNSET
    run_unit: RunUnit | UnsetType | None = UNSET
    run_interval: RunInterval | UnsetType | None = UNSET
    start_time: TimeOfDay | UnsetType | None = UNSET
    end_time: TimeOfDay | UnsetType | None = UNSET
    user_attributes: Filters | UnsetType | None = UNSET
    breakdown_attributes: AttributeIds | UnsetType | None = UNSET
    display_attributes: AttributeKeys | UnsetType | None = UNSET
    tie_rule: TieRule | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    operator: Operator | UnsetType = UNSET
    group_by: str | UnsetType | None = UNSET
    aggregate: Aggregate | UnsetType = UNSET
    aggregate_top: Top | UnsetType = UNSET
    min_members: Members | UnsetType = UNSET
    keep_on_leave: bool | UnsetType = UNSET
    rewards: Rewards | UnsetType | None = UNSET
    public: bool | UnsetType = UNSET


class LeaderboardRow(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A leaderboard. Fields that are not set are absent, and so are those about groups without ``groupBy``."""

    id: str
    name: str
    key: str
    description: str | UnsetType = UNSET
    status: ShownStatus
    rank_by: RankBy
    metric_id: str | UnsetType = UNSET
    points_system_id: str | UnsetType = UNSET
    max_participants: int | UnsetType = UNSET
    start: date
    end: date | UnsetType = UNSET
    run_unit: RunUnit | UnsetType = UNSET
    run_interval: int | UnsetType = UNSET
    start_time: str | UnsetType = UNSET
    end_time: str | UnsetType = UNSET
    breakdown_attributes: list[str]
    user_attributes: list[AttributeFilterItem]
    display_attributes: tuple[str, ...]
    tie_rule: TieRule
    order: Order
    operator: Operator
    group_by: str | UnsetType = UNSET
    aggregate: Aggregate | UnsetType = UNSET
    aggregate_top: int | UnsetType = UNSET
    min_members: int | UnsetType = UNSET
    keep_on_leave: bool | UnsetType = UNSET
    rewards: list[RewardItem]
    public: bool
    backfill: BackfillProgress | None = None
    """None before the first activation: stored history is not counted then."""
