"""Boards for viewers, on a real Redis and a real server: snapshots, frames, faults and slow viewers."""

from __future__ import annotations

import asyncio
import random
import socket
from typing import Any

import pytest

from podium.live import connection, subscriber
from podium.live.hub import GRACE_TICKS, SLOW_TICKS
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.integration.live.client import Live, Timers
from tests.integration.live.conftest import catalog
from tests.posting import PERPETUAL, Poster, confirm, rename
from tests.waiting import until

ALL_TIME = "leaderboard:all-time"
DAILY = "leaderboard:daily"
USERS = [f"user-{i}" for i in range(40)]


async def post(poster: Poster, clock: SettableClock, **values: float) -> None:
    clock.advance(1)
    await poster.post_all([poster.event(user, value) for user, value in values.items()])


async def test_a_snapshot_shows_leaderboard_run_and_rows(live: Live, poster: Poster, clock: SettableClock) -> None:
    await poster.post_all([poster.event("ada", 1.25, name="Ada"), poster.event("ben", 7)])
    async with live.client() as client:
        connected = (await client.connect())["connect"]
        assert (connected["version"], connected["ping"], connected["pong"]) == ("podium", 25, True)
        assert "expires" not in connected
        snapshot = await client.subscribe(DAILY)
        assert snapshot["seq"] == 0
        assert snapshot["leaderboard"]["metricName"] == "Words written"
        assert snapshot["leaderboard"]["runUnit"] == "day"
        assert snapshot["run"] == {
            "start": "2026-11-23",
            "end": "2026-11-23",
            "state": "live",
            "finalAt": "2026-11-24T12:00:00.000Z",
        }
        assert snapshot["participants"] == 2
        assert snapshot["rows"] == [
            {"rank": 1, "userId": "ben", "name": None, "value": 7.0, "previousRank": None},
            {"rank": 2, "userId": "ada", "name": "Ada", "value": 1.25, "previousRank": None},
        ]
        await post(poster, clock, ada=10)
        await client.read_until(lambda: bool(client.frames))
        assert client.frames == [
            {
                "seq": 1,
                "participants": 2,
                "left": [],
                "rows": [
                    {
                        "position": 0,
                        "rank": 1,
                        "userId": "ada",
                        "name": "Ada",
                        "value": 11.25,
                        "previousRank": 2,
                    }
                ],
            }
        ]


async def test_a_new_name_is_a_change(live: Live, poster: Poster, clock: SettableClock) -> None:
    await post(poster, clock, ada=1)
    async with live.client() as client:
        await client.connect()
        await client.subscribe(ALL_TIME)
        await poster.post(rename("ada", "Ada", clock()))
        await client.read_until(lambda: bool(client.frames))
        assert client.standings(ALL_TIME) == [("ada", "Ada", 1.0)]


async def test_snapshot_and_frames_equal_a_fresh_snapshot(
    live: Live, poster: Poster, clock: SettableClock
) -> None:
    chance = random.Random(7)
    await poster.post(*(poster.event(user, chance.randint(-9, 9)) for user in USERS[:20]))
    async with live.client() as client, live.client() as fresh:
        await client.connect()
        await fresh.connect()
        # Three views of the same board on one connection: the run of a perpetual board holds every day.
        watched = {ALL_TIME: (10, 0), f"{ALL_TIME}@2026-01-01": (25, 0), f"{ALL_TIME}@2026-02-01": (100, 50)}
        for channel, (limit, interval) in watched.items():
            await client.subscribe(channel, limit=limit, interval=interval)
        for _ in range(60):
            clock.advance(chance.choice([0, 1]))
            users = chance.sample(USERS, chance.randint(1, 5))
            await poster.post(*(poster.event(user, chance.randint(-30, 30)) for user in users))
        await post(poster, clock, last=1_000_000)
        for channel, (limit, interval) in watched.items():
            await client.read_until(lambda channel=channel: client.users(channel)[:1] == ["last"])
            await fresh.subscribe(channel, limit=limit, interval=interval)
            assert client.standings(channel) == fresh.standings(channel)
            assert client.boards[channel]["participants"] == fresh.boards[channel]["participants"] == 41
            assert client.boards[channel]["seq"] == fresh.boards[channel]["seq"]
        assert len(client.boards[ALL_TIME]["rows"]) == 10
        assert live.hub.views == 3
        assert live.hub.boards == 1


