"""A streak made anew from events in the order of their time, whatever order they came in. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from podium.game.streaks.advance import passings
from podium.game.streaks.model import Pause, Streaks
from podium.game.streaks.rules import Rules, Step, count, length_of


class Extension(NamedTuple):
    """The streak was lengthened at an instant (ms), on a local day (an ordinal), to so many periods."""

    at_ms: int
    day: int
    length: int


class StreakFold:
    """The streaks of one user, event by event. ``pauses`` are all that the user ever had, ``skipped`` the dates
    that a change of zone left no time for."""

    def __init__(self, rules: Rules, pauses: Iterable[Pause] = (), skipped: tuple[int, ...] = ()) -> None:
        self.streaks = Streaks(pauses=tuple(pauses), skipped=skipped)
        self.steps: dict[tuple[int, int], Step] = {}
        """The periods of the streaks, by the index of the frequency and their number."""
        self.extensions: list[Extension] = []
        self._rules = rules

    def add(self, metric: int, units: int, day: int, at_ms: int) -> None:
        """Count an event, behind those before it in time."""
        self.streaks, extended, steps = count(self._rules, self.streaks, metric, units, day, day, at_ms)
        self.steps.update(((step.track, step.period), step) for step in steps)
        if extended:
            self.extensions.append(Extension(at_ms, day, length_of(self.streaks.tracks[self._rules.track])))

    def pass_time(self, until: int) -> None:
        """Use the freezes that were due since the newest event, up to the beginning of a local day."""
        track = self._rules.track
        length = length_of(self.streaks.tracks[track])
        for passing in passings(self._rules, self.streaks, until):
            if passing.kind == "frozen":
                self.steps[track, passing.period] = Step(track, passing.period, length, frozen=True)
