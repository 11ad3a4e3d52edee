from __future__ import annotations

import json
from datetime import UTC, date, datetime

import msgspec
import pytest

from podium.game.records import (
    BoardRecord,
    EventRecord,
    FactRecord,
    GroupMove,
    LogItem,
    LogRecord,
    StandingRecord,
    StreakChange,
    StreakRecord,
    encode_record,
)
from podium.game.state import UserState, encode_state
from podium.game.streaks.model import Streaks, Stretch, Track
from podium.game.users.model import Profile
from podium.writebehind.batches import Batch, Item, collect, read_entry
from tests.posting import encode_commit

DAY = date(2026, 11, 23)
NOW_MS = 1_795_435_200_123


def event(**changes: object) -> EventRecord:
    record = EventRecord("018f-id", 1, 1500, NOW_MS, NOW_MS, DAY.toordinal())
    return msgspec.structs.replace(record, **changes)


def item(
    user: str,
    token: str,
    event_: EventRecord | None,
    boards: list[BoardRecord],
    ranks: list[int | str],
    **state: object,
) -> Item:
    return recorded(user, token, LogRecord(event_, boards, dropped=[]), ranks, **state)


def recorded(user: str, token: str, record: LogRecord, ranks: list[int | str], **state: object) -> Item:
    blob = encode_state(UserState(Profile(1, 2, name=f"{user} {token}"), newest_ms=3, **state))
    return Item("5-1", 0, LogItem(user, token, blob, encode_record(record), ranks))


def places(batch: Batch) -> list[tuple[object, ...]]:
    return [
        (user, day, json.loads(last), json.loads(former)) for user, day, last, former in rows(batch.place_days)
    ]


