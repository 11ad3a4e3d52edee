"""A run is final once the last zone has left it."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from podium.game.leaderboards.model import Leaderboard
from podium.game.periods import MS_PER_DAY
from podium.jobs.finals import _newly_final


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def daily(**fields: Any) -> Leaderboard:
    common = {"status": "active", "run_unit": "day", "run_interval": 1, **fields}
    return Leaderboard("d", 3, "daily", "Daily", "m", date(2026, 11, 1), **common)


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ("2026-11-24T11:59:59", date(2026, 11, 22)),  # UTC-12 is still at the 23rd
        ("2026-11-24T12:00:00", date(2026, 11, 23)),
    ],
)
def test_a_day_is_over_when_the_last_zone_has_left_it(now: str, last: date) -> None:
    assert _newly_final(daily(), at(now)) == last


def test_what_is_known_to_be_final_is_not_new() -> None:
    noon = at("2026-11-24T12:00:00")
    assert _newly_final(daily(final_until=date(2026, 11, 23)), noon) is None
    assert _newly_final(daily(final_until=date(2026, 11, 22)), noon) == date(2026, 11, 23)


def test_nothing_is_final_before_the_first_run_is_over() -> None:
    assert _newly_final(daily(), at("2026-11-02T11:59:00")) is None
    assert _newly_final(daily(), at("2026-11-02T12:00:00")) == date(2026, 11, 1)


def test_an_inactive_leaderboard_and_one_in_its_grace_have_no_final_runs() -> None:
    noon = at("2026-11-24T12:00:00")
    assert _newly_final(daily(status="inactive"), noon) is None
    assert _newly_final(daily(activated_ms=noon - MS_PER_DAY + 1), noon) is None
    assert _newly_final(daily(activated_ms=noon - MS_PER_DAY), noon) == date(2026, 11, 23)


def test_a_perpetual_leaderboard_is_final_when_it_ends() -> None:
    board = Leaderboard("a", 2, "all", "All", "m", date(2026, 11, 1), status="active", end=date(2026, 11, 23))
    assert _newly_final(board, at("2026-11-24T11:59:59")) is None
    assert _newly_final(board, at("2026-12-24T12:00:00")) == date(2026, 11, 23)
    endless = Leaderboard("a", 2, "all", "All", "m", date(2026, 11, 1), status="active")
    assert _newly_final(endless, at("2036-11-24T12:00:00")) is None


def test_a_week_is_final_as_a_whole() -> None:
    weekly = daily(run_interval=7)
    assert _newly_final(weekly, at("2026-11-08T11:59:00")) is None
    assert _newly_final(weekly, at("2026-11-08T12:00:00")) == date(2026, 11, 7)
    assert _newly_final(weekly, at("2026-11-14T12:00:00")) == date(2026, 11, 7)
