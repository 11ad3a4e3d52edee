"""The rules by which a streak grows, waits and ends
(docs/http-api.md#streaks; docs/decisions/0010-local-time.md, docs/decisions/0011-time-is-input.md).

A streak is stored as of the user's newest event, as stretches of periods that were met. Its standing today follows
from the calendar alone, so a read is right even if no tick has come since: each period since then is either held
(paused, a day off, frozen), or ends the streak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import msgspec

from podium.game.streaks.calendar import first_day, last_day, period_of, periods_of, weekday
from podium.game.streaks.model import (
    FREQUENCIES,
    Freezes,
    Frequency,
    Mode,
    Streaks,
    StreakSettings,
    Stretch,
    Track,
    Wishes,
)

LATE_DAYS = 7
"""Days by which an event may be older than the user's newest one and still count (docs/http-api.md#event-time)."""
KEPT_DAYS = LATE_DAYS + 2
"""Days of the past that are kept: the late days, and two for a move across the date line."""
PAUSES_DAYS = 430
"""Days for which pauses are kept, for the history of up to 400 periods."""
RESTORE_DAYS = 90
"""Days within which a lost daily streak can be restored. For weekly ones it is since the week of 1 January, for
monthly ones since January of last year (docs/http-api.md#freezes-pauses-restore-and-reset)."""

_replace = msgspec.structs.replace
_Gains = dict[int, tuple[dict[int, int], dict[int, int], dict[int, int]]]
_IsUnbroken = Callable[[int, int], bool]
"""Returns True if nothing between two periods ends a streak."""


class Step(NamedTuple):
    """A period of a streak as it is now: the index of its frequency, the length at its end (0 if it is no period
    of a streak any more), whether a freeze was used for it, and whether support restored a streak as of it."""

    track: int
    period: int
    length: int
    frozen: bool = False
    restored: bool = False


class Rules(NamedTuple):
    """The settings in the form of the rules, with thresholds in units by metric number. ``skipped`` are the dates
    (ordinals) that the user's zone never had."""

    frequency: Frequency
    mode: Mode
    thresholds: Mapping[int, int]
    days_off: frozenset[int]
    freezes: Freezes | None
    skipped: frozenset[int] = frozenset()

    @property
    def track(self) -> int:
        """Return the index of the space's frequency among the tracks."""
        return FREQUENCIES.index(self.frequency)


class Standing(NamedTuple):
    """A streak on a given day. Days are ordinals, None without a streak. ``expires`` is the last day on which it
    can be lengthened before it ends, ``frozen`` the periods since the newest event for which freezes were used."""

    length: int
    started: int | None
    period_start: int | None
    period_end: int | None
    expires: int | None
    freezes: int
    frozen: tuple[int, ...]


class Counted(NamedTuple):
    """The effect of an event: ``extended`` is True if it lengthened the streak of the space's frequency, ``steps``
    are the periods that were added or changed."""

    streaks: Streaks
    extended: bool
    steps: list[Step]


def rules_of(settings: StreakSettings, metrics: Mapping[str, tuple[int, int]]) -> Rules:
    """Return the rules of settings. ``metrics`` has number and units of 1 by id. Archived metrics are ignored."""
    thresholds = {}
    for wanted in settings.metrics:
        if wanted.metric_id in metrics:
            number, scale = metrics[wanted.metric_id]
            thresholds[number] = wanted.threshold * scale
    return Rules(settings.frequency, settings.mode, thresholds, frozenset(settings.days_off), settings.freezes)


def own_rules(rules: Rules, wishes: Wishes, *, customizable: bool) -> Rules:
    """Return the rules for a user's preferences. If the space isn't ``customizable``, only ``enabled`` counts."""
    if not wishes.enabled:
        return rules._replace(thresholds={})
    if not customizable:
        return rules
    days_off = rules.days_off
    if wishes.days_off is not None and rules.frequency == "daily":
        days_off = frozenset(wishes.days_off)
    thresholds = rules.thresholds if wishes.thresholds is None else dict(wishes.thresholds)
    return rules._replace(mode=wishes.mode or rules.mode, thresholds=thresholds, days_off=days_off)


