"""Redis at maxmemory: refused with a sentence, and over by itself once the log can be flushed."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import httpx
import pytest
import structlog
from redis.exceptions import OutOfMemoryError

from podium.game.errors import WritesRefused
from podium.services import Services
from podium.spaces.space import Space
from podium.storage.postgres.pool import open_pool
from podium.storage.redis.client import RedisClient
from podium.telemetry.health import readiness
from podium.telemetry.metrics import exposition
from podium.writebehind.eviction import evict
from podium.writebehind.flusher import Flusher
from tests.conftest import SettableClock

ROOM = 600_000
"""Bytes that Redis may still take."""


@pytest.fixture
async def metric(http: httpx.AsyncClient, services: Services) -> str:
    """The key of a metric with a leaderboard."""
    answer = await http.post("/admin/v1/metrics", json=[{"name": "Words", "key": "words"}])
    assert answer.status_code == 201, answer.text
    await services.directory.refresh()
    return "words"


@pytest.fixture
async def limited(redis_client: RedisClient) -> AsyncIterator[RedisClient]:
    """A Redis that has little more memory than it holds."""
    used = (await redis_client.raw.info("memory"))["used_memory"]
    await redis_client.raw.config_set("maxmemory", used + ROOM)
    yield redis_client
    await redis_client.raw.config_set("maxmemory", 0)


async def test_memory_comes_back_by_itself(
    http: httpx.AsyncClient,
    services: Services,
    metric: str,
    limited: RedisClient,
    clock: SettableClock,
) -> None:
    space: Space = services.directory.production
    items = [{"key": metric, "user": {"id": "ann"}, "value": 1} for _ in range(200)]
    flusher = Flusher(services.pool, services.redis, space, clock)
    with structlog.testing.capture_logs() as logs:
        posted = 0
        while (answer := await http.post("/admin/v1/metrics/events", json=items)).status_code == 202:
            posted += len(items)
            assert posted < 50_000
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "5"
        assert "maxmemory" in answer.json()["error"]
        single = {"user": {"id": "ann"}, "value": 1}
        while (refused := await http.post(f"/v1/metrics/{metric}/event", json=single)).status_code == 201:
            posted += 1
            assert posted < 50_000
        assert refused.status_code == 503, refused.text
        assert {line["event"] for line in logs if line["log_level"] in ("warning", "error")} == {"writes_refused"}

        # Postgres is back: nobody touches the limit.
        while (await flusher.flush()).more:
            pass
        again = await http.post(f"/v1/metrics/{metric}/event", json=single)
        assert again.status_code == 201, again.text
        assert "writes_resumed" in [line["event"] for line in logs]
    text = exposition()[0].decode()
    assert 'podium_writes_refused_total{reason="memory"}' in text


async def test_eviction_frees_a_full_redis(
    http: httpx.AsyncClient,
    services: Services,
    metric: str,
    limited: RedisClient,
    clock: SettableClock,
) -> None:
    space: Space = services.directory.production
    flusher = Flusher(services.pool, services.redis, space, clock)
    answer = await http.post(f"/v1/metrics/{metric}/event", json={"user": {"id": "ann"}, "value": 1})
    assert answer.status_code == 201
    while (await flusher.flush()).more:
        pass
    await limited.raw.config_set("maxmemory", 1_000_000)
    with pytest.raises(WritesRefused, match="maxmemory"):
        await services.redis.call("thaw", space.keys.meta, space.epoch or "", "ann", "t", "{}")
    assert await evict(services.pool, services.redis, space, clock.now_ms + 1) == 1
    assert await limited.raw.hexists(space.keys.cold, "ann")
    # A new catalog is told, too: it writes over a few bytes.
    assert await services.redis.call("catalog", space.keys.meta, space.epoch or "", space.index.version + 1)


async def test_a_repeated_key_is_answered_without_postgres(
    http: httpx.AsyncClient,
    services: Services,
    metric: str,
    clock: SettableClock,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    space: Space = services.directory.production
    event = {"user": {"id": "ann"}, "value": 1}
    header = {"Idempotency-Key": "once"}
    first = await http.post(f"/v1/metrics/{metric}/event", json=event, headers=header)
    assert first.status_code == 201, first.text
    flusher = Flusher(services.pool, services.redis, space, clock)
    away = await open_pool(f"postgresql://podium@/podium?host={tmp_path_factory.mktemp('nobody')}")
    intake = services.intake(space)
    there, intake._pool = intake._pool, away
    for _ in range(2):
        again = await http.post(f"/v1/metrics/{metric}/event", json=event, headers=header)
        assert again.status_code == 202, again.text
        assert again.json()["eventId"] == first.json()["eventId"]
        while (await flusher.flush()).more:
            pass
    # Later only Postgres knows it.
    async for key in services.redis.raw.scan_iter(match=f"{space.keys.prefix}k:*"):
        await services.redis.raw.delete(key)
    assert (await http.post(f"/v1/metrics/{metric}/event", json=event, headers=header)).status_code == 503
    intake._pool = there
    later = await http.post(f"/v1/metrics/{metric}/event", json=event, headers=header)
    assert (later.status_code, later.json()["eventId"]) == (202, first.json()["eventId"])
    await away.close()


async def test_a_log_that_fills_redis_gives_the_functions_room(
    http: httpx.AsyncClient, services: Services, metric: str, limited: RedisClient, clock: SettableClock
) -> None:
    """A release that Redis has not seen begins while the log of the one before fills it."""
    space: Space = services.directory.production
    items = [{"key": metric, "user": {"id": "ann"}, "value": 1} for _ in range(200)]
    while (await http.post("/admin/v1/metrics/events", json=items)).status_code == 202:
        pass
    await limited.raw.function_flush("SYNC")
    filler = await fill(limited)
    for path in ("/v1/users/ann", "/v1/users/ann/metrics"):
        answer = await http.get(path)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert "no room for the functions" in answer.json()["error"]
    single = {"user": {"id": "ann"}, "value": 1}
    assert (await http.post(f"/v1/metrics/{metric}/event", json=single)).status_code == 503
    found = await readiness(services.redis, services.pool, [space], clock())
    assert not found.ready
    assert "no room for the functions" in found.parts["redis"].detail
    assert 'podium_writes_refused_total{reason="functions"}' in exposition()[0].decode()

    flusher = Flusher(services.pool, services.redis, space, clock)
    with pytest.raises(WritesRefused, match="no room for the functions"):
        await flusher.flush()  # what it flushed it drops from the log, which makes room
    while (await flusher.flush()).more:
        pass
    assert await limited.raw.xlen(space.keys.log) == 1
    await limited.delete(filler)
    assert (await http.post(f"/v1/metrics/{metric}/event", json=single)).status_code == 201
    assert (await readiness(services.redis, services.pool, [space], clock())).parts["redis"].status == "ok"


async def fill(redis: RedisClient) -> str:
    """Use up what is left of Redis' memory, to the last kilobyte: the key that does."""
    key = "filler"
    with contextlib.suppress(OutOfMemoryError):
        while True:
            await redis.raw.append(key, b"x" * 1_000)
    return key
