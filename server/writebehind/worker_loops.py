"""The write-behind part of the worker: every space flushed and, where needed, rebuilt; jobs around it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import structlog
from redis.exceptions import RedisError

from server.backends.postgres.pool import Pool
from server.backends.redis.client import AWAY, RedisClient
from server.backends.redis.keys import ANNOUNCE
from server.clock import Clock
from server.core.errors import Unavailable
from server.intake.service import Intake
from server.settings import Settings
from server.spaces.directory import Directory
from server.spaces.space import Space
from server.writebehind.eviction import evict
from server.writebehind.figures import Figures
from server.writebehind.filling import Filling
from server.writebehind.finals import Finals
from server.writebehind.flusher import Flushed, Flusher, FlushStats, WentBack
from server.writebehind.partitions import create_partitions
from server.writebehind.rebuild import is_outdated, rebuild
from server.writebehind.rewards import Rewards
from server.writebehind.sweeps import Sweeps
from server.writebehind.ticks import Ticks

VISIT_S = 60.0
"""A space is looked at this often even if nobody announced it: pub/sub may drop a message."""
NEW_SPACES_S = 1.0
"""A space that the directory has learnt of is served within this time."""
BACKOFF_S = 5.0
"""Longest pause between two attempts while a store is away; the first is the flush interval."""
LISTEN_S = 1.0
"""Longest wait for one announcement, below the client's own limit; and the pause after a failure."""
JOBS_S = 3_600.0
"""Pause between two rounds of eviction and of partitions."""
FILLING_S = 1.0
"""Pause between two looks for leaderboards that are new."""
FINALS_S = 5.0
"""Pause between two looks for runs that have ended."""
TICKS_S = 0.5
"""Pause between two looks for who is due."""
SWEEPS_S = 1.0
"""Pause between two looks for a catalog that is new."""
STOP_S = 3.0
"""What a stop waits for the last flush; a rebuild is cut off, and starts over next time."""

log = structlog.get_logger(__name__)


class Services(Protocol):
    """What the loops need of services.py."""

    @property
    def settings(self) -> Settings: ...
    @property
    def directory(self) -> Directory: ...
    @property
    def pool(self) -> Pool: ...
    @property
    def redis(self) -> RedisClient: ...
    @property
    def clock(self) -> Clock: ...
    def intake(self, space: Space) -> Intake: ...


async def run_worker(services: Services, stop: asyncio.Event, stats: dict[str, FlushStats]) -> None:
    """Serve every space of the directory until ``stop``, then flush once more.

    ``stats`` gets an entry per space, by public id. Somebody else keeps the directory up to date.
    """
    wakes: dict[str, asyncio.Event] = {}
    rebuilding = asyncio.Semaphore(1)  # a rebuild takes a core of Redis, and two connections of the pool
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(_listen(services.redis, wakes)),
            group.create_task(_repeat("partitions", lambda: _make_partitions(services))),
            group.create_task(_repeat("eviction", lambda: _evict(services))),
            group.create_task(_repeat("filling", partial(_fill_leaderboards, services, {}), FILLING_S)),
            group.create_task(_repeat("finals", partial(_finish_runs, services, {}), FINALS_S)),
            group.create_task(_repeat("ticks", partial(_tick, services, {}), TICKS_S)),
            group.create_task(_repeat("sweeps", partial(_sweep, services, {}), SWEEPS_S)),
            group.create_task(_repeat("rewards", partial(_reward, services), FINALS_S)),
        ]
        spaces: list[asyncio.Task[None]] = []
        while True:
            for public_id, space in services.directory.spaces.items():
                if public_id not in wakes:
                    wakes[public_id], stats[public_id] = asyncio.Event(), FlushStats()
                    loop = run_space(
                        services, space, stop, wakes[public_id], stats[public_id], rebuilding=rebuilding
                    )
                    spaces.append(group.create_task(loop))
            if stop.is_set():
                break
            await _first(NEW_SPACES_S, stop)
        if spaces:
            await asyncio.wait(spaces, timeout=STOP_S)
        for task in (*background, *spaces):
            task.cancel()


async def run_space(
    services: Services,
    space: Space,
    stop: asyncio.Event,
    wake: asyncio.Event,
    stats: FlushStats,
    *,
    rebuilding: asyncio.Semaphore,
) -> None:
    """Flush one space, at once when woken, then each interval while there is something.

    Rebuild it where Redis doesn't continue what Postgres holds. Whatever fails is tried again. After
    ``stop``, one last flush.
    """
    interval_s = services.settings.flush_interval
    flusher = Flusher(services.pool, services.redis, space, services.clock, stats)
    figures = Figures(services.pool, services.redis, space, services.clock)
    failures, active, current = 0, False, False
    while True:
        wake.clear()
        stopping = stop.is_set()  # what was committed before the stop is flushed after it
        try:
            if active and not stopping:
                await figures.keep()
            if not current and not stopping:
                await _renew(services, space, rebuilding)
                current = True
            flushed = await _flush_or_rebuild(services, space, flusher, stop, rebuilding)
        except Exception as error:  # whatever it is, the log waits, and nothing is lost by another attempt
            failures += 1
            if isinstance(error, Unavailable):
                if failures == 1:
                    log.warning("flush_paused", space=space.public_id, error=str(error))
            elif failures == 1:
                log.exception("flush_failed", space=space.public_id)
            if stopping:
                return
            await _first(min(BACKOFF_S, interval_s * 2**failures), stop)
            continue
        if failures:
            log.info("flush_resumed", space=space.public_id, failures=failures)
        failures, active = 0, bool(flushed.events)
        if flushed.more:
            continue
        if stopping:
            return
        if flushed.events:
            await _first(interval_s, stop)
        else:
            await _first(VISIT_S, stop, wake)


