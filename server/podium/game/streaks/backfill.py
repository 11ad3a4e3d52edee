"""Recompute a user's streaks from stored events in the order of time. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from podium.game.streaks.advance import timed_changes
from podium.game.streaks.model import Pause, Streaks
from podium.game.streaks.rules import Rules, Step, count, length_of


class Extension(NamedTuple):
    """The streak was lengthened to ``length`` periods, at an instant (ms), on a local day (an ordinal)."""

    at_ms: int
    day: int
    length: int


class StreakFold:
    """Computes the streaks of one user, event by event. ``pauses`` are all pauses that the user ever had,
    ``skipped`` the dates that a change of zone left no time for."""

    def __init__(self, rules: Rules, pauses: Iterable[Pause] = (), skipped: tuple[int, ...] = ()) -> None:
        self.streaks = Streaks(pauses=tuple(pauses), skipped=skipped)
        self.steps: dict[tuple[int, int], Step] = {}
        """The periods of the streaks, by index of the frequency and number of the period."""
        self.extensions: list[Extension] = []
        self._rules = rules

    def add(self, metric: int, units: int, day: int, at_ms: int) -> None:
        """Count an event. Events must be added in the order of time."""
        self.streaks, extended, steps = count(self._rules, self.streaks, metric, units, day, day, at_ms)
        self.steps.update(((step.track, step.period), step) for step in steps)
        if extended:
            self.extensions.append(Extension(at_ms, day, length_of(self.streaks.tracks[self._rules.track])))

    def pass_time(self, until: int) -> None:
        """Use the freezes that are due between the newest event and the beginning of a local day."""
        track = self._rules.track
        length = length_of(self.streaks.tracks[track])
        for change in timed_changes(self._rules, self.streaks, until):
            if change.kind == "frozen":
                self.steps[track, change.period] = Step(track, change.period, length, frozen=True)
