"""Standings against a slow, plain oracle: any run × zone × window × audience × grouping × operator × order.

The engine is given a user's life step by step; the oracle is given the whole list of events at the end and counts
from the beginning, with nothing of the engine's own.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from podium.game.apply import apply
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.inputs import ChangeUser, Event
from podium.game.leaderboards.backfill import filled
from podium.game.leaderboards.model import AttributeFilter, Leaderboard
from podium.game.metrics.model import Metric
from podium.game.state import UserState
from podium.game.users.model import Attribute
from podium.game.users.rules import Upsert

ZONES = ("UTC", "Pacific/Kiritimati", "Pacific/Niue", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe")
"""UTC+14, UTC−11, and zones whose clocks jump, one of them by half an hour."""
STARTS = (date(2024, 1, 31), date(2024, 2, 29), date(2026, 3, 8), date(2026, 10, 25), date(2026, 12, 30))
"""31 January, 29 February, days on which clocks jump, a year's end."""
WINDOWS = ((None, None), ("09:00", "17:00"), ("22:00", "06:00"), ("02:30", None))
CITIES = (None, "London", "New York")
RECENT_DAYS = 6
"""Runs that ended longer ago may have been let go of by the state."""


class Step(NamedTuple):
    after_s: int
    value: int | None
    zone: str | None
    city: str | None


steps = st.lists(
    st.builds(
        Step,
        st.one_of(st.integers(0, 7_200), st.sampled_from((86_400, 3 * 86_400, 31 * 86_400))),
        st.one_of(st.none(), st.integers(-3, 5)),
        st.one_of(st.none(), st.sampled_from(ZONES)),
        st.sampled_from(CITIES),
    ),
    min_size=1,
    max_size=25,
)


@st.composite
def leaderboards(draw: st.DrawFn) -> Leaderboard:
    start, end = draw(st.sampled_from(WINDOWS))
    unit = draw(st.sampled_from((None, "day", "month", "year")))
    first = draw(st.sampled_from(STARTS))
    grouping: dict[str, Any] = draw(
        st.sampled_from(({}, {"group_by": "city"}, {"breakdown_attributes": ("city",)}))
    )
    audience = draw(st.sampled_from(((), (AttributeFilter("city", "London"),))))
    return Leaderboard(
        id="b",
        number=7,
        key="b",
        name="B",
        metric_id="m",
        start=first,
        end=draw(st.sampled_from((None, first + timedelta(days=40)))),
        status="active",
        run_unit=unit,
        run_interval=draw(st.integers(1, 3)) if unit else None,
        start_time=start,
        end_time=end,
        operator=draw(st.sampled_from(("sum", "best", "last"))),
        order=draw(st.sampled_from(("desc", "asc"))),
        user_attributes=audience,
        **grouping,
    )


class Done(NamedTuple):
    """What the oracle knows of an event."""

    at_ms: int
    local: datetime
    city: str | None
    value: int


def plain_run(board: Leaderboard, day: date) -> tuple[date, date] | None:
    """The first and last day of the run that holds a day, found by walking from the start."""
    if day < board.start or (board.end and day > board.end):
        return None
    if board.run_unit is None:
        return board.start, board.end or date.max
    begin = board.start
    for number in range(1, 10_000):
        following = added(board.start, board.run_unit, number * (board.run_interval or 1))
        if day < following:
            last = following - timedelta(days=1)
            return begin, min(last, board.end) if board.end else last
        begin = following
    raise AssertionError("so far away?")


def added(day: date, unit: str, count: int) -> date:
    """So many days, months or years later; the last day of a month that is too short."""
    if unit == "day":
        return day + timedelta(days=count)
    year, month = day.year, day.month
    for _ in range(count if unit == "month" else 12 * count):
        year, month = (year, month + 1) if month < 12 else (year + 1, 1)
    for last in range(day.day, 0, -1):
        try:
            return date(year, month, last)
        except ValueError:
            continue
    raise AssertionError("every month has a first")


def counts(board: Leaderboard, done: Done) -> bool:
    clock = done.local.time().replace(microsecond=0)
    begin = time.fromisoformat(board.start_time) if board.start_time else None
    end = time.fromisoformat(board.end_time) if board.end_time else None
    if begin and end:
        inside = begin <= clock < end if begin < end else clock >= begin or clock < end
    else:
        inside = (begin is None or clock >= begin) and (end is None or clock < end)
    return inside and all(done.city == wanted.value for wanted in board.user_attributes)


def plain_standing(board: Leaderboard, values: list[Done]) -> tuple[int, int]:
    """Value, and when it was reached."""
    best = max if board.order == "desc" else min
    so_far: list[int] = []
    score, reached = 0, 0
    for done in values:
        so_far.append(done.value)
        new = {"sum": sum(so_far), "best": best(so_far), "last": done.value}[board.operator]
        if len(so_far) == 1 or new != score:
            score, reached = new, done.at_ms
    return score, reached


