"""Names of channels and what a subscriber may ask of them. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
from datetime import date
from typing import Annotated, NamedTuple

import msgspec

from server.core.ids import KEY_MAX

LIMITS = (10, 25, 50, 100, 250, 500)
"""Rows of a view. Few steps, so that viewers share views."""
INTERVALS_MS = (0, 50, 100, 250, 500, 1_000, 2_000, 5_000)
"""Least time between two frames of a view."""

_LEADERBOARD = re.compile(rf"leaderboard:([A-Za-z0-9_-]{{1,{KEY_MAX}}})(?:@(\d{{4}}-\d\d-\d\d))?")


class LeaderboardChannel(NamedTuple):
    """``leaderboard:{key}``, the current run, or ``leaderboard:{key}@{day}``, the run that holds a day."""

    key: str
    day: date | None = None

    def __str__(self) -> str:
        return f"leaderboard:{self.key}" + (f"@{self.day.isoformat()}" if self.day else "")


class ViewOptions(msgspec.Struct, frozen=True):
    """What a subscriber asks for; other numbers are rounded up to the next step."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=LIMITS[-1])] = 100
    interval: Annotated[int, msgspec.Meta(ge=0, le=INTERVALS_MS[-1])] = 50

    @property
    def rows(self) -> int:
        """Rows of the view."""
        return LIMITS[bisect_left(LIMITS, self.limit)]

    @property
    def interval_ms(self) -> int:
        """Least time between two frames."""
        return INTERVALS_MS[bisect_left(INTERVALS_MS, self.interval)]


def parse_channel(name: str) -> LeaderboardChannel | None:
    """The channel of a name, None where there is none of that form."""
    found = _LEADERBOARD.fullmatch(name)
    if found is None:
        return None
    key, day = found.groups()
    try:
        return LeaderboardChannel(key, date.fromisoformat(day) if day else None)
    except ValueError:  # the 30th of February
        return None


def allows(patterns: tuple[str, ...], channel: str) -> bool:
    """Whether a pattern covers the channel; ``*`` stands for anything, all else for itself."""
    regexes = (".*".join(map(re.escape, pattern.split("*"))) for pattern in patterns)
    return any(re.fullmatch(regex, channel, re.DOTALL) for regex in regexes)
