"""Viewers of personal channels who can't keep up: bounded, brought up to date later, never in each other's way."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import msgspec

from podium.game.leaderboards.model import Leaderboard, Source
from podium.game.leaderboards.shapes import RunInfo, config
from podium.live.base_view import Stats
from podium.live.channels import LeaderboardChannel, PersonalChannel, UserChannel
from podium.live.own_places import OwnPlaceView
from podium.live.rank_tracker import Place
from podium.live.shapes import Target
from podium.live.user_channels import UserView
from podium.live.window import Row

BOARD = Leaderboard(
    id="l", number=1, key="all", name="All", metric_id="m", start=date(2026, 1, 1), status="active"
)
TARGET = Target(
    config(BOARD, Source("metric", 1, "m", "m", "M", 1)), 1, "1:", RunInfo(date(2026, 1, 1), None, "live")
)


class Reader:
    """A viewer with room for so many frames."""

    def __init__(self, room: int) -> None:
        self.room = room
        self.frames: list[str] = []

    def offer(self, frame: str) -> bool:
        if len(self.frames) >= self.room:
            return False
        self.frames.append(frame)
        return True

    def unsubscribed(self, channel: str, reason: str) -> None: ...

    def close_slow(self) -> None: ...

    @property
    def data(self) -> list[dict[str, Any]]:
        return [json.loads(frame)["push"]["pub"]["data"] for frame in self.frames]


def test_a_viewer_who_fell_behind_gets_the_newest_place() -> None:
    stats = Stats()
    view = OwnPlaceView(PersonalChannel(LeaderboardChannel("all"), "me"), 1, stats)
    slow, quick = Reader(1), Reader(9)
    view.show(TARGET, Place(1, 1, [Row("me", "", 1)], 1), 9, None)
    view.viewers = {slow: None, quick: None}
    for rank in (2, 3, 4):
        view.tracker.rank = rank
        view.show(TARGET, Place(rank, rank, [Row("me", "", 1)], rank), 9, None)
    assert ([f["rank"] for f in slow.data], [f["rank"] for f in quick.data]) == ([2], [2, 3, 4])
    assert slow in view.behind
    slow.room = 9
    view.catch_up(slow)
    view.catch_up(quick)
    assert ([f["seq"] for f in slow.data], slow.data[-1]) == ([1, 3], quick.data[-1])
    assert stats.frames_sent == 5


def test_nothing_is_sent_where_nothing_shown_has_changed() -> None:
    view = OwnPlaceView(PersonalChannel(LeaderboardChannel("all"), "me"), 1, Stats())
    reader = Reader(9)
    place = Place(1, 1, [Row("me", "", 1)], 1)
    view.show(TARGET, place, 9, None)
    view.viewers = {reader: None}
    view.show(TARGET, place, 10, None)
    assert reader.frames == []
    assert msgspec.json.decode(view.snapshot())["seq"] == 0


def test_one_who_missed_events_gets_a_reset() -> None:
    view = UserView(UserChannel("me"), Stats())
    slow, quick = Reader(1), Reader(9)
    view.viewers = {slow: None, quick: None}
    for number in range(3):
        view.publish(json.dumps({"n": number}))
    assert (slow.data, quick.data) == ([{"n": 0}], [{"n": 0}, {"n": 1}, {"n": 2}])
    slow.room = 9
    view.catch_up(slow)
    view.publish('{"n":3}')
    assert slow.data == [{"n": 0}, {"reset": True}, {"n": 3}]
