"""The one place that reads the time. Everything else is handed a clock, or an instant."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from podium.game.errors import Unavailable

Clock = Callable[[], int]
"""Gives now as an instant: milliseconds since 1970 UTC."""

AGREE_MS = 60_000
"""Two clocks that differ by more than this are not both right. Less does no harm: an event may count for the day
before or after midnight, and a run becomes final that much earlier or later."""
STEP_MS = 1_000
"""A clock that moves by more than this against the stopwatch was set. Slewing, as NTP does it, moves both."""


def system_clock() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


def offset_clock(offset_s: float) -> Clock:
    """Return the machine's clock as one that is wrong by ``offset_s`` seconds would give it (for tests)."""
    offset_ms = round(offset_s * 1000)
    return lambda: system_clock() + offset_ms


def stopwatch_ms() -> int:
    """Milliseconds since some moment, unmoved by whoever sets the clock."""
    return time.monotonic_ns() // 1_000_000


class CheckedClock:
    """The machine's clock, as far as another one bears it out.

    The two are compared at start and from time to time (``compare``). In between the stopwatch says how much time
    has passed: where the clock was set meanwhile, the time goes on from the last comparison as if it had not been,
    until another comparison bears out the new time. Before the first one that agreed there is no time at all.

    ``agrees`` is set while the last comparison found that they agree. ``difference_ms`` is how far this one was
    ahead then, ``problem`` a sentence for people while there is one.
    """

    def __init__(self, read: Clock = system_clock, stopwatch: Clock = stopwatch_ms) -> None:
        self._read = read
        self._stopwatch = stopwatch
        self._base_ms: int | None = None
        self.agrees = asyncio.Event()
        self.difference_ms = 0
        self.problem = "the clock of this machine has not been compared with Redis' yet"

    def __call__(self) -> int:
        """Return now (ms); ``Unavailable`` before the first comparison that agreed."""
        if self._base_ms is None:
            raise Unavailable(self.problem)
        now_ms = self._read()
        held_ms = self._base_ms + self._stopwatch()
        return now_ms if -STEP_MS <= now_ms - held_ms <= STEP_MS else held_ms

    def unchecked(self) -> int:
        """Return now (ms) as well as it is known: for what may be wrong for a while, like views and figures."""
        return self._read() if self._base_ms is None else self()

    @property
    def was_set(self) -> bool:
        """Whether the clock was set since the last comparison that agreed, or there was none."""
        if self._base_ms is None:
            return True
        return abs(self._read() - self._base_ms - self._stopwatch()) > STEP_MS

    def compare(self, other_ms: int) -> None:
        """Note what another clock says now."""
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
"""Seconds since some moment: for how long something took, never for what time it is."""
