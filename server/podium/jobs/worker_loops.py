"""The loops of the worker: one per space, which flushes and rebuilds it, and one per job."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

import structlog
from redis.exceptions import RedisError

from podium.clock import Clock, stopwatch_s
from podium.game.errors import Unavailable
from podium.intake.service import Intake
from podium.jobs.backfill import Backfill
from podium.jobs.catalog_versions import prune_versions
from podium.jobs.finals import Finals
from podium.jobs.partitions import create_partitions
from podium.jobs.quarantine import SPACE, Quarantine
from podium.jobs.reconciliation import Reconciliation
from podium.jobs.rewards import Rewards
from podium.jobs.rounds import Round, SpaceJob
from podium.jobs.samples import SampleRecorder
from podium.jobs.ticks import Ticks
from podium.settings import Settings
from podium.spaces.directory import Directory
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import AWAY, RedisClient
from podium.storage.redis.keys import FLUSH
from podium.storage.redis.wire import ANNOUNCE
from podium.writebehind.eviction import evict, idle_before
from podium.writebehind.flusher import Flushed, Flusher, FlushStats, WentBack
from podium.writebehind.rebuild import is_outdated, rebuild

VISIT_S = 60.0
"""Seconds after which a space is flushed even without an announcement, since pub/sub may drop a message."""
NEW_SPACES_S = 1.0
"""Seconds within which a new space of the directory is served."""
ASKED_S = 0.02
"""Least seconds before a flush that a waiting read asked for. Reads that ask meanwhile share it."""
ASKED_SHARE = 0.2
"""Greatest share of time that a space's flusher spends on such flushes. The pause grows with the duration of the
last flush, up to the flush interval, so that reads never split the batches of a busy space into single entries."""
BACKOFF_S = 5.0
"""Most seconds between two attempts while a store is away. The first pause is the flush interval."""
LISTEN_S = 1.0
"""Most seconds of one wait for an announcement, below the client's own timeout, and the pause after a failure."""
JOBS_S = 3_600.0
"""Seconds between two rounds of eviction, partitions and old catalog versions."""
BACKFILL_S = 0.5
"""Seconds between two checks for new leaderboards."""
FINALS_S = 5.0
"""Seconds between two checks for runs that have ended."""
TICKS_S = 0.5
"""Seconds between two checks for users who are due."""
RECONCILIATION_S = 1.0
"""Seconds between two checks for a new catalog."""
STOP_S = 3.0
"""Seconds that a stop waits for the last flush. A rebuild is aborted, and starts over next time."""

_FLUSH = FLUSH.encode()

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class WakeEvents:
    """The events that wake the loop of one space: commits that found an empty log, and reads that wait for
    Postgres."""

    announced: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)


class Services(Protocol):
    """The part of ``podium.services.Services`` that the loops use."""

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
    @property
    def clock_agrees(self) -> asyncio.Event: ...
    def intake(self, space: Space) -> Intake: ...


async def run_worker(services: Services, stop: asyncio.Event, stats: dict[str, FlushStats]) -> None:
    """Serve every space of the directory until ``stop``, then flush once more.

    Nothing starts until Redis's clock agrees with this one. Later, work that depends on time alone (due users,
    final runs, idle users) pauses while it doesn't agree; flushing doesn't depend on time. ``stats`` gets an entry
    per space, by public id. The caller keeps the directory up to date.
    """
    await _first(None, stop, services.clock_agrees)
    wakes: dict[str, WakeEvents] = {}
    rebuilding = asyncio.Semaphore(1)  # a rebuild takes a core of Redis, and two connections of the pool
    async with asyncio.TaskGroup() as group:
        background = [
            group.create_task(_listen(services.redis, wakes)),
            group.create_task(_repeat("partitions", lambda: _make_partitions(services), services.clock_agrees)),
            *(group.create_task(job.run(services.clock_agrees)) for job in _space_jobs(services)),
        ]
        spaces: list[asyncio.Task[None]] = []
        while True:
            for public_id, space in services.directory.spaces.items():
                if public_id not in wakes:
                    wakes[public_id], stats[public_id] = WakeEvents(), FlushStats()
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
    wakes: WakeEvents,
    stats: FlushStats,
    *,
    rebuilding: asyncio.Semaphore,
) -> None:
    """Flush one space: at once when woken, then at each interval while there are entries, or sooner when asked.

    Rebuild it if Redis doesn't continue what Postgres has. Failures are tried again. After ``stop`` flush a last
    time.
    """
    interval_s = services.settings.flush_interval
    flusher = Flusher(services.pool, services.redis, space, services.clock, stats)
    samples = SampleRecorder(services.pool, services.redis, space, services.clock)
    quarantine = Quarantine(services.redis, space, services.clock, "flush")
    failures, active, current = 0, False, False
    while True:
        wakes.announced.clear()
        wakes.asked.clear()
        stopping = stop.is_set()  # read before the flush, so that it includes everything committed before the stop
        try:
            # Before the flush, whose success would hide the lag that the sample should show.
            if active and not stopping:
                await samples.keep()
            if not current and not stopping:
                await _renew(services, space, rebuilding)
                current = True
            began_s = stopwatch_s()
            flushed = await _flush_or_rebuild(services, space, flusher, stop, rebuilding)
        except Exception as error:  # noqa: BLE001 # the log is kept, so another attempt loses nothing
            failures += 1
            if isinstance(error, Unavailable):
                if failures == 1:
                    log.warning("flush_paused", space=space.public_id, error=str(error))
            else:
                await _list_failure(quarantine, error)
            if stopping:
                return
            await _first(min(BACKOFF_S, interval_s * 2**failures), stop)
            continue
        if failures:
            log.info("flush_resumed", space=space.public_id, failures=failures)
            await _list_failure(quarantine, None)
        failures, active = 0, bool(flushed.events)
        if flushed.more:  # a full batch, or a rebuild: there is more to flush at once
            continue
        if stopping:
            return
        # After an empty flush the next commit announces itself, so the loop can sleep. While there are entries,
        # Redis announces nothing, and the loop polls at the interval.
        if flushed.events:
            least_s = pause_s(stopwatch_s() - began_s, interval_s)
            await _first(least_s, stop)
            await _first(interval_s - least_s, stop, wakes.asked)
        else:
            await _first(VISIT_S, stop, wakes.announced, wakes.asked)


