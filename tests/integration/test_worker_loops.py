from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

import asyncpg
import pytest
from msgspec import structs

from podium.jobs import worker_loops
from podium.jobs.samples import EVERY_MS
from podium.jobs.worker_loops import ASKED_S, pause_s, run_worker
from podium.settings import Settings
from podium.spaces import store as spaces_store
from podium.spaces.directory import Directory
from podium.spaces.reads import Reads
from podium.spaces.space import Space
from podium.storage.embedded import RunningPostgres
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from podium.telemetry.samples import STEP_MS, Sample, keep
from podium.writebehind.flusher import FlushStats
from tests.conftest import EPOCH, SettableClock
from tests.posting import Poster
from tests.urls import database_of
from tests.waiting import PATIENCE_S, until


@dataclass
class Services:
    settings: Settings
    directory: Directory
    pool: Pool
    redis: RedisClient
    clock: SettableClock
    clock_agrees: asyncio.Event


@pytest.fixture
def services(
    redis_url: str,
    database_url: str,
    directory: Directory,
    pool: Pool,
    redis_client: RedisClient,
    clock: SettableClock,
) -> Services:
    settings = Settings(redis_url=redis_url, database_url=database_url, flush_interval=0.01)
    agrees = asyncio.Event()
    agrees.set()
    return Services(settings, directory, pool, redis_client, clock, agrees)


@pytest.fixture
def poster(redis_client: RedisClient, space: Space, clock: SettableClock) -> Poster:
    return Poster(redis_client, space, clock)


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[dict[str, FlushStats]]:
    """The worker's loops; stopped, and over, at the end."""
    stop, stats = asyncio.Event(), {}
    worker = asyncio.create_task(run_worker(services, stop, stats))
    try:
        yield stats
    finally:
        stop.set()
        async with asyncio.timeout(20):
            await worker


async def stored(pool: Pool) -> int:
    return int(await pool.fetchval("SELECT count(*) FROM events"))


async def test_worker_flushes_what_is_announced(services: Services, space: Space, poster: Poster) -> None:
    async with running(services) as stats:
        await until(lambda: space.public_id in stats)
        for count in range(1, 6):
            await poster.post_all([poster.event("ann", 1)])

            async def done(count: int = count) -> bool:
                return await stored(services.pool) == count

            # Far sooner than the visit each minute, so it was the announcement.
            await until(done)
        assert stats[space.public_id].events == 5


async def test_worker_flushes_at_once_for_a_read_that_waits(
    services: Services, space: Space, poster: Poster, pool: Pool, redis_client: RedisClient
) -> None:
    """However long the flush interval is; and the reads that wait share a flush."""
    services.settings = structs.replace(services.settings, flush_interval=3_600)
    reads = Reads(pool, redis_client, services.directory.refresh_space, patience_s=PATIENCE_S)
    async with running(services) as stats:
        await poster.post_all([poster.event("ann", 1)])
        await until(lambda: space.public_id in stats and stats[space.public_id].events == 1)
        for value in (2, 3):
            await poster.post_all([poster.event("ann", value)])
            assert await asyncio.gather(*(reads.settle(space) for _ in range(20))) == [True] * 20
            async with reads.snapshot(space, "ann") as (connection, state):
                assert state is not None
                [total] = state.totals.values()
                assert await connection.fetchval("SELECT sum(units) FROM events") == total
        assert stats[space.public_id].batches == 3
    await reads.aclose()


def test_flushes_that_reads_ask_for_leave_the_flusher_idle_most_of_the_time() -> None:
    assert pause_s(0.001, 0.2) == ASKED_S
    assert pause_s(0.01, 0.2) == pytest.approx(0.04)
    assert pause_s(0.1, 0.2) == 0.2


async def test_worker_flushes_once_more_when_it_stops(services: Services, poster: Poster) -> None:
    async with running(services):
        await poster.post_all([poster.event("ann", 1) for _ in range(20)])
    assert await stored(services.pool) == 20


async def test_worker_rebuilds_an_emptied_redis(services: Services, space: Space, poster: Poster) -> None:
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 3)])
    async with running(services):

        async def flushed() -> bool:
            return await stored(services.pool) == 2

        async def alive() -> bool:
            return await services.redis.raw.hexists(space.keys.meta, "epoch")

        await until(flushed)
        await services.redis.raw.flushall()
        # No commit can announce a space without an epoch; each process does that looks for it, once a second.
        await services.directory.refresh()
        await until(alive)
        assert await services.redis.raw.zcard(space.keys.board("2:")) == 2
        await services.directory.refresh()
        assert space.epoch not in (None, EPOCH)
        await poster.post_all([poster.event("ann", 1)])
    assert await stored(services.pool) == 3


async def test_worker_brings_a_new_space_to_life(
    services: Services, pool: Pool, directory: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_loops, "NEW_SPACES_S", 0.01)
    async with running(services):
        async with pool.acquire() as connection:
            id_ = await spaces_store.create_space(connection, now_ms=services.clock.now_ms, environment="test")
            public_id = await connection.fetchval("SELECT public_id FROM spaces WHERE id = $1", id_)
        await directory.refresh()
        await until(lambda: directory.spaces[public_id].epoch is not None)
    assert await pool.fetchval("SELECT epoch FROM log_positions WHERE space_id = $1", id_) == (
        directory.spaces[public_id].epoch
    )


async def test_worker_goes_on_after_postgres_was_away(
    services: Services, poster: Poster, postgres: RunningPostgres, database_url: str, space: Space
) -> None:
    name = database_of(database_url)
    admin = await asyncpg.connect(postgres.url)
    try:
        async with running(services) as stats:
            await poster.post_all([poster.event("ann", 1)])
            await until(lambda: space.public_id in stats and stats[space.public_id].events == 1)
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
            await poster.post_all([poster.event("ann", 1) for _ in range(5)])
            await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await until(lambda: stats[space.public_id].events == 6)
    finally:
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await admin.close()
    assert await stored(services.pool) == 6


async def test_worker_evicts_and_makes_partitions(
    services: Services, pool: Pool, space: Space, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    async with running(services):
        pass
    services.clock.advance(40 * 86_400_000)
    async with running(services):

        async def cold() -> bool:
            return await services.redis.raw.hexists(space.keys.cold, "ann")

        await until(cold)

        async def partitioned() -> bool:
            return await pool.fetchval("SELECT to_regclass('events_2027_03') IS NOT NULL") is True

        await until(partitioned)


async def test_figures_are_kept_while_events_come(
    services: Services, space: Space, poster: Poster, clock: SettableClock
) -> None:
    redis = services.redis.raw

    async def kept(number: int) -> bool:
        return len([key async for key in redis.scan_iter(f"{space.keys.prefix}o:*")]) == number

    async with running(services):
        for number in (1, 2):
            await poster.post_all([poster.event("ann", 1)])
            await until(partial(kept, number))
            clock.advance(EVERY_MS)
        # What can't be read there is no reason to stop flushing.
        await redis.set(f"{space.keys.prefix}o:{clock() // STEP_MS - 1}", "no sample")
        await poster.post_all([poster.event("ann", 1)])
        await until(partial(kept, 4))
        await poster.post_all([poster.event("ann", 1)])

        async def flushed() -> bool:
            return await stored(services.pool) == 4

        await until(flushed)
    await redis.delete(f"{space.keys.prefix}o:{clock() // STEP_MS - 1}")
    found = await keep(services.redis, space, Sample(clock() + STEP_MS))
    assert [one.events for one in found] == [1, 2, 3, None]
    assert [one.lag_s for one in found] == [0, 0, 0, None]
