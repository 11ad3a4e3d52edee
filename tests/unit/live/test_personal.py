"""One user's own place, against a board that is sorted anew after every change."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.features.leaderboards.model import Leaderboard
from server.features.leaderboards.shapes import config
from server.live.personal import Course, Place, Standing, standing
from server.live.view import RunInfo, Target
from server.live.window import Change, Message, Row

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
TARGET = Target(config(BOARD, "m", "M"), 1, "1:", RunInfo(date(2026, 1, 1), None, "live"))


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
        return Change(user, "", before, self.order().index(user) + 1, str(-score))

    def message(self, changes: list[tuple[str, int]]) -> Message:
        self.number += 1
        made = [self.change(*change) for change in changes]
        return Message("e", self.number, len(self.scores), made)

    def place(self, user: str, above: int, below: int) -> Place:
        order = self.order()
        if user not in self.scores:
            return Place(0, 0, [])
        at = order.index(user)
        first = max(at - above, 0)
        return Place(at + 1, first + 1, [Row(u, None, self.scores[u]) for u in order[first : at + below + 1]])


changes = st.lists(
    st.lists(st.tuples(st.sampled_from(USERS), st.integers(0, 9)), min_size=1, max_size=3), max_size=12
)


@given(changes, changes)
def test_rank_and_crossings_equal_a_sorted_board(
    past: list[list[tuple[str, int]]], news: list[list[tuple[str, int]]]
) -> None:
    board = Board()
    for step in past:
        board.message(step)
    course = Course("a", 1)
    course.start(board.number, board.place("a", 0, 0).rank)
    before = board.order()
    for step in news:
        course.take([board.message(step)])
    assert course.sure
    place = board.place("a", course.names_above, course.names_below)
    assert course.rank == place.rank
    if all(user != "a" for step in news for user, _ in step):
        assert course.moved or before == board.order() or place.rank == 0 or _near(before) == _near(board.order())
        if place.rank:
            after = board.order()
            above, below = set(before[: before.index("a")]), set(before[before.index("a") + 1 :])
            by, count = course.passed_by(place)
            assert set(by) == set(after[: after.index("a")]) - above
            assert count == len(by)
            over, count = course.passed(place)
            assert set(over) == set(after[after.index("a") + 1 :]) & above
            assert count == len(over)
            assert below | above | {"a"} == set(before)


def _near(order: list[str]) -> list[str]:
    at = order.index("a")
    return order[max(at - 1, 0) : at + 2]


def test_own_rise_names_those_directly_below() -> None:
    board = Board()
    board.message([(user, 10 * i) for i, user in enumerate(USERS)])  # h first, a last
    course = Course("a", 1)
    course.start(1, 8)
    course.take([board.message([("a", 45)])])
    place = board.place("a", course.names_above, course.names_below)
    assert course.passed(place) == (["e", "d", "c", "b"], 4)
    assert course.passed_by(place) == ([], 0)


def test_own_fall_names_those_directly_above() -> None:
    board = Board()
    board.message([(user, 10 * i) for i, user in enumerate(USERS)])
    course = Course("h", 1)
    course.start(1, 1)
    course.take([board.message([("h", 45)])])
    place = board.place("h", course.names_above, course.names_below)
    assert course.passed_by(place) == (["f", "g"], 2)
    assert course.passed(place) == ([], 0)


def test_at_most_ten_are_named_and_all_are_counted() -> None:
    course = Course("me", 0)
    course.start(0, 1)
    course.take([Message("e", 1, 31, [Change(f"u{i}", "", 0, 1, "-9") for i in range(30)])])
    named, count = course.passed_by(Place(31, 31, [Row("me", None, 1)]))
    assert (len(named), count) == (10, 30)


def test_one_who_passed_and_fell_back_is_not_told() -> None:
    course = Course("me", 0)
    course.start(0, 1)
    course.take([Message("e", 1, 2, [Change("u", "", 2, 1, "-9"), Change("u", "", 1, 2, "-1")])])
    assert course.rank == 1
    place = Place(1, 1, [Row("me", None, 1)])
    assert course.passed_by(place) == course.passed(place) == ([], 0)


@pytest.mark.parametrize(("before", "after", "moved"), [(9, 8, False), (9, 7, True), (2, 1, False), (2, 3, True)])
def test_moved_only_where_something_shown_may_have_changed(before: int, after: int, moved: bool) -> None:
    course = Course("me", 2)
    course.start(0, 5)
    course.take([Message("e", 1, 20, [Change("u", "", before, after, "-1")])])
    assert course.moved is moved


@pytest.mark.parametrize("message", [Message("e", 3, 1, []), Message("e", 2, 1, [Change("me", "", 7, 1, "-1")])])
def test_a_gap_or_a_contradiction_is_noticed(message: Message) -> None:
    course = Course("me", 2)
    course.start(1, 5)
    course.take([message])
    assert not course.sure


def shown(course: Course, place: Place, previous: int = 0) -> Standing:
    return standing(TARGET, 3, course, place, 40, previous, told=True)


def test_what_is_shown() -> None:
    course = Course("me", 1)
    course.start(1, 5)
    rows = [Row("x", None, 90), Row("ana", "Ana", 70), Row("me", "Me", 50), Row("bob", None, 20)]
    found = shown(course, Place(31, 29, rows), previous=34)
    assert (found.rank, found.value, found.previous_rank, found.to_next, found.participants) == (
        31,
        50,
        34,
        20,
        40,
    )
    assert [(row.rank, row.user_id) for row in found.around] == [(30, "ana"), (31, "me"), (32, "bob")]


def test_the_first_has_nobody_to_reach_and_one_who_is_not_on_the_board_has_nothing() -> None:
    course = Course("me", 1)
    course.start(1, 1)
    assert shown(course, Place(1, 1, [Row("me", None, 5)])).to_next is None
    found = shown(course, Place(0, 0, []), previous=4)
    assert (found.rank, found.value, found.previous_rank, found.around) == (None, None, 4, [])


def test_a_rank_beyond_the_last_place_that_counts_is_none() -> None:
    course = Course("me", 1)
    place = Place(41, 40, [Row("x", None, 9), Row("me", None, 5)])
    found = shown(course, place)
    assert (found.rank, found.value, found.to_next) == (None, 5, 4)
    assert [row.user_id for row in found.around] == ["x"]
