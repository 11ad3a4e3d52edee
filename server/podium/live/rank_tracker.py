"""One user's own place on a board: how moves shift it, who passed whom, and what the user is shown. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from podium.game.leaderboards.ranking import shown_rank
from podium.game.leaderboards.shapes import RunInfo
from podium.live.shapes import AnyShown, Target, shown_row
from podium.live.window import Message, Row, ranks

NAMED_MAX = 10
"""Users named in ``passed`` and ``passedBy``; the counts count all."""


RECENT_MAX = 512
"""Messages kept for a reading that comes late: a second of the busiest board."""


class Place(NamedTuple):
    """Where a user stands, as read: ``position`` from 1, 0 where not on the board, ``first`` that of ``rows[0]``,
    whose rank by the board's tie rule is ``rank``. Moves are followed by position; ranks are only shown."""

    position: int
    first: int
    rows: list[Row]
    rank: int


class Story(NamedTuple):
    """What happened to a user between two frames.

    ``rank`` is the one at its end, ``own`` how many places the user rose by itself (fell, where negative), and
    ``crossed`` who else went past: how often upwards, less how often down.
    """

    rank: int
    own: int
    crossed: dict[str, int]


class Step(NamedTuple):
    """A change of one user's rank by message ``number``. ``user`` is who went past, None for an own move, empty
    where somebody came onto the board or left it; ``delta`` is added to the rank."""

    number: int
    user: str | None
    delta: int


class Course:
    """One user's way across a board.

    ``moved`` is set once something that is shown may have changed: the rank, the row above, or one of ``around``
    rows to either side. Where ``sure`` is not set the rank must be read.
    """

    __slots__ = ("_base", "around", "moved", "rank", "reach", "steps", "sure", "told", "user")

    def __init__(self, user: str, around: int) -> None:
        self.user = user
        self.around = around
        self.reach = max(around, 1)
        self.rank = 0
        self.sure = False
        self.moved = False
        self.steps: list[Step] = []
        self.told = 0
        """Number of the board's change up to which everything was told."""
        self._base = 0

    def start(self, number: int, rank: int) -> None:
        """The rank as read with the board's ``number``; what was before is not told."""
        self.rank = self._base = rank
        self.told = number
        self.sure = True
        self.moved = False
        self.steps.clear()

    def step(self, number: int, user: str | None, delta: int) -> None:
        """The rank has changed."""
        self.rank += delta
        self.steps.append(Step(number, user, delta))
        self.moved = True

    def story(self, number: int) -> Story:
        """What happened since it was told last, up to the board's ``number``."""
        rank, own = self._base, 0
        crossed: dict[str, int] = {}
        for step in self.steps:
            if step.number > number:
                break
            rank += step.delta
            if step.user is None:
                own -= step.delta
            elif step.user:
                crossed[step.user] = crossed.get(step.user, 0) + step.delta
        return Story(rank, own, crossed)

    def settle(self, number: int, rank: int) -> None:
        """All up to ``number`` has been told, where the story's rank was this."""
        self._base = rank
        if self.steps and self.steps[-1].number <= number:
            self.steps.clear()
        else:
            self.steps = [step for step in self.steps if step.number > number]
        self.told = number
        self.moved = bool(self.steps)

    @property
    def names(self) -> tuple[int, int]:
        """Rows to read above and below the user, so that all can be shown and named."""
        own = -sum(step.delta for step in self.steps if step.user is None)
        return max(self.reach, min(NAMED_MAX, -own)), max(self.around, min(NAMED_MAX, own))


def passed(story: Story, place: Place) -> tuple[list[str], int]:
    """Whom the user has passed, and how many. Where the user rose, those directly below now are named."""
    at, rose = place.position - place.first, max(story.own, 0)
    return _named(story, [row.user for row in place.rows[at + 1 : at + 1 + rose]], rose, -1)


def passed_by(story: Story, place: Place) -> tuple[list[str], int]:
    """Who has passed the user, and how many. Where the user fell, those directly above now are named."""
    at, fell = place.position - place.first, max(-story.own, 0)
    return _named(story, [row.user for row in reversed(place.rows[max(at - fell, 0) : at])], fell, 1)


def _named(story: Story, mine: Sequence[str], own: int, sign: int) -> tuple[list[str], int]:
    others = {user: net * sign for user, net in story.crossed.items() if net * sign > 0}
    named = dict.fromkeys([*(user for user in mine if not story.crossed.get(user)), *others])
    return list(named)[:NAMED_MAX], own + sum(others.values())


