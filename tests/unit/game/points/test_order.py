"""A history in any order has the awards of the sorted one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from podium.game.apply import apply
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.filters import AttributeFilter
from podium.game.inputs import Event
from podium.game.metrics.model import Metric
from podium.game.periods import at
from podium.game.points.model import Boost, PointsSystem, Trigger
from podium.game.points.order import StoredAward, StoredEvent, in_order
from podium.game.state import UserState

DAY_MS = 86_400_000
NOW_MS = 1_795_435_200_000
METRICS = (Metric("m", 1, "words", "Words", decimals=0), Metric("n", 2, "pages", "Pages", decimals=0))
SYSTEM = 3


def trigger(number: int, metric: str, threshold: int, **fields: Any) -> Trigger:
    common: dict[str, Any] = {"points": 10, "status": "active", **fields}
    return Trigger(
        id=f"t{number}",
        number=number,
        key=f"t{number}",
        system_id="p",
        type="metric",
        metric_id=metric,
        metric_threshold=threshold,
        **common,
    )


TRIGGERS = (
    trigger(10, "m", 7),
    trigger(11, "m", 1, points=1),
    trigger(12, "n", 20, points=3),
    trigger(13, "m", 5, points=2, event_attributes=(AttributeFilter("plan", "pro"),)),
)


def index(triggers: tuple[Trigger, ...] = TRIGGERS, most: int | None = None, **fields: Any) -> CatalogIndex:
    system = PointsSystem("p", SYSTEM, "xp", "XP", max_points=most)
    return CatalogIndex(Catalog(1, metrics=METRICS, points=(system,), triggers=triggers, **fields))


def events_of(drawn: Sequence[tuple[int, int, bool, bool]]) -> list[Event]:
    """In order of time, a different instant each."""
    found = []
    for place, (gap_h, value, is_words, pro) in enumerate(drawn):
        at_ms = (found[-1].timestamp_ms or 0) + gap_h * 3_600_000 if found else NOW_MS - 90 * DAY_MS
        found.append(
            Event(
                f"00000000-0000-7000-8000-{place:012}",
                "ann",
                "words" if is_words else "pages",
                value,
                NOW_MS,
                attributes={"plan": "pro"} if pro else None,
                timestamp_ms=at_ms,
            )
        )
    return found


def awarded(catalog: CatalogIndex, events: Sequence[Event]) -> list[StoredAward]:
    """The awards that events give as they arrive, in order of time."""
    state: UserState | None = None
    found: list[StoredAward] = []
    for event in events:
        applied = apply(catalog, state, event)
        state = applied.state
        found += [
            StoredAward(
                one.id,
                one.cause,
                one.awarded,
                one.total,
                one.at_ms,
                date.fromordinal(one.day),
                one.boosts,
                event.id,
            )
            for one in applied.record.awards
        ]
    return sorted(found, key=lambda one: one.at_ms)


def stored(catalog: CatalogIndex, events: Sequence[Event]) -> dict[int, list[StoredEvent]]:
    found: dict[int, list[StoredEvent]] = {1: [], 2: []}
    for event in sorted(events, key=lambda one: one.timestamp_ms or 0):
        at_ms = event.timestamp_ms or 0
        found[catalog.metric_by_key[event.metric].number].append(
            StoredEvent(event.id, int(event.value), at_ms, at(at_ms).date(), event.attributes)
        )
    return found


HISTORY = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 30), st.booleans(), st.booleans()), min_size=1, max_size=30
)


@given(HISTORY, st.randoms(use_true_random=False))
def test_any_order_has_the_awards_of_the_sorted_history(
    drawn: list[tuple[int, int, bool, bool]], random: Any
) -> None:
    catalog = index()
    events = events_of(drawn)
    shuffled = list(events)
    random.shuffle(shuffled)
    found = in_order(catalog.points, SYSTEM, "ann", awarded(catalog, shuffled), stored(catalog, events))
    assert found == awarded(catalog, events)
    # Once in order, they stay as they are.
    assert in_order(catalog.points, SYSTEM, "ann", found or [], stored(catalog, events)) == found


@given(HISTORY, st.randoms(use_true_random=False), st.integers(0, 200))
def test_a_limit_that_cut_something_off_leaves_them(
    drawn: list[tuple[int, int, bool, bool]], random: Any, most: int
) -> None:
    catalog = index(most=most)
    events = events_of(drawn)
    shuffled = list(events)
    random.shuffle(shuffled)
    given_ = awarded(catalog, shuffled)
    found = in_order(catalog.points, SYSTEM, "ann", given_, stored(catalog, events))
    if found is not None:
        assert found == awarded(catalog, events)
        assert sum(one.awarded for one in found) == sum(one.awarded for one in given_)


def test_what_leaves_them() -> None:
    events = events_of([(1, 5, True, True), (1, 5, True, False), (1, 30, False, False)])
    late = [events[2], events[1], events[0]]
    plain = index()
    given_ = awarded(plain, late)
    assert in_order(plain.points, SYSTEM, "ann", given_, stored(plain, events)) == awarded(plain, events)

    def leaves(catalog: CatalogIndex, awards: list[StoredAward], kept: dict[int, list[StoredEvent]]) -> bool:
        return in_order(catalog.points, SYSTEM, "ann", awards, kept) is None

    boost = Boost(id="b", number=50, key="b", system_id="p", name="B", start=date(2026, 1, 1), multiplier=2)
    assert leaves(index(boosts=(boost,)), given_, stored(plain, events))
    corrected = stored(plain, events)
    corrected[1][0] = corrected[1][0]._replace(corrects=True)
    assert leaves(plain, given_, corrected)
    fallen = stored(plain, events)
    fallen[1][0] = fallen[1][0]._replace(units=-5)
    assert leaves(plain, given_, fallen)
    assert leaves(index((trigger(10, "m", 7, points=-1),)), given_, stored(plain, events))
    # A trigger that did not count for all of the events.
    assert leaves(index((*TRIGGERS, trigger(14, "m", 3))), given_, stored(plain, events))
