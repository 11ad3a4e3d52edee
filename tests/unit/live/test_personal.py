"""One user's own place, against a board that is sorted anew after every change."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game.leaderboards.model import Leaderboard, Source
from podium.game.leaderboards.shapes import RunInfo, config
from podium.live.rank_tracker import Course, Field, Place, Standing, passed, passed_by, standing
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


def follow(board: Board, user: str, around: int = 1) -> tuple[Field, Course]:
    """A course of one user, as read now."""
    field, course = Field(board.number), Course(user, around)
    field.place(course, board.number, board.place(user, 0, 0).position)
    return field, course


@given(changes, changes, st.integers(0, 3))
def test_ranks_and_crossings_equal_a_sorted_board(
    past: list[list[tuple[str, int]]], news: list[list[tuple[str, int]]], around: int
) -> None:
    board = Board()
    for step in past:
        board.message(step)
    field = Field(board.number)
    courses = [Course(user, around) for user in (*USERS, "a")]
    for course in courses:
        field.place(course, board.number, board.place(course.user, 0, 0).position)
    before = board.order()
    for step in news:
        field.heard(board.message(step))
    after = board.order()
    for course in courses:
        user = course.user
        story = course.story(board.number)
        place = board.place(user, *course.names)
        assert course.sure
        assert course.rank == story.rank == place.position
        if near(before, course) != near(after, course):
            assert course.moved
        if user in before:
            over, by = passed(story, place), passed_by(story, place)
            assert place.position - (before.index(user) + 1) == by[1] - over[1]
            if all(user != other for step in news for other, _ in step):
                was, now = set(before[: before.index(user)]), set(after[: after.index(user)])
                assert (set(by[0]), by[1]) == (now - was, len(now - was))
                assert (set(over[0]), over[1]) == (was - now, len(was - now))


def near(order: list[str], course: Course) -> list[str]:
    if course.user not in order:
        return []
    at = order.index(course.user)
    return [str(at), *order[max(at - course.reach, 0) : at + course.around + 1]]


@given(changes, changes, changes)
def test_a_reading_that_comes_late_or_in_the_middle_tells_all_once(
    past: list[list[tuple[str, int]]], first: list[list[tuple[str, int]]], second: list[list[tuple[str, int]]]
) -> None:
    board = Board()
    for step in past:
        board.message(step)
    field, course = follow(board, "a")
    start = course.rank
    late = Course("a", 1)
    messages = [board.message(step) for step in first]
    middle, place = board.number, board.place("a", 1, 1)
    messages += [board.message(step) for step in second]
    for message in messages:
        field.heard(message)
    story = course.story(middle)
    assert story.rank == place.position
    course.settle(middle, story.rank)
    rest = course.story(board.number)
    end = board.place("a", 99, 99)
    assert rest.rank == course.rank == end.position
    if start:
        told = passed_by(rest, end)[1] - passed(rest, end)[1]
        assert told == end.position - place.position
    field.place(late, middle, place.position)
    assert late.sure
    assert late.story(board.number) == rest


def test_own_rise_names_those_directly_below() -> None:
    board = Board()
    board.message([(user, 10 * i) for i, user in enumerate(USERS)])  # h first, a last
    field, course = follow(board, "a")
    field.heard(board.message([("a", 45)]))
    place, story = board.place("a", *course.names), course.story(2)
    assert passed(story, place) == (["e", "d", "c", "b"], 4)
    assert passed_by(story, place) == ([], 0)


def test_own_fall_names_those_directly_above() -> None:
    board = Board()
    board.message([(user, 10 * i) for i, user in enumerate(USERS)])
    field, course = follow(board, "h")
    field.heard(board.message([("h", 45)]))
    place, story = board.place("h", *course.names), course.story(2)
    assert passed_by(story, place) == (["f", "g"], 2)
    assert passed(story, place) == ([], 0)


def test_at_most_ten_are_named_and_all_are_counted() -> None:
    field, course = Field(0), Course("me", 0)
    field.place(course, 0, 1)
    field.heard(Message("e", 1, 31, [Change(f"u{i}", "", 0, 1, "-9", 0) for i in range(30)]))
    named, count = passed_by(course.story(1), Place(31, 31, [Row("me", "", 1)], 31))
    assert (len(named), count) == (10, 30)


def test_one_who_passed_and_fell_back_is_not_told() -> None:
    field, course = Field(0), Course("me", 0)
    field.place(course, 0, 1)
    field.heard(Message("e", 1, 2, [Change("u", "", 2, 1, "-9", 2), Change("u", "", 1, 2, "-1", 1)]))
    place = Place(1, 1, [Row("me", "", 1)], 1)
    assert passed_by(course.story(1), place) == passed(course.story(1), place) == ([], 0)


@pytest.mark.parametrize(
    ("before", "after", "moved"), [(29, 18, False), (29, 11, True), (2, 1, False), (1, 8, True), (0, 7, True)]
)
def test_moved_only_where_something_shown_may_have_changed(before: int, after: int, moved: bool) -> None:
    field, course = Field(0), Course("me", 2)
    field.place(course, 0, 9)
    field.heard(Message("e", 1, 30, [Change("u", "", before, after, "-1", before)]))
    assert course.moved is moved


def test_a_contradiction_and_a_loss_are_noticed() -> None:
    field, course = Field(0), Course("me", 2)
    field.place(course, 0, 5)
    field.heard(Message("e", 1, 9, [Change("me", "", 7, 1, "-1", 7)]))
    assert not course.sure
    field.place(course, 1, 1)
    assert course.sure
    field.lost(9)
    assert not course.sure
    field.place(course, 8, 1)  # older than what is remembered
    assert not course.sure
    field.place(course, 10, 1)  # newer than what was heard
    assert not course.sure


def shown(course: Course, place: Place, previous: int = 0) -> Standing:
    return standing(TARGET, 3, course, place, 40, previous, None)


def test_what_is_shown() -> None:
    course = Course("me", 1)
    rows = [Row("x", "", 90), Row("ana", "Ana", 70), Row("me", "Me", 50), Row("bob", "", 20)]
    found = shown(course, Place(31, 29, rows, 29), previous=34)
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
    assert shown(course, Place(1, 1, [Row("me", "", 5)], 1)).to_next is None
    found = shown(course, Place(0, 0, [], 0), previous=4)
    assert (found.rank, found.value, found.previous_rank, found.around) == (None, None, 4, [])


def test_a_rank_beyond_the_last_place_that_counts_is_none() -> None:
    course = Course("me", 1)
    place = Place(41, 40, [Row("x", "", 9), Row("me", "", 5)], 40)
    found = shown(course, place)
    assert (found.rank, found.value, found.to_next) == (None, 5, 4)
    assert [row.user_id for row in found.around] == ["x"]
