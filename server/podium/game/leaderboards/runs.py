"""Which run of a leaderboard a local day belongs to (docs/http-api.md#runs; docs/decisions/0010-local-time.md)."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

from podium.game.errors import Unprocessable
from podium.game.leaderboards.model import Leaderboard
from podium.game.periods import MS_PER_DAY

LAST_ZONE_MS = 12 * 3_600_000
"""A day is over everywhere this long after it is over in UTC."""
_EPOCH_DAY = date(1970, 1, 1).toordinal()

RunState = Literal["live", "provisional", "final"]


class Run(NamedTuple):
    """The local dates of a run, both inclusive; ``end`` is None for one that does not end."""

    start: date
    end: date | None


def run_on(board: Leaderboard, day: date) -> Run | None:
    """The run that holds ``day``, or None outside the leaderboard's dates."""
    if day < board.start or (board.end is not None and day > board.end):
        return None
    if board.run_unit is None or board.run_interval is None:
        return Run(board.start, board.end)
    start, end = _run_on(board.start, board.run_unit, board.run_interval, day)
    return Run(start, end if board.end is None else min(end, board.end))


@lru_cache(maxsize=10_000)
def _run_on(first: date, unit: str, interval: int, day: date) -> tuple[date, date]:
    """The first and the last day of the run that holds ``day``. Remembered: a backfill asks for the same some
    hundred days for every user."""
    index = _index(first, unit, interval, day)
    start = _nth_start(first, unit, interval, index)
    try:
        return start, _nth_start(first, unit, interval, index + 1) - timedelta(days=1)
    except (OverflowError, ValueError):
        return start, date.max  # the last run that the calendar can name


def is_final(board: Leaderboard, run: Run) -> bool:
    """Whether the run takes no event any more, wherever it comes from."""
    return board.final_until is not None and run.end is not None and run.end <= board.final_until


def final_at_ms(board: Leaderboard, run: Run) -> int | None:
    """When the run becomes final, None for one that does not end: when its last day is over in the last zone
    (UTC-12), and not before the leaderboard has been active for a day, so that history can be imported; or when it
    was ended by hand."""
    if (ended_ms := board.ended_ms.get(run_name(board, run))) is not None:
        return ended_ms
    if run.end is None or run.end.year >= date.max.year:
        return None
    over_ms = (run.end.toordinal() + 1 - _EPOCH_DAY) * MS_PER_DAY + LAST_ZONE_MS
    return max(over_ms, board.grace_ends_ms)


def run_state(board: Leaderboard, run: Run, today: date) -> RunState:
    """The state of a run on a day of the home zone."""
    if is_final(board, run):
        return "final"
    return "provisional" if run.end is not None and today > run.end else "live"


def within(board: Leaderboard, day: date) -> date:
    """The day of the leaderboard's dates that is nearest to ``day``."""
    day = max(day, board.start)
    return day if board.end is None else min(day, board.end)


def select_run(board: Leaderboard, asked: date | None, today: date) -> Run:
    """The run that holds the day ``asked`` for, 422 where there is none; without one the current run on
    ``today``: the first where none has begun, the last where all are over."""
    run = run_on(board, within(board, today) if asked is None else asked)
    if run is None:
        until = f" to {board.end}" if board.end is not None else ""
        raise Unprocessable(f"run must be a day of the leaderboard, which runs from {board.start}{until}")
    return run


def run_name(board: Leaderboard, run: Run) -> str:
    """The run in keys and rows: ``YYYYMMDD`` of its first day, empty for a perpetual one."""
    return "" if board.run_unit is None else run.start.strftime("%Y%m%d")


def named_run(board: Leaderboard, name: str) -> Run:
    """The run of a ``run_name``, also of one that a later ``end`` of the leaderboard cut off."""
    if not name:
        return Run(board.start, board.end)
    if board.run_unit is None or board.run_interval is None:
        raise ValueError(f"leaderboard {board.key} has no run {name}")
    first = named_day(name)
    _, last = _run_on(board.start, board.run_unit, board.run_interval, first)
    # An end that was set later may lie before runs that have scores already; those keep their dates.
    return Run(first, last if board.end is None or board.end < first else min(last, board.end))


@lru_cache(maxsize=10_000)
def named_day(name: str) -> date:
    """The first day of a run, from its name."""
    return date(int(name[:4]), int(name[4:6]), int(name[6:]))


def is_named_final(board: Leaderboard, name: str) -> bool:
    """Whether the run of a ``run_name`` takes no event any more."""
    return board.final_until is not None and is_final(board, named_run(board, name))


def _index(first: date, unit: str, interval: int, day: date) -> int:
    if unit == "day":
        return (day - first).days // interval
    months = (day.year - first.year) * 12 + day.month - first.month
    per_run = interval if unit == "month" else interval * 12
    index = months // per_run
    # The month that holds the day may hold a run's first day that is still to come.
    return index if _nth_start(first, unit, interval, index) <= day else index - 1


def _nth_start(first: date, unit: str, interval: int, index: int) -> date:
    if unit == "day":
        return first + timedelta(days=index * interval)
    months = first.year * 12 + first.month - 1 + index * (interval if unit == "month" else interval * 12)
    year, month = divmod(months, 12)
    # From 31 January a month on is the last of February; counted from the first run, so no day is lost.
    return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))