def rows(columns: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    return list(zip(*columns, strict=True))


def test_read_entry() -> None:
    items = LogItem("ann", "t1", "{}", "[]", [0, 1, ""]), LogItem("bob", "t2", "{}", "[]", [])
    assert read_entry("7-0", {b"c": encode_commit(*items)}) == [Item("7-0", 0, items[0]), Item("7-0", 1, items[1])]


def test_collect_event() -> None:
    boards = [BoardRecord("2:", 1500, NOW_MS), BoardRecord("3:20261123", 1500, NOW_MS - 1, 500, first=True)]
    full = event(key="k", attributes={"genre": "crime"})
    batch = collect(9, [item("ann", "t1", full, boards, [0, 4, "", 3, 1, "-9"])])
    received = datetime(2026, 11, 23, 12, 0, 0, 123_000, tzinfo=UTC)
    assert batch.events == [
        (9, "018f-id", "ann", 1, 1500, NOW_MS, received, "k", {"genre": "crime"}, DAY, False, None, False)
    ]
    assert [row[:9] for row in rows(batch.users)] == [("ann", "ann t1", None, None, "{}", 1, 2, 3, "t1")]
    assert rows(batch.keys) == [("ann", 1, "k", "018f-id", NOW_MS)]
    assert rows(batch.metric_days) == [("ann", 1, DAY, 1500)]
    assert places(batch) == [
        ("ann", DAY, {"2:": [4, 1500], "3:20261123": [1, 1500]}, {"2:": [None, None], "3:20261123": [3, 500]})
    ]
    # Whether ann was on the first board before, on this day or ever, Postgres must say.
    assert rows(batch.newcomers) == [(2, "", "ann", DAY, date.min, True)]
    assert rows(batch.board_days) == [(2, "", DAY, 1, 0, 0), (3, "20261123", DAY, 1, 1, 0)]
    assert rows(batch.board_entries) == []


def test_collect_keeps_the_last_state_and_the_first_previous() -> None:
    batch = collect(
        9,
        [
            item("ann", "t1", event(units=500), [BoardRecord("2:", 700, 10, 200, 0, True)], [8, 5, "-70"]),
            item("bob", "t2", event(units=1), [BoardRecord("2:", 1, 11)], [0, 9, ""]),
            item("ann", "t3", event(units=-100), [BoardRecord("2:", 600, 12, 700)], [5, 6, ""]),
            item(
                "ann", "t4", event(day=DAY.toordinal() + 1), [BoardRecord("2:", 900, 13, 600, 0, True)], [6, 2, ""]
            ),
        ],
    )
    assert [(row[0], row[8]) for row in rows(batch.users)] == [("ann", "t4"), ("bob", "t2")]
    assert len(batch.events) == 4
    assert rows(batch.keys) == []
    tomorrow = date(2026, 11, 24)
    assert rows(batch.metric_days) == [
        ("ann", 1, DAY, 400),
        ("bob", 1, DAY, 1),
        ("ann", 1, tomorrow, 1500),
    ]
    assert places(batch) == [
        ("ann", DAY, {"2:": [6, 600]}, {"2:": [8, 200]}),
        ("bob", DAY, {"2:": [9, 1]}, {"2:": [None, None]}),
        ("ann", tomorrow, {"2:": [2, 900]}, {"2:": [6, 600]}),
    ]
    assert rows(batch.board_days) == [(2, "", DAY, 3, 1, 0), (2, "", tomorrow, 1, 1, 0)]
    assert rows(batch.newcomers) == [(2, "", "bob", DAY, date.min, True)]


def test_collect_keeps_what_came_late_with_the_day_that_the_record_names() -> None:
    late = event(day=DAY.toordinal() - 20)
    boards = [BoardRecord("2:", 140, 10, 40, DAY.toordinal()), BoardRecord("3:20261103", 100, 9, None)]
    moves = [GroupMove("2:", "Oslo", 2, 1, "-140", 1)]
    [one] = [item("ann", "t1", late, boards, [3, 1, "", 0, 1, ""])]
    batch = collect(9, [one._replace(item=msgspec.structs.replace(one.item, groups=moves))])
    long_ago = date(2026, 11, 3)
    assert places(batch) == [
        ("ann", DAY, {"2:": [1, 140]}, {"2:": [3, 40]}),
        ("ann", long_ago, {"3:20261103": [1, 100]}, {"3:20261103": [None, None]}),
    ]
    assert rows(batch.board_days) == [(2, "", DAY, 1, 0, 0), (3, "20261103", long_ago, 1, 0, 0)]
    assert rows(batch.newcomers) == [(3, "20261103", "ann", long_ago, long_ago, True)]
    assert rows(batch.group_days) == [(2, "", "Oslo", DAY, 1, -140.0, 1)]
    assert rows(batch.metric_days) == [("ann", 1, long_ago, 1500)]


def test_collect_keeps_no_rank_of_who_comes_onto_a_board_by_a_backfill() -> None:
    # Of leaderboard 3 a run that the user comes into, with the board of a group, and one that the user was in.
    reached = DAY.toordinal() - 20
    boards = [
        BoardRecord("3:20261103", 100, 9, None, reached),
        BoardRecord("3:20261103:Oslo", 100, 9, None, reached),
        BoardRecord("3:20261123", 140, 10, 40),
        BoardRecord("2:", 5, 10),
    ]
    [one] = [item("ann", "t1", None, boards, [0, 1, "", 0, 1, "", 3, 1, "", 0, 2, ""])]
    filled = encode_record(LogRecord(None, boards, filled=(3,)))
    batch = collect(9, [one._replace(item=msgspec.structs.replace(one.item, record=filled))])
    assert [row[:3] for row in rows(batch.board_entries)] == [
        (3, "20261103", ""),
        (3, "20261103", "Oslo"),
        (3, "20261123", ""),
        (2, "", ""),
    ]
    [of_commit] = [row[1] for row in rows(batch.place_days)]
    last = {"3:20261123": [1, 140], "2:": [2, 5]}
    assert places(batch) == [("ann", of_commit, last, {"3:20261123": [3, 40], "2:": [None, None]})]
    assert rows(batch.board_days) == [
        (3, "20261103", date(2026, 11, 3), 0, 0, 1),  # once, however many boards of the run
        (3, "20261123", of_commit, 1, 0, 0),
        (2, "", of_commit, 1, 0, 0),
    ]
    assert [row[0] for row in rows(batch.newcomers)] == [
        3,
        2,
    ]  # the record doesn't say whether it was the first change


def test_collect_profile_only_writes_users_only() -> None:
    batch = collect(9, [item("ann", "t1", None, [BoardRecord("2:", 700, 10, 700)], [3, 3, ""])])
    assert [row[8] for row in rows(batch.users)] == ["t1"]
    assert (batch.events, rows(batch.board_entries), places(batch)) == ([], [], [])


def test_collect_skips_boards_that_only_show_a_new_name() -> None:
    boards = [BoardRecord("2:", 700, 10, 700), BoardRecord("3:20261123", 0, 10)]
    batch = collect(9, [item("ann", "t1", event(units=0), boards, [3, 3, "", 0, 7, ""])])
    assert places(batch) == [("ann", DAY, {"3:20261123": [7, 0]}, {"3:20261123": [None, None]})]


def test_collect_keeps_the_standings_that_a_state_lets_go_of() -> None:
    dropped = [StandingRecord("3:20261101", 5, 9), StandingRecord("4:20261101:Oslo", 6, 8)]
    leaving = LogRecord(None, [BoardRecord("3:20261101", None, 0, 5)], dropped=[])
    batch = collect(
        9,
        [
            recorded("ann", "t1", LogRecord(event(), [], dropped=dropped), []),
            recorded("bob", "t2", LogRecord(event(), [], dropped=dropped[:1]), []),
            recorded("bob", "t3", leaving, [7, 0, ""]),
        ],
    )
    assert rows(batch.board_entries) == [
        (3, "20261101", "", "ann", 5, 9, 0),
        (4, "20261101", "Oslo", "ann", 6, 8, 0),
    ]
    assert rows(batch.left) == [(3, "20261101", "", "bob")]
    assert places(batch) == []


def test_collect_writes_every_entry_of_a_record_that_does_not_say_what_was_let_go() -> None:
    boards = [BoardRecord("2:", 700, 10, 200), BoardRecord("4::Oslo", 700, 10)]
    batch = collect(9, [recorded("ann", "t1", LogRecord(event(), boards), [8, 5, "", 0, 1, ""])])
    assert rows(batch.board_entries) == [(2, "", "", "ann", 700, 10, 5), (4, "", "Oslo", "ann", 700, 10, 1)]
    # Nor does it say whether it was the first change of the day.
    assert rows(batch.newcomers) == [
        (2, "", "ann", DAY, date.min, False),
        (4, "", "ann", DAY, date.min, True),
    ]
    assert rows(batch.board_groups) == [(4, "", "Oslo")]


def test_collect_nothing_has_all_columns() -> None:
    batch = collect(9, [])
    widths = [len(columns) for columns in batch[1:]]
    assert widths == [10, 5, 4, 4, 6, 6, 7, 4, 3, 7, 6, 3, 5, 4, 10, 4, 3, 4, 5]
    assert all(column == () for columns in batch[1:] for column in columns)


def test_collect_refuses_ranks_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="3 ranks for 2 boards"):
        collect(9, [item("ann", "t1", event(), [BoardRecord("2:", 1, 1), BoardRecord("4:", 1, 1)], [0, 1, ""])])