def count(rules: Rules, streaks: Streaks, metric: int, units: int, day: int, newest: int, at_ms: int) -> Counted:
    """Return the streaks after ``units`` of a metric on a local day.

    ``newest`` is the day of the user's newest event, including this one. An event more than ``LATE_DAYS`` older
    than that changes nothing.
    """
    if metric not in rules.thresholds or day < newest - LATE_DAYS:
        return Counted(streaks, False, [])
    numbers = periods_of(day)
    daily, weekly, monthly = streaks.tracks
    if numbers[0] in daily.met and numbers[1] in weekly.met and numbers[2] in monthly.met:
        return Counted(streaks, False, [])  # met periods stay met, so later events of a day change nothing
    gains = _gained(streaks, metric, units, numbers, newest)
    # All frequencies are counted, not only the space's own, so that an admin can switch it without losing streaks.
    tracks: list[Track] = []
    steps: list[Step] = []
    extended = False
    for index, frequency in enumerate(FREQUENCIES):
        track = streaks.tracks[index]
        period = numbers[index]
        if period not in track.met and _is_met(rules, gains, index, period):
            if index == rules.track:  # freezes exist for the space's frequency only
                streaks, used, _ = bridged(rules, streaks, period, day)
                steps += [Step(index, one, length_of(track), frozen=True) for one in used]
                if (index, period) in streaks.frozen:  # a late event has met a period for which a freeze was used
                    rest = tuple(one for one in streaks.frozen if one != (index, period))
                    most = rules.freezes.max_count if rules.freezes is not None else 0
                    left = streaks.freezes or 0
                    # Give the freeze back, up to the maximum. A user who has more already (it was lowered) keeps
                    # them.
                    streaks = _replace(streaks, frozen=rest, freezes=max(left, min(left + 1, most)))
            before = track.stretches[-1:]
            track = _join(rules, streaks, frequency, index, track, period, newest)
            extended = extended or (index == rules.track and track.stretches[-1:] != before)
            steps += _steps(index, track, period)
        tracks.append(track)
    streaks = with_freezes(rules, streaks, newest)
    limit = newest - KEPT_DAYS
    return Counted(
        Streaks(
            tracks=(tracks[0], tracks[1], tracks[2]),
            gains=gains,
            freezes=streaks.freezes,
            earned_on=streaks.earned_on,
            frozen=tuple(one for one in streaks.frozen if last_day(FREQUENCIES[one[0]], one[1]) >= limit),
            pauses=tuple(pause for pause in streaks.pauses if pause.end >= newest - PAUSES_DAYS),
            extended_ms=at_ms if extended else streaks.extended_ms,
            skipped=tuple(one for one in streaks.skipped if one >= newest - PAUSES_DAYS),
        ),
        extended,
        steps,
    )


def standing(rules: Rules, streaks: Streaks, today: int) -> Standing:
    """Return the standing of the streak of the space's frequency on a local day."""
    track, frequency = streaks.tracks[rules.track], rules.frequency
    period = period_of(frequency, today)
    # A read computes the freezes of the days since, without storing them: the next input stores the same result.
    then, used, alive = bridged(rules, streaks, period, today)
    freezes = then.freezes or 0
    if not length_of(track) or not rules.thresholds or not alive:
        return Standing(0, None, None, None, None, freezes, tuple(used))
    newest = track.stretches[-1]
    due = next_unheld(rules, then, rules.track, max(newest.last + 1, period))
    at = max(period, newest.last)
    return Standing(
        newest.length,
        first_day(frequency, newest.first),
        first_day(frequency, at),
        last_day(frequency, at),
        last_day(frequency, due),
        freezes,
        tuple(used),
    )


def caught_up(rules: Rules, streaks: Streaks, today: int) -> Streaks:
    """Return the streaks with the freezes that were earned and used in the days until today."""
    return bridged(rules, streaks, period_of(rules.frequency, today), today)[0]


