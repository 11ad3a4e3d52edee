"""The sample that a user's year is compared with."""

from __future__ import annotations

import httpx
import pytest

from podium.api.wrapped.percentiles import gains
from podium.game.wrapped.rules import whole_year
from podium.http import stale_cache
from podium.http.stale_cache import StaleWhileRevalidateCache
from podium.services import Services
from tests.integration.test_boards import flush, make
from tests.waiting import until


async def test_a_small_space_that_grew(
    http: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where looking took so long, for a cold Postgres, that it is kept."""
    now_s = 0.0

    def slow() -> float:
        nonlocal now_s
        now_s += 0.01
        return now_s

    monkeypatch.setattr(stale_cache, "stopwatch_s", slow)
    services.cache = StaleWhileRevalidateCache()  # that of other tests keeps nothing
    space, year = services.directory.production, whole_year(2026)
    assert await gains(services, space.id, year) == {year: {}}
    await make(http, "metrics", {"name": "Words", "key": "words"})
    answer = await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 5})
    assert answer.status_code == 201
    await flush(services)
    now_s += 60
    number = space.index.catalog.metrics[0].number

    async def compared() -> bool:
        return await gains(services, space.id, year) == {year: {("metric", number): [5_000]}}

    await until(compared)
