"""The one place that reads the time. Everything else is handed a clock, or an instant."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Gives now as an instant: milliseconds since 1970 UTC."""


def system_clock() -> int:
    """The machine's clock."""
    return time.time_ns() // 1_000_000


def offset_clock(offset_s: float) -> Clock:
    """Return the machine's clock as one that is wrong by ``offset_s`` seconds would give it (for tests)."""
    offset_ms = round(offset_s * 1000)
    return lambda: system_clock() + offset_ms


stopwatch_s = time.perf_counter
"""Seconds since some moment: for how long something took, never for what time it is."""
