"""An idempotency key counts once whatever the clocks say around the change of a week."""

from __future__ import annotations

import random

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.intake.batcher import Outcome
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis import client
from podium.storage.redis.client import LIBRARY, SOURCE, RedisClient
from podium.storage.redis.keys import GENERATION_MS
from tests.conftest import SettableClock
from tests.integration.test_commit_errors import BOARDS, METRIC, Committer, redis_url

__all__ = ["redis_url"]

HOUR_MS = 3_600_000
TOLD = SOURCE.replace(LIBRARY, f"{LIBRARY}_told").replace("call('TIME')[1]", "redis.call('GET', 'now_s')")
"""The library, to whom the key ``now_s`` says what Redis' own clock shows."""


@pytest.fixture
async def processes(
    space: Space, redis_client: RedisClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> list[Committer]:
    assert "now_s" in TOLD
    monkeypatch.setattr(client, "LIBRARY", f"{LIBRARY}_told")
    monkeypatch.setattr(client, "SOURCE", TOLD)
    space.index = CatalogIndex(Catalog(1, metrics=(METRIC,), leaderboards=BOARDS))
    return [Committer(space, redis_client, pool, SettableClock()) for _ in range(3)]


@pytest.mark.parametrize("seed", range(3))
async def test_keys_count_once_around_a_border(processes: list[Committer], seed: int) -> None:
    draw = random.Random(seed)
    border_ms = 3000 * GENERATION_MS
    batchers = [one.batcher() for one in processes]
    used: dict[str, int] = {}
    start_ms = border_ms - draw.choice([1, HOUR_MS, 2 * GENERATION_MS // 7])
    now_ms, total = start_ms, 0
    for step in range(40):
        # Time goes on, now and then back, and never far from where it began: older keys are Postgres' business.
        now_ms += draw.choice([1, 500, HOUR_MS, 12 * HOUR_MS, -1, -HOUR_MS])
        now_ms = min(now_ms, start_ms + GENERATION_MS - 1)
        skews = [0, draw.choice([-HOUR_MS, HOUR_MS]), draw.randrange(-HOUR_MS, HOUR_MS)]
        for one, skew in zip(processes, skews, strict=True):
            one.clock.now_ms = now_ms + skew
        redis_ms = now_ms + draw.choice([0, -HOUR_MS, HOUR_MS])
        await processes[0].redis.raw.set("now_s", redis_ms // 1000)
        key = f"key-{step}" if not used or draw.random() < 0.5 else draw.choice(list(used))
        for at in draw.sample(range(3), 2):
            if draw.random() < 0.1:
                batchers[at] = processes[at].batcher()  # started anew
            outcome = await batchers[at].submit(processes[at].event("ann", 1, key=key))
            assert isinstance(outcome, Outcome)
            assert outcome.replayed == (key in used)
            used[key] = step
        total = len(used)
    assert outcome.state is not None
    assert outcome.state.totals == {1: total}


async def test_a_repetition_in_the_next_week_by_a_process_whose_clock_is_behind(
    processes: list[Committer],
) -> None:
    border_ms = 3000 * GENERATION_MS
    ahead, behind = processes[:2]
    ahead.clock.now_ms, behind.clock.now_ms = border_ms + 1_000, border_ms - 1_000
    await ahead.redis.raw.set("now_s", border_ms // 1000)
    assert not (await ahead.batcher().submit(ahead.event("ann", 1, key="k"))).replayed
    assert (await behind.batcher().submit(behind.event("ann", 1, key="k"))).replayed
    await ahead.redis.raw.set("now_s", border_ms // 1000 - 1)  # the clock of Redis steps back
    assert (await behind.batcher().submit(behind.event("ann", 1, key="k"))).replayed
    assert int(await ahead.redis.raw.hget(ahead.space.keys.meta, "generation")) == 3000
