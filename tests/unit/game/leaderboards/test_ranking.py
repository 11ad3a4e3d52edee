"""The order of a board is the order of its members."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game.leaderboards.ranking import (
    UNRANKED,
    board_name,
    group_name,
    group_values,
    is_ranked,
    member,
    member_user,
    score,
    split_board,
)

USERS = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
STANDINGS = st.tuples(st.integers(-(2**53), 2**53), st.integers(0, 2**48 - 1), USERS)


@given(STANDINGS, STANDINGS)
def test_members_sort_by_score_then_time_then_id(a: tuple[int, int, str], b: tuple[int, int, str]) -> None:
    def stored(s: tuple[int, int, str]) -> tuple[float, bytes]:
        return float(score(s[0])), member(s[1], s[2]).encode()

    def ranking(s: tuple[int, int, str]) -> tuple[int, int, bytes]:
        return -s[0], s[1], s[2].encode()

    assert (stored(a) < stored(b)) == (ranking(a) < ranking(b))
    assert member_user(member(a[1], a[2])) == a[2]


def test_board_names_come_apart_again() -> None:
    assert split_board(board_name(3, "20261123")) == (3, "20261123", None)
    assert split_board(board_name(2, "")) == (2, "", None)


@pytest.mark.parametrize("run", ["", "20261123"])
@pytest.mark.parametrize("values", [("London",), ("Köln & Bonn", "a:b"), ("100%", "=&:")])
def test_groups_come_apart_again(run: str, values: tuple[str, ...]) -> None:
    board = board_name(3, run, group_name(values))
    number, name, group = split_board(board)
    assert (number, name, group_values(group or "")) == (3, run, values)
    assert is_ranked(board)


@pytest.mark.parametrize("run", ["", "20261123"])
def test_those_who_wait_are_not_ranked(run: str) -> None:
    assert not is_ranked(board_name(3, run, UNRANKED))
    assert is_ranked(board_name(3, run))
