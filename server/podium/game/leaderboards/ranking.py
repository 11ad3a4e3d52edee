"""The names and the order of boards: score, then who reached it first, then user id
(docs/decisions/0008-ranks.md)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from podium.game.leaderboards.model import Aggregate, Order, TieRule

_TIME_DIGITS = 12
"""Hexadecimal digits of an instant in ms: 48 bits, as in UUIDv7, reach beyond the year 10000."""
UNRANKED = ""
"""The group of those who have a score but stand on no board: they lack an attribute, or have left the audience."""
GROUP_MAX = 1_500
"""Bytes of a ``group_name``. It stands in an index of Postgres beside a user's id of up to 1,020 bytes, and a row
there holds 2,704 at most."""
AGGREGATES: dict[Aggregate, int] = {"sum": 0, "average": 1, "max": 2, "top": 3}
"""Aggregates as functions/podium.lua knows them."""
TIES: dict[TieRule, int] = {"ordinal": 0, "competition": 1, "dense": 2}
"""Tie rules as functions/podium.lua knows them."""


class BoardName(NamedTuple):
    """The parts of a board's name. ``group`` is None for the board of all, else a ``group_name``."""

    leaderboard: int
    run: str
    group: str | None


def board_name(leaderboard: int, run: str, group: str | None = None) -> str:
    """A board in keys and states: ``<leaderboard number>:<run name>``, and ``:<group>`` for one of a group."""
    return f"{leaderboard}:{run}" if group is None else f"{leaderboard}:{run}:{group}"


@lru_cache(maxsize=10_000)
def split_board(board: str) -> BoardName:
    """The parts of a ``board_name``."""
    leaderboard, run, *group = board.split(":", 2)
    return BoardName(int(leaderboard), run, group[0] if group else None)


def is_ranked(board: str) -> bool:
    """Whether there is a ranking of that name: not for those who wait."""
    return board[-1] != ":" or board.count(":") == 1


def group_name(values: tuple[str, ...]) -> str:
    """A group in keys: the percent-encoded values of its attributes, joined by ``&``."""
    return "&".join(quote(value, safe="") for value in values)


def group_value_max(attributes: int) -> int:
    """Return the bytes, percent-encoded, that each value may have in groups by so many attributes."""
    return (GROUP_MAX - (attributes - 1)) // attributes


def group_values(group: str) -> tuple[str, ...]:
    """The values of a ``group_name``."""
    return tuple(unquote(value) for value in group.split("&"))


def groups_board(board: str) -> str:
    """The ranking of the groups of a board, in keys."""
    return f"g:{board}"


def member(reached_ms: int, user: str) -> str:
    """The member of a sorted set, made so that equal scores stand in order of time, then id."""
    return f"{reached_ms:012x}{user}"


def member_user(member_: str) -> str:
    """The user of a ``member``."""
    return member_[_TIME_DIGITS:]


def score(units: int, order: Order = "desc") -> int:
    """The score of a sorted set: negated, unless less is better, so that ZRANK is the ranking."""
    return units if order == "asc" else -units


def units(score_: str | bytes) -> int:
    """The negated score: whole units; negated ones on a board where less is better (see ``scale_of``)."""
    return -int(score_)


def scale_of(scale: int, order: Order) -> int:
    """What ``units`` of a score are divided by to give the value, where ``scale`` of them are 1."""
    return scale if order == "desc" else -scale


def shown_rank(rank: int, most: int) -> int | None:
    """The rank as shown: none for 0 ("not on the board") and beyond ``most``, the last place that counts."""
    return rank if 0 < rank <= most else None


def successive(scores: Sequence[float], tie_rule: TieRule, place: int, rank: int) -> Sequence[int]:
    """The ranks of successive scores, of which the first has this place and rank
    (docs/decisions/0008-ranks.md)."""
    if tie_rule == "ordinal":
        return range(place, place + len(scores))
    found: list[int] = []
    for i, one in enumerate(scores):
        if i and one != scores[i - 1]:
            rank = place + i if tie_rule == "competition" else rank + 1
        found.append(rank)
    return found
