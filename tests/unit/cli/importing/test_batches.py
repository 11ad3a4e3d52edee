"""Order, idempotency keys and batches of checked events."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from podium.cli.importing.batches import BODY_MAX, Row, batches, keyed, pack
from podium.game.periods import iso
from podium.intake.requests import BatchItem, EventUser


def event(user: str = "ann", value: float = 1.0, key: str | None = None, **more: Any) -> BatchItem:
    """An item of one metric."""
    return BatchItem(more.pop("metric", "words"), EventUser(id=user, **more), value, idempotency_key=key)


def keys(rows: list[Row]) -> list[str | None]:
    """The idempotency keys that rows get, in the order of sending."""
    return [item.idempotency_key for _, item in keyed(rows)]


EVENTS = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from(["ann", "bob", "eve"]), st.sampled_from([1.0, 2.0]))
)


def rows_of(events: list[tuple[int, str, float]]) -> list[Row]:
    """Rows of (instant, user, value), lines counted from 1."""
    return [pack(at, line, event(user, value)) for line, (at, user, value) in enumerate(events, 1)]


@given(EVENTS)
def test_keyed_is_in_time_order_and_keeps_lines_of_one_instant_as_they_came(
    events: list[tuple[int, str, float]],
) -> None:
    sent = [(item.timestamp, line) for line, item in keyed(rows_of(events))]
    assert sent == sorted((iso(at), line) for line, (at, _, _) in enumerate(events, 1))


@given(EVENTS, st.randoms(use_true_random=False))
def test_keyed_gives_each_line_a_key_of_its_own_that_is_the_same_next_time(
    events: list[tuple[int, str, float]], random: Any
) -> None:
    first = keys(rows_of(events))
    shuffled = random.sample(events, len(events))
    assert len(set(first)) == len(events)
    assert set(keys(rows_of(shuffled))) == set(first)
    assert set(keys(rows_of([*events, (1, "new", 5.0)]))) > set(first)


def test_keyed_tells_user_metric_value_and_time_apart() -> None:
    rows = [
        pack(0, 1, event()),
        pack(0, 2, event(user="bob")),
        pack(0, 3, event(metric="pages")),
        pack(0, 4, event(value=2.0)),
        pack(1, 5, event()),
        pack(0, 6, event(user="ann1")),
    ]
    first = [keys([row])[0] for row in rows]
    assert len(set(first)) == len(rows)


def test_keyed_does_not_look_at_names_and_attributes() -> None:
    renamed = BatchItem("words", EventUser(id="ann", name="Ann"), 1.0, attributes={"app": "web"})
    assert keys([pack(0, 1, renamed)]) == keys([pack(0, 9, event())])
    assert keys([pack(0, 1, event(value=-0.0))]) == keys([pack(0, 1, event(value=0.0))])


def test_keyed_leaves_the_lines_own_key_alone() -> None:
    found = keys([pack(0, 1, event(key="mine")), pack(0, 2, event())])
    assert found == ["mine", *keys([pack(0, 1, event())])]


def test_keyed_keeps_the_rest_of_the_item() -> None:
    item = BatchItem("words", EventUser(id="ann", name="Ann", tz=None, attributes={"a": None}), 2.5, {"b": "c"})
    [(line, sent)] = keyed([pack(7, 3, item)])
    assert line == 3
    assert msgspec.structs.replace(sent, idempotency_key=None, timestamp=None) == item


@given(EVENTS, st.integers(1, 3))
def test_batches_keep_a_user_in_one_lane_and_in_order(events: list[tuple[int, str, float]], lanes: int) -> None:
    items = list(keyed(rows_of(events)))
    sent: dict[int, list[tuple[int, str]]] = {}
    for batch in batches(items, lanes):
        bodies = msgspec.json.decode(batch.body, type=list[BatchItem])
        pairs = zip(batch.places, bodies, strict=True)
        sent.setdefault(batch.lane, []).extend((line, body.user.id) for line, body in pairs)
    for user in ("ann", "bob", "eve"):
        wanted = [line for line, item in items if item.user.id == user]
        found = [[line for line, u in lane if u == user] for lane in sent.values()]
        assert [lines for lines in found if lines] == ([wanted] if wanted else [])


def test_batches_hold_as_many_as_the_server_takes() -> None:
    found = list(batches(keyed([pack(i, i, event()) for i in range(2_500)]), 1))
    assert [len(batch.places) for batch in found] == [1_000, 1_000, 500]
    assert [line for batch in found for line in batch.places] == list(range(2_500))


def test_batches_are_cut_by_size() -> None:
    item = msgspec.structs.replace(event(), attributes={f"a{i}": "é" * 1_000 for i in range(50)})
    found = list(batches(((i, item) for i in range(100)), 1))
    assert sum(len(batch.places) for batch in found) == 100
    assert all(later.places[0] == earlier.places[-1] + 1 for earlier, later in pairwise(found))
    assert max(len(batch.body) for batch in found) < BODY_MAX + 200_000
