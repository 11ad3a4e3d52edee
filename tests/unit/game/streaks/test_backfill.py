"""A streak made anew from stored events is the one that they would have given in the order of their time."""

from __future__ import annotations

from datetime import date
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from podium.game.apply import apply
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.inputs import Event
from podium.game.metrics.model import Metric
from podium.game.periods import MS_PER_DAY
from podium.game.records import EventRecord
from podium.game.state import UserState
from podium.game.streaks.backfill import StreakFold
from podium.game.streaks.model import NONE, Freezes, Frequency, MetricThreshold, Pause, StreakSettings

NOW_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
DAYS = 60
METRICS = tuple(Metric(key, number, key, key, decimals=0) for number, key in enumerate(("words", "pages"), 1))

Item = tuple[str, int, int]
"""Metric, value and hours since the beginning."""
histories = st.lists(
    st.tuples(st.sampled_from(["words", "pages"]), st.integers(0, 3), st.integers(0, DAYS * 24)), max_size=60
)


def _index(frequency: Frequency, mode: str, freezes: Freezes | None) -> CatalogIndex:
    settings = StreakSettings(
        "s",
        9,
        frequency=frequency,
        mode="AND" if mode == "AND" else "OR",
        days_off=(0,) if frequency == "daily" else (),
        metrics=(MetricThreshold("words", 2), MetricThreshold("pages", 1)),
        freezes=freezes,
    )
    return CatalogIndex(Catalog(1, metrics=METRICS, streaks=(settings,)))


def _play(index: CatalogIndex, history: list[Item], pause: Pause) -> tuple[UserState | None, list[EventRecord]]:
    """The state, and the events as they are stored."""
    state: UserState | None = None
    stored: list[EventRecord] = []
    for number, (metric, value, hours) in enumerate(history):
        at_ms = NOW_MS - DAYS * MS_PER_DAY + hours * 3_600_000
        applied = apply(index, state, Event(f"{number:04d}", "ann", metric, value, NOW_MS, timestamp_ms=at_ms))
        state = applied.state
        assert applied.record.event is not None
        stored.append(applied.record.event)
        if number == 0:
            state = msgspec.structs.replace(
                state, streaks=msgspec.structs.replace(state.streaks or NONE, pauses=(pause,))
            )
    return state, stored


@given(
    histories,
    st.randoms(use_true_random=False),
    st.sampled_from(["daily", "weekly", "monthly"]),
    st.sampled_from(["AND", "OR"]),
    st.sampled_from([None, Freezes(1, 3), Freezes(0, 5, 7, 2)]),
    st.integers(0, DAYS),
)
def test_whatever_the_order_the_streak_is_that_of_the_sorted_history(
    history: list[Item], random: Random, frequency: Frequency, mode: str, freezes: Freezes | None, paused: int
) -> None:
    index = _index(frequency, mode, freezes)
    today = date(2026, 11, 23).toordinal()
    pause = Pause("p", today - DAYS + paused, today - DAYS + paused + 2)
    wanted, _ = _play(index, sorted(history, key=lambda item: item[2]), pause)
    shuffled = list(history)
    random.shuffle(shuffled)
    state, stored = _play(index, shuffled, pause)
    fold = StreakFold(index.streaks, [pause])
    for event in sorted(stored, key=lambda event: event.at_ms):
        fold.add(event.metric, event.units, event.day, event.at_ms)
    if wanted is None:
        assert state is None
        return
    assert wanted.streaks is not None
    assert fold.streaks.tracks == wanted.streaks.tracks
    assert fold.streaks.freezes == wanted.streaks.freezes
    assert fold.streaks.extended_ms == wanted.streaks.extended_ms
    assert fold.extensions == [] or fold.extensions[-1].at_ms == fold.streaks.extended_ms
