"""Leaderboards as the application API and the live protocol show them (contract.md, sections 5, 9 and 17)."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from server.features.leaderboards.model import MAX_PARTICIPANTS, Leaderboard, RunUnit
from server.features.leaderboards.runs import Run


class AttributeFilter(msgspec.Struct, frozen=True):
    """One attribute and the value it must have."""

    key: str
    value: str


class LeaderboardConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What every answer about a leaderboard carries. Dates are local to the user who is ranked."""

    id: str
    key: str
    name: str
    rank_by: Literal["metric"]
    metric_key: str
    metric_name: str
    description: str | None
    start: date
    end: date | None
    start_time: str | None = None
    end_time: str | None = None
    max_participants: int
    run_unit: RunUnit | None
    run_interval: int | None
    breakdown_attribute: str | None = None
    breakdown_attributes: tuple[str, ...] = ()
    user_attributes: tuple[AttributeFilter, ...] = ()
    tie_rule: Literal["ordinal"] = "ordinal"
    public: bool


class EventLeaderboard(LeaderboardConfig, frozen=True, kw_only=True, rename="camel"):
    """A board that an event moved; ``start`` and ``end`` are its current run's. ``threshold`` is the lowest
    value that enters the board now, 0 while it is not full."""

    rank: int | None
    previous_rank: int | None
    threshold: int


def config(board: Leaderboard, metric_key: str, metric_name: str) -> LeaderboardConfig:
    """The leaderboard itself."""
    return LeaderboardConfig(**_fields(board, metric_key, metric_name))  # type: ignore[arg-type] # same names


def event_leaderboard(board: Leaderboard, metric_key: str, metric_name: str, run: Run) -> EventLeaderboard:
    """A board of one run, before its ranks are filled in."""
    fields = _fields(board, metric_key, metric_name) | {"start": run.start, "end": run.end}
    return EventLeaderboard(**fields, rank=None, previous_rank=None, threshold=0)  # type: ignore[arg-type]


def _fields(board: Leaderboard, metric_key: str, metric_name: str) -> dict[str, object]:
    return {
        "id": board.id,
        "key": board.key,
        "name": board.name,
        "rank_by": board.rank_by,
        "metric_key": metric_key,
        "metric_name": metric_name,
        "description": board.description,
        "start": board.start,
        "end": board.end,
        "max_participants": board.max_participants or MAX_PARTICIPANTS,
        "run_unit": board.run_unit,
        "run_interval": board.run_interval,
        "public": board.public,
    }
