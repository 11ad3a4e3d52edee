"""The streak's settings of a space, and a user's streaks."""

from __future__ import annotations

from typing import Literal

import msgspec

Frequency = Literal["daily", "weekly", "monthly"]
Mode = Literal["AND", "OR"]
FREQUENCIES: tuple[Frequency, ...] = ("daily", "weekly", "monthly")
"""In the order of ``Streaks.tracks``."""


class MetricThreshold(msgspec.Struct, frozen=True, rename="camel"):
    """The least gain of a metric in a period, as a value (not in units)."""

    metric_id: str
    threshold: int


class Freezes(msgspec.Struct, frozen=True, rename="camel"):
    """The number of freezes of a new user, the maximum, and those that are earned: ``auto_earn_amount`` every
    ``auto_earn_interval`` days."""

    start_count: int
    max_count: int
    auto_earn_interval: int | None = None
    auto_earn_amount: int | None = None


class StreakSettings(msgspec.Struct, frozen=True, rename="camel"):
    """The streak of a space. Without ``metrics`` nobody has one. ``days_off`` are weekdays, 0 is Sunday."""

    id: str
    number: int
    key: str = "streaks"
    frequency: Frequency = "daily"
    mode: Mode = "OR"
    days_off: tuple[int, ...] = ()
    metrics: tuple[MetricThreshold, ...] = ()
    freezes: Freezes | None = None
    customizable: bool = False
    """True if users may have thresholds, a mode and days off of their own."""


class Wishes(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's preferences for the streak. None means the space's setting. ``thresholds`` are pairs of a metric's
    number and units. If ``enabled`` is False the user has no streak."""

    enabled: bool = True
    mode: Mode | None = None
    thresholds: tuple[tuple[int, int], ...] | None = None
    days_off: tuple[int, ...] | None = None


class Stretch(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An unbroken stretch of periods (``calendar.period_of``): the first and the last that were met, and their
    number."""

    first: int
    last: int
    length: int


class Track(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's streak of one frequency: recent stretches, the oldest first, of which the last is the current one
    (with length 0 if it was reset); the longest length ever; and the met periods among those that events may still
    reach."""

    stretches: tuple[Stretch, ...] = ()
    best: int = 0
    met: tuple[int, ...] = ()


class Pause(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Days (proleptic Gregorian ordinals, inclusive) on which the streak is paused."""

    id: str
    start: int
    end: int


class Streaks(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A user's streaks of all frequencies, as of the newest event.

    ``gains`` are units by metric number, index of the frequency and period, for the periods that events may still
    reach. ``frozen`` are the periods for which a freeze was used, each with the index of its frequency.
    ``freezes`` is None until the user gets the first ones. ``earned_on`` is the day from which earning counts.
    ``extended_ms`` is the instant at which the streak of the space's frequency was last lengthened. ``skipped``
    are local dates (ordinals) that a change of zone left no time for; they are not missed days.
    """

    tracks: tuple[Track, Track, Track] = (Track(), Track(), Track())
    gains: dict[int, tuple[dict[int, int], dict[int, int], dict[int, int]]] = {}
    freezes: int | None = None
    earned_on: int = 0
    frozen: tuple[tuple[int, int], ...] = ()
    pauses: tuple[Pause, ...] = ()
    extended_ms: int = 0
    skipped: tuple[int, ...] = ()


NONE = Streaks()
NO_SETTINGS = StreakSettings(id="", number=0)
