"""A process whose clock differs from Redis' commits nothing, decides nothing by time, and is seen to be wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import httpx
import pytest

from podium.clock import CheckedClock, system_clock
from podium.jobs.rounds import SpaceJob
from podium.jobs.worker_loops import run_worker
from podium.services import Services, open_services
from podium.settings import Settings
from podium.storage.redis.client import RedisClient
from podium.telemetry import clock_check
from podium.telemetry.clock_check import compare, watch_clock, wrong_clocks
from podium.telemetry.health import readiness
from tests.integration.conftest import serving_services
from tests.waiting import until

HOUR_MS = 3_600_000


class Wrong:
    """The machine's clock, set by ``ahead_ms``."""

    def __init__(self, ahead_ms: int = 0) -> None:
        self.ahead_ms = ahead_ms

    def __call__(self) -> int:
        return system_clock() + self.ahead_ms


@pytest.fixture
async def late(redis_url: str, database_url: str, admin_key: str) -> AsyncIterator[Services]:
    """A process whose clock is a day ahead from its start on."""
    settings = Settings(redis_url=redis_url, database_url=database_url, clock_offset=86_400)
    async with open_services(settings, role="web") as services:
        yield services


async def test_a_wrong_clock_is_listed_until_it_is_right(redis_client: RedisClient) -> None:
    read = Wrong(HOUR_MS)
    clock = CheckedClock(read)
    assert await compare(clock, redis_client, "worker here 1")
    [sentence] = await wrong_clocks(redis_client)
    assert sentence.startswith("worker here 1: the clock of this machine is 3")
    read.ahead_ms = 0
    assert await compare(clock, redis_client, "worker here 1")
    assert await wrong_clocks(redis_client) == []
    assert clock.agrees.is_set()


async def test_a_process_that_has_ended_is_forgotten(redis_client: RedisClient) -> None:
    seconds, _ = await redis_client.raw.time()
    long_ago_ms = seconds * 1000 - clock_check.LISTED_MS - 1_000
    await redis_client.raw.hset(clock_check.WRONG_CLOCKS, "worker here 2", f"{long_ago_ms} its clock is wrong")
    assert await wrong_clocks(redis_client) == []


async def test_an_answer_that_took_long_says_nothing(
    redis_client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that was stopped for minutes reads an answer of then."""
    moments = iter((0, clock_check.PROMPT_MS + 1))
    monkeypatch.setattr(clock_check, "stopwatch_ms", lambda: next(moments))
    clock = CheckedClock(Wrong(HOUR_MS))
    assert not await compare(clock, redis_client, "worker here 3")
    assert not clock.agrees.is_set()
    assert await wrong_clocks(redis_client) == []


async def test_redis_away_says_nothing() -> None:
    client = RedisClient("redis://127.0.0.1:1/0")
    clock = CheckedClock(Wrong())
    assert not await compare(clock, client, "web here 4")
    assert await wrong_clocks(client) == []
    assert not clock.agrees.is_set()
    await client.aclose()


async def test_a_clock_that_is_set_is_compared_at_once(
    redis_client: RedisClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clock_check, "LOOK_S", 0.001)
    read = Wrong()
    clock = CheckedClock(read)
    watching = asyncio.create_task(watch_clock(clock, redis_client, "web here 5"))
    await until(clock.agrees.is_set)
    read.ahead_ms = HOUR_MS
    await until(lambda: not clock.agrees.is_set())
    assert abs(clock() - system_clock()) < HOUR_MS // 2
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_a_web_process_with_a_wrong_clock_commits_nothing(late: Services, admin_key: str) -> None:
    async with serving_services(late) as url, httpx.AsyncClient(headers={"X-API-KEY": admin_key}) as http:
        answer = await http.post(f"{url}/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 1})
        assert answer.status_code == 503
        assert "ahead of Redis' clock" in answer.json()["error"]
        answer = await http.put(f"{url}/v1/users/ann", json={"name": "Ann"})
        assert answer.status_code == 503


async def test_readiness_names_a_wrong_clock(late: Services, redis_client: RedisClient) -> None:
    spaces = list(late.directory.spaces.values())
    own = await readiness(late.redis, late.pool, spaces, late.unchecked_clock(), has_time=late.has_time)
    assert not own.ready
    assert own.parts["clock"].status == "missing"
    others = await readiness(late.redis, late.pool, spaces, system_clock())
    assert others.ready
    assert any("ahead of Redis' clock" in warning for warning in others.warnings)


async def test_a_worker_with_a_wrong_clock_does_nothing(late: Services) -> None:
    """It begins once its clock is right, and ends when it is told to meanwhile."""
    stop = asyncio.Event()
    stats: dict[str, object] = {}
    worker = asyncio.create_task(run_worker(late, stop, stats))  # type: ignore[arg-type]
    done, _ = await asyncio.wait({worker}, timeout=0.05)
    assert not done
    assert stats == {}
    late.clock_agrees.set()
    await until(lambda: bool(stats))
    stop.set()
    await worker


class Watched(asyncio.Event):
    """An event that says whether somebody waits for it."""

    waiting = False

    async def wait(self) -> Literal[True]:
        self.waiting = not self.is_set()
        try:
            return await super().wait()
        finally:
            self.waiting = False


async def test_jobs_pause_while_the_clock_is_wrong(services: Services) -> None:
    rounds: list[str] = []

    def open_(space: object) -> object:
        async def visit() -> None:
            rounds.append("round")

        return visit

    job = SpaceJob("finals", services.directory, services.redis, services.clock, open_, 0.001)  # type: ignore[arg-type]
    agrees = Watched()
    agrees.set()
    running = asyncio.create_task(job.run(agrees))
    await until(lambda: len(rounds) > 2)
    agrees.clear()
    await until(lambda: agrees.waiting)
    seen = len(rounds)
    assert seen > 2
    agrees.set()
    await until(lambda: len(rounds) > seen + 2)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
