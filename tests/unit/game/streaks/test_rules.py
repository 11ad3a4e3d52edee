"""Streaks, as stories with dates and against an oracle that walks the calendar backwards."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game.streaks import changes as changing
from podium.game.streaks import rules
from podium.game.streaks.calendar import first_day, last_day, period_of
from podium.game.streaks.model import FREQUENCIES, NONE, Freezes, Frequency, Mode, Pause, Streaks
from podium.game.streaks.rules import Rules, standing

MONDAY = date(2026, 11, 2)
WORDS, CHAPTERS = 1, 2


def plain(
    frequency: Frequency = "daily",
    *,
    mode: Mode = "OR",
    thresholds: dict[int, int] | None = None,
    days_off: frozenset[int] = frozenset(),
    freezes: Freezes | None = None,
) -> Rules:
    return Rules(frequency, mode, thresholds or {WORDS: 1}, days_off, freezes)


class Life:
    """A user who writes; days are counted from Monday, 2 November 2026."""

    def __init__(self, wanted: Rules, streaks: Streaks = NONE) -> None:
        self.rules = wanted
        self.streaks = streaks
        self.newest = 0
        self.extended = False

    def write(self, *days: int, units: int = 1, metric: int = WORDS) -> Life:
        for day in days:
            ordinal = (MONDAY + timedelta(days=day)).toordinal()
            self.newest = max(self.newest, ordinal)
            counted = rules.count(self.rules, self.streaks, metric, units, ordinal, self.newest, ordinal)
            self.streaks, self.extended, self.steps = counted
        return self

    def on(self, day: int) -> rules.Standing:
        return standing(self.rules, self.streaks, self.day(day))

    def length(self, day: int) -> int:
        return self.on(day).length

    @staticmethod
    def day(day: int) -> int:
        return (MONDAY + timedelta(days=day)).toordinal()


def test_three_days_in_a_row() -> None:
    life = Life(plain()).write(0, 1, 2)
    assert [life.length(day) for day in (2, 3, 4)] == [3, 3, 0]
    found = life.on(3)
    assert (found.started, found.expires) == (Life.day(0), Life.day(3))
    assert life.on(2).expires == Life.day(3)
    assert (found.period_start, found.period_end) == (Life.day(3), Life.day(3))


def test_more_on_the_same_day_extends_nothing() -> None:
    life = Life(plain()).write(0)
    assert life.extended
    assert not life.write(0).extended
    assert life.write(1).extended
    assert life.write(5).extended  # a new one begins
    assert life.length(5) == 1


def test_a_threshold_is_reached_by_several_events_of_a_period() -> None:
    life = Life(plain(thresholds={WORDS: 500})).write(0, units=300)
    assert (life.length(0), life.extended) == (0, False)
    assert life.write(0, units=200).extended
    assert life.length(0) == 1


def test_weeks_begin_on_monday_and_months_on_the_first() -> None:
    assert Life(plain("weekly")).write(6, 7).length(13) == 2
    assert Life(plain("weekly")).write(0, 6).length(6) == 1
    assert Life(plain("monthly")).write(28, 29).length(29) == 2  # 30 November, 1 December
    assert Life(plain("weekly")).write(0).on(0).expires == Life.day(13)


def test_all_frequencies_are_kept_at_once() -> None:
    life = Life(plain()).write(0, 1, 2, 7, 8)
    assert [standing(plain(f), life.streaks, Life.day(8)).length for f in FREQUENCIES] == [2, 2, 1]


@pytest.mark.parametrize(("mode", "after_words", "after_both"), [("OR", 1, 1), ("AND", 0, 1)])
def test_one_metric_or_all(mode: Mode, after_words: int, after_both: int) -> None:
    life = Life(plain(mode=mode, thresholds={WORDS: 2, CHAPTERS: 1})).write(0, units=2)
    assert life.length(0) == after_words
    assert life.write(0, metric=CHAPTERS).length(0) == after_both


def test_a_metric_that_does_not_count_changes_nothing() -> None:
    assert Life(plain()).write(0, metric=CHAPTERS).streaks is NONE


def test_days_off_hold_a_streak_and_may_extend_it() -> None:
    weekend = frozenset({0, 6})
    life = Life(plain(days_off=weekend)).write(3, 4)  # Thursday, Friday
    assert [life.length(day) for day in (5, 6, 7, 8)] == [2, 2, 2, 0]
    assert life.on(4).expires == Life.day(7)
    assert life.write(5).length(7) == 3
    assert life.write(7).length(7) == 4


def test_a_pause_holds_a_streak() -> None:
    life = Life(plain()).write(0, 1)
    life.streaks = changing.paused(life.streaks, Pause("p", Life.day(2), Life.day(11)))
    assert [life.length(day) for day in (2, 11, 12, 13)] == [2, 2, 2, 0]
    assert life.on(2).expires == Life.day(12)
    assert life.write(12).length(12) == 3
    life.streaks = changing.unpaused(life.streaks, "p")
    assert life.length(12) == 3  # what was counted stays


def test_freezes_are_used_one_a_day_and_then_it_ends() -> None:
    life = Life(plain(freezes=Freezes(2, 5))).write(0, 1)
    assert [(life.length(day), life.on(day).freezes) for day in (2, 3, 4, 5)] == [(2, 2), (2, 1), (2, 0), (0, 0)]
    life.write(4)
    assert (life.length(4), life.on(4).freezes) == (3, 0)
    assert life.write(8).length(8) == 1


def test_a_pause_comes_before_a_day_off_before_a_freeze() -> None:
    life = Life(plain(freezes=Freezes(1, 1), days_off=frozenset({2}))).write(0)
    life.streaks = changing.paused(life.streaks, Pause("p", Life.day(2), Life.day(2)))
    assert life.on(4).freezes == 0  # Tuesday off, Wednesday paused, Thursday frozen
    assert (life.length(4), life.length(5)) == (1, 0)
    assert life.write(4).on(4).freezes == 0


def test_freezes_are_earned_up_to_the_most() -> None:
    life = Life(plain(freezes=Freezes(0, 3, 7, 2))).write(0)
    assert [life.on(day).freezes for day in (6, 7, 14)] == [0, 2, 3]  # though the streak was lost
    life = Life(plain(freezes=Freezes(0, 3, 2, 1))).write(*range(9))
    assert life.on(8).freezes == 3
    assert changing.given(life.rules, life.streaks, Life.day(8)) is None
    fewer = Life(plain(freezes=Freezes(0, 3))).write(0)
    more = changing.given(fewer.rules, fewer.streaks, Life.day(0))
    assert more is not None
    assert standing(fewer.rules, more, Life.day(2)).length == 1


def test_a_late_event_joins_what_was_apart() -> None:
    life = Life(plain()).write(0, 1, 2, 4, 5)
    assert life.length(5) == 2
    assert life.write(3).extended
    assert (life.length(5), life.on(5).started) == (6, Life.day(0))
    assert sorted((step.period, step.length) for step in life.steps if step.track == 0) == [
        (Life.day(3), 4),
        (Life.day(4), 5),
        (Life.day(5), 6),
    ]
    assert life.write(3).length(5) == 6
    assert not life.write(2).extended


def test_a_late_event_gives_a_freeze_back() -> None:
    life = Life(plain(freezes=Freezes(1, 1))).write(0, 1, 3)
    assert (life.length(3), life.on(3).freezes) == (3, 0)
    life.write(2)
    assert (life.length(3), life.on(3).freezes) == (4, 1)


def test_a_freeze_that_comes_back_is_not_one_too_many() -> None:
    life = Life(plain(freezes=Freezes(1, 1))).write(0, 2)
    more = changing.given(life.rules, life.streaks, Life.day(2))
    assert more is not None
    life.streaks = more
    assert (life.write(1).length(2), life.on(2).freezes) == (3, 1)


def test_an_event_that_is_too_late_changes_no_streak() -> None:
    life = Life(plain()).write(10)
    before = life.streaks
    assert life.write(2).streaks is before
    assert life.write(3).streaks != before


def test_a_lost_streak_is_restored() -> None:
    life = Life(plain()).write(*range(42), 44, 45)
    assert life.length(45) == 2
    back = changing.restored(life.rules, life.streaks, Life.day(45))
    assert back is not None
    again = Life(life.rules, back)
    again.newest = Life.day(45)
    assert (again.length(45), again.on(45).started) == (43, Life.day(0))  # and today's
    assert again.write(46).length(46) == 44
    assert changing.restored(life.rules, again.streaks, Life.day(46)) is None

    # Not written since, it is back up to yesterday, and ends tonight.
    lost = Life(plain()).write(*range(42))
    back = changing.restored(lost.rules, lost.streaks, Life.day(60))
    assert back is not None
    assert standing(lost.rules, back, Life.day(60)).length == 42
    assert standing(lost.rules, back, Life.day(61)).length == 0


def test_the_longest_within_the_window_is_restored() -> None:
    life = Life(plain()).write(*range(5), *range(10, 22), *range(30, 33), 40)
    back = changing.restored(life.rules, life.streaks, Life.day(40))
    assert back is not None
    assert standing(life.rules, back, Life.day(40)).length == 13
    assert changing.restored(life.rules, life.streaks, Life.day(150)) is None
    assert changing.restored(plain(), NONE, Life.day(0)) is None


def test_reset_and_restore_are_each_others_way_back() -> None:
    life = Life(plain()).write(0, 1, 2)
    life.streaks = changing.reset(life.rules, life.streaks)
    assert life.length(2) == 0
    back = changing.restored(life.rules, life.streaks, Life.day(3))
    assert back is not None
    assert standing(life.rules, back, Life.day(3)).length == 3
    assert life.write(2).length(2) == 1  # the day counts again
    assert changing.reset(life.rules, NONE) is NONE


def test_a_restore_is_taken_back() -> None:
    life = Life(plain(freezes=Freezes(0, 3))).write(*range(5))
    before = life.streaks
    after = changing.restored(life.rules, before, Life.day(9))
    assert after is not None
    assert [(step.period, step.length, step.restored) for step in changing.changed(before, after)] == [
        (Life.day(8), 5, True)
    ]
    assert changing.taken_back(before, after) == [rules.Step(0, Life.day(8), 0)]
    # What came since stays: a freeze, a pause, gains that met no threshold.
    more = changing.given(life.rules, after, Life.day(9))
    assert more is not None
    now = changing.paused(more, Pause("p", Life.day(9), Life.day(10)))
    back = changing.undone(now, before, after)
    assert back is not None
    assert (back.tracks, back.freezes, back.pauses) == (before.tracks, 1, now.pauses)
    assert changing.undone(back, before, after) is None
    life.streaks = after
    assert changing.undone(life.write(9).streaks, before, after) is None


def test_what_was_ended_and_put_back_is_not_called_restored() -> None:
    """The periods were lived: only what nobody did is marked."""
    life = Life(plain()).write(0, 1, 2)
    ended = changing.reset(life.rules, life.streaks)
    back = changing.restored(life.rules, ended, Life.day(3))
    assert back is not None
    assert changing.changed(ended, back) == [rules.Step(0, Life.day(2), 3)]
    assert changing.taken_back(ended, back) == [rules.Step(0, Life.day(2), 3)]


events = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 7), st.integers(0, 2)), max_size=40)
"""Days since the event before, days late, units."""


@given(
    events,
    st.sampled_from(FREQUENCIES),
    st.frozensets(st.integers(0, 6), max_size=3),
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=2),
    st.integers(1, 2),
    st.integers(0, 12),
)
def test_length_and_start_are_what_the_calendar_says(
    lived: list[tuple[int, int, int]],
    frequency: Frequency,
    days_off: frozenset[int],
    pauses: list[tuple[int, int]],
    threshold: int,
    later: int,
) -> None:
    life = Life(plain(frequency, thresholds={WORDS: threshold}, days_off=days_off))
    for number, (start, days) in enumerate(pauses):
        life.streaks = changing.paused(life.streaks, Pause(str(number), Life.day(start), Life.day(start + days)))
    gains: dict[int, int] = {}
    today = 0
    for after, late, units in lived:
        today += after
        day = max(0, today - late) if lived else today
        if Life.day(day) < life.newest - rules.LATE_DAYS:
            continue
        life.write(day, units=units)
        period = period_of(frequency, Life.day(day))
        gains[period] = gains.get(period, 0) + units
    today += later
    found = life.on(today)

    def held(period: int) -> bool:
        first, last = first_day(frequency, period), last_day(frequency, period)
        if any(Life.day(start) <= last and Life.day(start + days) >= first for start, days in pauses):
            return True
        return frequency == "daily" and (date.fromordinal(period).weekday() + 1) % 7 in days_off

    met = {period for period, gain in gains.items() if gain >= threshold}
    at, length, started = period_of(frequency, Life.day(today)), 0, None
    current = at
    while current >= min(met, default=current):
        if current in met:
            length, started = length + 1, first_day(frequency, current)
        elif not held(current) and current != at:
            break
        current -= 1
    assert (found.length, found.started) == (length, started)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 3), st.integers(0, 5), st.integers(1, 6))
def test_freezes_are_what_a_diary_says(writes: list[bool], start: int, more: int, interval: int) -> None:
    """Day by day: what is earned comes first, then the day that has just ended is looked at."""
    wanted = Freezes(start, start + more, interval, 1)
    life = Life(plain(freezes=wanted)).write(0)
    length, freezes, earned = 1, start, 0
    for number, wrote in enumerate(writes, start=1):
        met_yesterday = number == 1 or writes[number - 2]
        if number - earned == interval:
            earned = number
            freezes = min(wanted.max_count, freezes + 1)
        if not met_yesterday and length:
            if freezes:
                freezes -= 1
            else:
                length = 0
        if wrote:
            length += 1
            life.write(number)
        assert (life.length(number), life.on(number).freezes) == (length, freezes), number


@given(
    frequency=st.sampled_from(FREQUENCIES),
    days_off=st.frozensets(st.integers(0, 6), max_size=6),
    pauses=st.lists(st.tuples(st.integers(-20, 400), st.integers(0, 200)), max_size=4),
    frozen=st.frozensets(st.integers(0, 30), max_size=5),
    start=st.integers(0, 60),
    span=st.none() | st.integers(0, 90),
)
def test_the_next_period_that_nothing_holds(
    frequency: Frequency,
    days_off: frozenset[int],
    pauses: list[tuple[int, int]],
    frozen: frozenset[int],
    start: int,
    span: int | None,
) -> None:
    wanted, first = plain(frequency, days_off=days_off), period_of(frequency, Life.day(start))
    track = wanted.track
    held = Streaks(
        pauses=tuple(Pause(str(at), Life.day(at), Life.day(at + long)) for at, long in pauses),
        frozen=tuple((track, first + one) for one in frozen),
    )
    until = None if span is None else first + span
    walked = first
    while (until is None or walked < until) and rules.is_held(wanted, held, walked):
        walked += 1
    assert rules.next_unheld(wanted, held, track, first, until) == walked


@pytest.mark.parametrize("frequency", FREQUENCIES)
def test_a_pause_of_centuries(frequency: Frequency) -> None:
    """Its days are not walked through: every event and every read of the user would be slow."""
    life = Life(plain(frequency)).write(0)
    end = date(2999, 12, 31).toordinal()
    life.streaks = changing.paused(life.streaks, Pause("long", Life.day(1), end))
    found = life.on(300)
    assert found.length == 1
    assert found.expires == last_day(frequency, period_of(frequency, end) + 1)
    assert life.write(301).length(301) == 2
