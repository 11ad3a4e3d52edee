"""What is read while a load plays: the server's own metrics, Redis' statistics, the disk, the flusher's lag."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from loadtest.histogram import Histogram, quantile
from podium.services import Services
from podium.spaces.space import Space
from podium.telemetry.health import log_state

METRICS_TOKEN = "loadtest"
OPERATOR = {"Authorization": f"Bearer {METRICS_TOKEN}"}
"""Headers of whoever may read ``/metrics`` and the details of ``/readyz``."""
FSYNCS = 300
APPEND = b"x" * 4_096
"""About what a commit appends to the file at this load."""
LAG_S = 0.5
"""Pause between two looks at the flush lag."""
FLUSHED_S = 120.0
"""Longest wait for an empty log."""


class Scrape(NamedTuple):
    """Some of ``/metrics``: of all web processes since their start."""

    events: float
    rank_update: Histogram
    call: Histogram
    batch: Histogram


async def scrape(url: str) -> Scrape:
    """Read ``/metrics``."""
    families = await _families(url)
    events = sum(s.value for s in families["podium_events"].samples if s.name == "podium_events_total")
    return Scrape(
        events,
        histogram(families["podium_rank_update_seconds"].samples),
        histogram(families["podium_commit_call_seconds"].samples),
        histogram(families["podium_batch_inputs"].samples),
    )


async def answers(url: str) -> dict[str, Histogram]:
    """How long the server took for GETs since its start, by the path as the API document has it."""
    by_path: dict[str, list[Sample]] = {}
    for sample in (await _families(url))["podium_answer_seconds"].samples:
        if sample.labels["method"] == "GET":
            by_path.setdefault(sample.labels["path"], []).append(sample)
    return {path: histogram(samples) for path, samples in by_path.items()}


async def _families(url: str) -> dict[str, Metric]:
    async with httpx.AsyncClient() as client:
        answer = await client.get(url + "/metrics", headers=OPERATOR, timeout=10)
        text = answer.raise_for_status().text
    return {family.name: family for family in text_string_to_metric_families(text)}


def histogram(samples: Iterable[Sample]) -> Histogram:
    """The histogram of one metric's samples."""
    bounds, counts, total = [], [], 0.0
    for sample in samples:
        if sample.name.endswith("_bucket"):
            bound = sample.labels["le"]
            bounds.append(inf if bound == "+Inf" else float(bound))
            counts.append(sample.value)
        elif sample.name.endswith("_sum"):
            total = sample.value
    return Histogram(tuple(bounds), tuple(counts), total)


async def function_us(redis: Any) -> float:
    """Microseconds that Redis has spent in functions."""
    stats = await redis.info("commandstats")
    return float(stats.get("cmdstat_fcall", {}).get("usec", 0))


async def function_percentiles_us(redis: Any) -> dict[str, float]:
    """p50 and p99 of a function call inside Redis since ``CONFIG RESETSTAT``: without queue, file and network."""
    found = (await redis.info("latencystats")).get("latency_percentiles_usec_fcall", {})
    return {name: float(value) for name, value in found.items() if name in ("p50", "p99")}


def fsync_s(folder: Path) -> tuple[float, float]:
    """p50 and p99 of appending 4 KB to a file in a folder and syncing it, with nothing else running."""
    path = folder / "fsync-probe"
    samples = []
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(FSYNCS):
            began_s = time.perf_counter()
            os.write(descriptor, APPEND)
            os.fdatasync(descriptor)
            samples.append(time.perf_counter() - began_s)
    finally:
        os.close(descriptor)
        path.unlink()
    return quantile(samples, 0.5), quantile(samples, 0.99)


class LagSampler:
    """Notes the flush lag while its block runs: ``points`` of (seconds since the start, lag in seconds)."""

    def __init__(self, services: Services, space: Space) -> None:
        self.points: list[tuple[float, float]] = []
        self._services = services
        self._space = space

    async def __aenter__(self) -> LagSampler:
        self._task = asyncio.create_task(self._sample())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    @property
    def last_s(self) -> float:
        """The lag when last looked."""
        return self.points[-1][1] if self.points else 0.0

    @property
    def most_s(self) -> float:
        """The largest lag."""
        return max((lag_s for _, lag_s in self.points), default=0.0)

    async def _sample(self) -> None:
        began_s = time.monotonic()
        while True:
            lag_s = await flush_lag_s(self._services, self._space)
            self.points.append((round(time.monotonic() - began_s, 2), lag_s))
            await asyncio.sleep(LAG_S)


async def flush_lag_s(services: Services, space: Space) -> float:
    """Age of the oldest log entry that Postgres doesn't hold yet."""
    state = await log_state(services.redis, space, services.clock())
    return state.lag_s if state is not None else 0.0


async def until_flushed(services: Services, space: Space) -> None:
    """Wait until Postgres holds everything. ``TimeoutError`` if that takes too long."""
    async with asyncio.timeout(FLUSHED_S):
        while True:
            state = await log_state(services.redis, space, services.clock())
            if state is not None and not state.entries:
                return
            await asyncio.sleep(0.2)


async def settle_redis(redis: Any) -> None:
    """Have the append-only file rewritten now, so that it isn't in the middle of a measurement."""
    with suppress(Exception):  # one may be under way already
        await redis.bgrewriteaof()
    async with asyncio.timeout(300):
        while True:
            state = await redis.info("persistence")
            if not state["aof_rewrite_in_progress"] and not state.get("aof_rewrite_scheduled"):
                return
            await asyncio.sleep(0.5)
