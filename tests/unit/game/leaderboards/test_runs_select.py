"""Which run a request means."""

from __future__ import annotations

from datetime import date, datetime

import msgspec
import pytest

from podium.game.errors import Unprocessable
from podium.game.leaderboards.model import Leaderboard, RunUnit
from podium.game.leaderboards.runs import Run, run_on, select_run
from podium.game.periods import instant, local_day, zone

PERPETUAL = Leaderboard("id", 1, "all-time", "All time", "m", date(2026, 1, 1), end=date(2026, 12, 31))
DAILY = msgspec.structs.replace(PERPETUAL, run_unit="day", run_interval=1)
WEEKLY = msgspec.structs.replace(PERPETUAL, start=date(2026, 1, 5), run_unit="day", run_interval=7)


def test_a_perpetual_run_holds_every_day_of_its_dates() -> None:
    whole = Run(date(2026, 1, 1), date(2026, 12, 31))
    for day in (date(2026, 1, 1), date(2026, 6, 1), date(2026, 12, 31)):
        assert select_run(PERPETUAL, day, date(2030, 1, 1)) == whole


def test_any_day_of_a_run_names_it() -> None:
    week = Run(date(2026, 11, 16), date(2026, 11, 22))
    for day in (date(2026, 11, 16), date(2026, 11, 19), date(2026, 11, 22)):
        assert select_run(WEEKLY, day, date(2026, 1, 6)) == week


@pytest.mark.parametrize("day", [date(2025, 12, 31), date(2027, 1, 1)])
def test_a_day_outside_is_refused(day: date) -> None:
    for board in (PERPETUAL, DAILY):
        with pytest.raises(Unprocessable, match=r"run must be a day .* from 2026-01-01 to 2026-12-31"):
            select_run(board, day, date(2026, 6, 1))
    with pytest.raises(Unprocessable, match=r"from 2026-01-01$"):
        select_run(msgspec.structs.replace(DAILY, end=None), date(2025, 12, 31), date(2026, 6, 1))


def test_without_a_day_it_is_the_nearest_run() -> None:
    assert select_run(WEEKLY, None, date(2026, 11, 23)).start == date(2026, 11, 23)
    assert select_run(WEEKLY, None, date(2020, 1, 1)).start == date(2026, 1, 5)
    assert select_run(WEEKLY, None, date(2030, 1, 1)) == Run(date(2026, 12, 28), date(2026, 12, 31))


@pytest.mark.parametrize(
    ("tz", "moment", "day"),
    [
        ("Pacific/Kiritimati", "2026-11-23T09:59:59+00:00", date(2026, 11, 23)),
        ("Pacific/Kiritimati", "2026-11-23T10:00:00+00:00", date(2026, 11, 24)),
        ("Pacific/Pago_Pago", "2026-11-23T10:59:59+00:00", date(2026, 11, 22)),
        ("Pacific/Pago_Pago", "2026-11-23T11:00:00+00:00", date(2026, 11, 23)),
        # New York: midnight is at 04:00 UTC on the day that clocks go back, at 05:00 UTC a day later.
        ("America/New_York", "2026-11-01T03:59:59+00:00", date(2026, 10, 31)),
        ("America/New_York", "2026-11-01T04:00:00+00:00", date(2026, 11, 1)),
        ("America/New_York", "2026-11-02T04:59:59+00:00", date(2026, 11, 1)),
        ("America/New_York", "2026-11-02T05:00:00+00:00", date(2026, 11, 2)),
        # ... and the other way round in spring.
        ("America/New_York", "2026-03-08T04:59:59+00:00", date(2026, 3, 7)),
        ("America/New_York", "2026-03-08T05:00:00+00:00", date(2026, 3, 8)),
        ("America/New_York", "2026-03-09T03:59:59+00:00", date(2026, 3, 8)),
        ("America/New_York", "2026-03-09T04:00:00+00:00", date(2026, 3, 9)),
    ],
)
def test_the_current_run_is_that_of_the_local_date(tz: str, moment: str, day: date) -> None:
    today = local_day(instant(datetime.fromisoformat(moment)), zone(tz))
    assert select_run(DAILY, None, today) == Run(day, day)


@pytest.mark.parametrize(("unit", "interval"), [("day", 1), ("day", 1_000), ("month", 7), ("year", 1_000)])
def test_the_last_run_ends_with_the_calendar(unit: RunUnit, interval: int) -> None:
    board = msgspec.structs.replace(PERPETUAL, end=None, run_unit=unit, run_interval=interval)
    run = run_on(board, date.max)
    assert run is not None
    assert run.start <= run.end == date.max
