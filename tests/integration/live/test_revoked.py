"""A right that is taken back ends what was opened with it: keys that are revoked, tenants that are archived."""

from __future__ import annotations

from contextlib import AsyncExitStack

import httpx
import pytest

from tests.conftest import SettableClock
from tests.integration.live.client import ADMIN_KEY, Live
from tests.integration.live.test_limits import stream
from tests.waiting import until

APP_KEY = "app_ada.secret"
PUBLIC = "leaderboard:all-time"


@pytest.mark.parametrize("key", [ADMIN_KEY, APP_KEY])
async def test_a_revoked_key_ends_its_socket(live: Live, key: str) -> None:
    live.spaces.users[APP_KEY] = "ada"
    async with live.client() as client, live.client() as other:
        await client.connect(key)
        await client.subscribe(PUBLIC)
        await other.connect()
        await other.subscribe(PUBLIC)
        await live.hub.tick()
        assert (await client.call("ping"))["ping"] == {}
        del live.spaces.users[key]
        await live.hub.tick()
        assert await client.closed() == 3500
        assert (await other.call("ping"))["ping"] == {}


async def test_nothing_is_written_between_the_revocation_and_the_next_tick(live: Live) -> None:
    async with live.client() as client:
        await client.connect(ADMIN_KEY)
        del live.spaces.users[ADMIN_KEY]
        await client.send('{"id":2,"rpc":{"method":"event","data":{}}}')
        assert await client.closed() == 3500
        assert live.posts.calls == []


async def test_an_archived_tenant_ends_every_socket(live: Live, clock: SettableClock) -> None:
    tokens = (ADMIN_KEY, live.token("ada", clock.now_ms + 60_000), "")
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(live.client()) for _ in tokens]
        for client, token in zip(clients, tokens, strict=True):
            await client.connect(token)
        live.space.archived = True
        await live.hub.tick()
        assert [await client.closed() for client in clients] == [3500, 3500, 3500]
        live.space.archived = False


async def test_streams_end_too(live: Live, clock: SettableClock) -> None:
    async def ended(response: httpx.Response) -> None:
        await live.hub.tick()
        async for _ in response.aiter_raw():
            pass

    async with stream(live, headers={"X-API-KEY": ADMIN_KEY}) as response:
        assert response.status_code == 200
        del live.spaces.users[ADMIN_KEY]
        await ended(response)
    async with stream(live, headers={"X-API-KEY": ADMIN_KEY}) as response:
        assert response.status_code == 401
    token = live.token("ada", clock.now_ms + 60_000)
    async with stream(live, params={"token": token}) as response, stream(live) as anonymous:
        assert (response.status_code, anonymous.status_code) == (200, 200)
        live.space.archived = True
        await ended(response)
        await ended(anonymous)
    async with stream(live) as response:
        assert response.status_code == 403
    await until(lambda: not live.hub.stats.sockets)