async def _flush_or_rebuild(
    services: Services, space: Space, flusher: Flusher, stop: asyncio.Event, rebuilding: asyncio.Semaphore
) -> Flushed:
    try:
        return await flusher.flush()
    except WentBack as error:
        if stop.is_set():
            raise
        log.warning("rebuild_needed", space=space.public_id, reason=str(error))
    async with rebuilding:
        await rebuild(services.pool, services.redis, space, services.clock, cold_before_ms=_idle_before(services))
    return Flushed(0, more=True)


async def _renew(services: Services, space: Space, rebuilding: asyncio.Semaphore) -> None:
    """Rebuild a space whose Redis an earlier release filled, and laid out otherwise than this one reads it."""
    if not await is_outdated(services.redis, space):
        return
    log.warning("rebuild_needed", space=space.public_id, reason="an earlier release laid Redis out otherwise")
    async with rebuilding:
        await rebuild(services.pool, services.redis, space, services.clock, cold_before_ms=_idle_before(services))


async def _listen(redis: RedisClient, wakes: dict[str, asyncio.Event]) -> None:
    """Wake the spaces that are announced; after a gap, all of them."""
    while True:
        try:
            async with redis.raw.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(ANNOUNCE)
                for wake in wakes.values():
                    wake.set()
                while True:
                    message = await pubsub.get_message(timeout=LISTEN_S)
                    if message is not None and (announced := wakes.get(message["data"].decode())):
                        announced.set()
        except (*AWAY, RedisError) as error:
            # The flush of each space says that Redis is away; without announcements a visit finds the rest.
            log.debug("announcements_lost", error=str(error))
            await asyncio.sleep(LISTEN_S)


async def _repeat(job: str, run: Callable[[], Awaitable[None]], pause_s: float = JOBS_S) -> None:
    while True:
        try:
            await run()
        except Unavailable as error:
            log.warning("job_postponed", job=job, error=str(error))
        except Exception:  # the next round may fare better, and the flushers must go on
            log.exception("job_failed", job=job)
        await asyncio.sleep(pause_s)


async def _make_partitions(services: Services) -> None:
    made = await create_partitions(services.pool, services.clock())
    if made:
        log.info("partitions_made", names=made)


async def _fill_leaderboards(services: Services, fillings: dict[int, Filling]) -> None:
    for space in list(services.directory.spaces.values()):
        if space.id not in fillings:
            intake = services.intake(space)
            fillings[space.id] = Filling(services.pool, services.redis, intake, services.clock)
        if space.epoch is not None:
            await fillings[space.id].round()


async def _finish_runs(services: Services, finals: dict[int, Finals]) -> None:
    for space in list(services.directory.spaces.values()):
        if space.id not in finals:
            finals[space.id] = Finals(services.pool, services.redis, services.directory, space, services.clock)
        if space.epoch is not None:
            await finals[space.id].round()


async def _tick(services: Services, ticks: dict[int, Ticks]) -> None:
    for space in list(services.directory.spaces.values()):
        if space.id not in ticks:
            ticks[space.id] = Ticks(services.pool, services.redis, services.intake(space), services.clock)
        if space.epoch is not None:
            await ticks[space.id].round()


async def _sweep(services: Services, sweeps: dict[int, Sweeps]) -> None:
    for space in list(services.directory.spaces.values()):
        if space.id not in sweeps:
            sweeps[space.id] = Sweeps(services.pool, services.redis, services.intake(space), services.clock)
        if space.epoch is not None:
            await sweeps[space.id].round()


async def _reward(services: Services) -> None:
    for space in list(services.directory.spaces.values()):
        if space.epoch is not None:
            await Rewards(services.pool, services.intake(space), services.clock).round()


async def _evict(services: Services) -> None:
    before_ms = _idle_before(services)
    if before_ms:
        for space in list(services.directory.spaces.values()):
            if space.epoch is not None:
                await evict(services.pool, services.redis, space, before_ms)


def _idle_before(services: Services) -> int:
    """The instant before which a user counts as idle; 0 where nobody does."""
    after_s = services.settings.evict_after
    return max(0, services.clock() - int(after_s * 1000)) if after_s else 0


async def _first(timeout_s: float, *events: asyncio.Event) -> None:
    """Return when one of the events is set, or after the time."""
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