async def test_a_wider_view_reads_more_of_a_board_that_is_watched_already(
    live: Live, poster: Poster, clock: SettableClock
) -> None:
    for start in range(0, 90, 30):
        await poster.post(*(poster.event(f"u{i}", i) for i in range(start, start + 30)))
    async with live.client() as client:
        await client.connect()
        await client.subscribe(f"{ALL_TIME}@2026-01-01", limit=10)
        snapshot = await client.subscribe(ALL_TIME, limit=100)
        assert len(snapshot["rows"]) == 90


async def test_first_change_at_once_then_one_frame_an_interval(
    redis_client: RedisClient, live_space: Space, poster: Poster, clock: SettableClock
) -> None:
    timers = Timers()
    async with Live(redis_client, live_space, clock, timers).serve() as live, live.client() as client:
        await client.connect()
        await client.subscribe(ALL_TIME, interval=5_000)
        await client.subscribe(f"{ALL_TIME}@2026-01-01", interval=0)

        async def post_and_hear(value: int) -> None:
            """Also waits until the view without an interval has heard of it."""
            await post(poster, clock, ada=value)
            seen = client.boards[f"{ALL_TIME}@2026-01-01"]
            await client.read_until(lambda: bool(seen["rows"]) and seen["rows"][0]["value"] == total)

        total = 0
        for value in (1, 2, 3, 4):
            total += value
            await post_and_hear(value)
        assert client.boards[ALL_TIME]["seq"] == 1
        assert client.values(ALL_TIME) == {"ada": 1.0}
        assert client.boards[f"{ALL_TIME}@2026-01-01"]["seq"] == 4
        assert timers.fire(5) == 1
        await client.read_until(lambda: client.values(ALL_TIME) == {"ada": 10.0})
        assert client.boards[ALL_TIME]["seq"] == 2
        assert timers.fire(5) == 1
        assert timers.fire(5) == 0
        assert live.hub.stats.frames_sent == 6


async def test_viewers_share_views_and_each_gets_every_frame(
    live: Live, poster: Poster, clock: SettableClock
) -> None:
    async with live.client() as first, live.client() as second:
        for client in (first, second):
            await client.connect()
            await client.subscribe(ALL_TIME, limit=9, interval=0)
        assert live.hub.views == 1
        assert live.hub.stats.sockets == 2
        await post(poster, clock, ada=1)
        for client in (first, second):
            await client.read_until(lambda client=client: client.users(ALL_TIME) == ["ada"])
        await second.call("unsubscribe", channel=ALL_TIME)
        await post(poster, clock, ben=2)
        await first.read_until(lambda: first.users(ALL_TIME) == ["ben", "ada"])
        await second.call("ping")
        assert second.users(ALL_TIME) == ["ada"]
        assert live.hub.stats.frames_sent == 3


async def test_a_lost_pubsub_connection_loses_nothing(
    live: Live, poster: Poster, redis_client: RedisClient, clock: SettableClock
) -> None:
    async with live.client() as client:
        await client.connect()
        await client.subscribe(ALL_TIME, interval=0)
        await post(poster, clock, ada=1)
        await client.read_until(lambda: client.users(ALL_TIME) == ["ada"])
        killed = await redis_client.raw.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        assert killed == 1
        await post(poster, clock, ben=2)
        await client.read_until(lambda: client.users(ALL_TIME) == ["ben", "ada"])
        await post(poster, clock, cy=3)
        await client.read_until(lambda: client.users(ALL_TIME) == ["cy", "ben", "ada"])


async def test_a_message_that_pubsub_dropped_is_found_by_its_number(
    live: Live, live_space: Space, poster: Poster, redis_client: RedisClient, clock: SettableClock
) -> None:
    keys = live_space.keys
    async with live.client() as client:
        await client.connect()
        await client.subscribe(ALL_TIME, interval=0)
        await post(poster, clock, ada=1)
        await client.read_until(lambda: client.users(ALL_TIME) == ["ada"])
        board = f"{PERPETUAL}:"
        await redis_client.raw.zadd(keys.board(board), {"0" * 12 + "ben": -500})
        await redis_client.raw.hincrby(keys.numbers, board, 1)
        await live.hub.tick()
        await live.hub.tick()
        await client.read_until(lambda: client.users(ALL_TIME) == ["ben", "ada"])
        # The gap itself is noticed too.
        await redis_client.raw.zadd(keys.board(board), {"0" * 12 + "cy": -400})
        await redis_client.raw.hincrby(keys.numbers, board, 1)
        await post(poster, clock, ada=100)
        await client.read_until(lambda: client.users(ALL_TIME) == ["ada", "ben", "cy"])


