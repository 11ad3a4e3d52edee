"""Bounds on the memory and work that viewers without a key can cause in a web process."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from podium.game.inputs import ChangeUser
from podium.game.periods import local_day
from podium.game.users.rules import Upsert
from podium.live.protocol import BLANK_MAX
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.integration.live.client import ADMIN_KEY, Live
from tests.posting import Poster

GROUP = "leaderboard:by-city?city="


async def refused(live: Live, frame: str | bytes, token: str | None = None) -> int:
    """The code that a frame is closed with, before ``connect`` unless there is a token ("" without one)."""
    async with live.client() as client, live.client() as neighbour:
        await neighbour.connect()
        if token is not None:
            await client.connect(token)
        await client.socket.send(frame)
        code, answer = await asyncio.gather(client.closed(), neighbour.call("ping"))
        assert "ping" in answer
        return code


async def test_frames_are_small_until_a_token_lets_events_in(live: Live, clock: SettableClock) -> None:
    large = json.dumps({"id": 2, "rpc": {"method": "events", "data": ["x" * 100_000]}})
    expires_ms = clock() + 60_000
    assert await refused(live, "x" * 70_000) == 1009
    assert await refused(live, "x" * 70_000, "") == 1009
    assert await refused(live, large, live.token("ada", expires_ms)) == 1009
    for token in (ADMIN_KEY, live.token("ada", expires_ms, caps=["events:write"])):
        async with live.client() as client:
            await client.connect(token)
            assert "rpc" in await client.call("rpc", method="events", data=["x" * 100_000])


@pytest.mark.parametrize("connected", [False, True])
@pytest.mark.parametrize(
    "frame", ["{}\n" * 10_000, b"{}\n" * 10_000, "\n" * (BLANK_MAX + 2), "{}\n" + " \n" * 200]
)
async def test_lines_that_bring_nothing_are_counted(live: Live, frame: str | bytes, connected: bool) -> None:
    code = 3013 if frame[:3] in ("{}\n", b"{}\n") and len(frame) > 1_000 else 3501
    assert await refused(live, frame, "" if connected else None) == code


async def test_empty_frames_are_counted(live: Live) -> None:
    async with live.client() as client:
        for _ in range(1_000):
            await client.send("")
        assert await client.closed() == 3013


async def test_pongs_of_a_server_let_others_have_their_turn(live: Live) -> None:
    async with live.client() as server, live.client() as neighbour:
        await server.connect(ADMIN_KEY)
        await neighbour.connect()
        await server.send("{}\n" * 50_000 + json.dumps({"id": 100, "ping": {}}))
        assert "ping" in await neighbour.call("ping")
        assert 100 not in server._replies
        await server.read_until(lambda: 100 in server._replies)


async def test_names_of_channels_are_short(live: Live) -> None:
    async with live.client() as client:
        await client.connect(ADMIN_KEY)
        fits = GROUP + "x" * (1_024 - len(GROUP))
        await client.subscribe(fits)
        for name in (fits + "x", GROUP + "ü" * 600, f"user#{'x' * 1_020}", "x" * 1_025):
            for method in ("subscribe", "unsubscribe"):
                error = (await client.call(method, channel=name))["error"]
                assert (error["code"], error["message"]) == (107, "channel must have at most 1,024 bytes")
        assert live.hub.boards == 1


@pytest.fixture
async def few(redis_client: RedisClient, live_space: Space, clock: SettableClock, poster: Poster) -> Live:
    """A server that opens two speculative channels for all viewers without a token; ada is in Zug."""
    await poster.post(poster.event("ada", 1))
    await poster.post(ChangeUser("ada", Upsert(attributes={"city": "Zug"}), clock()))
    return Live(redis_client, live_space, clock, None, speculative_max=2)


async def test_groups_that_do_not_exist_are_few(few: Live, clock: SettableClock) -> None:
    async with few.serve() as live, AsyncExitStack() as clients:
        anonymous, other, user, server = [await clients.enter_async_context(live.client()) for _ in range(4)]
        await anonymous.connect()
        await other.connect()
        await user.connect(live.token("ben", clock() + 60_000))
        await server.connect(ADMIN_KEY)

        async def code(client: object, name: str) -> int:
            reply = await client.call("subscribe", channel=name)  # type: ignore[attr-defined]
            return int(reply.get("error", {}).get("code", 0))

        assert [await code(anonymous, f"{GROUP}{one}") for one in range(4)] == [0, 0, 106, 106]
        assert await code(other, f"{GROUP}0") == 0  # it is open already
        # What is there, and what everybody asks for, is not refused on account of those.
        for name in (f"{GROUP}Zug", "leaderboard:by-city?city=Zug#ben", "leaderboard:daily", "groups:cities"):
            assert await code(other, name) in (0, 103), name
        today = local_day(clock(), live.space.index.home)
        assert await code(other, f"leaderboard:daily@{today + timedelta(1)}") in (102, 106)
        # Nor are those with a token or a key.
        assert [await code(user, f"{GROUP}u{one}") for one in range(3)] == [0, 0, 106]
        assert [await code(server, f"{GROUP}s{one}") for one in range(5)] == [0] * 5
        # Who leaves makes room, at once.
        assert live.hub.boards > 2
        await anonymous.socket.close()
        await other.call("unsubscribe", channel=f"{GROUP}0")
        async with asyncio.timeout(20):
            while await code(other, f"{GROUP}9"):
                await live.hub.tick()


@pytest.mark.parametrize(
    "name",
    ["leaderboard:by-city?city=%5Aug", "leaderboard:by-city?city=Zug&city=Zug", "leaderboard:by-city?city=Z%75g"],
)
async def test_unusual_names_of_what_exists_are_few(few: Live, name: str) -> None:
    async with few.serve() as live, live.client() as client:
        await client.connect()
        await client.subscribe(name)
        await client.subscribe(f"{GROUP}0")
        assert (await client.call("subscribe", channel="leaderboard:by-city?city=Zu%67"))["error"]["code"] == 106
        await client.subscribe(f"{GROUP}Zug")


async def test_a_refused_name_takes_nothing(few: Live) -> None:
    async with few.serve() as live, live.client() as client:
        await client.connect()
        for one in range(10):
            assert (await client.call("subscribe", channel=f"leaderboard:none?city={one}"))["error"]["code"] == 102
        for one in range(10):
            await client.subscribe(f"{GROUP}{one}")
            await client.call("unsubscribe", channel=f"{GROUP}{one}")
            await live.hub.tick()
        assert live.hub.boards <= 2


async def test_snapshots_are_not_kept_for_those_who_asked(live: Live, poster: Poster) -> None:
    await poster.post(poster.event("ada", 1))
    async with live.client() as client:
        await client.connect()
        before = await client.subscribe("leaderboard:all-time")
        [channel] = live.hub._channels.values()
        [view] = channel.views.values()
        assert view._snapshot is not None
        await live.hub.tick()
        assert view._snapshot is None
        async with live.client() as other:
            await other.connect()
            assert await other.subscribe("leaderboard:all-time") == before
