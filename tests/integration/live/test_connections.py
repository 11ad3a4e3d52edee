"""Connections: who may come in, what is refused and how, when it ends."""

from __future__ import annotations

import json

import jwt
import pytest
import websockets
from centrifuge import Client, PublicationContext, SubscribedContext, SubscriptionEventHandler

from podium.game import errors
from podium.live.connection import CONNECT_S, PONG_S, REFRESH_MS
from podium.spaces.space import Space
from tests.conftest import SettableClock
from tests.integration.live.client import ADMIN_KEY, Live
from tests.posting import Poster
from tests.waiting import until

PUBLIC = "leaderboard:all-time"
SECRET = "leaderboard:team"


@pytest.mark.parametrize(
    ("channel", "data", "code"),
    [
        (SECRET, {}, 103),
        ("leaderboard:none", {}, 102),
        ("leaderboard:all-time?city=London", {}, 102),
        ("leaderboard:all-time#ada", {}, 103),
        ("user#ada", {}, 103),
        ("groups:all-time", {}, 102),
        ("leaderboard:daily@2025-12-31", {}, 102),
        (PUBLIC, {"limit": 501}, 107),
        (PUBLIC, {"interval": "soon"}, 107),
    ],
)
async def test_a_refused_subscription_may_be_tried_again(
    live: Live, channel: str, data: dict[str, object], code: int
) -> None:
    async with live.client() as client:
        await client.connect()
        for _ in range(2):
            reply = await client.call("subscribe", channel=channel, data=data)
            assert reply["error"]["code"] == code
            assert reply["error"]["temporary"] is False


async def test_errors_of_commands(live: Live) -> None:
    async with live.client() as client:
        await client.connect()
        await client.subscribe(PUBLIC)
        codes = {
            "subscribe": (await client.call("subscribe", channel=PUBLIC))["error"]["code"],
            "history": (await client.call("history", channel=PUBLIC))["error"]["code"],
            "send": (await client.call("send"))["error"]["code"],
            "rpc": (await client.call("rpc", method="event", data={}))["error"]["code"],
            "rpc other": (await client.call("rpc", method="other", data={}))["error"]["code"],
            "refresh": (await client.call("refresh", token="x"))["error"]["code"],
        }
        assert codes == {
            "subscribe": 105,
            "history": 108,
            "send": 104,
            "rpc": 103,
            "rpc other": 104,
            "refresh": 108,
        }
        assert await client.call("unsubscribe", channel=PUBLIC) == {"id": 9, "unsubscribe": {}}
        await client.subscribe(PUBLIC)
    assert not live.posts.calls


@pytest.mark.parametrize(
    "text",
    ["hello", '{"id":1,"subscribe":{"channel":"leaderboard:all-time"}}', '{"id":0,"connect":{}}', "[1]"],
)
async def test_what_breaks_the_protocol_ends_the_connection(live: Live, text: str) -> None:
    async with live.client() as client, live.client() as neighbour:
        await neighbour.connect()
        await client.send(text)
        assert await client.closed() == 3501
        assert (await neighbour.call("ping")).get("ping") == {}


async def test_several_commands_in_one_frame(live: Live) -> None:
    async with live.client() as client:
        commands = [
            {"id": 1, "connect": {"name": "js", "version": "5"}},
            {"id": 2, "subscribe": {"channel": PUBLIC, "flag": 1}},
            {"id": 3, "ping": {}},
        ]
        await client.send("\n".join(map(json.dumps, commands)))
        await client.read_until(lambda: len(client._replies) == 3)
        assert [next(k for k in client._replies[i] if k != "id") for i in (1, 2, 3)] == [
            "connect",
            "subscribe",
            "ping",
        ]


async def test_tokens(live: Live, clock: SettableClock) -> None:
    good = live.token("ada", clock() + 60_000)
    async with live.client() as client:
        connected = (await client.connect(good))["connect"]
        assert (connected["expires"], connected["ttl"]) == (True, 60)
        await client.subscribe(SECRET)
    async with live.client() as client:
        assert "expires" not in (await client.connect(ADMIN_KEY))["connect"]
        await client.subscribe(SECRET)
    limited = live.token("ada", clock() + 60_000, channels=["leaderboard:d*"])
    async with live.client() as client:
        await client.connect(limited)
        assert (await client.call("subscribe", channel=PUBLIC))["error"]["code"] == 103
        await client.subscribe("leaderboard:daily")