def streak_item(change: StreakChange, facts: list[FactRecord], length: int = 3) -> Item:
    track = Track((Stretch(10, 12, length),), 5)
    state = UserState(Profile(1, 2), streaks=Streaks(tracks=(track, Track(), Track())))
    record = LogRecord(None, [], change, facts=facts)
    return Item("5-1", 0, LogItem("ann", "t", encode_state(state), encode_record(record), []))


def test_periods_come_and_go() -> None:
    put_back = StreakChange(
        [StreakRecord(0, 20, 3, restored=True), StreakRecord(0, 21, 3, frozen=True)], lost=False
    )
    # Time that is carried first tells of the loss that the same command puts right.
    lost = [FactRecord("streak_lost", NOW_MS, 3, 0)]
    batch = collect(9, [streak_item(put_back, lost)])
    assert rows(batch.streak_periods) == [("ann", 0, 20, 3, False, True), ("ann", 0, 21, 3, True, False)]
    assert rows(batch.gone_periods) == []
    assert rows(batch.user_streaks) == [(0, "ann", 3, 5)]

    taken_back = StreakChange([StreakRecord(0, 20, 0)], lost=True)
    batch = collect(9, [streak_item(put_back, []), streak_item(taken_back, [])])
    assert rows(batch.streak_periods) == [("ann", 0, 21, 3, True, False)]
    assert rows(batch.gone_periods) == [("ann", 0, 20)]
    assert rows(batch.user_streaks) == [(0, "ann", 0, 5)]
