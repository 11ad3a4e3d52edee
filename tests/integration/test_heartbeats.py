"""A worker that is missing, or behind, is seen."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from structlog.testing import capture_logs

from podium.services import Services
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from podium.telemetry import heartbeats
from podium.telemetry.health import LAG_WARNED_S, log_state, readiness
from podium.telemetry.heartbeats import MISSING_S, WORKERS, beat, keep_beating
from tests.conftest import START_MS
from tests.integration.test_boards import make
from tests.integration.test_monitoring import watching
from tests.waiting import until

pytestmark = pytest.mark.usefixtures("patient_looks")


async def test_a_missing_worker_is_named(redis_client: RedisClient, pool: Pool, space: Space) -> None:
    async def named() -> bool:
        found = await readiness(redis_client, pool, [space], START_MS)
        return bool([warning for warning in found.warnings if "no worker is at work" in warning])

    assert await named()
    stop = asyncio.Event()
    task = asyncio.create_task(keep_beating(redis_client, "worker a", stop))

    async def gone() -> bool:
        return not await named()

    await until(gone)
    stop.set()
    await task
    assert await named()  # one that ends says so
    await beat(redis_client, "worker b")
    assert not await named()
    await redis_client.raw.zincrby(WORKERS, -MISSING_S * 1000, "worker b")  # killed so long ago
    assert await named()
    await beat(redis_client, "worker c")
    assert await redis_client.raw.zrange(WORKERS, 0, -1) == [b"worker c"]


async def test_a_heartbeat_that_fails_is_not_the_last(
    redis_client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeats, "EVERY_S", 0)
    await redis_client.raw.set(WORKERS, "of another kind")
    stop = asyncio.Event()
    task = asyncio.create_task(keep_beating(redis_client, "worker a", stop))
    with capture_logs() as logs:
        await until(lambda: "heartbeat_lost" in [line["event"] for line in logs])
    await redis_client.raw.delete(WORKERS)

    async def beats() -> bool:
        return bool(await heartbeats.ages_s(redis_client))

    await until(beats)
    stop.set()
    await task


async def test_a_flusher_that_is_behind_is_named(services: Services, http: httpx.AsyncClient) -> None:
    await make(http, "metrics", {"name": "Words", "key": "words"})
    assert (
        await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 1})
    ).status_code == 201
    space = services.directory.production
    [_, (log_id, _)] = await services.redis.raw.xrange(space.keys.log, count=2)
    accepted_ms = int(log_id.split(b"-")[0])
    for lag_s, named in ((LAG_WARNED_S - 1, False), (LAG_WARNED_S + 1, True)):
        now_ms = accepted_ms + int(lag_s * 1000)
        found = await readiness(services.redis, services.pool, [space], now_ms)
        assert bool([warning for warning in found.warnings if "that is not in Postgres was" in warning]) == named
        state = await log_state(services.redis, space, now_ms)
        assert state is not None
        assert (state.entries, state.lag_s) == (1, lag_s)


async def test_the_numbers_of_the_stores_are_at_metrics(
    services: Services, http: httpx.AsyncClient, admin_key: str
) -> None:
    public_id = services.directory.production.public_id
    await beat(services.redis, "worker a")
    await services.pool.execute(
        "INSERT INTO rebuilds (space_id, reason, users, flushed_events, lost_entries) SELECT id, 'behind', 0, 0, 0"
        " FROM spaces"
    )
    async with watching(services) as client:
        text = (await client.get("/metrics", headers={"X-API-KEY": admin_key})).text
    lines = text.splitlines()
    assert "podium_workers 1.0" in lines
    assert "podium_redis_memory_limit_bytes 0.0" in lines
    assert f'podium_rebuilds_total{{reason="behind",space="{public_id}"}} 1.0' in lines
    assert f'podium_log_entries{{space="{public_id}"}} 0.0' in lines
    assert 'podium_set_aside{job="ticks"} 0.0' in lines
    [age] = [line for line in lines if line.startswith("podium_worker_heartbeat_age_seconds ")]
    assert 0 <= float(age.split()[1]) < MISSING_S
    for name in ("podium_frames_sent_total", "podium_live_refused_total", "podium_rebuilds_total"):
        assert f"# TYPE {name} counter" in lines, name
    # A family that stands there twice is refused by Prometheus.
    types = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(types) == len(set(types))
