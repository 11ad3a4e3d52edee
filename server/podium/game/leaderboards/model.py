"""The leaderboard, an item of the catalog, and the standing on one of its boards."""

from __future__ import annotations

from datetime import date
from typing import Literal, NamedTuple

import msgspec

from podium.game.filters import AttributeFilter
from podium.game.periods import MS_PER_DAY

RunUnit = Literal["day", "month", "year"]
LeaderboardStatus = Literal["inactive", "active", "finished"]
TieRule = Literal["ordinal", "competition", "dense"]
Order = Literal["desc", "asc"]
Operator = Literal["sum", "best", "last"]
RankBy = Literal["metric", "points", "streak"]
Scoring = Literal["sum", "best", "last", "current"]
Aggregate = Literal["sum", "average", "max", "top"]

MAX_PARTICIPANTS = 10_000_000
"""The ``maxParticipants`` of a leaderboard without a limit (docs/http-api.md#places-shown)."""


class Reward(msgspec.Struct, frozen=True, rename="camel"):
    """The reward of the places ``from_rank`` to ``to_rank`` of a run, given when it is final: points of a system,
    an achievement, freezes."""

    from_rank: int
    to_rank: int
    system_id: str | None = None
    amount: int = 0
    achievement_id: str | None = None
    freezes: int = 0


class Source(NamedTuple):
    """The source of a leaderboard's scores: a metric, a points system or the streak. ``scale`` units are 1."""

    kind: RankBy
    number: int
    id: str
    key: str
    name: str
    scale: int


class Leaderboard(msgspec.Struct, frozen=True, rename="camel"):
    """A ranking of users by a metric, by points or by their streak, in one perpetual run or in repeating ones.

    ``status`` is the choice of an admin; ``scheduled`` and ``finished`` follow from the dates
    (``rules.status_on``). ``number`` is small, unique in the space and never reused. Attributes are named by key.

    Runs that end on or before ``final_until`` are final. ``activated_ms`` is the instant of the first activation,
    0 before it and if an earlier release activated the leaderboard. For a day from then on past runs still take
    events (``grace_ends_ms``). ``ended_ms`` has the instants at which runs were ended by hand, by the run's name.
    """

    id: str
    number: int
    key: str
    name: str
    metric_id: str | None
    start: date
    rank_by: RankBy = "metric"
    points_system_id: str | None = None
    description: str | None = None
    end: date | None = None
    run_unit: RunUnit | None = None
    run_interval: int | None = None
    max_participants: int | None = None
    status: LeaderboardStatus = "inactive"
    public: bool = False
    created_ms: int = 0
    activated_ms: int = 0
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
    rewards: tuple[Reward, ...] = ()
    ended_ms: dict[str, int] = {}

    @property
    def attribute_keys(self) -> frozenset[str]:
        """Return the keys of the user attributes that it uses."""
        grouping = () if self.group_by is None else (self.group_by,)
        audience = (wanted.key for wanted in self.user_attributes)
        return frozenset((*audience, *self.breakdown_attributes, *self.display_attributes, *grouping))

    @property
    def grace_ends_ms(self) -> int:
        """Return the instant (ms) until which past runs take events with a timestamp, regardless of their age.

        It is a day after the activation, since a draft may be much older. Leaderboards of an earlier release,
        which didn't store the activation, count from their creation.
        """
        return (self.activated_ms or self.created_ms) + MS_PER_DAY

    @property
    def source_id(self) -> str:
        """Return the id of the metric or points system by which it ranks; "" for the streak."""
        if self.rank_by == "streak":
            return ""
        return (self.metric_id if self.rank_by == "metric" else self.points_system_id) or "?"

    @property
    def scoring(self) -> Scoring:
        """Return the way in which scores become a standing.

        By streak a repeating run keeps the longest streak reached in it, a perpetual run the present streak.
        """
        if self.rank_by == "streak":
            return "best" if self.run_unit is not None else "current"
        return self.operator

    @property
    def most(self) -> int:
        """Return the number of ranks that are shown."""
        return self.max_participants or MAX_PARTICIPANTS


class Standing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's standing on one board: the score in whole units, and the instant (ms) at which it was reached.

    ``latest_ms`` is the time of the newest event that counted, and only kept with the operator ``last``.
    """

    value: int
    reached_ms: int
    latest_ms: int = 0
