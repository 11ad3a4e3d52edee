"""The metrics that come from the stores. They are read at each scrape, and are the same in every web process.

A metric is left out while its store is away, so that an old number is never taken for a new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from redis.exceptions import RedisError

from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import AWAY, RedisClient
from podium.telemetry import heartbeats, set_aside
from podium.telemetry.clock_check import wrong_clocks
from podium.telemetry.health import log_states, rebuilds, rejected_items
from podium.telemetry.servers import Memory, memory_of

Values = Mapping[tuple[str, ...], float]
"""Numbers by the values of their labels."""

FAMILIES: dict[str, tuple[type[GaugeMetricFamily | CounterMetricFamily], str, tuple[str, ...]]] = {
    "podium_log_entries": (GaugeMetricFamily, "Entries of the log in Redis that are not flushed yet", ("space",)),
    "podium_log_bytes": (GaugeMetricFamily, "Bytes of the log in Redis that are not flushed yet", ("space",)),
    "podium_flush_lag_seconds": (GaugeMetricFamily, "Age of the oldest log entry not flushed yet", ("space",)),
    "podium_rebuilds": (
        CounterMetricFamily,
        "Rebuilds of a space in Redis; with the reasons empty, other and behind, Redis had gone back in time",
        ("space", "reason"),
    ),
    "podium_rejected_items": (
        GaugeMetricFamily,
        "Accepted items that Postgres refused, and that nobody has resent or deleted",
        ("space",),
    ),
    "podium_set_aside": (
        GaugeMetricFamily,
        "Items that a job of the worker has set aside because they failed several times",
        ("job",),
    ),
    "podium_wrong_clocks": (
        GaugeMetricFamily,
        "Processes, web and worker, whose clock differs from Redis' by more than a minute",
        (),
    ),
    "podium_workers": (GaugeMetricFamily, "Workers with a heartbeat in the last 30 seconds", ()),
    "podium_worker_heartbeat_age_seconds": (
        GaugeMetricFamily,
        "Seconds since the newest heartbeat of any worker; absent without one",
        (),
    ),
    "podium_redis_memory_bytes": (GaugeMetricFamily, "Memory that Redis uses", ()),
    "podium_redis_memory_limit_bytes": (GaugeMetricFamily, "maxmemory of Redis; 0 if there is none", ()),
}
"""The metrics, with type, help and labels."""


async def measure(redis: RedisClient, pool: Pool, spaces: Sequence[Space], now_ms: int) -> list[Metric]:
    """Return all metrics whose store is there."""
    found: dict[str, dict[tuple[str, ...], float]] = {name: {} for name in FAMILIES}
    names = {space.id: space.public_id for space in spaces}
    for public_id, state in (await log_states(redis, spaces, now_ms)).items():
        found["podium_log_entries"][public_id,] = state.entries
        found["podium_log_bytes"][public_id,] = state.bytes
        found["podium_flush_lag_seconds"][public_id,] = state.lag_s
    for done in await rebuilds(pool) or ():
        if done.space_id in names:
            found["podium_rebuilds"][names[done.space_id], done.reason] = done.times
    rejected = await rejected_items(pool)
    if rejected is not None:
        found["podium_rejected_items"] = {(names[id_],): rejected.get(id_, 0) for id_ in names}
    ages_s = await heartbeats.ages_s(redis)
    if ages_s is not None:  # Redis is there
        of_jobs = Counter(
            entry.job for of in (await set_aside.read_all(redis, spaces, now_ms)).values() for entry in of
        )
        found["podium_set_aside"] = {(job,): of_jobs[job] for job in set_aside.JOBS}
        found["podium_wrong_clocks"][()] = len(await wrong_clocks(redis))
        found["podium_workers"][()] = len(ages_s)
        if ages_s:
            found["podium_worker_heartbeat_age_seconds"][()] = min(ages_s.values())
    memory = await _memory(redis)
    if memory is not None:
        found["podium_redis_memory_bytes"][()] = memory.used
        found["podium_redis_memory_limit_bytes"][()] = memory.limit
    return [_family(name, values) for name, values in found.items() if values]


async def _memory(redis: RedisClient) -> Memory | None:
    try:
        return memory_of(await redis.raw.info("memory"))
    except (*AWAY, RedisError):
        return None


def _family(name: str, values: Values) -> Metric:
    kind, help_, labels = FAMILIES[name]
    make: Callable[..., GaugeMetricFamily | CounterMetricFamily] = kind
    family = make(name, help_, labels=labels)
    for of, value in values.items():
        family.add_metric(of, value)
    return family
