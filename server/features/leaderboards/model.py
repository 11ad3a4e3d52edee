"""What a leaderboard and a standing on one of its boards are."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

RunUnit = Literal["day", "month", "year"]
LeaderboardStatus = Literal["inactive", "active", "finished"]

MAX_PARTICIPANTS = 10_000_000
"""What a leaderboard without a limit shows as ``maxParticipants`` (contract.md, section 16)."""


class Leaderboard(msgspec.Struct, frozen=True, rename="camel"):
    """A ranking of users by a metric, in one perpetual run or in repeating ones.

    ``status`` is what an admin chose; ``scheduled`` and a finish by ``end`` follow from the dates
    (rules.status_on). ``number`` is small, unique in the space and never reused.
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


class Standing(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's place on one board: the score in whole units and the instant (ms) it was reached."""

    value: int
    reached_ms: int
