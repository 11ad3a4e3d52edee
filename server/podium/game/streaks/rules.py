"""How a streak grows, waits and ends
(docs/http-api.md#streaks; docs/decisions/0010-local-time.md, docs/decisions/0011-time-is-input.md).

A streak is kept as of the user's newest event, as stretches of periods that were met. Where it stands today
follows from the calendar alone, so that a read is true without anything having happened: the periods that went by
since are held (paused, a day off, frozen) or they end it.
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
"""An event up to this much older than the user's newest counts (docs/http-api.md#event-time)."""
KEPT_DAYS = LATE_DAYS + 2
"""What is kept of the past: the late days, and a move across the date line."""
PAUSES_DAYS = 430
"""Pauses are kept for the history that may be asked for: 400 periods."""
RESTORE_DAYS = 90
"""A daily streak that was lost may be restored for so long; weekly ones from the week of 1 January of this year,
monthly ones from January of last year (docs/http-api.md#freezes-pauses-restore-and-reset)."""

_replace = msgspec.structs.replace
_Gains = dict[int, tuple[dict[int, int], dict[int, int], dict[int, int]]]
_HangTogether = Callable[[int, int], bool]
"""Whether nothing between two periods ends a streak."""


class Step(NamedTuple):
    """A period of a streak as it is now: index of its frequency, length at its end (0: it is none any more),
    whether a freeze held it, and whether support put back a streak as of it."""

    track: int
    period: int
    length: int
    frozen: bool = False
    restored: bool = False


class Rules(NamedTuple):
    """Settings as the rules use them: thresholds in units, by metric number. ``skipped`` are the dates (ordinals)
    that the user's zone never had."""

    frequency: Frequency
    mode: Mode
    thresholds: Mapping[int, int]
    days_off: frozenset[int]
    freezes: Freezes | None
    skipped: frozenset[int] = frozenset()

    @property
    def track(self) -> int:
        """The index of the space's frequency among the tracks."""
        return FREQUENCIES.index(self.frequency)


class Standing(NamedTuple):
    """Where a streak stands on a day. Days are ordinals, None without a streak. ``expires`` is the last day on
    which it can be lengthened before it ends, ``frozen`` the periods that freezes were used for since the newest
    event."""

    length: int
    started: int | None
    period_start: int | None
    period_end: int | None
    expires: int | None
    freezes: int
    frozen: tuple[int, ...]


class Counted(NamedTuple):
    """What an event did: ``extended`` says whether it lengthened the streak of the space's frequency, ``steps``
    which periods came or changed."""

    streaks: Streaks
    extended: bool
    steps: list[Step]


def rules_of(settings: StreakSettings, metrics: Mapping[str, tuple[int, int]]) -> Rules:
    """The rules of settings; ``metrics`` gives number and units of 1 by id. Metrics that are gone don't count."""
    thresholds = {}
    for wanted in settings.metrics:
        if wanted.metric_id in metrics:
            number, scale = metrics[wanted.metric_id]
            thresholds[number] = wanted.threshold * scale
    return Rules(settings.frequency, settings.mode, thresholds, frozenset(settings.days_off), settings.freezes)


def own_rules(rules: Rules, wishes: Wishes, *, customizable: bool) -> Rules:
    """The rules for a user with wishes: where the space lets nobody customize, only whether there is a streak."""
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
    """The streaks after ``units`` of a metric on a local day; ``newest`` is the day of the user's newest event,
    this one among them. An event more than ``LATE_DAYS`` older than that changes nothing."""
    if metric not in rules.thresholds or day < newest - LATE_DAYS:
        return Counted(streaks, False, [])
    numbers = periods_of(day)
    daily, weekly, monthly = streaks.tracks
    if numbers[0] in daily.met and numbers[1] in weekly.met and numbers[2] in monthly.met:
        return Counted(streaks, False, [])  # what was met stays met: the day's first event does the work
    gains = _gained(streaks, metric, units, numbers, newest)
    tracks: list[Track] = []
    steps: list[Step] = []
    extended = False
    for index, frequency in enumerate(FREQUENCIES):
        track = streaks.tracks[index]
        period = numbers[index]
        if period not in track.met and _is_met(rules, gains, index, period):
            if index == rules.track:
                streaks, used, _ = waited(rules, streaks, period, day)
                steps += [Step(index, one, length_of(track), frozen=True) for one in used]
                if (index, period) in streaks.frozen:  # what a freeze was used for was met after all
                    rest = tuple(one for one in streaks.frozen if one != (index, period))
                    most = rules.freezes.max_count if rules.freezes is not None else 0
                    left = streaks.freezes or 0
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
    """Where the streak of the space's frequency stands on a local day."""
    track, frequency = streaks.tracks[rules.track], rules.frequency
    period = period_of(frequency, today)
    then, used, alive = waited(rules, streaks, period, today)
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


def settled(rules: Rules, streaks: Streaks, today: int) -> Streaks:
    """The streaks with what the days until today brought written down: freezes earned and used."""
    return waited(rules, streaks, period_of(rules.frequency, today), today)[0]


def periods(frequency: Frequency, today: int, number: int) -> range:
    """The last ``number`` periods up to that of a day, oldest first."""
    last = period_of(frequency, today)
    return range(last - number + 1, last + 1)


