"""One user's own place on a board: how others' moves shift it, who passed whom, and what the user is shown. Pure.

A tracker starts from a rank that was read from Redis, and follows the board's messages from there. Positions are
1-based, 0 means "not on the board"; numbers are those of a board's changes, which rise by one.
"""

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
"""Users named in ``passed`` and ``passedBy``; the counts include everybody."""

RECENT_MAX = 512
"""Messages kept to bring a late reading up to date: about a second of the busiest board."""


class Place(NamedTuple):
    """A user's position as read from Redis, with the rows around it.

    ``first`` is the position of ``rows[0]``, and ``rank`` its rank by the board's tie rule. Moves are followed by
    position, which is unique; ranks, which ties share, are only shown.
    """

    position: int
    first: int
    rows: list[Row]
    rank: int


class RankChange(NamedTuple):
    """The changes of a user's rank between two frames.

    ``rank`` is the rank at the end, and ``climbed`` how many places the user rose by its own moves (negative where
    it fell). ``crossings`` has the others who passed or were passed: for each how often it went above the user,
    less how often it fell below.
    """

    rank: int
    climbed: int
    crossings: dict[str, int]


class Step(NamedTuple):
    """A change of one user's rank by ``delta``, in message ``number``.

    ``user`` is the one that went past. It is None for the user's own move, and empty where nobody is to be named:
    somebody left the board, or the user itself came onto it or left it.
    """

    number: int
    user: str | None
    delta: int


class RankTracker:
    """One user's rank on a board, and its changes since the last frame.

    ``dirty`` is set once something that is shown may have changed: the rank, the row above, or one of the
    ``around`` rows to either side. Where ``synced`` is not set, messages may be missing and the rank must be read.
    """

    __slots__ = ("_base", "around", "dirty", "rank", "reach", "sent_number", "steps", "synced", "user")

    def __init__(self, user: str, around: int) -> None:
        self.user = user
        self.around = around
        self.reach = max(around, 1)  # the row above is always needed, for ``toNext``
        self.rank = 0
        self.synced = False
        self.dirty = False
        self.steps: list[Step] = []
        self.sent_number = 0
        """Number of the last change of the board that the sent frames include."""
        self._base = 0

    def start(self, number: int, rank: int) -> None:
        """Begin at a rank that was read as of the board's ``number``; earlier changes are dropped."""
        self.rank = self._base = rank
        self.sent_number = number
        self.synced = True
        self.dirty = False
        self.steps.clear()

    def step(self, number: int, user: str | None, delta: int) -> None:
        """Add a change of the rank."""
        self.rank += delta
        self.steps.append(Step(number, user, delta))
        self.dirty = True

    def change_until(self, number: int) -> RankChange:
        """Return the changes since the last frame, up to the board's ``number``."""
        rank, climbed = self._base, 0
        crossings: dict[str, int] = {}
        for step in self.steps:
            if step.number > number:  # the reading does not include it; it belongs to the next frame
                break
            rank += step.delta
            if step.user is None:
                climbed -= step.delta
            elif step.user:
                crossings[step.user] = crossings.get(step.user, 0) + step.delta
        return RankChange(rank, climbed, crossings)

    def mark_sent(self, number: int, rank: int) -> None:
        """Drop the changes up to ``number``: a frame with this rank has included them."""
        self._base = rank
        if self.steps and self.steps[-1].number <= number:
            self.steps.clear()
        else:
            self.steps = [step for step in self.steps if step.number > number]
        self.sent_number = number
        self.dirty = bool(self.steps)

    @property
    def rows_to_read(self) -> tuple[int, int]:
        """The numbers of rows above and below the user that a frame needs.

        These are the rows that are shown, and those that are named: users whom its own rise passed stand directly
        below now, users whom its own fall let past directly above.
        """
        climbed = -sum(step.delta for step in self.steps if step.user is None)
        return max(self.reach, min(NAMED_MAX, -climbed)), max(self.around, min(NAMED_MAX, climbed))


def passed(change: RankChange, place: Place) -> tuple[list[str], int]:
    """Return the users whom this user has passed (at most ``NAMED_MAX``), and how many there are.

    Messages do not say whom the user's own rise passed; those directly below now are named for it.
    """
    at, rose = place.position - place.first, max(change.climbed, 0)
    return _named(change, [row.user for row in place.rows[at + 1 : at + 1 + rose]], rose, -1)


def passed_by(change: RankChange, place: Place) -> tuple[list[str], int]:
    """Return the users who have passed this user (at most ``NAMED_MAX``), and how many there are.

    For the user's own fall, those directly above now are named.
    """
    at, fell = place.position - place.first, max(-change.climbed, 0)
    return _named(change, [row.user for row in reversed(place.rows[max(at - fell, 0) : at])], fell, 1)


def _named(change: RankChange, by_own_move: Sequence[str], count: int, sign: int) -> tuple[list[str], int]:
    others = {user: net * sign for user, net in change.crossings.items() if net * sign > 0}
    named = dict.fromkeys([*(user for user in by_own_move if not change.crossings.get(user)), *others])
    return list(named)[:NAMED_MAX], count + sum(others.values())