def plain_boards(board: Leaderboard, life: list[Done], city: str | None) -> dict[tuple[date, str | None], Any]:
    """By first day of the run and group (None for the board of all): value and time, at the end of the life."""
    runs: dict[date, list[Done]] = {}
    for done in life:
        run = plain_run(board, done.local.date())
        if run is not None and counts(board, done):
            runs.setdefault(run[0], []).append(done)
    in_audience = all(city == wanted.value for wanted in board.user_attributes)
    found: dict[tuple[date, str | None], Any] = {}
    for run_start, values in runs.items():
        if not in_audience:
            continue
        if not board.breakdown_attributes:
            found[run_start, None] = plain_standing(board, values)
        if city and (board.breakdown_attributes or board.group_by):
            found[run_start, city.replace(" ", "%20")] = plain_standing(board, values)
    return found


@given(leaderboards(), steps)
@example(  # clocks go back: the same local hour twice, on one day
    Leaderboard("b", 7, "b", "B", "m", date(2026, 10, 25), status="active", run_unit="day", run_interval=1),
    [Step(0, 1, "Europe/Berlin", None), Step(3_600, 1, None, None), Step(3_600, 1, None, None)],
)
@example(  # from UTC+14 to UTC−11: the day that was over comes again
    Leaderboard("b", 7, "b", "B", "m", date(2026, 10, 25), status="active", run_unit="day", run_interval=1),
    [Step(50_000, 1, "Pacific/Kiritimati", None), Step(60, 2, "Pacific/Niue", None), Step(86_400, 4, None, None)],
)
def test_boards_are_what_the_events_say(board: Leaderboard, life: list[Step]) -> None:
    index = CatalogIndex(
        Catalog(
            version=1,
            metrics=(Metric(id="m", number=1, key="m", name="M", decimals=0),),
            attributes=(Attribute("c", 2, "city", "City"),),
            leaderboards=(board,),
        )
    )
    now_ms = int(datetime(board.start.year, board.start.month, board.start.day, tzinfo=UTC).timestamp()) * 1000
    zone, city = "UTC", None
    state: UserState | None = None
    shown: dict[str, Any] = {}
    past: list[Done] = []
    for after_s, value, new_zone, new_city in life:
        now_ms += after_s * 1000
        zone, city = new_zone or zone, new_city
        upsert = Upsert(tz=zone, attributes={"city": city})
        if value is None:
            applied = apply(index, state, ChangeUser("u", upsert, now_ms))
        else:
            applied = apply(index, state, Event("e", "u", "m", value, now_ms, upsert))
            local = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone))
            past.append(Done(now_ms, local, city, value))
        state = applied.state
        shown.update(applied.changes)
    today = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).date()
    expected = {
        (start, group): standing
        for (start, group), standing in plain_boards(board, past, city).items()
        if is_recent(board, start, today)
    }
    found = {}
    for name, standing in shown.items():
        _, run, *group = name.split(":")
        start = date(int(run[:4]), int(run[4:6]), int(run[6:])) if run else board.start
        if standing is not None and is_recent(board, start, today):
            found[start, group[0] if group else None] = (standing.value, standing.reached_ms)
    assert found == expected
    if past and all(done.city == city for done in past):
        check_filling(board, past, expected, today)


def is_recent(board: Leaderboard, start: date, today: date) -> bool:
    run = plain_run(board, start)
    assert run is not None
    return run[1] >= today - timedelta(days=RECENT_DAYS)


def check_filling(
    board: Leaderboard, past: list[Done], expected: dict[tuple[date, str | None], Any], today: date
) -> None:
    """A leaderboard made afterwards gives the same."""
    scores = [(done.local, done.at_ms, done.local.date(), done.value, False) for done in past]
    standings = filled(board, scores)
    values = {start: standing for (start, _), standing in expected.items()}
    found = {}
    for name, standing in standings.items():
        run = name.split(":")[1]
        start = date(int(run[:4]), int(run[4:6]), int(run[6:])) if run else board.start
        if is_recent(board, start, today):
            found[start] = (standing.value, standing.reached_ms)
    if values:  # one who is in no group, or not of the audience, waits with a score
        assert found == values


@pytest.mark.parametrize(
    ("start", "unit", "interval", "day", "first"),
    [
        (date(2024, 1, 31), "month", 1, date(2024, 2, 28), date(2024, 1, 31)),
        (date(2024, 1, 31), "month", 1, date(2024, 2, 29), date(2024, 2, 29)),
        (date(2024, 2, 29), "year", 1, date(2025, 2, 28), date(2025, 2, 28)),
    ],
)
def test_the_oracle_itself(start: date, unit: Any, interval: int, day: date, first: date) -> None:
    board = Leaderboard("b", 7, "b", "B", "m", start, status="active", run_unit=unit, run_interval=interval)
    run = plain_run(board, day)
    assert run is not None
    assert run[0] == first
