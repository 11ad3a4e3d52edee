"""The first rows of a board, advanced by the changes that Redis publishes, and their differences. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from operator import lt
from typing import NamedTuple

from podium.game.leaderboards.model import TieRule
from podium.game.leaderboards.ranking import successive, units

MARGIN = 50
"""Rows kept below the widest view. The board is read again only once that many more rows left the window than
entered it."""


class Row(NamedTuple):
    """One place of a board: a user with a label (game/leaderboards/labels.py), or a group with its number of
    members.

    ``units`` are as in ranking.units; those of a group may be a fraction.
    """

    user: str
    label: str
    units: float


class Change(NamedTuple):
    """The move of one user or group, with its 1-based places at that moment.

    ``before`` is 0 for a newcomer, ``after`` for a user who left. ``rank`` is the rank before the move, by the
    board's tie rule.
    """

    user: str
    label: str
    before: int
    after: int
    score: str
    rank: int


class Message(NamedTuple):
    """A commit's message about one board (functions/podium.lua); the changes are in the order applied."""

    epoch: str
    number: int
    participants: int
    changes: list[Change]


class Window:
    """The first rows of a board, as of its change ``number``.

    It serves ``limit`` rows. Once ``must_read`` is set, the rows stay those of the last consistent number and
    every message is refused; only a new read helps.
    """

    __slots__ = ("epoch", "limit", "must_read", "number", "participants", "rows")

    def __init__(self, epoch: str, number: int, participants: int, rows: list[Row], limit: int) -> None:
        self.epoch = epoch
        self.number = number
        self.participants = participants
        self.rows = rows
        self.limit = limit
        self.must_read = False

    def apply(self, message: Message) -> int | None:
        """Apply a message and return the best place it touched; None where it is old or can't be applied.

        Sets ``must_read`` where it can't: another epoch, a gap, a contradiction, or too few rows left.
        """
        if self.must_read:
            return None
        # Numbers start anew after a rebuild of Redis, so they compare within one epoch only.
        if message.epoch != self.epoch:
            self.must_read = True
            return None
        if message.number <= self.number:  # the read included it
            return None
        if message.number != self.number + 1:
            self.must_read = True
            return None
        rows = self.rows.copy()  # views still hold the old list, to compare with
        best = self._move(rows, message.changes)
        # Fewer rows than are served, though the board has more: MARGIN is used up.
        if best is None or not min(self.limit, message.participants) <= len(rows) <= message.participants:
            self.must_read = True
            return None
        del rows[self.limit + MARGIN :]
        self.rows = rows
        self.number = message.number
        self.participants = message.participants
        return best

    def _move(self, rows: list[Row], changes: list[Change]) -> int | None:
        """Apply the changes to ``rows`` and return the best place touched; None where one contradicts them."""
        best = 1 << 53  # beyond every place
        for user, label, before, after, score, _ in changes:
            if 0 < before <= len(rows):
                # The row that left must be where the message says, or the window is not what it seems.
                if rows[before - 1].user != user:
                    return None
                del rows[before - 1]
            # Below the window nothing is known; a row right after the last one extends it.
            if 0 < after <= len(rows) + 1:
                rows.insert(after - 1, Row(user, label, units_of(score)))
            best = min(best, after or before, before or after)
        return best


class Placed(NamedTuple):
    """A row that moved or changed: its place now and, if it was there, before (both 0-based)."""

    position: int
    row: Row
    previous: int | None


class Delta(NamedTuple):
    """A difference of two lists of rows.

    To apply it, remove everybody named in ``left`` and in ``rows``, then insert ``rows`` at their positions, in
    ascending order.
    """

    left: list[str]
    rows: list[Placed]


def diff(old: Sequence[Row], new: Sequence[Row]) -> Delta:
    """Return the smallest difference that turns ``old`` into ``new``. Each user is at most once in either."""
    # Most changes touch a few neighbours: what is equal at both ends needs no dictionary.
    first, shared = 0, min(len(old), len(new))
    while first < shared and old[first] == new[first]:
        first += 1
    tail = 0
    while tail < shared - first and old[-1 - tail] == new[-1 - tail]:
        tail += 1

    places = {old[i].user: i for i in range(first, len(old) - tail)}
    placed: list[Placed] = []
    stayed: list[int] = []
    was: list[int] = []
    for position in range(first, len(new) - tail):
        row = new[position]
        previous = places.pop(row.user, None)
        if previous is not None and old[previous] == row:
            stayed.append(position)
            was.append(previous)
        else:
            placed.append(Placed(position, row, previous))
    # Rows that are unchanged but out of order must be inserted again; all others need not be sent.
    if not all(map(lt, was, was[1:])):
        placed += [Placed(stayed[i], new[stayed[i]], was[i]) for i in _out_of_order(was)]
        placed.sort()
    return Delta(list(places), placed)


def _out_of_order(was: list[int]) -> list[int]:
    """Return the fewest indices without which ``was`` rises: all but a longest increasing subsequence."""
    lasts: list[int] = []  # by length of an increasing subsequence, the least number that ends one
    ends: list[int] = []  # and the index of that number
    before: list[int] = []  # by index, the index of the number before it in its subsequence
    for index, number in enumerate(was):
        length = bisect_left(lasts, number) if lasts and number < lasts[-1] else len(lasts)
        before.append(ends[length - 1] if length else -1)
        lasts[length : length + 1] = [number]
        ends[length : length + 1] = [index]
    kept = set()
    index = ends[-1]
    while index >= 0:
        kept.add(index)
        index = before[index]
    return [index for index in range(len(was)) if index not in kept]


def ranks(rows: Sequence[Row], tie_rule: TieRule, place: int = 1, rank: int = 1) -> Sequence[int]:
    """Return the ranks of successive rows, the first of which has this place and rank
    (docs/decisions/0008-ranks.md)."""
    if tie_rule == "ordinal":
        return range(place, place + len(rows))
    return successive([row.units for row in rows], tie_rule, place, rank)


def units_of(score: str | bytes) -> float:
    """Return the negated score of a user (ranking.units) or of a group, which may be a fraction."""
    try:
        return units(score)
    except ValueError:
        return -float(score)
