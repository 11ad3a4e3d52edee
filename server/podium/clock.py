"""The only module that reads the time. All other code gets a clock, or an instant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from podium.game.errors import Unavailable

Clock = Callable[[], int]
"""Returns the present instant in milliseconds since 1970 UTC."""

AGREE_MS = 60_000
"""Greatest difference of two clocks that are accepted. It does little harm: an event just before or after midnight
may count for the other day, and a run becomes final that much earlier or later."""
STEP_MS = 1_000
"""A clock that moves by more than this against the stopwatch was set. Slewing, as NTP does, moves both."""


def system_clock() -> int:
    """Return the present instant by the machine's clock."""
    return time.time_ns() // 1_000_000


def offset_clock(offset_s: float) -> Clock:
    """Return a clock that differs from the machine's by ``offset_s`` seconds (for tests)."""
    offset_ms = round(offset_s * 1000)
    return lambda: system_clock() + offset_ms


def stopwatch_ms() -> int:
    """Return milliseconds since an arbitrary instant, which are not affected when the clock is set."""
    return time.monotonic_ns() // 1_000_000


class CheckedClock:
    """The machine's clock, checked against another one.

    The two are compared at start and from time to time (``compare``). If the clock is set between two comparisons,
    the time continues by the stopwatch from the last one that agreed, until a comparison confirms the new time.
    Before the first comparison that agrees there is no time at all.

    ``agrees`` is set while the last comparison agreed. ``difference_ms`` is the time by which this clock was ahead
    then. ``problem`` is a sentence for people, or empty.
    """

    def __init__(self, read: Clock = system_clock, stopwatch: Clock = stopwatch_ms) -> None:
        self._read = read
        self._stopwatch = stopwatch
        self._base_ms: int | None = None
        self.agrees = asyncio.Event()
        self.difference_ms = 0
        self.problem = "the clock of this machine has not been compared with Redis' yet"

    def __call__(self) -> int:
        """Return the present instant (ms).

        Raises:
            Unavailable: No comparison has agreed yet.
        """
        if self._base_ms is None:
            raise Unavailable(self.problem)
        now_ms = self._read()
        held_ms = self._base_ms + self._stopwatch()
        return now_ms if -STEP_MS <= now_ms - held_ms <= STEP_MS else held_ms

    def unchecked(self) -> int:
        """Return the present instant (ms) even if unchecked, for uses that may be wrong for a while, like
        views."""
        return self._read() if self._base_ms is None else self()

    @property
    def was_set(self) -> bool:
        """Return whether the clock was set since the last comparison that agreed, or no comparison has agreed."""
        if self._base_ms is None:
            return True
        return abs(self._read() - self._base_ms - self._stopwatch()) > STEP_MS

    def compare(self, other_ms: int) -> None:
        """Compare with the present instant of another clock (ms)."""
        now_ms = self._read()
        self.difference_ms = now_ms - other_ms
        if abs(self.difference_ms) <= AGREE_MS:
            self._base_ms = now_ms - self._stopwatch()
            self.problem = ""
            self.agrees.set()
            return
        side = "ahead of" if self.difference_ms > 0 else "behind"
        self.problem = (
            f"the clock of this machine is {abs(self.difference_ms) // 1000} s {side} Redis' clock:"
            " set the one that is wrong"
        )
        self.agrees.clear()


stopwatch_s = time.perf_counter
"""Seconds since an arbitrary instant, for measuring durations."""