async def test_a_rebuilt_redis_is_read_again(
    live: Live, live_space: Space, poster: Poster, redis_client: RedisClient, clock: SettableClock
) -> None:
    async with live.client() as client:
        await client.connect()
        await client.subscribe(ALL_TIME, interval=0)
        await post(poster, clock, ada=1)
        await post(poster, clock, ada=1)
        await client.read_until(lambda: client.values(ALL_TIME) == {"ada": 2.0})
        raw, keys = redis_client.raw, live_space.keys
        await raw.delete(*await raw.keys(keys.prefix + "*"))
        await live.hub.tick()  # no epoch: the rows stay until the rebuild is done
        await client.call("ping")
        assert client.values(ALL_TIME) == {"ada": 2.0}
        await raw.hset(keys.meta, mapping={"epoch": "epoch-2", "catalog": 1})
        live_space.epoch = "epoch-2"
        await confirm(redis_client, live_space, "epoch-2")
        await post(poster, clock, ben=5)
        await live.hub.tick()
        await client.read_until(lambda: client.values(ALL_TIME) == {"ben": 5.0})
        await post(poster, clock, ben=5)
        await client.read_until(lambda: client.values(ALL_TIME) == {"ben": 10.0})


async def test_without_redis_a_subscription_fails_for_now(
    live_space: Space, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscriber, "CONFIRM_S", 0.01)
    nowhere = RedisClient("redis://127.0.0.1:1/0")
    async with Live(nowhere, live_space, clock, None).serve() as live, live.client() as client:
        await client.connect()
        for _ in range(2):
            reply = await client.call("subscribe", channel=ALL_TIME)
            assert (reply["error"]["code"], reply["error"]["temporary"]) == (100, True)
    await nowhere.aclose()


async def test_a_board_nobody_watches_is_let_go_after_a_while(live: Live, redis_client: RedisClient) -> None:
    async def channels() -> int:
        return len(await redis_client.raw.pubsub_channels())

    async with live.client() as client:
        await client.connect()
        await client.subscribe(ALL_TIME)
        assert await channels() == 1
    await until(lambda: live.hub.views == 0)
    await live.hub.tick()
    assert await channels() == 1
    for _ in range(GRACE_TICKS):
        await live.hub.tick()
    assert live.hub.boards == 0

    async def none() -> bool:
        return await channels() == 0

    await until(none)


async def test_roll_over_brings_the_next_run_on_the_same_channel(
    live: Live, poster: Poster, clock: SettableClock
) -> None:
    await post(poster, clock, ada=1)
    async with live.client() as client:
        await client.connect()
        await client.subscribe(DAILY)
        await client.subscribe(f"{DAILY}@2026-11-23")
        clock.advance(86_400_000)
        await live.hub.tick()
        await client.read_until(lambda: len(client.frames) == 2)
        board, old = client.boards[DAILY], client.boards[f"{DAILY}@2026-11-23"]
        assert (board["run"]["start"], board["run"]["state"], board["rows"]) == ("2026-11-24", "live", [])
        assert (old["run"]["start"], old["run"]["state"]) == ("2026-11-23", "provisional")
        assert client.users(f"{DAILY}@2026-11-23") == ["ada"]
        await post(poster, clock, ben=1)
        await client.read_until(lambda: client.users(DAILY) == ["ben"])
        assert client.users(f"{DAILY}@2026-11-23") == ["ada"]


