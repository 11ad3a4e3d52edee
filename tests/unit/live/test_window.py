"""Windows from changes against a plain sorted board, and differences against their definition."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.live.window import MARGIN, Change, Message, Row, Window, diff, ranks

LIMIT = 10
USERS = [f"u{i}" for i in range(90)]  # more than a window of LIMIT rows and its margin


class Oracle:
    """A board as a sorted list: by score, then by who reached it first, then by id."""

    def __init__(self) -> None:
        self.standings: dict[str, tuple[int, int, str]] = {}
        self.names: dict[str, str] = {}
        self.number = 0
        self.time = 0

    def rows(self) -> list[Row]:
        ordered = sorted(self.standings.values())
        return [Row(user, self.names.get(user) or "", -score) for score, _, user in ordered]

    def place(self, user: str) -> int:
        standing = self.standings.get(user)
        return sorted(self.standings.values()).index(standing) + 1 if standing else 0

    def commit(self, moves: list[tuple[str, int, str]]) -> Message:
        changes = []
        for user, added, name in moves:
            before = self.place(user)
            score, reached, _ = self.standings.get(user, (0, 0, ""))
            self.time += 1
            self.standings[user] = (score - added, self.time if added or not before else reached, user)
            self.names[user] = name
            changes.append(Change(user, name, before, self.place(user), str(self.standings[user][0]), before))
        self.number += 1
        return Message("e", self.number, len(self.standings), changes)

    def window(self, limit: int = LIMIT) -> Window:
        return Window("e", self.number, len(self.standings), self.rows()[: limit + MARGIN], limit)


moves = st.lists(
    st.tuples(st.sampled_from(USERS), st.integers(-30, 30), st.sampled_from(["", "Ada", "Ben"])),
    min_size=1,
    max_size=12,
)


@given(crowd=st.integers(0, len(USERS)), commits=st.lists(moves, max_size=30))
def test_a_window_kept_from_changes_equals_the_first_rows_of_the_board(
    crowd: int, commits: list[list[tuple[str, int, str]]]
) -> None:
    oracle = Oracle()
    if crowd:
        oracle.commit([(user, i, "") for i, user in enumerate(USERS[:crowd])])
    window = oracle.window()
    for commit in commits:
        before = oracle.rows()
        message = oracle.commit(commit)
        best = window.apply(message)
        if window.must_read:
            assert best is None
            window = oracle.window()
            continue
        now = oracle.rows()
        assert window.rows == now[: len(window.rows)]
        assert len(window.rows) >= min(LIMIT, len(now))
        assert (window.number, window.participants) == (oracle.number, len(now))
        assert best is not None
        assert before[: best - 1] == now[: best - 1]


def test_rows_that_fall_out_are_served_from_the_margin_until_it_is_used_up() -> None:
    oracle = Oracle()
    oracle.commit([(user, 1_000 - i, "") for i, user in enumerate(USERS)])
    window = oracle.window()
    fallen = 0
    while not window.must_read:
        window.apply(oracle.commit([(oracle.rows()[0].user, -2_000, "")]))
        fallen += 1
        assert window.must_read or window.rows[:LIMIT] == oracle.rows()[:LIMIT]
    # MARGIN rows may go; the next one leaves fewer than the limit.
    assert fallen == MARGIN + 1


@pytest.mark.parametrize(
    ("message", "must_read"),
    [
        pytest.param(Message("e", 7, 1, [Change("a", "", 1, 1, "-9", 1)]), False, id="the same number"),
        pytest.param(Message("e", 6, 1, [Change("a", "", 1, 1, "-9", 1)]), False, id="an older number"),
        pytest.param(Message("e", 9, 1, [Change("a", "", 1, 1, "-9", 1)]), True, id="a gap"),
        pytest.param(Message("f", 8, 1, [Change("a", "", 1, 1, "-9", 1)]), True, id="another epoch"),
        pytest.param(Message("e", 8, 1, [Change("b", "", 1, 1, "-9", 1)]), True, id="another user's place"),
        pytest.param(Message("e", 8, 3, [Change("b", "", 0, 1, "-9", 0)]), True, id="a participant too many"),
        pytest.param(Message("e", 8, 1, [Change("b", "", 0, 1, "-9", 0)]), True, id="a participant too few"),
    ],
)
def test_messages_that_are_not_taken(message: Message, must_read: bool) -> None:
    window = Window("e", 7, 1, [Row("a", "", 5)], LIMIT)
    assert window.apply(message) is None
    assert window.must_read is must_read
    assert (window.number, window.rows) == (7, [Row("a", "", 5)])


def test_a_window_in_doubt_takes_nothing_any_more() -> None:
    window = Window("e", 7, 1, [Row("a", "", 5)], LIMIT)
    window.apply(Message("e", 9, 1, []))
    assert window.apply(Message("e", 8, 1, [Change("a", "", 1, 1, "-9", 1)])) is None
    assert window.number == 7


def apply_delta(old: list[Row], delta: Any) -> list[Row]:
    """By the words of the protocol."""
    gone = {*delta.left, *(placed.row.user for placed in delta.rows)}
    rows = [row for row in old if row.user not in gone]
    for placed in delta.rows:
        rows.insert(placed.position, placed.row)
    return rows


rows = st.lists(
    st.builds(Row, st.sampled_from("abcdefgh"), st.sampled_from([None, "n"]), st.integers(0, 2)),
    unique_by=lambda row: row.user,
    max_size=8,
)


@given(old=rows, new=rows)
def test_a_difference_applied_gives_the_new_rows(old: list[Row], new: list[Row]) -> None:
    delta = diff(old, new)
    assert apply_delta(old, delta) == new
    assert [placed.position for placed in delta.rows] == sorted({placed.position for placed in delta.rows})
    assert set(delta.left) == {row.user for row in old} - {row.user for row in new}
    places = {row.user: i for i, row in enumerate(old)}
    assert [placed.previous for placed in delta.rows] == [places.get(p.row.user) for p in delta.rows]


@given(old=rows, new=rows)
def test_a_difference_names_no_more_rows_than_needed(old: list[Row], new: list[Row]) -> None:
    same = [row for row in new if row in old]
    most = max(
        (
            size
            for size in range(len(same) + 1)
            for kept in combinations(same, size)
            if [old.index(row) for row in kept] == sorted(old.index(row) for row in kept)
        ),
        default=0,
    )
    assert len(diff(old, new).rows) == len(new) - most


def test_one_who_jumps_far_is_the_only_row() -> None:
    old = [Row(str(i), "", 100 - i) for i in range(100)]
    new = [Row("90", "", 200), *old[:90], *old[91:]]
    assert diff(old, new) == ([], [(0, Row("90", "", 200), 90)])


def test_ranks_are_places() -> None:
    rows = [Row("a", "", 3), Row("b", "", 2), Row("c", "", 2), Row("d", "", 1)]
    assert list(ranks(rows, "ordinal")) == [1, 2, 3, 4]
    assert list(ranks(rows, "competition")) == [1, 2, 2, 4]
    assert list(ranks(rows, "dense")) == [1, 2, 2, 3]
    assert list(ranks(rows[2:], "competition", 3, 2)) == [2, 4]
    assert list(ranks(rows[2:], "dense", 3, 2)) == [2, 3]