def periods(frequency: Frequency, today: int, number: int) -> range:
    """Return the last ``number`` periods up to that of a day, the oldest first."""
    last = period_of(frequency, today)
    return range(last - number + 1, last + 1)


def is_paused(streaks: Streaks, frequency: Frequency, period: int) -> bool:
    """Return whether a period has at least one paused day."""
    first, last = first_day(frequency, period), last_day(frequency, period)
    return any(pause.start <= last and pause.end >= first for pause in streaks.pauses)


def is_held(rules: Rules, streaks: Streaks, period: int) -> bool:
    """Return whether a period of the space's frequency doesn't end the streak although it isn't met."""
    return _is_held(rules, streaks, rules.track, period)


def next_unheld(rules: Rules, streaks: Streaks, index: int, period: int, until: int | None = None) -> int:
    """Return the first period, from ``period`` up to ``until``, that isn't held. ``index`` is that of the
    frequency."""
    frequency = FREQUENCIES[index]
    while until is None or period < until:
        first, last = first_day(frequency, period), last_day(frequency, period)
        # Skip to the end of a pause at once: it may be years long.
        ends = [pause.end for pause in streaks.pauses if pause.start <= last and pause.end >= first]
        if ends:
            period = period_of(frequency, max(ends)) + 1
        elif _is_held(rules, streaks, index, period):
            period += 1
        else:
            return period
    return until if until is not None else period


def _gained(streaks: Streaks, metric: int, units: int, periods_: tuple[int, ...], newest: int) -> _Gains:
    """Return the gains with these units added in the periods of a day.

    Gains that can't matter any more are dropped: those out of reach, and those of earlier periods that were met.
    """
    present, oldest = periods_of(newest), periods_of(newest - KEPT_DAYS)
    gains: _Gains = {}
    for number, sums in {metric: ({}, {}, {}), **streaks.gains}.items():
        kept = [
            {
                one: sum_
                for one, sum_ in of_track.items()
                if one >= oldest[at] and (one >= present[at] or one not in streaks.tracks[at].met)
            }
            for at, of_track in enumerate(sums)
        ]
        if number == metric:
            for of_track, period in zip(kept, periods_, strict=True):
                of_track[period] = of_track.get(period, 0) + units
        gains[number] = (kept[0], kept[1], kept[2])
    return gains


def _is_met(
    rules: Rules,
    gains: _Gains,
    index: int,
    period: int,
) -> bool:
    met = (
        metric in gains and gains[metric][index].get(period, 0) >= least
        for metric, least in rules.thresholds.items()
    )
    return all(met) if rules.mode == "AND" else any(met)


def length_of(track: Track) -> int:
    """Return the length of the newest stretch."""
    return track.stretches[-1].length if track.stretches else 0


def _is_held(rules: Rules, streaks: Streaks, index: int, period: int) -> bool:
    """Return whether a period that isn't met doesn't end the streak, because of a pause, a day off, a date that
    the user never had, or a freeze."""
    frequency = FREQUENCIES[index]
    if streaks.pauses and is_paused(streaks, frequency, period):
        return True
    if frequency == "daily" and (
        weekday(period) in rules.days_off or period in streaks.skipped or period in rules.skipped
    ):
        return True
    return (index, period) in streaks.frozen


def bridged(rules: Rules, streaks: Streaks, until: int, day: int) -> tuple[Streaks, list[int], bool]:
    """Bridge the periods between the newest stretch and the period ``until``, which contains ``day``.

    Return the streaks with freezes earned and used, the periods for which they were used, and whether the streak
    is still alive.
    """
    index, frequency = rules.track, rules.frequency
    track = streaks.tracks[index]
    used: list[int] = []
    alive = True
    if length_of(track):
        missed = track.stretches[-1].last
        while (missed := next_unheld(rules, streaks, index, missed + 1, until)) < until:
            # A freeze is used at the midnight that ends the period. One that is earned at the same midnight comes
            # first.
            streaks = with_freezes(rules, streaks, last_day(frequency, missed) + 1)
            alive = (streaks.freezes or 0) > 0
            if not alive:
                break
            used.append(missed)
            frozen = (*streaks.frozen, (index, missed))
            streaks = _replace(streaks, freezes=(streaks.freezes or 0) - 1, frozen=frozen)
    return with_freezes(rules, streaks, day), used, alive


