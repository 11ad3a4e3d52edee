"""The order of a board: score, then who reached it first, then user id (design decision 8)."""

from __future__ import annotations

_TIME_DIGITS = 12
"""Hexadecimal digits of an instant in ms: 48 bits, as in UUIDv7, reach beyond the year 10000."""


def board_name(leaderboard: int, run: str) -> str:
    """A board in keys and states: ``<leaderboard number>:<run name>``."""
    return f"{leaderboard}:{run}"


def split_board(board: str) -> tuple[int, str]:
    """The leaderboard's number and the run's name of a ``board_name``."""
    leaderboard, _, run = board.partition(":")
    return int(leaderboard), run


def member(reached_ms: int, user: str) -> str:
    """The member of a sorted set, made so that equal scores stand in order of time, then id."""
    return f"{reached_ms:012x}{user}"


def member_user(member_: str) -> str:
    """The user of a ``member``."""
    return member_[_TIME_DIGITS:]


def score(units: int) -> str:
    """The score of a sorted set: negated, so that the best stands first and ZRANK is the ranking."""
    return str(-units)


def units(score_: str | bytes) -> int:
    """The whole units of a ``score``."""
    return -int(score_)


def shown_rank(rank: int, most: int) -> int | None:
    """The rank as shown: none for 0 ("not on the board") and beyond ``most``, the last place that counts."""
    return rank if 0 < rank <= most else None
