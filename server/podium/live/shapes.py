"""The data of frames about a board (docs/live-protocol.md)."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from podium.game.leaderboards.labels import read_label, shown
from podium.game.leaderboards.model import MAX_PARTICIPANTS
from podium.game.leaderboards.shapes import LeaderboardConfig, RunInfo
from podium.live.window import Row


class Target(NamedTuple):
    """The board that a channel shows: one of users, or of ``groups``.

    Values are units divided by ``scale`` (ranking.scale_of).
    """

    config: LeaderboardConfig
    scale: int
    board: str
    run: RunInfo
    groups: bool = False

    @property
    def max_rows(self) -> int:
        """The number of places that are shown."""
        return MAX_PARTICIPANTS if self.groups else self.config.max_participants

    def value(self, units: float) -> float:
        """Return the value of a row."""
        return units / self.scale + 0.0  # turns -0.0 into 0.0


class ShownRow(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A row of a snapshot or a reset; ``attributes`` only where the leaderboard shows some."""

    rank: int
    user_id: str
    name: str | None
    value: float
    previous_rank: None = None
    attributes: dict[str, str] | UnsetType = UNSET


class MovedRow(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A row of a publication; ``position`` from 0, ``previous_rank`` None for a newcomer to the board."""

    position: int
    rank: int
    user_id: str
    name: str | None
    value: float
    previous_rank: int | None
    attributes: dict[str, str] | UnsetType = UNSET


class ShownGroup(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A row of a snapshot or a reset of a ranking of groups."""

    rank: int
    group: str
    value: float
    members: int
    previous_rank: None = None


class MovedGroup(msgspec.Struct, frozen=True, rename="camel", gc=False):
    """A row of a publication of a ranking of groups."""

    position: int
    rank: int
    group: str
    value: float
    members: int
    previous_rank: int | None


AnyShown = ShownRow | ShownGroup
AnyMoved = MovedRow | MovedGroup


class Snapshot(msgspec.Struct, frozen=True):
    """The result of ``subscribe``."""

    seq: int
    leaderboard: LeaderboardConfig
    run: RunInfo
    participants: int
    rows: list[Any]  # of AnyShown: one type a ranking, which msgspec can't tell apart by itself


class Publication(msgspec.Struct, frozen=True):
    """The changes since the frame before; ``left`` has ids of users, or names of groups."""

    seq: int
    participants: int
    left: list[str]
    rows: list[Any]  # of AnyMoved


class Reset(msgspec.Struct, frozen=True):
    """All rows: for a viewer who missed frames, or for everybody when the run or its state changed."""

    seq: int
    reset: bool
    run: RunInfo
    participants: int
    rows: list[Any]  # of AnyShown


def shown_row(target: Target, rank: int, row: Row) -> AnyShown:
    """Return a row of a snapshot or a reset."""
    value = target.value(row.units)
    if target.groups:
        return ShownGroup(rank, row.user, value, int(row.label))
    name, attributes = _label(target, row)
    return ShownRow(rank, row.user, name, value, attributes=attributes)


def moved_row(target: Target, position: int, rank: int, row: Row, previous: int | None) -> AnyMoved:
    """Return a row of a publication."""
    value = target.value(row.units)
    if target.groups:
        return MovedGroup(position, rank, row.user, value, int(row.label), previous)
    name, attributes = _label(target, row)
    return MovedRow(position, rank, row.user, name, value, previous, attributes)


def _label(target: Target, row: Row) -> tuple[str | None, dict[str, str] | UnsetType]:
    if not row.label:
        return None, {} if target.config.display_attributes else UNSET
    name, attributes = read_label(row.label)
    keys = target.config.display_attributes
    return name, shown(attributes, keys) if keys else UNSET