class BoardTracker:
    """The rank trackers of one board, which it advances by the board's messages.

    ``number`` is that of the last message received. Trackers are kept sorted by rank: a move changes only the
    ranks between its two ends, so most of thousands of trackers are not touched.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._recent: deque[Message] = deque(maxlen=RECENT_MAX)
        self._by_user: dict[str, list[RankTracker]] = {}
        self._reach = 1  # the largest of all trackers
        self._ranks: list[int] = []  # ascending, parallel to _trackers, for bisection
        self._trackers: list[RankTracker] = []

    def apply_delta(self, message: Message) -> None:
        """Advance the trackers by the next message."""
        self.number = message.number
        if not self._by_user:
            return
        self._recent.append(message)
        for change in message.changes:
            self._move(message.number, change.user, change.before, change.after)

    def invalidate(self, number: int) -> None:
        """Drop all trackers because messages are missing; the next message is the one after ``number``."""
        self.number = number
        self._recent.clear()
        for tracker in self._trackers:
            tracker.synced = False
        self._by_user.clear()
        self._ranks.clear()
        self._trackers.clear()

    def track(self, tracker: RankTracker, number: int, rank: int) -> None:
        """Add a tracker whose rank was read as of the board's ``number``, or start it anew."""
        self.remove(tracker)
        tracker.start(number, rank)
        missed = [message for message in self._recent if message.number > number]
        if len(missed) != self.number - number:
            # Older than what is kept, or newer than the last message received: it must be read again.
            tracker.synced = False
        self._by_user.setdefault(tracker.user, []).append(tracker)  # one for each ``around``
        self._reach = max(self._reach, tracker.reach)
        # Catch up with the messages that arrived between the reading and now.
        for message in missed:
            for change in message.changes:
                _apply_to(tracker, message.number, change.user, change.before, change.after)
        if tracker.rank > 0:
            self._insert(tracker)

    def remove(self, tracker: RankTracker) -> None:
        """Remove a tracker, if it is there."""
        trackers = self._by_user.get(tracker.user, [])
        if tracker in trackers:
            trackers.remove(tracker)
            if not trackers:
                del self._by_user[tracker.user]
            self._delete(tracker)

    def _move(self, number: int, user: str, before: int, after: int) -> None:
        """Apply one user's move from position ``before`` to ``after``."""
        movers = self._by_user.get(user, ())
        # Out of the sorted lists while the others shift; its own rank may jump anywhere.
        for tracker in movers:
            self._delete(tracker)
        ranks, trackers = self._ranks, self._trackers
        # Up: those from ``after`` on, above ``before``, fall by one. Down: those below ``before``, through
        # ``after``, rise by one. All shift by the same amount, so the lists stay sorted.
        if after and (not before or before > after):
            delta, low, high = 1, bisect_left(ranks, after), bisect_left(ranks, before) if before else len(ranks)
        else:
            delta, low, high = -1, bisect_right(ranks, before), bisect_right(ranks, after) if after else len(ranks)
        for i in range(low, high):
            # ``user`` is named as the one who passed, unless it left the board altogether.
            ranks[i] += delta
            trackers[i].step(number, user if after else "", delta)
        # Near either end of the move the rows that are shown have changed, even where the rank has not.
        for end in (before or after, after or before):
            for i in range(bisect_left(ranks, end - self._reach - 1), bisect_right(ranks, end + self._reach + 1)):
                if abs(ranks[i] - end) <= trackers[i].reach + 1:
                    trackers[i].dirty = True
        for tracker in movers:
            _apply_to(tracker, number, user, before, after)
            if tracker.rank > 0:
                self._insert(tracker)

    def _insert(self, tracker: RankTracker) -> None:
        at = bisect_left(self._ranks, tracker.rank)
        self._ranks.insert(at, tracker.rank)
        self._trackers.insert(at, tracker)

    def _delete(self, tracker: RankTracker) -> None:
        # Several trackers of one user share a rank.
        at = bisect_left(self._ranks, tracker.rank)
        while at < len(self._ranks) and self._ranks[at] == tracker.rank:
            if self._trackers[at] is tracker:
                del self._ranks[at], self._trackers[at]
                return
            at += 1


def _apply_to(tracker: RankTracker, number: int, user: str, before: int, after: int) -> None:
    """Apply one user's move to one tracker."""
    rank = tracker.rank
    if user == tracker.user:
        # A contradiction means that something was missed.
        tracker.synced = tracker.synced and before == rank
        tracker.step(number, None if before and after else "", after - rank)
    elif rank:
        tracker.dirty = True
        from_below = before > rank or not before
        to_below = after >= rank or not after
        if from_below and 0 < after <= rank:
            tracker.step(number, user, 1)
        elif not from_below and to_below:
            tracker.step(number, user if after else "", -1)


class Standing(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A frame about a user's own place. Each is complete and replaces all before it.

    ``rank`` and ``value`` are None where the user is not on the board, ``rank`` also beyond the last place that
    counts. ``toNext`` is the lead of the next better score (None at the top); a user who gains more passes it.
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
    tracker: RankTracker,
    place: Place,
    participants: int,
    previous: int | None,
    change: RankChange | None,
) -> Standing:
    """Return the frame for a place that was read; with a ``change`` also who passed whom."""
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
    first = max(at - tracker.around, 0)
    shown = place.rows[first : at + tracker.around + 1]
    all_ranks = ranks(place.rows, target.config.tie_rule, place.first, place.rank)
    rows = [
        shown_row(target, rank, row)
        for rank, row in zip(all_ranks[first : at + tracker.around + 1], shown, strict=True)
        if rank <= most
    ]
    over, by = (passed(change, place), passed_by(change, place)) if change is not None else (([], 0), ([], 0))
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
    """Return how many units the last row is behind the next better score; 0 where all rows that are known tie."""
    last = rows[-1].units
    return next((row.units - last for row in reversed(rows) if row.units != last), 0.0)
