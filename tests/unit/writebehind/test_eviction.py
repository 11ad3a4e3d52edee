"""Who is idle, and that one user's odd key keeps nobody else in Redis."""

from __future__ import annotations

from typing import Any

import pytest
from redis.exceptions import ResponseError

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import StaleEpoch
from podium.spaces.space import Space
from podium.writebehind.eviction import _evict, idle_before

SPACE = Space(1, "s", "production", "default", "", (), CatalogIndex(Catalog(1)), "e")


@pytest.mark.parametrize(("after_s", "before_ms"), [(0, 0), (60, 940_000), (1_000_000, 0)])
def test_who_is_idle(after_s: float, before_ms: int) -> None:
    assert idle_before(1_000_000, after_s) == before_ms


class Evicts:
    """A Redis that evicts all but users with an odd key."""

    def __init__(self, *odd: str) -> None:
        self.odd = set(odd)
        self.calls: list[list[str]] = []
        self.epoch = "e"

    async def call(self, function: str, meta: str, epoch: str, *pairs: str) -> list[int]:
        users = list(pairs[::2])
        self.calls.append(users)
        if self.odd & set(users):
            raise ResponseError("WRONGTYPE")
        return [0, len(users)] if epoch == self.epoch else [1, 0]


class Row(tuple[str, str]):
    """A row as asyncpg gives it."""

    def __getitem__(self, key: Any) -> Any:
        return super().__getitem__({"id": 0, "token": 1}.get(key, key))


ROWS = [Row((user, f"t-{user}")) for user in ("ann", "ben", "chi")]


async def test_all_go_in_one_call() -> None:
    redis: Any = Evicts()
    assert await _evict(redis, SPACE, ROWS) == 3
    assert redis.calls == [["ann", "ben", "chi"]]


async def test_one_odd_key_keeps_only_its_user() -> None:
    redis: Any = Evicts("ben")
    assert await _evict(redis, SPACE, ROWS) == 2
    assert redis.calls[1:] == [["ann"], ["ben"], ["chi"]]


async def test_under_another_epoch_nobody_is_evicted() -> None:
    redis: Any = Evicts()
    redis.epoch = "rebuilt"
    with pytest.raises(StaleEpoch):
        await _evict(redis, SPACE, ROWS)
