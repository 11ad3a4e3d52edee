"""The overview's figures and the minutes that it keeps, with both stores, with one, and with none."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import httpx
import pytest

from podium.console import stores
from podium.console.pages import overview
from podium.services import Services
from podium.storage.postgres.pool import open_pool
from podium.storage.redis.client import RedisClient
from podium.telemetry import health
from podium.telemetry.samples import GAP_MS, KEPT_MS, STEP_MS, Sample, keep, rates, series
from tests.conftest import SettableClock
from tests.integration.test_boards import flush
from tests.integration.test_console import account, game, signed_in, write


@pytest.fixture
async def mute(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """Address of a server that takes connections and never says a word, like a store that hangs."""
    # The store that works must answer within it, however busy the machine is.
    monkeypatch.setattr(stores, "LOOK_S", 0.5)
    monkeypatch.setattr(health, "LOOK_S", 0.5)
    ended = asyncio.Event()

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    ended.set()
    server.close()


async def look(client: httpx.AsyncClient) -> tuple[dict[str, Any], str]:
    """The figures and the page."""
    figures = await client.get("/console/overview.json")
    page = await client.get("/console/")
    assert (figures.status_code, page.status_code) == (200, 200), page.text
    carried = re.search(r'data-numbers="([^"]*)"', page.text)
    assert carried is not None
    assert set(json.loads(unescape(carried[1]))) == set(figures.json())
    return figures.json(), page.text


async def test_the_figures_and_their_last_minutes(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    await game(http)
    figures, page = await look(console)
    assert (figures["events"], figures["rate"], figures["series"]["rate"]) == (0, None, [])
    assert "No event has come in yet" in page
    for _ in range(3):
        for _ in range(4):
            await write(http)
        await flush(services)
        clock.advance(2 * STEP_MS)
        figures, page = await look(console)
    assert (figures["events"], figures["users"], figures["active"]) == (12, 1, {"day": 1, "week": 1, "month": 1})
    assert figures["rate"] == 1
    assert [rate for _, rate in figures["series"]["rate"]] == [1, 1, 1]
    assert len(figures["series"]["logEntries"]) == len(figures["series"]["flushLagS"]) == 4
    assert '<td class="n">12</td>' in page
    assert figures["health"]["redis"]["status"] == figures["health"]["postgres"]["status"] == "ok"
    # Who comes later sees the minutes of who was there, and no rate over a time that nobody saw.
    clock.advance(GAP_MS + STEP_MS)
    figures, _ = await look(console)
    assert (figures["rate"], len(figures["series"]["rate"])) == (None, 3)
    clock.advance(KEPT_MS)
    figures, _ = await look(console)
    assert len(figures["series"]["logEntries"]) == 1


async def test_a_step_keeps_one_sample_however_many_look(services: Services) -> None:
    space, now_ms = services.directory.production, services.clock() // STEP_MS * STEP_MS
    for late_ms in (5, 900, 1_900, STEP_MS + 1):
        found = await keep(services.redis, space, Sample(now_ms + late_ms, late_ms))
    assert [one.at_ms - now_ms for one in found] == [5, STEP_MS + 1]
    names = [key async for key in services.redis.raw.scan_iter(f"{space.keys.prefix}o:*")]
    assert len(names) == 2
    assert all([0 < await services.redis.raw.pttl(name) <= KEPT_MS for name in names])


@pytest.mark.parametrize(
    ("samples", "rates_"),
    [
        ([], []),
        ([(0, 10)], []),
        ([(0, 10), (2_000, 30)], [(2_000, 10)]),
        ([(0, 10), (2_000, 10), (4_000, 4)], [(2_000, 0), (4_000, 0)]),  # Postgres went back: no rate below 0
        ([(0, 0), (1_990, 20), (2_010, 30)], [(1_990, 10.05), (2_010, 14.93)]),  # two who look nearly at once
        ([(0, 0), (2_000, None), (4_000, 40)], [(4_000, 10)]),
        ([(0, 0), (GAP_MS + 1, 40)], []),
    ],
)
def test_rates(samples: list[tuple[int, int | None]], rates_: list[tuple[int, float]]) -> None:
    assert rates([Sample(*one) for one in samples]) == rates_
    assert series([Sample(1)]) == {"rate": [], "logEntries": [], "flushLagS": []}


async def test_without_postgres(
    http: httpx.AsyncClient, console_url: str, console: httpx.AsyncClient, services: Services, mute: str
) -> None:
    await game(http)
    secret = await account(services, "viewer", "ana@example.com")
    async with signed_in(console_url, secret, "ana@example.com") as ana:
        real, services.pool = services.pool, await open_pool(f"postgresql://podium@{mute}/podium")
        for client in (console, ana):  # by a key, and by an account, which Postgres would know
            figures, page = await look(client)
            assert figures["health"]["postgres"]["status"] == "missing"
            assert figures["health"]["redis"]["status"] == "ok"
            assert figures["events"] is figures["users"] is None
            assert figures["logEntries"] == 0
            assert 'data-figure="events">–<' in page
            assert 'state missing">missing</span> postgres' in page
        assert (await ana.get("/console/users")).status_code == 503
        services.pool.terminate()
        services.pool = real
        assert (await ana.get("/console/users")).status_code == 200


async def test_without_redis(
    console_url: str, console: httpx.AsyncClient, services: Services, admin_key: str, mute: str
) -> None:
    real, services.redis = services.redis, RedisClient(f"redis://{mute}")
    figures, page = await look(console)
    assert figures["health"]["redis"]["status"] == "missing"
    assert (figures["events"], figures["logEntries"], figures["series"]["logEntries"]) == (0, None, [])
    assert 'data-figure="logEntries">–<' in page
    # A session is believed for this page only, and only one that we signed.
    for path in ("/console/users", "/console/leaderboards", "/console/token.json"):
        assert (await console.get(path)).status_code == 503
    forged = {"Cookie": "podium_console=a.b.c"}
    async with httpx.AsyncClient(base_url=console_url, headers=forged) as stranger:
        assert (await stranger.get("/console/")).status_code == 303
    await services.redis.aclose()
    services.redis = real


async def test_without_both(console: httpx.AsyncClient, services: Services, mute: str) -> None:
    redis, pool = services.redis, services.pool
    services.redis, services.pool = (
        RedisClient(f"redis://{mute}"),
        await open_pool(f"postgresql://podium@{mute}/p"),
    )
    figures, page = await look(console)
    assert [figures["health"][name]["status"] for name in ("redis", "postgres")] == ["missing"] * 2
    assert "Postgres does not answer." in page
    await services.redis.aclose()
    services.pool.terminate()
    services.redis, services.pool = redis, pool
    figures, _ = await look(console)
    assert [figures["health"][name]["status"] for name in ("redis", "postgres")] == ["ok"] * 2


async def test_it_does_not_wait_for_a_long_count(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await game(http)
    await write(http)
    await flush(services)
    monkeypatch.setattr(overview, "COUNTED_S", 0)
    figures, page = await look(console)
    assert (figures["users"], figures["events"], figures["active"]) == (None, 1, dict.fromkeys(figures["active"]))
    assert '<dd data-figure="users">–</dd>' in page
