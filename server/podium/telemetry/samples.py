"""Samples of a space's numbers over the last minutes, kept in Redis for the console's charts.

The worker takes them while a space is written to. Besides, every request of the overview takes one.
"""

from __future__ import annotations

from typing import Any

import msgspec

from podium.spaces.space import Space
from podium.storage.postgres.pool import PoolConnection
from podium.storage.redis.client import AWAY, RedisClient, unavailable
from podium.telemetry.health import LogState

STEP_MS = 2_000
"""Length of a step. One sample is kept of each, however many processes take one."""
KEPT_MS = 240_000
"""Time for which a sample is kept."""
GAP_MS = 10_000
"""Charts are interrupted where two samples are further apart: nothing is known about the time between."""


class Sample(msgspec.Struct, frozen=True, array_like=True):
    """The numbers at an instant, each None where its store was away."""

    at_ms: int
    events: int | None = None
    entries: int | None = None
    lag_s: float | None = None


async def count_events(connection: PoolConnection, space_id: int) -> int:
    """Return the number of a space's events."""
    found: int = await connection.fetchval(
        "SELECT coalesce(sum(events), 0)::bigint FROM space_days WHERE space_id = $1", space_id
    )
    return found


def sample_of(now_ms: int, events: int | None, state: LogState | None) -> Sample:
    """Return the sample of an instant."""
    if state is None:
        return Sample(now_ms, events)
    return Sample(now_ms, events, state.entries, round(state.lag_s, 2))


_sample = msgspec.json.Decoder(Sample)


async def keep(redis: RedisClient, space: Space, sample: Sample) -> list[Sample]:
    """Keep a sample, and return those of the last ``KEPT_MS``, the oldest first.

    Raises:
        Unavailable: Redis is away.
    """
    step = sample.at_ms // STEP_MS
    keys = [f"{space.keys.prefix}o:{one}" for one in range(step - KEPT_MS // STEP_MS + 1, step + 1)]
    async with redis.raw.pipeline(transaction=False) as pipe:
        pipe.set(keys[-1], msgspec.json.encode(sample), px=KEPT_MS, nx=True)
        pipe.mget(keys)
        try:
            _, found = await pipe.execute()
        except AWAY as error:
            raise unavailable(error) from error
    return [_sample.decode(one) for one in found if one is not None]


def rates(samples: list[Sample]) -> list[tuple[int, float]]:
    """Return pairs of instant (ms) and events per second, each measured over about a step."""
    found, before = [], 0
    known = [(one.at_ms, one.events) for one in samples if one.events is not None]
    for at, (at_ms, events) in enumerate(known):
        # Two processes may take samples at nearly the same instant; a rate between them would be noise.
        while before + 1 < at and at_ms - known[before + 1][0] >= STEP_MS // 2:
            before += 1
        took_ms = at_ms - known[before][0]
        if STEP_MS // 2 <= took_ms <= GAP_MS:
            found.append((at_ms, round(max(0, events - known[before][1]) * 1000 / took_ms, 2)))
    return found


def series(samples: list[Sample]) -> dict[str, list[tuple[int, Any]]]:
    """Return the series of the charts: pairs of instant (ms) and value."""
    return {
        "rate": rates(samples),
        "logEntries": [(one.at_ms, one.entries) for one in samples if one.entries is not None],
        "flushLagS": [(one.at_ms, one.lag_s) for one in samples if one.lag_s is not None],
    }
