"""One user's own place, against a board that is sorted anew after every change."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game.leaderboards.model import Leaderboard, Source
from podium.game.leaderboards.shapes import RunInfo, config
from podium.live.rank_tracker import BoardTracker, Place, RankTracker, Standing, passed, passed_by, standing
from podium.live.shapes import Target
from podium.live.window import Change, Message, Row

USERS = "abcdefgh"
BOARD = Leaderboard(
    id="l",
    number=1,
    key="all",
    name="All",
    metric_id="m",
    start=date(2026, 1, 1),
    status="active",
    max_participants=40,
)
TARGET = Target(
    config(BOARD, Source("metric", 1, "m", "m", "M", 1)), 1, "1:", RunInfo(date(2026, 1, 1), None, "live")
)


class Board:
    """The slow, obvious board: scores by user, the earlier first where they are equal."""

    def __init__(self) -> None:
        self.scores: dict[str, int] = {}
        self.number = 0

    def order(self) -> list[str]:
        return sorted(self.scores, key=lambda user: -self.scores[user])

    def change(self, user: str, score: int) -> Change:
        before = self.order().index(user) + 1 if user in self.scores else 0
        self.scores.pop(user, None)  # who reaches a score later stands behind
        self.scores[user] = score
        return Change(user, "", before, self.order().index(user) + 1, str(-score), before)

    def message(self, changes: list[tuple[str, int]]) -> Message:
        self.number += 1
        made = [self.change(*change) for change in changes]
        return Message("e", self.number, len(self.scores), made)

    def place(self, user: str, above: int, below: int) -> Place:
        order = self.order()
        if user not in self.scores:
            return Place(0, 0, [], 0)
        at = order.index(user)
        first = max(at - above, 0)
        return Place(
            at + 1, first + 1, [Row(u, "", self.scores[u]) for u in order[first : at + below + 1]], first + 1
        )


changes = st.lists(
    st.lists(st.tuples(st.sampled_from(USERS), st.integers(0, 9)), min_size=1, max_size=3), max_size=12
)


def track(board: Board, user: str, around: int = 1) -> tuple[BoardTracker, RankTracker]:
    """Return a tracker of one user, started at the present rank."""
    board_tracker, tracker = BoardTracker(board.number), RankTracker(user, around)
    board_tracker.track(tracker, board.number, board.place(user, 0, 0).position)
    return board_tracker, tracker


@given(changes, changes, st.integers(0, 3))
def test_ranks_and_crossings_equal_a_sorted_board(
    past: list[list[tuple[str, int]]], news: list[list[tuple[str, int]]], around: int
) -> None:
    board = Board()
    for step in past:
        board.message(step)
    board_tracker = BoardTracker(board.number)
    trackers = [RankTracker(user, around) for user in (*USERS, "a")]
    for tracker in trackers:
        board_tracker.track(tracker, board.number, board.place(tracker.user, 0, 0).position)
    before = board.order()
    for step in news:
        board_tracker.apply_delta(board.message(step))
    after = board.order()
    for tracker in trackers:
        user = tracker.user
        change = tracker.change_until(board.number)
        place = board.place(user, *tracker.rows_to_read)
        assert tracker.synced
        assert tracker.rank == change.rank == place.position
        if near(before, tracker) != near(after, tracker):
            assert tracker.dirty
        if user in before:
            over, by = passed(change, place), passed_by(change, place)
            assert place.position - (before.index(user) + 1) == by[1] - over[1]
            if all(user != other for step in news for other, _ in step):
                was, now = set(before[: before.index(user)]), set(after[: after.index(user)])
                assert (set(by[0]), by[1]) == (now - was, len(now - was))
                assert (set(over[0]), over[1]) == (was - now, len(was - now))


def near(order: list[str], tracker: RankTracker) -> list[str]:
    if tracker.user not in order:
        return []
    at = order.index(tracker.user)
    return [str(at), *order[max(at - tracker.reach, 0) : at + tracker.around + 1]]


@given(changes, changes, changes)
def test_a_reading_that_comes_late_or_in_the_middle_reports_each_move_once(
    past: list[list[tuple[str, int]]], first: list[list[tuple[str, int]]], second: list[list[tuple[str, int]]]
) -> None:
    board = Board()
    for step in past:
        board.message(step)
    board_tracker, tracker = track(board, "a")
    start = tracker.rank
    late = RankTracker("a", 1)
    messages = [board.message(step) for step in first]
    middle, place = board.number, board.place("a", 1, 1)
    messages += [board.message(step) for step in second]
    for message in messages:
        board_tracker.apply_delta(message)
    change = tracker.change_until(middle)
    assert change.rank == place.position
    tracker.mark_sent(middle, change.rank)
    rest = tracker.change_until(board.number)
    end = board.place("a", 99, 99)
    assert rest.rank == tracker.rank == end.position
    if start:
        reported = passed_by(rest, end)[1] - passed(rest, end)[1]
        assert reported == end.position - place.position
    board_tracker.track(late, middle, place.position)
    assert late.synced
    assert late.change_until(board.number) == rest


def test_own_rise_names_those_directly_below() -> None:
    board = Board()
    board.message([(user, 10 * i) for i, user in enumerate(USERS)])  # h first, a last
    board_tracker, tracker = track(board, "a")
    board_tracker.apply_delta(board.message([("a", 45)]))
    place, change = board.place("a", *tracker.rows_to_read), tracker.change_until(2)
    assert passed(change, place) == (["e", "d", "c", "b"], 4)
    assert passed_by(change, place) == ([], 0)


def test_own_fall_names_those_directly_above() -> None:
    board = Board()
    board.message([(user, 10 * i) for i, user in enumerate(USERS)])
    board_tracker, tracker = track(board, "h")
    board_tracker.apply_delta(board.message([("h", 45)]))
    place, change = board.place("h", *tracker.rows_to_read), tracker.change_until(2)
    assert passed_by(change, place) == (["f", "g"], 2)
    assert passed(change, place) == ([], 0)


def test_at_most_ten_are_named_and_all_are_counted() -> None:
    board_tracker, tracker = BoardTracker(0), RankTracker("me", 0)
    board_tracker.track(tracker, 0, 1)
    board_tracker.apply_delta(Message("e", 1, 31, [Change(f"u{i}", "", 0, 1, "-9", 0) for i in range(30)]))
    named, count = passed_by(tracker.change_until(1), Place(31, 31, [Row("me", "", 1)], 31))
    assert (len(named), count) == (10, 30)


def test_one_who_passed_and_fell_back_is_not_named() -> None:
    board_tracker, tracker = BoardTracker(0), RankTracker("me", 0)
    board_tracker.track(tracker, 0, 1)
    board_tracker.apply_delta(Message("e", 1, 2, [Change("u", "", 2, 1, "-9", 2), Change("u", "", 1, 2, "-1", 1)]))
    place = Place(1, 1, [Row("me", "", 1)], 1)
    assert passed_by(tracker.change_until(1), place) == passed(tracker.change_until(1), place) == ([], 0)


@pytest.mark.parametrize(
    ("before", "after", "moved"), [(29, 18, False), (29, 11, True), (2, 1, False), (1, 8, True), (0, 7, True)]
)
def test_dirty_only_where_something_shown_may_have_changed(before: int, after: int, moved: bool) -> None:
    board_tracker, tracker = BoardTracker(0), RankTracker("me", 2)
    board_tracker.track(tracker, 0, 9)
    board_tracker.apply_delta(Message("e", 1, 30, [Change("u", "", before, after, "-1", before)]))
    assert tracker.dirty is moved


def test_a_contradiction_and_a_loss_are_noticed() -> None:
    board_tracker, tracker = BoardTracker(0), RankTracker("me", 2)
    board_tracker.track(tracker, 0, 5)
    board_tracker.apply_delta(Message("e", 1, 9, [Change("me", "", 7, 1, "-1", 7)]))
    assert not tracker.synced
    board_tracker.track(tracker, 1, 1)
    assert tracker.synced
    board_tracker.invalidate(9)
    assert not tracker.synced
    board_tracker.track(tracker, 8, 1)  # older than what is remembered
    assert not tracker.synced
    board_tracker.track(tracker, 10, 1)  # newer than what was heard
    assert not tracker.synced


def shown(tracker: RankTracker, place: Place, previous: int = 0) -> Standing:
    return standing(TARGET, 3, tracker, place, 40, previous, None)


def test_what_is_shown() -> None:
    tracker = RankTracker("me", 1)
    rows = [Row("x", "", 90), Row("ana", "Ana", 70), Row("me", "Me", 50), Row("bob", "", 20)]
    found = shown(tracker, Place(31, 29, rows, 29), previous=34)
    assert (found.rank, found.value, found.previous_rank, found.to_next, found.participants) == (
        31,
        50,
        34,
        20,
        40,
    )
    assert [(row.rank, row.user_id) for row in found.around] == [(30, "ana"), (31, "me"), (32, "bob")]


def test_the_first_has_nobody_to_reach_and_one_who_is_not_on_the_board_has_nothing() -> None:
    tracker = RankTracker("me", 1)
    assert shown(tracker, Place(1, 1, [Row("me", "", 5)], 1)).to_next is None
    found = shown(tracker, Place(0, 0, [], 0), previous=4)
    assert (found.rank, found.value, found.previous_rank, found.around) == (None, None, 4, [])


def test_a_rank_beyond_the_last_place_that_counts_is_none() -> None:
    tracker = RankTracker("me", 1)
    place = Place(41, 40, [Row("x", "", 9), Row("me", "", 5)], 40)
    found = shown(tracker, place)
    assert (found.rank, found.value, found.to_next) == (None, 5, 4)
    assert [row.user_id for row in found.around] == ["x"]
