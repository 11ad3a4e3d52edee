"""Counts of a large space are there before anybody asks, and again once its catalog has changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import httpx
import pytest

from podium import cache_warming
from podium.cache_warming import keep_warm
from podium.http.stale_cache import StaleWhileRevalidateCache
from podium.services import Services
from tests.integration.test_boards import flush, make
from tests.waiting import until


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_warming, "PAUSE_S", 0.01)


@asynccontextmanager
async def warming(services: Services) -> AsyncIterator[None]:
    task = asyncio.create_task(keep_warm(services))
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_summaries_are_counted_before_they_are_asked_for(
    http: httpx.AsyncClient, services: Services
) -> None:
    levels = [{"name": "Start", "key": "start", "points": 0}]
    trigger = {"type": "user_creation", "points": 5, "status": "active"}
    await make(http, "points", {"name": "XP", "key": "xp", "levels": levels, "triggers": [trigger]})
    await http.put("/v1/users/ann", json={})
    await flush(services)
    services.cache = StaleWhileRevalidateCache(costly_s=0)  # as of a space where every count is costly
    space = services.directory.production

    async with warming(services):
        await until(lambda: ("levels", space.id, space.index.catalog.points[0].number, 0) in services.cache)
        await http.put("/v1/users/bob", json={})
        await flush(services)
        assert [one["users"] for one in (await http.get("/v1/points/xp/level-summary")).json()] == [1]
        summary = (await http.get("/v1/points/xp/summary")).json()
        assert sum(one["users"] for one in summary) == 1

        await make(http, "points", {"name": "Coins", "key": "coins"})
        number = next(one.number for one in space.index.catalog.points if one.key == "coins")
        await until(lambda: ("points", space.id, number) in services.cache)


async def test_a_failure_is_logged_and_the_next_space_is_counted(
    http: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(http, "achievements", {"name": "Hero", "trigger": "api", "key": "hero", "status": "active"})
    failing = [ValueError("once")]

    async def fail(*_: object) -> None:
        if failing:
            raise failing.pop()

    monkeypatch.setattr(cache_warming, "active_users", fail)
    services.cache = StaleWhileRevalidateCache(costly_s=0)
    space = services.directory.production
    async with warming(services):
        await until(lambda: not failing)
        await make(http, "points", {"name": "XP", "key": "xp"})
        await until(lambda: ("users", space.id) in services.cache)
