"""The order of a board is the order of its members."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.features.leaderboards.ranking import board_name, member, member_user, score, split_board

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
    assert split_board(board_name(3, "20261123")) == (3, "20261123")
    assert split_board(board_name(2, "")) == (2, "")
