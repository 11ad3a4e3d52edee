"""Limits as clients meet them: codes of sockets, statuses of streams, addresses behind proxies."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

import httpx
import pytest

from podium.live.limits import Limits
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.integration.live.client import ADMIN_KEY, FRAME_MAX, Live, RawClient
from tests.waiting import until

Serve = Callable[..., AbstractAsyncContextManager[Live]]
STREAM = "/v1/leaderboards/all-time/live"


@pytest.fixture
def serve(redis_client: RedisClient, live_space: Space, clock: SettableClock) -> Serve:
    """A live server with limits."""

    def start(proxies: str = "", **limits: int) -> AbstractAsyncContextManager[Live]:
        return Live(redis_client, live_space, clock, None, Limits(**limits), proxies).serve()

    return start


@asynccontextmanager
async def stream(live: Live, **options: dict[str, str]) -> AsyncIterator[httpx.Response]:
    base = live.url.replace("ws", "http", 1).split("/connection")[0]
    async with httpx.AsyncClient(base_url=base) as http, http.stream("GET", STREAM, **options) as response:  # type: ignore[arg-type]
        yield response


async def test_connections_of_one_user(serve: Serve, clock: SettableClock) -> None:
    async with serve(per_user=1) as live, live.client() as first, live.client() as second:
        ada, ben = (live.token(user, clock() + 60_000) for user in ("ada", "ben"))
        await first.connect(ada)
        await second.send(json.dumps({"id": 1, "connect": {"token": ada}}))
        assert await second.closed() == 3504
        async with stream(live, params={"token": ada}) as refused, stream(live, params={"token": ben}) as taken:
            assert (refused.status_code, refused.headers["retry-after"], taken.status_code) == (429, "30", 200)
            assert "this user" in json.loads(await refused.aread())["error"]
            async with live.client() as third:
                await third.send(json.dumps({"id": 1, "connect": {"token": ben}}))
                assert await third.closed() == 3504
        assert live.hub.stats.refused == 3
        assert "ping" in await first.call("ping")
        await first.socket.close()
        await until(lambda: live.hub.stats.sockets == 0)
        async with live.client() as again:
            assert "connect" in await again.connect(ada)


async def test_connections_of_one_address(serve: Serve) -> None:
    async with serve(per_address=1) as live:
        async with live.client() as first, live.client() as second:
            await first.connect()
            assert await second.closed() == 3504
            async with stream(live) as refused:
                assert refused.status_code == 429
        await until(lambda: live.hub.stats.sockets == 0)
        async with AsyncExitStack() as clients:
            for _ in range(3):  # the app's own servers: not counted once they have shown a key
                server = await clients.enter_async_context(live.client())
                assert "connect" in await server.connect(ADMIN_KEY)
            async with stream(live) as taken:
                assert taken.status_code == 200


async def test_the_head_of_a_stream_takes_no_place(serve: Serve) -> None:
    async with serve() as live:
        base = live.url.replace("ws", "http", 1).split("/connection")[0]
        async with httpx.AsyncClient(base_url=base, timeout=10) as http:
            for _ in range(2):  # on one connection: the second is read only once the first was answered
                answer = await http.head(STREAM)
                assert (answer.status_code, answer.headers["content-type"][:17]) == (200, "text/event-stream")
        await until(lambda: live.hub.stats.sockets == 0)


@pytest.mark.parametrize("trusted", [True, False])
async def test_the_address_of_a_client_is_its_proxys_word_only_where_that_is_trusted(
    serve: Serve, trusted: bool
) -> None:
    async with serve(proxies="127.0.0.1" if trusted else "10.0.0.1", per_address=1) as live:
        headers = [{"X-Forwarded-For": address} for address in ("192.0.2.1", "192.0.2.2", "192.0.2.2")]
        async with (
            live.client(additional_headers=headers[0]) as first,
            live.client(additional_headers=headers[1]) as second,
            live.client(additional_headers=headers[2]) as third,
        ):
            assert "connect" in await first.connect()
            if trusted:
                assert "connect" in await second.connect()
            else:  # an invented address gets nobody in
                assert await second.closed() == 3504
            assert await third.closed() == 3504


async def test_commands_of_one_connection(serve: Serve, clock: SettableClock) -> None:
    async with serve(commands=2) as live, live.client() as client, live.client() as server:

        async def outcome(client: RawClient) -> str | int:
            reply = await client.call("ping")
            return "ping" if "ping" in reply else int(reply["error"]["code"])

        await client.connect()
        assert [await outcome(client) for _ in range(5)] == ["ping"] * 3 + [111] * 2
        assert (await client.call("ping"))["error"]["temporary"] is True
        clock.advance(2_000)
        assert await outcome(client) == "ping"
        for number in range(100, 105):
            await client.send(json.dumps({"id": number, "ping": {}}))
        assert await client.closed() == 3013
        await server.connect(ADMIN_KEY)
        assert [await outcome(server) for _ in range(20)] == ["ping"] * 20


async def test_channels_of_one_connection(serve: Serve) -> None:
    async with serve(channels=1) as live, live.client() as client:
        await client.connect()
        await client.subscribe("leaderboard:all-time")
        refused = (await client.call("subscribe", channel="leaderboard:daily"))["error"]
        assert (refused["code"], refused["message"]) == (106, "at most 1 channels per connection")
        await client.call("unsubscribe", channel="leaderboard:all-time")
        await client.subscribe("leaderboard:daily")


async def test_a_frame_that_is_too_large_ends_its_own_connection_only(serve: Serve) -> None:
    async with serve() as live, live.client() as client, live.client() as neighbour:
        await client.connect()
        await neighbour.connect()
        await client.send("x" * (FRAME_MAX + 1))
        assert await client.closed() == 1009
        assert "ping" in await neighbour.call("ping")
