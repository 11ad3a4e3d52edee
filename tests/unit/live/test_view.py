"""Views on a scheduler that the test turns: what is sent when, and that it adds up."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.game.leaderboards import shapes
from podium.game.leaderboards.model import Leaderboard, Source
from podium.game.leaderboards.shapes import RunInfo
from podium.live.base_view import Stats
from podium.live.shapes import Target
from podium.live.view import View
from podium.live.window import MARGIN, Change, Message, Row, Window

WORDS = Source("metric", 1, "m", "words", "Words", 1)
BOARD = Leaderboard("id", 1, "weekly", "Weekly", "m", date(2026, 11, 23), public=True)
RUN = RunInfo(date(2026, 11, 23), date(2026, 11, 29), "live")


class Schedule:
    """Calls that are to come, with their delay in s; the test lets them come."""

    def __init__(self) -> None:
        self.calls: list[Call] = []

    def __call__(self, delay_s: float, callback: Callable[[], None]) -> Call:
        call = Call(self, delay_s, callback)
        self.calls.append(call)
        return call

    def turn(self) -> None:
        """Let what is due at once come."""
        for call in [call for call in self.calls if not call.delay_s]:
            call.come()

    def pass_time(self) -> None:
        """Let everything come."""
        for call in list(self.calls):
            call.come()


class Call:
    def __init__(self, schedule: Schedule, delay_s: float, callback: Callable[[], None]) -> None:
        self.schedule, self.delay_s, self.callback = schedule, delay_s, callback

    def come(self) -> None:
        self.cancel()
        self.callback()

    def cancel(self) -> None:
        self.schedule.calls.remove(self)


class Screen:
    """A viewer who applies what it gets, by the words of the protocol."""

    def __init__(self, view: View) -> None:
        snapshot = json.loads(view.snapshot())
        self.seq, self.rows, self.participants = snapshot["seq"], snapshot["rows"], snapshot["participants"]
        self.frames: list[dict[str, Any]] = []
        self.full = False
        view.viewers[self] = None

    def offer(self, frame: str) -> bool:
        if self.full:
            return False
        push = json.loads(frame)["push"]
        assert push["channel"] == "leaderboard:weekly"
        data = push["pub"]["data"]
        self.frames.append(data)
        if data.get("reset"):
            self.rows = data["rows"]
        else:
            assert data["seq"] == self.seq + 1
            gone = {*data["left"], *(row["userId"] for row in data["rows"])}
            self.rows = [row for row in self.rows if row["userId"] not in gone]
            for row in data["rows"]:
                assert row["rank"] == row["position"] + 1
                self.rows.insert(row["position"], row)
        self.seq, self.participants = data["seq"], data["participants"]
        return True

    def unsubscribed(self, channel: str, reason: str) -> None:
        raise AssertionError("nobody ends this subscription")

    def close_slow(self) -> None:
        raise AssertionError("nobody closes this viewer")

    def shows(self, rows: list[Row], scale: int = 1) -> bool:
        """Return whether exactly these rows are shown."""
        return [(row["userId"], row["name"], row["value"]) for row in self.rows] == [
            (row.user, row.label or None, row.units / scale) for row in rows
        ]


class Board:
    """A board of plain rows and its window; each move is one message."""

    def __init__(self, size: int, limit: int) -> None:
        self.rows = [Row(f"u{i}", "", 1_000 - i) for i in range(size)]
        self.window = Window("e", 0, size, self.rows[: limit + MARGIN], limit)

    def move(self, view: View, user: str, place: int, units: int = 0) -> None:
        before = next((i for i, row in enumerate(self.rows, 1) if row.user == user), 0)
        if before:
            del self.rows[before - 1]
        self.rows.insert(place - 1, Row(user, "N", units))
        change = Change(user, "N", before, place, str(-units), before)
        message = Message("e", self.window.number + 1, len(self.rows), [change])
        best = self.window.apply(message)
        assert best is not None
        view.mark_dirty(self.window, message.changes, best)


def make(
    size: int, limit: int = 10, interval_ms: int = 50, most: int | None = None
) -> tuple[View, Board, Schedule]:
    board, schedule = Board(size, limit), Schedule()
    leaderboard = BOARD if most is None else Leaderboard(**{**_fields(BOARD), "max_participants": most})
    target = Target(shapes.config(leaderboard, WORDS), 1, "1:20261123", RUN)
    view = View("leaderboard:weekly", target, limit, interval_ms, board.window, schedule, Stats())
    return view, board, schedule


def _fields(board: Leaderboard) -> dict[str, Any]:
    return {name: getattr(board, name) for name in board.__struct_fields__}


def test_a_snapshot_has_everything_and_is_encoded_once() -> None:
    view, _, _ = make(2)
    snapshot = json.loads(view.snapshot())
    assert snapshot["seq"] == 0
    assert snapshot["leaderboard"]["key"] == "weekly"
    assert snapshot["run"] == {"start": "2026-11-23", "end": "2026-11-29", "state": "live", "finalAt": None}
    assert snapshot["participants"] == 2
    assert snapshot["rows"][1] == {
        "rank": 2,
        "userId": "u1",
        "name": None,
        "value": 999.0,
        "previousRank": None,
    }
    assert view.snapshot() is view.snapshot()


def test_the_first_change_goes_out_at_once_and_later_ones_together() -> None:
    view, board, schedule = make(20)
    screen = Screen(view)
    board.move(view, "u9", 1)
    assert not screen.frames
    schedule.turn()
    assert len(screen.frames) == 1
    for place in (3, 2, 5):
        board.move(view, "u8", place)
        schedule.turn()
    assert len(screen.frames) == 1
    assert [call.delay_s for call in schedule.calls] == [0.05]
    schedule.pass_time()
    assert len(screen.frames) == 2
    assert screen.shows(board.rows[:10])
    schedule.pass_time()
    assert not schedule.calls
    board.move(view, "u8", 1)
    schedule.turn()
    assert len(screen.frames) == 3


def test_without_an_interval_what_came_together_goes_out_together() -> None:
    view, board, schedule = make(20, interval_ms=0)
    screen = Screen(view)
    for user in ("u9", "u8"):
        board.move(view, user, 1)
    schedule.turn()
    board.move(view, "u7", 1)
    schedule.turn()
    assert [frame["seq"] for frame in screen.frames] == [1, 2]
    assert not schedule.calls


def test_what_nobody_sees_is_not_sent_but_a_new_participant_is() -> None:
    view, board, schedule = make(30)
    screen = Screen(view)
    board.move(view, "u25", 20)
    assert not schedule.calls
    board.move(view, "u9", 10, 991)
    board.move(view, "new", 31)
    schedule.turn()
    assert [(frame["left"], len(frame["rows"])) for frame in screen.frames] == [([], 1)]
    assert screen.participants == 31


def test_a_change_that_is_taken_back_within_an_interval_sends_nothing() -> None:
    view, board, schedule = make(20)
    board.rows[0] = board.window.rows[0] = Row("u0", "N", 5)
    view.replace_window(board.window)
    schedule.pass_time()
    screen = Screen(view)
    schedule.pass_time()
    board.move(view, "u0", 2, 5)
    board.move(view, "u0", 1, 5)
    schedule.turn()
    assert not screen.frames
    assert not schedule.calls


def test_previous_ranks() -> None:
    view, board, schedule = make(100)
    screen = Screen(view)

    def previous() -> dict[str, int | None]:
        schedule.pass_time()
        schedule.pass_time()
        return {row["userId"]: row["previousRank"] for row in screen.frames[-1]["rows"]}

    board.move(view, "u5", 2)
    assert previous() == {"u5": 6}
    board.move(view, "u90", 1)
    assert previous() == {"u90": 91}
    board.move(view, "new", 1)
    assert previous() == {"new": None}
    eleventh = board.rows[10].user
    board.move(view, "new", 50)
    assert previous() == {eleventh: 11}
    assert screen.frames[-1]["left"] == ["new"]


def test_max_participants_hides_the_rows_beyond() -> None:
    view, board, schedule = make(30, most=3)
    screen = Screen(view)
    assert screen.shows(board.rows[:3])
    board.move(view, "u20", 2)
    schedule.turn()
    assert screen.shows(board.rows[:3])
    assert screen.participants == 30


def test_a_slow_viewer_skips_frames_and_then_gets_all_rows_once() -> None:
    view, board, schedule = make(20, interval_ms=0)
    slow, quick = Screen(view), Screen(view)
    slow.full = True
    for user in ("u9", "u8", "u7"):
        board.move(view, user, 1)
        schedule.turn()
    assert [frame["seq"] for frame in quick.frames] == [1, 2, 3]
    assert view.behind == {slow}
    view.catch_up(slow)
    assert view.behind == {slow}
    slow.full = False
    view.catch_up(slow)
    view.catch_up(quick)
    (frame,) = slow.frames
    assert (frame["seq"], frame["reset"], frame["participants"]) == (3, True, 20)
    assert slow.shows(board.rows[:10])
    assert len(quick.frames) == 3
    board.move(view, "u6", 1)
    schedule.turn()
    assert slow.frames[-1] == quick.frames[-1]
    assert slow.shows(board.rows[:10])


def test_roll_over_sends_the_new_run_to_everyone() -> None:
    view, board, schedule = make(20)
    screen = Screen(view)
    tomorrow = RunInfo(date(2026, 11, 30), date(2026, 12, 6), "live")
    config = shapes.config(BOARD, WORDS)
    empty = Window("e", 0, 0, [], 10)
    board.move(view, "u3", 1)
    view.roll(empty, Target(config, 1, "1:20261130", tomorrow))
    schedule.pass_time()
    (frame,) = screen.frames
    assert (frame["seq"], frame["reset"], frame["participants"], frame["rows"]) == (1, True, 0, [])
    assert frame["run"]["start"] == "2026-11-30"
    assert json.loads(view.snapshot())["run"]["start"] == "2026-11-30"


@pytest.mark.parametrize(("limit", "interval_ms"), [(10, 0), (10, 50), (25, 50), (50, 5_000)])
@given(
    moves=st.lists(
        st.tuples(st.integers(0, 90), st.integers(1, 80), st.sampled_from(["", "turn", "time"])), max_size=40
    )
)
def test_a_snapshot_and_its_frames_equal_a_fresh_snapshot(
    limit: int, interval_ms: int, moves: list[tuple[int, int, str]]
) -> None:
    view, board, schedule = make(80, limit, interval_ms)
    screens = [Screen(view)]
    for units, (user, place, then) in enumerate(moves):
        board.move(view, f"u{user}", place, units)
        if then == "turn":
            schedule.turn()
            screens.append(Screen(view))
        elif then == "time":
            schedule.pass_time()
        if board.window.must_read:
            board.window = Window("e", board.window.number, len(board.rows), board.rows[:], limit)
            view.replace_window(board.window)
    schedule.pass_time()
    schedule.pass_time()
    fresh = Screen(view)
    assert fresh.shows(board.rows[:limit])
    for screen in screens:
        assert screen.shows(board.rows[:limit])
        assert (screen.seq, screen.participants) == (view.seq, len(board.rows))
