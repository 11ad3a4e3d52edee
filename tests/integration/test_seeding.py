"""The load tools write rows into Postgres by hand: the tables must take them as they are now."""

from __future__ import annotations

from collections import defaultdict
from datetime import date

import httpx
import pytest

from loadtest import loop_world, reads
from loadtest.backfill import copy_history, make_metric
from loadtest.seed import seed
from podium.demo.catalog import METRIC
from podium.services import Services
from podium.writebehind.rebuild import rebuild
from tests.backfills import backfill
from tests.integration.test_boards import get, make

OPTIONS = {"users": 5, "days": 3, "active": 2, "heavy": 1}


async def test_the_history_of_a_backfill_is_counted(http: httpx.AsyncClient, services: Services) -> None:
    space = services.directory.production
    metric = await make_metric(services, space)
    events = await copy_history(services, space, metric, date(2026, 11, 20), OPTIONS)
    assert events == await services.pool.fetchval("SELECT count(*) FROM events")
    await rebuild(services.pool, services.redis, space, services.clock, force=True)
    daily = {"name": "Daily", "key": "daily-0", "rankBy": "metric", "metricId": metric.id, "status": "active"}
    await make(http, "leaderboards", {**daily, "start": "2026-11-20", "runUnit": "day", "runInterval": 1})
    assert await backfill(services) == 5
    assert await services.pool.fetchval("SELECT count(*) FROM standings") == events


async def test_seeded_users_are_ranked(http: httpx.AsyncClient, services: Services) -> None:
    [metric] = await make(http, "metrics", {"name": "Words", "key": METRIC})
    board = {"name": "All time", "key": "all-time", "rankBy": "metric", "metricId": metric["id"]}
    await make(http, "leaderboards", {**board, "start": "2026-01-01", "status": "active"})
    assert (await seed(services, services.directory.production, 20, redis_sample=5)).users == 20
    assert len((await get(http, "all-time"))["rankings"]) == 10


@pytest.mark.parametrize(
    "statement", [*reads.HISTORY.values(), *loop_world.HISTORY.values()], ids=[*reads.HISTORY, *loop_world.HISTORY]
)
async def test_statements_that_write_a_history_fit_the_tables(services: Services, statement: str) -> None:
    async with services.pool.acquire() as connection:
        await connection.prepare(statement.format_map(defaultdict(lambda: 1, user="u")))
