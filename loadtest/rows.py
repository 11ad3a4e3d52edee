"""The rows of the benchmark's table: each plays one load on a stack and returns what it saw."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import asynccontextmanager
from multiprocessing import get_context
from typing import Any, NamedTuple

import httpx
import msgspec

from loadtest import generators, probes
from loadtest.generators import Load, Result
from loadtest.histogram import quantile, slope
from loadtest.stack import Stack
from loadtest.watch import watch
from podium.demo.catalog import METRIC

CONNECTIONS = 64
WARM_UP_S = 3.0
"""Before each load: connections, caches and the worker are as they stay."""
DAY_RATE = 1_157.0
"""Events a second of 100 million a day."""
CHANGES = 100.0
"""Changes a second of the watched window."""
BATCHES = 5.0
"""Batches of 1,000 a second beside the single posts."""
BESIDE = 200.0
"""Single posts a second beside the batches: enough for a p99, and far from a load of their own."""
BATCH_CONNECTIONS = 4


class Run(NamedTuple):
    """A stack being measured. ``sent`` adds up all loads: [accepted, refused, unanswered or under way]."""

    stack: Stack
    users: int
    pool: int
    seconds: float
    long_s: float
    executor: ProcessPoolExecutor
    sent: list[int]

    @property
    def space(self) -> Any:
        return self.stack.services.directory.production

    @property
    def redis(self) -> Any:
        return self.stack.services.redis.raw

    def load(self, **changes: Any) -> Load:
        """Single events of the pool, as many as are answered."""
        plain: dict[str, Any] = {
            "port": self.stack.port,
            "key": self.stack.key,
            "metric": METRIC,
            "users": self.users,
            "pool": self.pool,
            "connections": CONNECTIONS,
            "seconds": self.seconds,
        }
        return Load(**(plain | changes))

    async def play(self, generator: Callable[[Load], Result], load: Load) -> Result:
        """Run a generator in a process of its own."""
        result = await asyncio.get_running_loop().run_in_executor(self.executor, generator, load)
        self.note(result)
        # wrk leaves with a request under way on each connection.
        if generator is generators.wrk and generators.has_wrk():
            self.sent[2] += load.connections
        return result

    def note(self, result: Result) -> None:
        """Add a load to ``sent``."""
        for i, number in enumerate((result.accepted, result.refused, result.unknown)):
            self.sent[i] += number


def executor() -> ProcessPoolExecutor:
    """Processes for generators, started now."""
    made = ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn"))
    list(made.map(time.sleep, [0.2, 0.2]))
    return made


async def singles(run: Run, **changes: Any) -> dict[str, Any]:
    """Single posts on 64 connections, as many as are answered; CPU and Redis time of an event."""
    stack = run.stack
    await run.play(generators.wrk, run.load(seconds=WARM_UP_S, **changes))
    await run.redis.config_resetstat()
    before, cpu = await probes.scrape(stack.url), stack.cpu_s()
    async with probes.LagSampler(stack.services, run.space) as lag:
        result = await run.play(generators.wrk, run.load(**changes))
        function_us = await probes.function_us(run.redis)
        lag_end_s = await probes.flush_lag_s(stack.services, run.space)
    after, cpu_after = await probes.scrape(stack.url), stack.cpu_s()
    events = max(1.0, after.events - before.events)
    cpu_us = {name: (cpu_after[name] - cpu[name]) / events * 1e6 for name in cpu}
    cpu_us["generator"] = result.cpu_s / events * 1e6
    batch = after.batch.since(before.batch)
    await probes.until_flushed(stack.services, run.space)
    return {
        **_numbers(result),
        "lag_end_s": lag_end_s,
        "lag_points": lag.points,
        "redis_us": function_us / events,
        "cpu_us": {name: round(us, 1) for name, us in cpu_us.items()},
        "batch_mean": batch.mean,
    }


async def baseline(run: Run, *, bare: bool) -> dict[str, Any]:
    """The same generator against handlers that only read the body."""
    seconds = max(2.0, run.seconds / 4)
    async with run.stack.baseline(bare=bare) as port:
        load = run.load(port=port, seconds=seconds)
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(run.executor, generators.wrk, load._replace(seconds=1.0))
        return _numbers(await loop.run_in_executor(run.executor, generators.wrk, load))


async def batches(run: Run) -> dict[str, Any]:
    """Batches of 1,000, as many as are answered."""
    load = run.load(connections=BATCH_CONNECTIONS, batch=generators.BATCH)
    await run.play(generators.post, load._replace(seconds=WARM_UP_S))
    result = await run.play(generators.post, load)
    lag_end_s = await probes.flush_lag_s(run.stack.services, run.space)
    await probes.until_flushed(run.stack.services, run.space)
    return {**_numbers(result), "lag_end_s": lag_end_s}


async def beside_batches(run: Run) -> dict[str, Any]:
    """Single posts at a fixed rate beside 5,000 events/s of batches."""
    batch = run.load(connections=BATCH_CONNECTIONS, batch=generators.BATCH, rate=BATCHES)
    single = run.load(rate=BESIDE)
    alone = await run.play(generators.post, single._replace(seconds=max(2.0, run.seconds / 4)))
    beside, result = await asyncio.gather(run.play(generators.post, batch), run.play(generators.post, single))
    await probes.until_flushed(run.stack.services, run.space)
    return {"batches": _numbers(beside), "singles": _numbers(result), "singles_alone": _numbers(alone)}


async def day_load(run: Run) -> dict[str, Any]:
    """100 million a day: rank update and its parts, and the flush lag over time."""
    stack = run.stack
    load = run.load(rate=DAY_RATE)
    await run.play(generators.post, load._replace(seconds=WARM_UP_S))
    await run.redis.config_resetstat()
    before, cpu = await probes.scrape(stack.url), stack.cpu_s()
    async with probes.LagSampler(stack.services, run.space) as lag:
        result = await run.play(generators.post, load._replace(seconds=run.long_s))
    after, cpu_after = await probes.scrape(stack.url), stack.cpu_s()
    function_us = await probes.function_percentiles_us(run.redis)
    rank, call = after.rank_update.since(before.rank_update), after.call.since(before.call)
    seconds = result.seconds
    return {
        **_numbers(result),
        "rank_p50_s": rank.quantile(0.5),
        "rank_p99_s": rank.quantile(0.99),
        "rank_mean_s": rank.mean,
        "rank_within_2ms": rank.share_below(0.002),
        "rank_within_4ms": rank.share_below(0.004),
        "rank_buckets": list(zip(map(str, rank.bounds), rank.counts, strict=True)),
        "call_p50_s": call.quantile(0.5),
        "call_p99_s": call.quantile(0.99),
        "call_mean_s": call.mean,
        "function_us": function_us,
        "batch_mean": after.batch.since(before.batch).mean,
        "cores": {name: round((cpu_after[name] - cpu[name]) / seconds, 3) for name in cpu},
        "lag_points": lag.points,
        "lag_max_s": lag.most_s,
        "lag_slope": slope(lag.points),
    }


async def watched(run: Run) -> dict[str, Any]:
    """A viewer of the first 10 places, with 100 changes a second of them within the same load."""
    seconds = run.seconds
    rest = run.load(rate=DAY_RATE - CHANGES)
    changes = run.load(rate=CHANGES, seconds=max(1.0, seconds - 2))
    background = asyncio.ensure_future(run.play(generators.post, rest))
    await asyncio.sleep(1)
    loop = asyncio.get_running_loop()
    latencies, lost = await loop.run_in_executor(run.executor, watch, changes, "all-time")
    await background
    accepted = len(latencies) + lost
    run.sent[0] += accepted + 20  # each climber is asked for the total with an event of value 0
    return {
        "changes": accepted,
        "lost": lost,
        "p50_s": quantile(latencies, 0.5),
        "p99_s": quantile(latencies, 0.99),
    }


@asynccontextmanager
async def steady(run: Run) -> AsyncIterator[None]:
    """Nothing of the seeding goes on inside the block: the append-only file is rewritten, web and worker run."""
    await probes.settle_redis(run.redis)
    async with run.stack.serving():
        await run.stack.services.directory.refresh()
        yield
        await probes.until_flushed(run.stack.services, run.space)


async def limits(url: str) -> list[str]:
    """What ``/readyz`` warns of: must be empty, or 201 did not mean stored."""
    async with httpx.AsyncClient() as client:
        body = (await client.get(url + "/readyz", headers=probes.OPERATOR)).content
    found: list[str] = msgspec.json.decode(body)["warnings"]
    return found


def _numbers(result: Result) -> dict[str, Any]:
    return {
        "rate": result.rate,
        "accepted": result.accepted,
        "refused": result.refused,
        "unknown": result.unknown,
        "seconds": result.seconds,
        "p50_s": result.p50_s,
        "p99_s": result.p99_s,
    }
