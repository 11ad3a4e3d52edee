from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date

import pytest
from msgspec import structs

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.leaderboards.model import Leaderboard
from podium.game.metrics.model import Metric
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient
from tests.conftest import EPOCH, SettableClock, seed_redis
from tests.integration.live.client import Live
from tests.posting import DAILY, METRIC, PERPETUAL, Poster


def catalog(version: int = 1, *, public: bool = True) -> CatalogIndex:
    """``all-time`` and ``daily`` (both public unless told) and the secret ``team``, all by one metric."""

    def board(number: int, key: str, public: bool, unit: str | None = None) -> Leaderboard:
        return Leaderboard(
            id=key,
            number=number,
            key=key,
            name=key,
            metric_id="m",
            start=date(2026, 1, 1),
            status="active",
            public=public,
            run_unit=unit,  # type: ignore[arg-type] # "day" below
            run_interval=1 if unit else None,
        )

    boards = (
        board(PERPETUAL, "all-time", public),
        board(DAILY, "daily", public, "day"),
        board(9, "team", False),
        structs.replace(board(10, "cities", public), group_by="city", aggregate="average", tie_rule="dense"),
        structs.replace(board(11, "by-city", public), breakdown_attributes=("city",), tie_rule="competition"),
    )
    metric = Metric(id="m", number=1, key=METRIC, name="Words written", decimals=2)
    return CatalogIndex(Catalog(version=version, metrics=(metric,), leaderboards=boards))


@pytest.fixture
async def live_space(redis_client: RedisClient) -> Space:
    """A space that only Redis knows."""
    await redis_client.load_functions()
    await seed_redis(redis_client, "live")
    return Space(1, "live", "production", "default", "s" * 32, (), catalog(), EPOCH)


@pytest.fixture
def poster(redis_client: RedisClient, live_space: Space, clock: SettableClock) -> Poster:
    made = Poster(redis_client, live_space, clock)
    live_space.index = catalog()
    return made


@pytest.fixture
async def live(redis_client: RedisClient, live_space: Space, clock: SettableClock) -> AsyncIterator[Live]:
    async with Live(redis_client, live_space, clock, None).serve() as live:
        yield live