async def test_bad_tokens(live: Live, clock: SettableClock) -> None:
    claims = {"sub": "ada", "aud": "live", "exp": clock() // 1000 + 60}
    header, payload, _ = jwt.encode(claims, "x" * 32, algorithm="HS256").split(".")
    none = jwt.encode(claims, None, algorithm="none")
    other = jwt.encode({**claims, "aud": "other"}, live.space.realtime_secret, algorithm="HS256")
    for bad in (f"{header}.{payload}.AAAA", none, other, "test.unknown"):
        async with live.client() as client:
            await client.send(json.dumps({"id": 1, "connect": {"token": bad}}))
            assert await client.closed() == 3500
    async with live.client() as client:
        reply = await client.connect(live.token("ada", clock()))
        assert reply["error"] == {"code": 109, "message": "token expired", "temporary": False}
        assert "connect" in await client.connect(live.token("ada", clock() + 1_000))


async def test_the_space_of_the_url(live: Live) -> None:
    async with live.client("?space=live") as client:
        assert "connect" in await client.connect()
    async with live.client("?space=other") as client:
        assert (await client.connect())["error"]["code"] == 107


async def test_a_connection_ends_with_its_token_unless_refreshed(live: Live, clock: SettableClock) -> None:
    async with live.client() as client, live.client() as late, live.client() as refreshed:
        for each in (client, late, refreshed):
            await each.connect(live.token("ada", clock() + 60_000))
            await each.subscribe(SECRET)
        longer = live.token("ada", clock() + 90_000, channels=["leaderboard:none"])
        assert (await refreshed.call("refresh", token=longer))["refresh"]["ttl"] == 90
        await refreshed.read_until(lambda: bool(refreshed.pushes))
        clock.advance(60_000 + REFRESH_MS - 1)
        await live.hub.tick()
        assert (await late.call("refresh", token=live.token("ada", clock() + 60_000)))["refresh"]["ttl"] == 60
        clock.advance(1)
        await live.hub.tick()
        assert await client.closed() == 3005
        assert await late.call("ping")
        await refreshed.send(json.dumps({"id": 9, "refresh": {"token": live.token("ben", clock() + 60_000)}}))
        assert await refreshed.closed() == 3500


async def test_one_who_never_connects_is_stale(live: Live) -> None:
    async with live.client() as client:
        await until(lambda: len(live.timers.calls) == 1)
        assert live.timers.calls[0].delay_s == CONNECT_S
        live.timers.fire(CONNECT_S)
        assert await client.closed() == 3502


async def test_pings_must_be_answered(live: Live) -> None:
    async with live.client() as client:
        await client.connect()
        assert live.timers.fire(25) == 1
        await client.read_until(lambda: client.pings == 1)
        await client.send("{}")
        await client.call("ping")
        assert [call.delay_s for call in live.timers.calls] == [25]
        live.timers.fire(25)
        await client.read_until(lambda: client.pings == 2)
        assert [call.delay_s for call in live.timers.calls] == [PONG_S]
        live.timers.fire(PONG_S)
        assert await client.closed() == 3012


async def test_origins(live: Live, live_space: Space) -> None:
    live_space.allowed_origins = ("https://game.example",)
    own = live.url.replace("ws://", "http://").split("/connection")[0]
    for origin in ("https://game.example", own, None):
        async with live.client(origin=origin) as client:
            assert "connect" in await client.connect()
    async with live.client(origin="https://evil.example") as client:
        await client.send('{"id":1,"connect":{}}')
        assert await client.closed() == 3503


async def test_rpc_hands_events_to_the_intake(live: Live, clock: SettableClock) -> None:
    event = {"key": "words", "user": {"id": "ada"}, "value": 1}
    writer = live.token("ada", clock() + 60_000, caps=["events:write"])
    async with live.client() as client, live.client() as server:
        await client.connect(writer)
        assert (await client.call("rpc", method="event", data=event))["rpc"] == {"data": {"rank": 1}}
        await server.connect(ADMIN_KEY)
        await server.call("rpc", method="events", data=[event])
        assert (await server.call("rpc", method="event"))["error"]["code"] == 107
        assert live.posts.calls == [("event", "live", event, "ada"), ("events", "live", [event], None)]


@pytest.mark.parametrize(
    ("error", "code", "temporary"),
    [
        (errors.Unprocessable("value is out of range"), 107, False),
        (errors.Forbidden("user is another"), 103, False),
        (errors.TooManyRequests("queue is full"), 111, True),
        (errors.Unavailable("Redis is away"), 100, True),
        (RuntimeError("a secret"), 100, True),
    ],
)
async def test_errors_of_the_intake(live: Live, error: Exception, code: int, temporary: bool) -> None:
    live.posts.error = error
    async with live.client() as client:
        await client.connect(ADMIN_KEY)
        failed = (await client.call("rpc", method="event", data={}))["error"]
        message = "internal server error" if isinstance(error, RuntimeError) else str(error)
        assert failed == {"code": code, "message": message, "temporary": temporary}
        assert "ping" in await client.call("ping")


async def test_shutdown_closes_everyone(live: Live) -> None:
    async with live.client() as client, live.client() as silent:
        await client.connect()
        await client.subscribe(PUBLIC)
        await live.sockets.close_all()
        assert await client.closed() == 3001
        assert await silent.closed() == 3001
        assert live.hub.stats.sockets == live.hub.views == 0
        async with live.client() as late:
            assert await late.closed() == 3001


async def test_binary_frames_and_unread_fields(live: Live) -> None:
    async with websockets.connect(live.url, compression=None) as socket:
        await socket.send(b'{"id":1,"connect":{"data":{"a":[1]},"headers":{}}}')
        assert json.loads(await socket.recv())["connect"]["pong"] is True


class Seen(SubscriptionEventHandler):
    def __init__(self) -> None:
        self.snapshots: list[dict[str, object]] = []
        self.publications: list[dict[str, object]] = []

    async def on_subscribed(self, ctx: SubscribedContext) -> None:
        self.snapshots.append(ctx.data)

    async def on_publication(self, ctx: PublicationContext) -> None:
        self.publications.append(ctx.pub.data)


async def test_the_published_client_library(live: Live, poster: Poster, clock: SettableClock) -> None:
    token = live.token("ada", clock() + 3_600_000, caps=["events:write"])
    client = Client(live.url, token=token)
    seen = Seen()
    subscription = client.new_subscription(SECRET.replace("team", "daily"), events=seen, data={"limit": 10})
    await client.connect()
    await subscription.subscribe()
    await until(lambda: len(seen.snapshots) == 1)
    assert seen.snapshots[0]["participants"] == 0
    await poster.post_all([poster.event("ada", 3)])
    await until(lambda: len(seen.publications) == 1)
    assert seen.publications[0]["rows"][0]["userId"] == "ada"  # type: ignore[index] # plain JSON
    answer = await client.rpc("event", {"key": "words", "user": {"id": "ada"}, "value": 1})
    assert answer.data == {"rank": 1}
    await subscription.unsubscribe()
    await until(lambda: live.hub.views == 0)
    await client.disconnect()