async def test_a_channel_that_fails_keeps_no_other_from_rolling_over(
    live: Live, poster: Poster, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with live.client() as client:
        await client.connect()
        await client.subscribe(ALL_TIME)
        await client.subscribe(DAILY)
        resolve = live.hub.resolve

        def mistaken(space: Space, name: Any) -> Any:
            if str(name) == ALL_TIME:
                raise ZeroDivisionError
            return resolve(space, name)

        monkeypatch.setattr(live.hub, "resolve", mistaken)
        clock.advance(86_400_000)
        await live.hub.tick()
        await client.read_until(lambda: client.boards[DAILY]["run"]["start"] == "2026-11-24")


async def test_a_changed_leaderboard_is_subscribed_to_anew(live: Live, live_space: Space) -> None:
    async with live.client() as client:
        await client.connect()
        await client.subscribe(ALL_TIME)
        live_space.index = catalog(version=2)
        await live.hub.tick()
        await client.call("ping")
        assert not client.pushes
        live_space.index = catalog(version=3, public=False)
        await live.hub.tick()
        await client.read_until(lambda: bool(client.pushes))
        (push,) = client.pushes
        assert (push["channel"], push["unsubscribe"]["code"]) == (ALL_TIME, 2500)
        reply = await client.call("subscribe", channel=ALL_TIME)
        assert reply["error"]["code"] == 103


LONG = "n" * 255
CHANNELS = [f"{ALL_TIME}@2026-{month:02}-{day:02}" for month in (2, 3, 4) for day in range(1, 21)]


async def _stop_reading(live: Live, poster: Poster, clock: SettableClock, client: Any) -> None:
    """Watch so much that frames outgrow every buffer, and read nothing until the hub skips frames."""
    await client.connect()
    for channel in CHANNELS:
        await client.subscribe(channel, limit=100, interval=0)
    users = [f"user-{i}" for i in range(32)]
    stuck = 0  # posts in a row after which someone was behind: buffers that still fill up give way at times
    async with asyncio.timeout(60):
        while stuck < 10:
            stuck = stuck + 1 if _behind(live) else 0
            clock.advance(1)
            values = random.Random(clock()).sample(range(1000), 32)
            events = [poster.event(u, v, name=LONG) for u, v in zip(users, values, strict=True)]
            await poster.post(*events)


def _behind(live: Live) -> int:
    return sum(len(view.behind) for channel in live.hub._channels.values() for view in channel.views.values())


def _small_socket(live: Live) -> socket.socket:
    host, port = live.url.removeprefix("ws://").split("/")[0].split(":")
    narrow = socket.socket()
    narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    narrow.connect((host, int(port)))
    narrow.setblocking(False)
    return narrow


async def test_a_slow_viewer_skips_frames_and_catches_up(live: Live, poster: Poster, clock: SettableClock) -> None:
    async with live.client(sock=_small_socket(live), max_queue=1) as slow, live.client() as fresh:
        await _stop_reading(live, poster, clock, slow)
        await post(poster, clock, last=1_000_000)
        for channel in CHANNELS:
            await slow.read_until(lambda channel=channel: slow.users(channel)[:1] == ["last"])
        await fresh.connect()
        await fresh.subscribe(CHANNELS[0], limit=100, interval=0)
        for channel in CHANNELS:
            assert slow.standings(channel) == fresh.standings(CHANNELS[0])
        resets = [frame for frame in slow.frames if frame.get("reset")]
        assert resets
        assert _behind(live) == 0
        await post(poster, clock, newest=2_000_000)
        for channel in CHANNELS:
            await slow.read_until(lambda channel=channel: slow.users(channel)[:1] == ["newest"])


async def test_a_viewer_that_stays_slow_is_closed(live: Live, poster: Poster, clock: SettableClock) -> None:
    async with live.client(sock=_small_socket(live), max_queue=1) as slow:
        await _stop_reading(live, poster, clock, slow)
        for _ in range(SLOW_TICKS + 1):
            await live.hub.tick()
        assert await slow.closed() == 3008
        await until(lambda: live.hub.stats.sockets == 0)


async def test_a_viewer_that_never_reads_again_is_cut_off(
    live: Live, poster: Poster, clock: SettableClock
) -> None:
    async with live.client(sock=_small_socket(live), max_queue=1) as dead:
        await _stop_reading(live, poster, clock, dead)
        for _ in range(SLOW_TICKS + 1):
            await live.hub.tick()
        assert live.timers.fire(connection.CLOSE_S) == 1
        await until(lambda: live.hub.stats.sockets == 0)
        dead.socket.transport.abort()