def is_paused(streaks: Streaks, frequency: Frequency, period: int) -> bool:
    """Whether a pause holds the period: one of its days is enough."""
    first, last = first_day(frequency, period), last_day(frequency, period)
    return any(pause.start <= last and pause.end >= first for pause in streaks.pauses)


def is_held(rules: Rules, streaks: Streaks, period: int) -> bool:
    """Whether a period of the space's frequency that isn't met leaves the streak as it is."""
    return _is_held(rules, streaks, rules.track, period)


def next_unheld(rules: Rules, streaks: Streaks, index: int, period: int, until: int | None = None) -> int:
    """The first period, from ``period`` up to ``until``, that nothing holds; ``index`` says of which frequency."""
    frequency = FREQUENCIES[index]
    while until is None or period < until:
        first, last = first_day(frequency, period), last_day(frequency, period)
        # Pauses may be years long: their days are not walked through.
        ends = [pause.end for pause in streaks.pauses if pause.start <= last and pause.end >= first]
        if ends:
            period = period_of(frequency, max(ends)) + 1
        elif _is_held(rules, streaks, index, period):
            period += 1
        else:
            return period
    return until if until is not None else period


def _gained(streaks: Streaks, metric: int, units: int, periods_: tuple[int, ...], newest: int) -> _Gains:
    """The gains with these units in the periods of a day, without those that nothing hangs on any more: out of
    reach, or met before the present one."""
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
    """The length of the newest stretch."""
    return track.stretches[-1].length if track.stretches else 0


def _is_held(rules: Rules, streaks: Streaks, index: int, period: int) -> bool:
    """Whether a period that isn't met leaves the streak as it is: pause before day off, or a date that the user
    never had, before freeze."""
    frequency = FREQUENCIES[index]
    if streaks.pauses and is_paused(streaks, frequency, period):
        return True
    if frequency == "daily" and (
        weekday(period) in rules.days_off or period in streaks.skipped or period in rules.skipped
    ):
        return True
    return (index, period) in streaks.frozen


def waited(rules: Rules, streaks: Streaks, until: int, day: int) -> tuple[Streaks, list[int], bool]:
    """What came between the newest stretch and the period ``until``, which holds ``day``: the streaks with freezes
    earned and used, the periods that they were used for, and whether the streak lives."""
    index, frequency = rules.track, rules.frequency
    track = streaks.tracks[index]
    used: list[int] = []
    alive = True
    if length_of(track):
        missed = track.stretches[-1].last
        while (missed := next_unheld(rules, streaks, index, missed + 1, until)) < until:
            # A freeze is used at the midnight that ends the period; one that is earned then comes first.
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
    """The track with one period more that was met: at its end, before it, or where two stretches meet."""

    def hang_together(before: int, after: int) -> bool:
        return next_unheld(rules, streaks, index, before + 1, after) == after

    resets = [one.last for one in track.stretches if not one.length]
    since = max((last for last in resets if last <= period), default=0)
    stretches: list[Stretch] = []
    placed = False
    for one in track.stretches:
        if not placed and period < one.first:
            stretches = _append(stretches, Stretch(period, period, 1), hang_together)
            placed = True
        if not placed and max(one.first, since) <= period <= one.last and (one.last > since or not one.length):
            stretches = _append(stretches, Stretch(one.first, one.last, one.length + 1), hang_together)
            placed = True
        else:
            stretches = _append(stretches, one, hang_together)
    if not placed:
        stretches = _append(stretches, Stretch(period, period, 1), hang_together)
    oldest = period_of(frequency, newest - KEPT_DAYS)
    met = (*(one for one in track.met if one >= oldest), period)
    return Track(
        tuple(_worth_keeping(frequency, stretches)), max(track.best, *(one.length for one in stretches)), met
    )


def _steps(index: int, track: Track, period: int) -> Iterator[Step]:
    """The periods from this one on whose lengths came or changed: those of the stretch that it is in."""
    for stretch in track.stretches:
        if stretch.length and stretch.first <= period <= stretch.last:
            later = sorted((one for one in track.met if stretch.first <= one <= stretch.last), reverse=True)
            for back, one in enumerate(later):
                if one >= period:
                    yield Step(index, one, stretch.length - back)


def _append(stretches: list[Stretch], one: Stretch, hang_together: _HangTogether) -> list[Stretch]:
    before = stretches[-1] if stretches and one.length and stretches[-1].length else None
    if before is not None and before.last < one.first and hang_together(before.last, one.first):
        return [*stretches[:-1], Stretch(before.first, one.last, before.length + one.length)]
    return [*stretches, one]


def _worth_keeping(frequency: Frequency, stretches: list[Stretch]) -> Iterator[Stretch]:
    """The current stretch, those that a late event may still reach, and of the others those that are longer than
    all after them: only they may be restored."""
    newest = stretches[-1].last
    reach = newest - (KEPT_DAYS if frequency == "daily" else 2)
    oldest = period_of(frequency, last_day(frequency, newest) - (RESTORE_DAYS if frequency == "daily" else 730))
    for place, one in enumerate(stretches):
        later = max((other.length for other in stretches[place + 1 : -1]), default=0)
        if place == len(stretches) - 1 or one.last >= reach or (one.last >= oldest and one.length > later):
            yield one


def with_freezes(rules: Rules, streaks: Streaks, day: int) -> Streaks:
    """The streaks with the freezes that a user starts with and has earned up to a day."""
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
