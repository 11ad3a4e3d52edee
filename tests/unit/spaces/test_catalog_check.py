"""A refusal is drawn again where Redis names a newer catalog, at the cost of one look for all who wait."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from redis.exceptions import ConnectionError as RedisAway

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import NotFound
from podium.spaces import catalog_check
from podium.spaces.catalog_check import RETRY_S, CatalogCheck
from podium.spaces.space import Space


class Bench:
    """Redis that names a version, Postgres that holds one."""

    def __init__(self) -> None:
        self.raw = self
        self.named: bytes | None = b"1"
        self.held = 1
        self.looks = self.refreshes = 0
        self.away = False
        self.space = Space(1, "s", "production", "default", "", (), CatalogIndex(Catalog(1)), "e")
        redis: Any = self
        self.check = CatalogCheck(redis, self.refresh)

    async def hget(self, key: str, field: str) -> bytes | None:
        self.looks += 1
        await asyncio.sleep(0)
        if self.away:
            raise RedisAway
        return self.named

    async def refresh(self, space: Space) -> None:
        self.refreshes += 1
        space.index = CatalogIndex(Catalog(self.held))

    async def attempt(self) -> int:
        if self.space.index.version < 2:
            raise NotFound("not in this catalog")
        return self.space.index.version


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def time_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr(catalog_check, "stopwatch_s", lambda: now[0])
    return now


async def test_a_refusal_by_the_newest_catalog_is_final(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await bench.check.retried(bench.space, bench.attempt)
    assert (bench.looks, bench.refreshes) == (1, 0)


async def test_a_refusal_by_an_older_catalog_is_drawn_again(bench: Bench) -> None:
    bench.named, bench.held = b"2", 2
    assert await bench.check.retried(bench.space, bench.attempt) == 2
    assert bench.refreshes == 1


async def test_what_is_not_refused_costs_nothing(bench: Bench) -> None:
    bench.space.index = CatalogIndex(Catalog(2))
    assert await bench.check.retried(bench.space, bench.attempt) == 2
    assert bench.looks == 0


async def test_refusals_that_wait_share_a_look(bench: Bench) -> None:
    found = await asyncio.gather(*(bench.check.has_newer(bench.space, 1) for _ in range(50)))
    assert not any(found)
    assert bench.looks <= 2  # those who came before it began, and those who came during it


async def test_while_redis_is_away_the_refusal_stands(bench: Bench) -> None:
    bench.away = True
    assert not await bench.check.has_newer(bench.space, 1)


async def test_a_space_without_a_version_has_no_newer_one(bench: Bench) -> None:
    bench.named = None
    assert not await bench.check.has_newer(bench.space, 1)


async def test_a_postgres_that_lacks_the_version_is_not_asked_for_each_refusal(
    bench: Bench, time_s: list[float]
) -> None:
    bench.named = b"2"  # and Postgres, an older copy, has 1
    for _ in range(5):
        assert not await bench.check.has_newer(bench.space, 1)
    assert bench.refreshes == 1
    time_s[0] += RETRY_S
    bench.held = 2
    assert await bench.check.has_newer(bench.space, 1)
