"""The fold: an event and a state give a new state and facts, against a slow oracle."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game.achievements.model import Achievement
from podium.game.apply import Applied, apply
from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import NotFound, Unprocessable
from podium.game.inputs import ChangeUser, Event, check_event
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.runs import named_run
from podium.game.metrics.model import Metric
from podium.game.periods import MS_PER_DAY, local_day, zone
from podium.game.records import StandingRecord
from podium.game.state import StateHead, UserState, decode_head, decode_state, encode_state
from podium.game.streaks.model import Streaks, Stretch, Track
from podium.game.users.model import Attribute
from podium.game.users.rules import Upsert

NOW_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
METRIC = Metric("m", 1, "words", "Words")
ALL_TIME = Leaderboard("a", 2, "all-time", "All time", "m", date(2020, 1, 1), status="active")
DAILY = Leaderboard(
    "d", 3, "daily", "Today", "m", date(2020, 1, 1), status="active", run_unit="day", run_interval=1
)
OFF = Leaderboard("o", 4, "off", "Off", "m", date(2020, 1, 1))
INDEX = CatalogIndex(
    Catalog(
        1,
        metrics=(METRIC,),
        attributes=(Attribute("x", 5, "genre", "Genre", "event"),),
        leaderboards=(ALL_TIME, DAILY, OFF),
    )
)


def event(value: float = 1, at_ms: int | None = None, received_ms: int = NOW_MS, **more: object) -> Event:
    return Event("id", "ana", "words", value, received_ms, timestamp_ms=at_ms, **more)  # type: ignore[arg-type]


def after(*events: Event) -> UserState:
    state = None
    for one in events:
        state = apply(INDEX, state, one).state
    assert state is not None
    return state


def test_the_input_state_is_never_changed() -> None:
    state = after(event(5))
    before = encode_state(state)
    apply(INDEX, state, event(7, upsert=Upsert(name="Ana")))
    assert encode_state(state) == before


def test_a_state_survives_its_blob() -> None:
    state = after(event(5, upsert=Upsert(name="نور", attributes={"k": "v"}), key="k"))
    assert decode_state(encode_state(state)) == state


def test_an_event_without_a_time_never_goes_back_a_day() -> None:
    state = after(event(1), event(1, received_ms=NOW_MS - MS_PER_DAY))  # the clock stepped back
    assert set(state.boards) == {"2:", "3:20261123"}
    assert state.boards["2:"].reached_ms == NOW_MS


def test_only_active_leaderboards_count() -> None:
    assert not any(board.startswith("4:") for board in after(event()).boards)


@pytest.mark.parametrize(("days_late", "counts"), [(7, True), (8, False)])
def test_a_late_event_counts_for_seven_days(days_late: int, counts: bool) -> None:
    late_ms = NOW_MS - days_late * MS_PER_DAY
    state = after(event(1, at_ms=NOW_MS), event(10, at_ms=late_ms))
    assert state.totals[1] == 11_000
    assert state.boards["2:"].value == 11_000
    day = local_day(late_ms, zone(None)).strftime("%Y%m%d")
    assert (f"3:{day}" in state.boards) == counts


def test_old_runs_leave_the_state_and_are_named() -> None:
    state = after(event(1, at_ms=NOW_MS - 30 * MS_PER_DAY))
    applied = apply(INDEX, state, event(1))
    assert applied.dropped == ["3:20261024"]
    assert set(applied.state.boards) == {"2:", "3:20261123"}


def _two() -> CatalogIndex:
    other = Metric("n", 6, "pages", "Pages")
    daily = msgspec.structs.replace(DAILY, id="d2", number=7, key="daily-pages", metric_id="n")
    return CatalogIndex(Catalog(1, metrics=(METRIC, other), leaderboards=(ALL_TIME, DAILY, daily)))


def test_history_of_one_metric_is_not_late_for_another() -> None:
    index = _two()
    days = [NOW_MS - days * MS_PER_DAY for days in range(40, -1, -1)]
    state: UserState | None = None
    written: dict[str, int] = {}
    records = []
    for metric in ("words", "pages"):
        for at_ms in days:
            one = event(1, at_ms=at_ms)
            applied = apply(index, state, msgspec.structs.replace(one, metric=metric))
            state = applied.state
            written.update({board: s.value for board, s in applied.changes.items() if s is not None})
            records.append(applied.record)
    assert state is not None
    assert {b[2:]: v for b, v in written.items() if b[:2] == "7:"} == {
        b[2:]: v for b, v in written.items() if b[:2] == "3:"
    }
    assert len([b for b in written if b[:2] == "7:"]) == 41
    # The state has let go of the older runs of both again.
    assert {b[0] for b in state.boards} == {"2", "3", "7"}
    assert len(state.boards) == 1 + 2 * 11
    events = [one.event for one in records if one.event is not None]
    assert not any(one.late for one in events)
    # What hangs on both metrics follows the user's newest event.
    assert [one.behind for one in events[41:]] == [True] * 33 + [False] * 8
    # The history of each board stands on the days of its events.
    assert all(board.day in (0, one.event.day) for one in records if one.event for board in one.boards)


SORTED = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 60 * 24)), max_size=15).map(
    lambda events: sorted(events, key=lambda one: one[1])
)


@given(SORTED, SORTED, st.randoms(use_true_random=False))
def test_metrics_that_are_each_in_order_may_come_in_any_order(
    words: list[tuple[int, int]], pages: list[tuple[int, int]], random: Random
) -> None:
    index = _two()
    start_ms = NOW_MS - 60 * MS_PER_DAY
    left = {"words": list(words), "pages": list(pages)}
    runs: dict[str, int] = {}
    written: dict[str, int] = {}
    state: UserState | None = None
    while any(left.values()):
        metric = random.choice([metric for metric, events in left.items() if events])
        value, hours = left[metric].pop(0)
        at_ms = start_ms + hours * 3_600_000
        applied = apply(index, state, msgspec.structs.replace(event(value, at_ms=at_ms), metric=metric))
        state = applied.state
        written.update({board: s.value for board, s in applied.changes.items() if s is not None})
        for number in {"words": "3", "pages": "7"}[metric]:
            run = f"{number}:{local_day(at_ms, zone(None)):%Y%m%d}"
            runs[run] = runs.get(run, 0) + value * 1000
    assert {board: value for board, value in written.items() if board != "2:"} == runs


def test_a_state_of_an_older_release_has_let_go_by_the_users_newest_event() -> None:
    index = _two()
    state = msgspec.structs.replace(after(event(1)), newest={}, totals={1: 1000, 6: 1000})
    for metric, moved in (("words", False), ("pages", False)):
        one = msgspec.structs.replace(event(1, at_ms=NOW_MS - 8 * MS_PER_DAY), metric=metric)
        applied = apply(index, state, one)
        assert applied.record.event is not None
        assert applied.record.event.late is not moved
        assert not [board for board in applied.changes if board != "2:"]
        assert applied.state.newest_of(index.metric_by_key[metric].number) == NOW_MS


def test_a_run_that_the_state_has_let_go_of_is_never_overwritten() -> None:
    # The leaderboard was by another metric when it did.
    state = msgspec.structs.replace(after(event(1)), older={7: "20261020"})
    day_ms = NOW_MS - 34 * MS_PER_DAY  # 2026-10-20
    applied = apply(_two(), state, msgspec.structs.replace(event(1, at_ms=day_ms), metric="pages"))
    assert applied.record.event is not None
    assert applied.record.event.late
    assert applied.changes == {}
    applied = apply(_two(), state, msgspec.structs.replace(event(1, at_ms=day_ms + MS_PER_DAY), metric="pages"))
    assert list(applied.changes) == ["7:20261021"]


def test_runs_of_a_metric_that_is_not_posted_any_more_go_when_they_are_final() -> None:
    catalog = _two().catalog
    state = after(event(1, at_ms=NOW_MS - 30 * MS_PER_DAY))
    other = msgspec.structs.replace(event(1), metric="pages")
    assert apply(_two(), state, other).dropped == []
    daily = msgspec.structs.replace(DAILY, final_until=date(2026, 11, 1))
    final = CatalogIndex(msgspec.structs.replace(catalog, leaderboards=(ALL_TIME, daily, catalog.leaderboards[2])))
    assert apply(final, state, other).dropped == ["3:20261024"]


def test_a_zero_changes_no_standing_but_brings_a_newcomer_in() -> None:
    first = apply(INDEX, None, event(0))
    assert {b: s.value for b, s in first.changes.items()} == {"2:": 0, "3:20261123": 0}
    assert apply(INDEX, first.state, event(0, received_ms=NOW_MS + 5)).changes == {}


def test_renaming_shows_on_every_board() -> None:
    state = after(event(1, at_ms=NOW_MS - MS_PER_DAY), event(1))
    applied = apply(INDEX, state, ChangeUser("ana", Upsert(name="Ana"), NOW_MS))
    assert applied.relabelled
    assert applied.changes == state.boards


def test_changing_an_unknown_user() -> None:
    with pytest.raises(NotFound):
        apply(INDEX, None, ChangeUser("ana", Upsert(), NOW_MS, must_exist=True))
    assert apply(INDEX, None, ChangeUser("ana", Upsert(), NOW_MS)).state.profile.created_ms == NOW_MS


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (event(float("nan")), "value"),
        (event(at_ms=NOW_MS + 5 * 60_000 + 1), "timestamp"),
        (event(key=""), "idempotencyKey"),
        (event(attributes={"gen": "x"}), "Invalid attribute keys: gen"),
        (Event("id", "", "words", 1, NOW_MS), "user.id"),
        (Event("id", "ana", "wrods", 1, NOW_MS), "Unknown metric key: wrods"),
    ],
)
def test_check_event_names_what_is_wrong(bad: Event, says: str) -> None:
    with pytest.raises(Unprocessable, match=says):
        check_event(INDEX, bad)


ZONES = st.sampled_from([None, "Pacific/Kiritimati", "Pacific/Pago_Pago", "Europe/Berlin", "America/New_York"])
EVENTS = st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 20 * 24)), min_size=1, max_size=30)


@given(EVENTS, ZONES)
def test_totals_and_boards_equal_adding_up_the_events(history: list[tuple[int, int]], tz: str | None) -> None:
    start_ms = NOW_MS - 30 * MS_PER_DAY
    state: UserState | None = None
    applied: list[Applied] = []
    total = 0
    runs: dict[str, int] = {}
    newest_ms = 0
    for value, hours in history:
        at_ms = start_ms + hours * 3_600_000
        one = apply(INDEX, state, event(value, at_ms=at_ms, upsert=Upsert(tz=tz)))
        applied.append(one)
        state = one.state
        total += value * 1000
        if at_ms >= newest_ms - 7 * MS_PER_DAY:
            day = f"3:{local_day(at_ms, zone(tz)):%Y%m%d}"
            runs[day] = runs.get(day, 0) + value * 1000
        newest_ms = max(newest_ms, at_ms)
    assert state is not None
    assert state.totals == {1: total}
    assert state.boards["2:"].value == total
    written = {
        board: standing.value for one in applied for board, standing in one.changes.items() if board != "2:"
    }
    assert written == runs
    kept_from = local_day(newest_ms, zone(tz)) - timedelta(days=7)
    assert {b for b in runs if b[2:] >= f"{kept_from:%Y%m%d}"} <= set(state.boards)


def test_an_achievement_is_not_older_than_its_user() -> None:
    hero = Achievement(
        id="h", number=6, key="hero", name="Hero", trigger="metric", status="active", metric_id="m", metric_value=1
    )
    index = CatalogIndex(Catalog(1, metrics=(METRIC,), achievements=(hero,)))
    applied = apply(index, None, event(1, received_ms=NOW_MS + 789))
    [done] = applied.record.completions
    assert done.at_ms == applied.state.achieved_ms(6) == applied.state.profile.created_ms == NOW_MS + 789
    made = apply(index, None, event(0, received_ms=NOW_MS + 789)).state
    later = apply(index, made, event(1, received_ms=NOW_MS + 3_500))
    assert later.record.completions[0].at_ms == later.state.achieved_ms(6) == NOW_MS + 2_789


@given(EVENTS)
def test_each_row_of_a_history_continues_the_one_before(history: list[tuple[int, int]]) -> None:
    start_ms = NOW_MS - 30 * MS_PER_DAY
    weekly = msgspec.structs.replace(DAILY, run_interval=7)
    index = CatalogIndex(Catalog(1, metrics=(METRIC,), leaderboards=(ALL_TIME, weekly)))
    state: UserState | None = None
    rows: dict[str, dict[int, tuple[int | None, int]]] = {}
    for value, hours in history:
        applied = apply(index, state, event(value, at_ms=start_ms + hours * 3_600_000))
        state = applied.state
        happened = applied.record.event
        assert happened is not None
        for board in applied.record.boards:
            if board.value is None or board.value == board.previous:
                continue
            day = board.day or happened.day
            days = rows.setdefault(board.board, {})
            days[day] = days.get(day, (board.previous, 0))[0], board.value
            if board.board != "2:":
                run = named_run(weekly, board.board[2:])
                assert run.start <= date.fromordinal(day) <= (run.end or date.max)
    for board_name, days in rows.items():
        in_order = [days[day] for day in sorted(days)]
        assert [value for _, value in in_order[:-1]] == [previous for previous, _ in in_order[1:]]
        if board_name in state.boards if state else False:
            assert state is not None
            assert in_order[-1][1] == state.boards[board_name].value


def test_the_head_of_a_state_is_its_first_fields() -> None:
    state = after(event(5, upsert=Upsert(name="Ana")))
    head = decode_head(encode_state(state))
    assert (head.profile, head.format, head.newest_ms) == (state.profile, state.format, state.newest_ms)
    assert head.streaks == state.streaks
    assert decode_head(encode_state(UserState(state.profile))).streaks is None
    with_streak = msgspec.structs.replace(
        state, streaks=Streaks(tracks=(Track((Stretch(1, 2, 3),), 4), Track(), Track()))
    )
    assert decode_head(encode_state(with_streak)).streaks == with_streak.streaks
    fields = [field.name for field in msgspec.structs.fields(UserState)]
    assert fields[: len(msgspec.structs.fields(StateHead)) - 1] == [
        field.name for field in msgspec.structs.fields(StateHead)[:-1]
    ]
    assert fields[len(msgspec.structs.fields(StateHead)) - 1] == "streaks"


def test_a_record_says_what_is_first_on_a_day_and_what_the_state_drops() -> None:
    first = apply(INDEX, None, event(5))
    assert [(one.board, one.first) for one in first.record.boards] == [("2:", True), ("3:20261123", True)]
    again = apply(INDEX, first.state, event(5, received_ms=NOW_MS + 1))
    assert [one.first for one in again.record.boards] == [False, False]
    tomorrow = apply(INDEX, again.state, event(5, received_ms=NOW_MS + MS_PER_DAY))
    assert [(one.board, one.first) for one in tomorrow.record.boards] == [("2:", True), ("3:20261124", True)]
    assert tomorrow.record.dropped == []
    later_ms = NOW_MS + 20 * MS_PER_DAY
    later = apply(INDEX, tomorrow.state, event(5, received_ms=later_ms))
    assert later.record.dropped == [
        StandingRecord("3:20261123", 10_000, NOW_MS + 1),
        StandingRecord("3:20261124", 5_000, NOW_MS + MS_PER_DAY),
    ]
