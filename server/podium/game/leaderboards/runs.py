"""The runs of a leaderboard: their dates, names and states (docs/http-api.md#runs;
docs/decisions/0010-local-time.md)."""

from __future__ import annotations

from calendar import monthrange
from datetime import date, timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

from podium.game.errors import Unprocessable
from podium.game.leaderboards.model import Leaderboard
from podium.game.periods import MS_PER_DAY

LAST_ZONE_MS = 12 * 3_600_000
"""Milliseconds from the end of a day in UTC until it is over in all zones."""
_EPOCH_DAY = date(1970, 1, 1).toordinal()

RunState = Literal["live", "provisional", "final"]


class Run(NamedTuple):
    """The local dates of a run, both inclusive. ``end`` is None for a perpetual one."""

    start: date
    end: date | None


def run_on(board: Leaderboard, day: date) -> Run | None:
    """Return the run that contains ``day``, or None outside the leaderboard's dates."""
    if day < board.start or (board.end is not None and day > board.end):
        return None
    if board.run_unit is None or board.run_interval is None:
        return Run(board.start, board.end)
    start, end = _run_on(board.start, board.run_unit, board.run_interval, day)
    return Run(start, end if board.end is None else min(end, board.end))


@lru_cache(maxsize=10_000)
def _run_on(first: date, unit: str, interval: int, day: date) -> tuple[date, date]:
    """Return the first and the last day of the run that contains ``day``.

    Cached, since a backfill asks for the same some hundred days for each user.
    """
    index = _index(first, unit, interval, day)
    start = _nth_start(first, unit, interval, index)
    try:
        return start, _nth_start(first, unit, interval, index + 1) - timedelta(days=1)
    except (OverflowError, ValueError):
        return start, date.max  # the last run that the calendar can name


def is_final(board: Leaderboard, run: Run) -> bool:
    """Return whether the run takes no more events, whatever their time zone."""
    return board.final_until is not None and run.end is not None and run.end <= board.final_until


def final_at_ms(board: Leaderboard, run: Run) -> int | None:
    """Return the instant (ms) at which the run becomes final, or None for a perpetual one.

    It is the end of its last day in the last zone (UTC-12), but not before the leaderboard has been active for a
    day, so that history can be imported. A run that was ended by hand is final from that instant on.
    """
    if (ended_ms := board.ended_ms.get(run_name(board, run))) is not None:
        return ended_ms
    if run.end is None or run.end.year >= date.max.year:
        return None
    over_ms = (run.end.toordinal() + 1 - _EPOCH_DAY) * MS_PER_DAY + LAST_ZONE_MS
    return max(over_ms, board.grace_ends_ms)


def run_state(board: Leaderboard, run: Run, today: date) -> RunState:
    """Return the state of a run on a day of the home zone."""
    if is_final(board, run):
        return "final"
    return "provisional" if run.end is not None and today > run.end else "live"


def within(board: Leaderboard, day: date) -> date:
    """Return the day within the leaderboard's dates that is nearest to ``day``."""
    day = max(day, board.start)
    return day if board.end is None else min(day, board.end)


def select_run(board: Leaderboard, asked: date | None, today: date) -> Run:
    """Return the run that contains the day ``asked`` for, or, without one, the current run on ``today``.

    If no run has begun yet, the current run is the first; if all are over, it is the last.

    Raises:
        Unprocessable: The day lies outside the leaderboard's dates.
    """
    run = run_on(board, within(board, today) if asked is None else asked)
    if run is None:
        until = f" to {board.end}" if board.end is not None else ""
        raise Unprocessable(f"run must be a day of the leaderboard, which runs from {board.start}{until}")
    return run


def run_name(board: Leaderboard, run: Run) -> str:
    """Return the run's name for keys and rows: ``YYYYMMDD`` of its first day, empty for a perpetual one."""
    return "" if board.run_unit is None else run.start.strftime("%Y%m%d")


def named_run(board: Leaderboard, name: str) -> Run:
    """Return the run of a ``run_name``, also of one that a later ``end`` of the leaderboard cut off."""
    if not name:
        return Run(board.start, board.end)
    if board.run_unit is None or board.run_interval is None:
        raise ValueError(f"leaderboard {board.key} has no run {name}")
    first = named_day(name)
    _, last = _run_on(board.start, board.run_unit, board.run_interval, first)
    # An end that was set later may lie before runs that already have scores. Those keep their dates.
    return Run(first, last if board.end is None or board.end < first else min(last, board.end))


@lru_cache(maxsize=10_000)
def named_day(name: str) -> date:
    """Return the first day of a run, from its name."""
    return date(int(name[:4]), int(name[4:6]), int(name[6:]))


def is_named_final(board: Leaderboard, name: str) -> bool:
    """Return whether the run of a ``run_name`` takes no more events."""
    return board.final_until is not None and is_final(board, named_run(board, name))


def _index(first: date, unit: str, interval: int, day: date) -> int:
    if unit == "day":
        return (day - first).days // interval
    months = (day.year - first.year) * 12 + day.month - first.month
    per_run = interval if unit == "month" else interval * 12
    index = months // per_run
    # Months are counted without their days, so the run found may begin later in the day's month.
    return index if _nth_start(first, unit, interval, index) <= day else index - 1


def _nth_start(first: date, unit: str, interval: int, index: int) -> date:
    if unit == "day":
        return first + timedelta(days=index * interval)
    months = first.year * 12 + first.month - 1 + index * (interval if unit == "month" else interval * 12)
    year, month = divmod(months, 12)
    # A month after 31 January is the last day of February. Counted from the first run, not from the previous one,
    # so that March's run begins on the 31st again.
    return date(year, month + 1, min(first.day, monthrange(year, month + 1)[1]))
