"""The parts of a process (stores, directory, clock, …), opened once and passed down. Nothing is global."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import structlog

from podium.api.leaderboards import queries as boards
from podium.clock import CheckedClock, Clock, offset_clock
from podium.game.errors import Unavailable
from podium.game.inputs import Input
from podium.game.leaderboards.labels import label
from podium.game.leaderboards.ranking import split_board
from podium.game.records import LogRecord
from podium.game.state import UserState
from podium.http.stale_cache import StaleWhileRevalidateCache
from podium.intake.batcher import Batcher
from podium.intake.service import Intake
from podium.intake.states import States
from podium.intake.user_limits import UserLimit
from podium.jobs.replay import Replay
from podium.live.window import Row
from podium.settings import Settings
from podium.spaces.catalog_check import CatalogCheck
from podium.spaces.directory import Directory
from podium.spaces.reads import Reads
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, acquired, open_pool
from podium.storage.redis.client import RedisClient
from podium.telemetry.clock_check import compare, process_name, watch_clock
from podium.telemetry.metrics import CommitObserver
from podium.writebehind.eviction import load_cold

GC_THRESHOLDS = (50_000, 20, 100)
"""Thresholds of the garbage collector's three generations. Python's defaults 700, 10, 10 suit small heaps."""


def collect_rarely() -> None:
    """Have the garbage collector leave alone what a process made at its start, and look at the rest rarely: cached
    states and batches of log items are many objects, and they hold no cycles."""
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


DRAIN_S = 5.0
"""A stop waits no longer for calls under way. After ``calls.PATIENCE_S`` their senders have heard 503, and send
the events again with their keys; without an end, a process whose Redis is gone would outlive every SIGTERM."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Services:
    """The parts of a web, worker or command-line process."""

    settings: Settings
    clock: Clock
    redis: RedisClient
    pool: Pool
    directory: Directory
    reads: Reads
    catalogs: CatalogCheck
    clock_agrees: asyncio.Event
    """Set while this process's clock agrees with Redis's. While it isn't, nothing is decided by time alone."""
    unchecked_clock: Clock
    """The clock for views and metrics, where a wrong time does no harm. ``clock`` raises ``Unavailable``
    instead."""
    cache: StaleWhileRevalidateCache = field(default_factory=StaleWhileRevalidateCache)
    _intakes: dict[int, Intake] = field(default_factory=dict)

    def intake(self, space: Space) -> Intake:
        """Return the intake of a space, through which events and commands are committed."""
        found = self._intakes.get(space.id)
        return found if found is not None else self._open_intake(space)

    @property
    def has_time(self) -> bool:
        """Return whether ``clock`` gives a time."""
        try:
            self.clock()
        except Unavailable:
            return False
        return True

    async def commit(self, space: Space, input_: Input) -> UserState:
        """Commit a command and return the user's state after it (docs/decisions/0017-commands.md)."""
        return await self.intake(space).change(input_)

    async def commit_with_record(self, space: Space, input_: Input) -> tuple[UserState, LogRecord]:
        """Commit a command and return the user's state after it, and the log record of what it changed."""
        return await self.intake(space).commit_with_record(input_)

    async def replay(self, space: Space, users: list[str]) -> tuple[list[str], dict[str, str]]:
        """Replay users' stored events in the order of their time.

        Return the users who were replayed, and messages by user: the reason for which one was not, or what was
        left unchanged.
        """
        intake = self.intake(space)
        return await Replay(self.pool, self.redis, intake, self.clock).replay(users)

    async def thaw(self, space: Space, users: list[str]) -> None:
        """Put the states of cold users back into Redis."""
        await load_cold(self.pool, self.redis, space, users)

    async def standings(self, space: Space, board: str, limit: int) -> tuple[int, list[Row]]:
        """Return the number of participants and the first rows of a board, of users or groups, of a final run.

        Without a final run both are empty.
        """
        groups = board.startswith("g:")
        name = board.removeprefix("g:")
        leaderboard = space.index.leaderboard_by_number.get(split_board(name).leaderboard)
        if leaderboard is None or leaderboard.final_until is None:
            return 0, []
        async with acquired(self.pool) as connection:
            if groups:
                found, count = await boards.read_final_groups(connection, space.id, name, 0, limit)
                return count, [Row(group.group, str(group.members), group.units) for group in found]
            page = await boards.read_final_page(connection, space.id, name, leaderboard.order, 0, limit)
        return page.participants, [Row(row.user, label(*row.label), row.units) for row in page.rows]

    async def drain(self) -> None:
        """Wait until all inputs under way are committed, but not until a store that is away comes back."""
        intakes = list(self._intakes.items())
        done = await asyncio.gather(*(intake.batcher.drain(DRAIN_S) for _, intake in intakes))
        for (space_id, _), drained in zip(intakes, done, strict=True):
            if not drained:
                log.warning("calls_abandoned", space_id=space_id)

    def _open_intake(self, space: Space) -> Intake:
        async def refresh(space: Space) -> None:
            await self.directory.refresh_space(space)

        batcher = Batcher(
            space,
            self.redis,
            States(space, self.redis, self.pool, self.thaw, most=self.settings.state_cache),
            clock=self.clock,
            refresh=refresh,
            queue_limit=self.settings.intake_limit,
            log_limit=self.settings.log_limit,
            observer=CommitObserver(),
        )
        rate = self.settings.rate_limit_user
        limit = UserLimit(rate) if rate else None
        intake = Intake(space, batcher, self.redis, self.pool, self.clock, limit)
        self._intakes[space.id] = intake
        return intake


@asynccontextmanager
async def open_services(
    settings: Settings, clock: Clock | None = None, *, role: str = "command"
) -> AsyncIterator[Services]:
    """Open the parts, and keep the directory up to date. A store may be unavailable at first.

    Without ``clock`` the time is the machine's, shifted by ``settings.clock_offset`` and compared with Redis's.
    ``role`` is the name of this kind of process in logs and heartbeats.
    """
    checked = CheckedClock(offset_clock(settings.clock_offset))
    unchecked = clock or checked.unchecked
    redis = RedisClient(settings.redis_url)
    pool = await open_pool(settings.database_url, proxied=bool(settings.database_direct_url))
    directory = Directory(pool, redis, settings.direct_url, unchecked)
    directory.multi_tenancy = settings.multi_tenancy
    background: list[asyncio.Task[Any]] = []
    if clock is None:
        # Started before the directory is read and awaited after it: both take a round trip, and nothing asks for
        # the time before.
        first = asyncio.create_task(compare(checked, redis, process_name(role)))
    else:
        first = None
        checked.agrees.set()
    with suppress(Unavailable):
        await directory.refresh()
    if first is not None:
        await first
        watching = watch_clock(checked, redis, process_name(role))
        background.append(asyncio.create_task(watching, name="clock"))
    background.append(asyncio.create_task(directory.watch(), name="directory"))
    reads = Reads(pool, redis, directory.refresh_space)
    catalogs = CatalogCheck(redis, directory.refresh_space)
    services = Services(
        settings, clock or checked, redis, pool, directory, reads, catalogs, checked.agrees, unchecked
    )
    try:
        yield services
    finally:
        await services.drain()
        await reads.aclose()
        for task in background:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await redis.aclose()
        pool.terminate()
