"""The log beyond a snapshot, laid over what the snapshot says."""

from __future__ import annotations

from datetime import date

from podium.game.records import (
    AwardRecord,
    BoardRecord,
    EventRecord,
    LogItem,
    LogRecord,
    StreakChange,
    StreakRecord,
    encode_record,
)
from podium.writebehind.log_tail import Tail

DAY = date(2026, 11, 23)


def tail(*items: tuple[str, LogRecord]) -> Tail:
    found = Tail()
    for user, record in items:
        found.add(LogItem(user, f"t-{user}", "{}", encode_record(record), []))
    return found


def moved(board: str, value: int | None, reached_ms: int = 9) -> LogRecord:
    return LogRecord(None, [BoardRecord(board, value, reached_ms)])


def test_an_item_gives_state_scores_and_periods() -> None:
    record = LogRecord(
        EventRecord("id", 1, 5_000, 7, 7, DAY.toordinal(), late=True),
        [],
        StreakChange([StreakRecord(0, 20_000, 3, frozen=True)]),
        [AwardRecord("a", 10, 11, 5, 15, 8, DAY.toordinal())],
    )
    found = tail(("ann", record))
    assert found.states == [("ann", "t-ann", "{}")]
    assert found.scores == [(("ann", 1), 7, 5_000, DAY, True), (("ann", 10), 8, 5, DAY, False)]
    assert found.periods == [(("ann", 0, 20_000), (3, True))]


def test_the_tail_lies_over_the_snapshot() -> None:
    found = tail(("ann", moved("3:1", 20)), ("ben", moved("3:1", None)), ("chi", moved("3:1", 30)))
    snapshot = [("ann", "3:1", 10, 1), ("ben", "3:1", 11, 1), ("dan", "3:1", 12, 1)]
    runs = {(user, "3:1") for user in ("ann", "ben", "chi", "dan")}
    assert sorted(found.over(snapshot, runs)) == [
        ("ann", "3:1", 20, 9),
        ("chi", "3:1", 30, 9),
        ("dan", "3:1", 12, 1),
    ]


def test_of_two_entries_the_later_one_counts() -> None:
    found = tail(("ann", moved("3:1", 20)), ("ann", moved("3:1", 25, 10)))
    assert list(found.over([], {("ann", "3:1")})) == [("ann", "3:1", 25, 10)]


def test_only_the_runs_that_were_asked_for_are_given_with_their_groups() -> None:
    found = tail(("ann", moved("3:1:Zug", 20)), ("ann", moved("3:2", 25)))
    assert list(found.over([], {("ann", "3:1")})) == [("ann", "3:1:Zug", 20, 9)]
