"""Streaks of users who move between zones: events that are close together never have a missed day between them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from podium.game.apply import apply
from podium.game.catalog import CatalogIndex
from podium.game.inputs import ChangeUser, Event, Tick
from podium.game.periods import instant, local_day, zone
from podium.game.state import UserState
from podium.game.streaks.model import NONE
from podium.game.streaks.rules import standing
from podium.game.users.rules import NOTHING, Upsert
from tests.scenarios.stories import catalog

INDEX = CatalogIndex(catalog({"metrics": ["words"], "streak": {"metrics": {"words": 1}}}))
START = datetime(2026, 2, 20, 3, tzinfo=UTC)
ZONES = (
    "Pacific/Pago_Pago",  # UTC-11
    "Pacific/Honolulu",
    "America/New_York",
    "Europe/London",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Pacific/Auckland",
    "Pacific/Kiritimati",  # UTC+14
    None,
)
# Minutes since the event before; moves meanwhile (% of that time, zone); whether only the event names the zone.
steps = st.lists(
    st.tuples(
        st.integers(1, 15 * 60),
        st.lists(st.tuples(st.integers(0, 100), st.sampled_from(ZONES)), max_size=3),
        st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


def _event(number: int, now: datetime, upsert: Upsert) -> Event:
    return Event(f"e{number}", "ann", "words", 1, instant(now), upsert)


def _length(state: UserState, now: datetime) -> int:
    rules = INDEX.streak_rules(state.wishes, state.profile.tz)
    today = local_day(instant(now), zone(state.profile.tz)).toordinal()
    return standing(rules, state.streaks or NONE, today).length


@given(st.sampled_from(ZONES), steps)
def test_events_15_hours_apart_never_lose_a_daily_streak(home: str | None, history: list) -> None:
    now, before = START, 0
    state = apply(INDEX, None, ChangeUser("ann", Upsert(tz=home), instant(now))).state
    for number, (minutes, moves, with_event) in enumerate(history):
        then = now + timedelta(minutes=minutes)
        last = home
        for share, tz in sorted(moves, key=lambda move: move[0]):
            at = now + (then - now) * share / 100
            last = tz
            if not with_event:
                state = apply(INDEX, state, ChangeUser("ann", Upsert(tz=tz), instant(at))).state
        now = then
        if not with_event:  # whoever keeps time comes by just before the event
            state = apply(INDEX, state, Tick("ann", instant(now))).state
        upsert = Upsert(tz=last) if with_event and moves else NOTHING
        state = apply(INDEX, state, _event(number, now, upsert)).state
        after = _length(state, now)
        assert after >= max(before, 1)
        before = after


@given(st.sampled_from(ZONES), st.sampled_from(ZONES), st.integers(0, 47))
def test_a_date_without_an_event_that_was_whole_is_missed(home: str | None, away: str | None, hour: int) -> None:
    """A move is no way to skip days: two whole dates in both zones pass, and the streak is over."""
    state = apply(INDEX, None, _event(0, START, Upsert(tz=home))).state
    state = apply(INDEX, state, ChangeUser("ann", Upsert(tz=away), instant(START + timedelta(hours=hour)))).state
    later = START + timedelta(hours=24 * 3)
    assert _length(state, later) == 0
    state = apply(INDEX, state, _event(1, later, NOTHING)).state
    assert _length(state, later) == 1