class Field:
    """All courses on one board, kept from its messages: a move concerns only those whom it passes or comes near.

    ``number`` is that of the last message heard.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._recent: deque[Message] = deque(maxlen=RECENT_MAX)
        self._of: dict[str, list[Course]] = {}
        self._reach = 1
        self._ranks: list[int] = []  # ascending; of _courses, one by one
        self._courses: list[Course] = []

    def heard(self, message: Message) -> None:
        """Follow the next message."""
        self.number = message.number
        if not self._of:
            return
        self._recent.append(message)
        for change in message.changes:
            self._move(message.number, change.user, change.before, change.after)

    def lost(self, number: int) -> None:
        """Messages are missing: no rank is sure. The next message is the one after ``number``."""
        self.number = number
        self._recent.clear()
        for course in self._courses:
            course.sure = False
        self._of.clear()
        self._ranks.clear()
        self._courses.clear()

    def place(self, course: Course, number: int, rank: int) -> None:
        """Follow a course whose rank was read with the board's ``number``."""
        self.remove(course)
        course.start(number, rank)
        missed = [message for message in self._recent if message.number > number]
        if len(missed) != self.number - number:
            course.sure = False  # too old, or newer than what was heard: it must be read again
        self._of.setdefault(course.user, []).append(course)
        self._reach = max(self._reach, course.reach)
        for message in missed:
            for change in message.changes:
                _pass_one(course, message.number, change.user, change.before, change.after)
        if course.rank > 0:
            self._insert(course)

    def remove(self, course: Course) -> None:
        """Follow a course no longer."""
        courses = self._of.get(course.user, [])
        if course in courses:
            courses.remove(course)
            if not courses:
                del self._of[course.user]
            self._take_out(course)

    def _move(self, number: int, user: str, before: int, after: int) -> None:
        own = self._of.get(user, ())
        for course in own:
            self._take_out(course)
        ranks, courses = self._ranks, self._courses
        if after and (not before or before > after):
            delta, low, high = 1, bisect_left(ranks, after), bisect_left(ranks, before) if before else len(ranks)
        else:
            delta, low, high = -1, bisect_right(ranks, before), bisect_right(ranks, after) if after else len(ranks)
        for i in range(low, high):
            ranks[i] += delta
            courses[i].step(number, user if after else "", delta)
        for end in (before or after, after or before):
            for i in range(bisect_left(ranks, end - self._reach - 1), bisect_right(ranks, end + self._reach + 1)):
                if abs(ranks[i] - end) <= courses[i].reach + 1:
                    courses[i].moved = True
        for course in own:
            _pass_one(course, number, user, before, after)
            if course.rank > 0:
                self._insert(course)

    def _insert(self, course: Course) -> None:
        at = bisect_left(self._ranks, course.rank)
        self._ranks.insert(at, course.rank)
        self._courses.insert(at, course)

    def _take_out(self, course: Course) -> None:
        at = bisect_left(self._ranks, course.rank)
        while at < len(self._ranks) and self._ranks[at] == course.rank:
            if self._courses[at] is course:
                del self._ranks[at], self._courses[at]
                return
            at += 1


def _pass_one(course: Course, number: int, user: str, before: int, after: int) -> None:
    """One change, as one course sees it."""
    rank = course.rank
    if user == course.user:
        course.sure = course.sure and before == rank
        course.step(number, None if before and after else "", after - rank)
    elif rank:
        course.moved = True
        from_below = before > rank or not before
        to_below = after >= rank or not after
        if from_below and 0 < after <= rank:
            course.step(number, user, 1)
        elif not from_below and to_below:
            course.step(number, user if after else "", -1)


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
    around: list[AnyShown]
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
    previous: int | None,
    story: Story | None,
) -> Standing:
    """What to show; with a ``story`` also who passed whom."""
    most = target.config.max_participants
    run = target.run
    if not place.position:
        return Standing(
            seq=seq,
            rank=None,
            value=None,
            previous_rank=previous,
            to_next=None,
            participants=participants,
            run=run,
            around=[],
        )
    at = place.position - place.first
    units = place.rows[at].units
    first = max(at - course.around, 0)
    shown = place.rows[first : at + course.around + 1]
    all_ranks = ranks(place.rows, target.config.tie_rule, place.first, place.rank)
    rows = [
        shown_row(target, rank, row)
        for rank, row in zip(all_ranks[first : at + course.around + 1], shown, strict=True)
        if rank <= most
    ]
    over, by = (passed(story, place), passed_by(story, place)) if story is not None else (([], 0), ([], 0))
    return Standing(
        seq=seq,
        rank=shown_rank(all_ranks[at], most),
        value=target.value(units),
        previous_rank=previous,
        to_next=abs(_ahead(place.rows[: at + 1]) / target.scale) if at else None,
        participants=participants,
        run=run,
        around=rows,
        passed=over[0],
        passed_count=over[1],
        passed_by=by[0],
        passed_by_count=by[1],
    )


def _ahead(rows: Sequence[Row]) -> float:
    """By how much the last row is behind the next better one; 0 where all that are known share its score."""
    own = rows[-1].units
    return next((row.units - own for row in reversed(rows) if row.units != own), 0.0)
