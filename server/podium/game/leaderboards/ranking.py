"""The names of boards, and their order: by score, then the instant at which it was reached, then user id
(docs/decisions/0008-ranks.md)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from podium.game.leaderboards.model import Order, TieRule

_TIME_DIGITS = 12
"""Hexadecimal digits of an instant in ms: 48 bits, as in UUIDv7, reach beyond the year 10000."""
UNRANKED = ""
"""The group of unranked users, who have a score but are on no board: they lack an attribute, or have left the
audience."""
GROUP_MAX = 1_500
"""Most bytes of a ``group_name``. It is in an index of Postgres together with a user id of up to 1,020 bytes, and
a row of an index has 2,704 bytes at most."""


class BoardName(NamedTuple):
    """The parts of a board's name. ``group`` is None for the board of all users, else a ``group_name``."""

    leaderboard: int
    run: str
    group: str | None


def board_name(leaderboard: int, run: str, group: str | None = None) -> str:
    """Return a board's name for keys and states: ``<leaderboard number>:<run name>``, with ``:<group>`` for a
    group."""
    return f"{leaderboard}:{run}" if group is None else f"{leaderboard}:{run}:{group}"


@lru_cache(maxsize=10_000)
def split_board(board: str) -> BoardName:
    """Return the parts of a ``board_name``."""
    leaderboard, run, *group = board.split(":", 2)
    return BoardName(int(leaderboard), run, group[0] if group else None)


def is_ranked(board: str) -> bool:
    """Return whether a board is ranked, which the one of the unranked group isn't."""
    return board[-1] != ":" or board.count(":") == 1


def group_name(values: tuple[str, ...]) -> str:
    """Return a group's name for keys: the percent-encoded values of its attributes, joined by ``&``."""
    return "&".join(quote(value, safe="") for value in values)


def group_value_max(attributes: int) -> int:
    """Return the most bytes, percent-encoded, of each value in groups by so many attributes."""
    return (GROUP_MAX - (attributes - 1)) // attributes


def group_values(group: str) -> tuple[str, ...]:
    """Return the values of a ``group_name``."""
    return tuple(unquote(value) for value in group.split("&"))


def groups_board(board: str) -> str:
    """Return the name, for keys, of the ranking of a board's groups."""
    return f"g:{board}"


def member(reached_ms: int, user: str) -> str:
    """Return the member of a sorted set. Members of equal scores sort by time, then by user id."""
    return f"{reached_ms:012x}{user}"


def member_user(member_: str) -> str:
    """Return the user of a ``member``."""
    return member_[_TIME_DIGITS:]


def score(units: int, order: Order = "desc") -> int:
    """Return the score for a sorted set. It is negated, unless less is better, so that ZRANK is the rank."""
    return units if order == "asc" else -units


def units(score_: str | bytes) -> int:
    """Return the negated score in whole units. On a board where less is better they are negative
    (``scale_of``)."""
    return -int(score_)


def scale_of(scale: int, order: Order) -> int:
    """Return the divisor by which ``units`` of a score become its value, where ``scale`` units are 1."""
    return scale if order == "desc" else -scale


def shown_rank(rank: int, most: int) -> int | None:
    """Return the rank to show: None for 0 (not on the board) and beyond ``most``, the last rank that is shown."""
    return rank if 0 < rank <= most else None


def successive(scores: Sequence[float], tie_rule: TieRule, place: int, rank: int) -> Sequence[int]:
    """Return the ranks of successive scores, of which the first has this place and rank
    (docs/decisions/0008-ranks.md)."""
    if tie_rule == "ordinal":
        return range(place, place + len(scores))
    found: list[int] = []
    for i, one in enumerate(scores):
        if i and one != scores[i - 1]:
            rank = place + i if tie_rule == "competition" else rank + 1
        found.append(rank)
    return found
