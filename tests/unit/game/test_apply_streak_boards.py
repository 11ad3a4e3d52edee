"""Boards by streak: a repeating run ranks the longest streak reached in it, a perpetual one the present streak."""

from __future__ import annotations

from datetime import date
from typing import Any

import msgspec
import pytest

from podium.game.apply import apply
from podium.game.catalog import CatalogIndex
from podium.game.inputs import ChangeStreak, Event, Input, Tick
from podium.game.leaderboards.model import Leaderboard
from podium.game.periods import MS_PER_DAY
from podium.game.state import UserState
from tests.scenarios.stories import catalog

NOW_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z


def board(number: int, **fields: Any) -> Leaderboard:
    start = date(2026, 1, 1)
    return Leaderboard(str(number), number, str(number), "", None, start, "streak", status="active", **fields)


MONTHLY = board(901, run_unit="month", run_interval=1)
ASCENDING = board(902, run_unit="month", run_interval=1, order="asc")
PRESENT = board(903)


def index(*boards: Leaderboard) -> CatalogIndex:
    game = catalog({"metrics": ["words"], "streak": {"metrics": {"words": 50}}})
    return CatalogIndex(msgspec.structs.replace(game, leaderboards=boards))


def standings(boards: tuple[Leaderboard, ...], *inputs: Input) -> dict[str, int]:
    state: UserState | None = None
    for one in inputs:
        state = apply(index(*boards), state, one).state
    assert state is not None
    return {name: standing.value for name, standing in state.boards.items()}


def wrote(days_ago: int, value: float = 50) -> Event:
    return Event(f"{days_ago}", "ann", "words", value, NOW_MS - days_ago * MS_PER_DAY)


SWEEP = Tick("ann", NOW_MS, reconciles=True)


@pytest.mark.parametrize("repeating", [MONTHLY, ASCENDING])
def test_a_sweep_brings_nobody_without_a_streak_onto_a_board(repeating: Leaderboard) -> None:
    assert standings((repeating, PRESENT), wrote(0, 10), SWEEP) == {}


@pytest.mark.parametrize("others", [(), (PRESENT,)])
def test_a_sweep_changes_no_run_whatever_other_boards_there_are(others: tuple[Leaderboard, ...]) -> None:
    # Two days at the end of October: November's run has seen no streak yet.
    history = (wrote(24), wrote(23), Tick("ann", NOW_MS - 22 * MS_PER_DAY, reconciles=True))
    found = standings((MONTHLY, *others), *history)
    assert {name: value for name, value in found.items() if name.startswith("901")} == {"901:20261001": 2}


def test_a_lost_streak_is_not_the_least_of_a_run_where_less_is_better() -> None:
    history = (wrote(2), wrote(1), wrote(0), ChangeStreak("ann", "reset", NOW_MS))
    found = standings((ASCENDING, PRESENT), *history, SWEEP)
    assert found == {"902:20261101": 1}