def _join(
    rules: Rules, streaks: Streaks, frequency: Frequency, index: int, track: Track, period: int, newest: int
) -> Track:
    """Return the track with one more met period: at its end, before it, or between two stretches, which it
    joins."""

    def is_unbroken(before: int, after: int) -> bool:
        return next_unheld(rules, streaks, index, before + 1, after) == after

    # A stretch of length 0 marks a reset by support. A late event of a day before it must not revive that streak.
    resets = [one.last for one in track.stretches if not one.length]
    since = max((last for last in resets if last <= period), default=0)
    stretches: list[Stretch] = []
    placed = False
    for one in track.stretches:
        if not placed and period < one.first:
            stretches = _append(stretches, Stretch(period, period, 1), is_unbroken)
            placed = True
        if not placed and max(one.first, since) <= period <= one.last and (one.last > since or not one.length):
            stretches = _append(stretches, Stretch(one.first, one.last, one.length + 1), is_unbroken)
            placed = True
        else:
            stretches = _append(stretches, one, is_unbroken)
    if not placed:
        stretches = _append(stretches, Stretch(period, period, 1), is_unbroken)
    oldest = period_of(frequency, newest - KEPT_DAYS)
    met = (*(one for one in track.met if one >= oldest), period)
    return Track(
        tuple(_worth_keeping(frequency, stretches)), max(track.best, *(one.length for one in stretches)), met
    )


def _steps(index: int, track: Track, period: int) -> Iterator[Step]:
    """Yield the periods from this one on whose lengths were added or changed: the rest of its stretch."""
    for stretch in track.stretches:
        if stretch.length and stretch.first <= period <= stretch.last:
            later = sorted((one for one in track.met if stretch.first <= one <= stretch.last), reverse=True)
            for back, one in enumerate(later):
                if one >= period:
                    yield Step(index, one, stretch.length - back)


def _append(stretches: list[Stretch], one: Stretch, is_unbroken: _IsUnbroken) -> list[Stretch]:
    before = stretches[-1] if stretches and one.length and stretches[-1].length else None
    if before is not None and before.last < one.first and is_unbroken(before.last, one.first):
        return [*stretches[:-1], Stretch(before.first, one.last, before.length + one.length)]
    return [*stretches, one]


def _worth_keeping(frequency: Frequency, stretches: list[Stretch]) -> Iterator[Stretch]:
    """Yield the stretches that may still matter.

    These are the current one, those that a late event may reach, and those longer than all later ones, which are
    the only ones that can be restored.
    """
    newest = stretches[-1].last
    reach = newest - (KEPT_DAYS if frequency == "daily" else 2)
    oldest = period_of(frequency, last_day(frequency, newest) - (RESTORE_DAYS if frequency == "daily" else 730))
    for place, one in enumerate(stretches):
        later = max((other.length for other in stretches[place + 1 : -1]), default=0)
        if place == len(stretches) - 1 or one.last >= reach or (one.last >= oldest and one.length > later):
            yield one


def with_freezes(rules: Rules, streaks: Streaks, day: int) -> Streaks:
    """Return the streaks with the initial freezes and those that were earned up to a day."""
    wanted = rules.freezes
    if wanted is None:
        return streaks
    if streaks.freezes is None:
        streaks = _replace(streaks, freezes=min(wanted.start_count, wanted.max_count), earned_on=day)
    if wanted.auto_earn_interval and wanted.auto_earn_amount and day > streaks.earned_on:
        times = (day - streaks.earned_on) // wanted.auto_earn_interval
        if times:
            freezes = min(wanted.max_count, max(streaks.freezes or 0, 0) + times * wanted.auto_earn_amount)
            streaks = _replace(
                streaks,
                freezes=max(freezes, streaks.freezes or 0),
                earned_on=streaks.earned_on + times * wanted.auto_earn_interval,
            )
    return streaks
