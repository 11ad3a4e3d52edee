"""One user's own place on a board: how moves shift it, who passed whom, and what the user is shown. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from server.features.leaderboards.ranking import shown_rank
from server.live.view import RunInfo, ShownRow, Target
from server.live.window import Message, Row

NAMED_MAX = 10
"""Users named in ``passed`` and ``passedBy``; the counts count all."""


class Place(NamedTuple):
    """Where a user stands, as read: ``rank`` from 1, 0 where not on the board, ``first`` that of ``rows[0]``."""

    rank: int
    first: int
    rows: list[Row]


class Course:
    """One user's rank, kept from the messages of a board.

    ``moved`` is set once a message may have changed what is shown: the rank, the row above, or one of ``around``
    rows to either side. ``sure`` is lost where a message is missing or contradicts the rank; ``start`` begins
    anew.
    """

    __slots__ = ("_crossed", "_own", "around", "moved", "number", "rank", "sure", "user")

    def __init__(self, user: str, around: int) -> None:
        self.user = user
        self.around = around
        self.rank = 0
        self.number = 0
        self.sure = False
        self.moved = False
        self._own = 0
        self._crossed: dict[str, bool] = {}

    def start(self, number: int, rank: int) -> None:
        """The rank as read with the board's ``number``; nobody has passed anybody yet."""
        self.number, self.rank, self.sure = number, rank, True
        self.settle()

    def settle(self) -> None:
        """All that happened has been told."""
        self.moved, self._own = False, 0
        self._crossed.clear()

    def take(self, messages: Iterable[Message], until: int | None = None) -> None:
        """Follow the messages that are new, in order, up to number ``until``."""
        for message in messages:
            if message.number <= self.number or not self.sure:
                continue
            if until is not None and message.number > until:
                return
            if message.number != self.number + 1:
                self.sure = False
                return
            self.number = message.number
            self._follow(message)

    def _follow(self, message: Message) -> None:
        rank, reach = self.rank, max(self.around, 1)
        for user, _, before, after, _ in message.changes:
            if user == self.user:
                self.sure = self.sure and before == rank
                if before:
                    self._own += before - after
                rank, self.moved = after, True
            elif not rank:
                continue
            elif before > rank or not before:  # from below, or new
                if after <= rank:
                    rank += 1
                    self._cross(user, above=True)
                    self.moved = True
                elif after <= rank + reach or 0 < before <= rank + reach:
                    self.moved = True
            elif after >= rank:  # from above to below
                rank -= 1
                self._cross(user, above=False)
                self.moved = True
            elif after >= rank - reach or before >= rank - reach:
                self.moved = True
        self.rank = rank

    def _cross(self, user: str, *, above: bool) -> None:
        if self._crossed.get(user, above) is above:
            self._crossed[user] = above
        else:
            del self._crossed[user]  # back again: nobody has passed anybody

    @property
    def names_above(self) -> int:
        """Rows to read above the user, so that all can be shown and named."""
        return max(self.around, 1, min(NAMED_MAX, -self._own))

    @property
    def names_below(self) -> int:
        """Rows to read below the user."""
        return max(self.around, min(NAMED_MAX, self._own))

    def passed(self, place: Place) -> tuple[list[str], int]:
        """Users whom this one has passed since ``settle``, and how many. Where the user moved up, those who
        stand directly below now are named; where others fell, they."""
        at = place.rank - place.first
        mine = [row.user for row in place.rows[at + 1 : at + 1 + max(self._own, 0)]]
        return self._named(mine, above=False, own=max(self._own, 0))

    def passed_by(self, place: Place) -> tuple[list[str], int]:
        """Users who have passed this one since ``settle``, the nearest first where the user fell, and how many."""
        at = place.rank - place.first
        fell = max(-self._own, 0)
        mine = [row.user for row in reversed(place.rows[max(at - fell, 0) : at])]
        return self._named(mine, above=True, own=fell)

    def _named(self, mine: Sequence[str], *, above: bool, own: int) -> tuple[list[str], int]:
        others = [user for user, is_above in self._crossed.items() if is_above is above]
        named = dict.fromkeys([*(user for user in mine if user not in self._crossed), *others])
        return list(named)[:NAMED_MAX], own + len(others)


class Standing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a user is shown of their own place: always whole, so the newest replaces all before.

    ``rank`` and ``value`` are None where the user is not on the board, ``rank`` also beyond the last place that
    counts. ``toNext`` is how much the next better place is ahead (None at the top): more than that passes it.
    ``previousRank`` is the rank in the frame before.
    """

    seq: int
    rank: int | None
    value: float | None
    previous_rank: int | None
    to_next: float | None
    participants: int
    run: RunInfo
    around: list[ShownRow]
    passed: list[str] = []
    passed_count: int = 0
    passed_by: list[str] = []
    passed_by_count: int = 0


def standing(
    target: Target,
    seq: int,
    course: Course,
    place: Place,
    participants: int,
    previous: int,
    *,
    told: bool,
) -> Standing:
    """What to show. Where ``told``, also who passed whom."""
    most = target.config.max_participants
    scale = target.scale
    run = target.run
    before = shown_rank(previous, most)
    if not place.rank:
        return Standing(
            seq=seq,
            rank=None,
            value=None,
            previous_rank=before,
            to_next=None,
            participants=participants,
            run=run,
            around=[],
        )
    at = place.rank - place.first
    units = place.rows[at].units
    first = max(at - course.around, 0)
    shown = place.rows[first : at + course.around + 1]
    rows = [
        ShownRow(rank, row.user, row.name, row.units / scale)
        for rank, row in enumerate(shown, place.first + first)
        if rank <= most
    ]
    passed, passed_by = (course.passed(place), course.passed_by(place)) if told else (([], 0), ([], 0))
    return Standing(
        seq=seq,
        rank=shown_rank(place.rank, most),
        value=units / scale,
        previous_rank=before,
        to_next=(place.rows[at - 1].units - units) / scale if at else None,
        participants=participants,
        run=run,
        around=rows,
        passed=passed[0],
        passed_count=passed[1],
        passed_by=passed_by[0],
        passed_by_count=passed_by[1],
    )
