"""What a leaderboard and a standing on one of its boards are."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

RunUnit = Literal["day", "month", "year"]
LeaderboardStatus = Literal["inactive", "active", "finished"]
TieRule = Literal["ordinal", "competition", "dense"]
Order = Literal["desc", "asc"]
Operator = Literal["sum", "best", "last"]
Aggregate = Literal["sum", "average", "max", "top"]

MAX_PARTICIPANTS = 10_000_000
"""What a leaderboard without a limit shows as ``maxParticipants`` (contract.md, section 16)."""


class AttributeFilter(msgspec.Struct, frozen=True, gc=False):
    """One user attribute, by its key, and the value it must have."""

    key: str
    value: str


class Leaderboard(msgspec.Struct, frozen=True, rename="camel"):
    """A ranking of users by a metric, in one perpetual run or in repeating ones.

    ``status`` is what an admin chose; ``scheduled`` and a finish by ``end`` follow from the dates
    (rules.status_on). ``number`` is small, unique in the space and never reused. Attributes are named by key.

    Runs that end on or before ``final_until`` are final. ``created_ms`` is the instant of creation: for a day
    from then on past runs still take events (contract.md, section 16: event time).
    """

    id: str
    number: int
    key: str
    name: str
    metric_id: str
    start: date
    rank_by: Literal["metric"] = "metric"
    description: str | None = None
    end: date | None = None
    run_unit: RunUnit | None = None
    run_interval: int | None = None
    max_participants: int | None = None
    status: LeaderboardStatus = "inactive"
    public: bool = False
    created_ms: int = 0
    final_until: date | None = None
    start_time: str | None = None
    end_time: str | None = None
    user_attributes: tuple[AttributeFilter, ...] = ()
    breakdown_attributes: tuple[str, ...] = ()
    display_attributes: tuple[str, ...] = ()
    tie_rule: TieRule = "ordinal"
    order: Order = "desc"
    operator: Operator = "sum"
    group_by: str | None = None
    aggregate: Aggregate = "sum"
    aggregate_top: int = 10
    min_members: int = 1
    keep_on_leave: bool = False

    @property
    def attribute_keys(self) -> frozenset[str]:
        """The user attributes that it needs."""
        grouping = () if self.group_by is None else (self.group_by,)
        audience = (wanted.key for wanted in self.user_attributes)
        return frozenset((*audience, *self.breakdown_attributes, *self.display_attributes, *grouping))

    @property
    def most(self) -> int:
        """Ranks that are shown."""
        return self.max_participants or MAX_PARTICIPANTS


class Standing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's place on one board: the score in whole units and the instant (ms) it was reached.

    ``latest_ms`` is the time of the newest event that counted, kept for the operator ``last`` only.
    """

    value: int
    reached_ms: int
    latest_ms: int = 0