def pause_s(took_s: float, interval_s: float) -> float:
    """Return the least pause (s) after a flush that took ``took_s``."""
    return min(interval_s, max(ASKED_S, took_s * (1 / ASKED_SHARE - 1)))


async def _list_failure(quarantine: Quarantine, error: Exception | None) -> None:
    """List a space's flush as failed, or as working again, for health checks. Errors of the list are ignored."""
    try:
        if error is None:
            await quarantine.passed(SPACE)
        else:
            await quarantine.failed(SPACE, "", error)
    except (Unavailable, RedisError) as away:
        log.debug("failure_not_listed", error=str(away))


async def _flush_or_rebuild(
    services: Services, space: Space, flusher: Flusher, stop: asyncio.Event, rebuilding: asyncio.Semaphore
) -> Flushed:
    try:
        return await flusher.flush()
    except WentBack:
        if stop.is_set():
            raise
    async with rebuilding:
        await rebuild(services.pool, services.redis, space, services.clock, cold_before_ms=_idle_before(services))
    return Flushed(0, more=True)


async def _renew(services: Services, space: Space, rebuilding: asyncio.Semaphore) -> None:
    """Rebuild a space whose data in Redis have the layout of an earlier release."""
    if not await is_outdated(services.redis, space):
        return
    async with rebuilding:
        await rebuild(services.pool, services.redis, space, services.clock, cold_before_ms=_idle_before(services))


async def _listen(redis: RedisClient, wakes: dict[str, WakeEvents]) -> None:
    """Wake the spaces that are announced or asked for, and all of them after a lost connection."""
    while True:
        try:
            async with redis.raw.pubsub(ignore_subscribe_messages=True) as pubsub:
                await pubsub.subscribe(ANNOUNCE, FLUSH)
                for wake in wakes.values():
                    wake.announced.set()
                while True:
                    message = await pubsub.get_message(timeout=LISTEN_S)
                    if message is not None and (found := wakes.get(message["data"].decode())):
                        (found.asked if message["channel"] == _FLUSH else found.announced).set()
        except (*AWAY, RedisError) as error:
            # The flush of each space reports that Redis is away. Missed announcements are made up for every
            # VISIT_S.
            log.debug("announcements_lost", error=str(error))
            await asyncio.sleep(LISTEN_S)


async def _repeat(
    job: str, run: Callable[[], Awaitable[None]], may_run: asyncio.Event, pause_s: float = JOBS_S
) -> None:
    while True:
        await may_run.wait()
        try:
            await run()
        except Unavailable as error:
            log.warning("job_postponed", job=job, error=str(error))
        except Exception:  # flushing must go on, and the next round may succeed
            log.exception("job_failed", job=job)
        await asyncio.sleep(pause_s)


async def _make_partitions(services: Services) -> None:
    made = await create_partitions(services.pool, services.clock())
    if made:
        log.info("partitions_made", names=made)


def _space_jobs(services: Services) -> list[SpaceJob]:
    """Return the jobs that run in all spaces."""
    pool, redis, directory, clock = services.pool, services.redis, services.directory, services.clock

    def job(name: str, pause_s: float, open_: Callable[[Space], Round]) -> SpaceJob:
        return SpaceJob(name, directory, redis, clock, open_, pause_s)

    return [
        job("eviction", JOBS_S, lambda space: partial(_evict, services, space)),
        job("catalog_versions", JOBS_S, lambda space: partial(_prune, services, space)),
        job("filling", BACKFILL_S, lambda space: Backfill(pool, redis, services.intake(space), clock).round),
        job("finals", FINALS_S, lambda space: Finals(pool, redis, directory, space, clock).round),
        job("ticks", TICKS_S, lambda space: Ticks(pool, redis, services.intake(space), clock).round),
        job(
            "sweeps",
            RECONCILIATION_S,
            lambda space: Reconciliation(pool, redis, services.intake(space), clock).round,
        ),
        job("rewards", FINALS_S, lambda space: Rewards(pool, redis, services.intake(space), clock).round),
    ]


async def _prune(services: Services, space: Space) -> None:
    await prune_versions(services.pool, services.redis, space, services.settings.catalog_versions)


async def _evict(services: Services, space: Space) -> None:
    before_ms = _idle_before(services)
    if before_ms:
        await evict(services.pool, services.redis, space, before_ms)


def _idle_before(services: Services) -> int:
    return idle_before(services.clock(), services.settings.evict_after)


async def _first(timeout_s: float | None, *events: asyncio.Event) -> None:
    """Return when one of the events is set, or after the timeout, if there is one."""
    tasks = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
