"""Runs a job over all spaces, round after round: one that fails, or takes long, keeps no other waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NoReturn

import structlog

from podium.clock import Clock
from podium.game.errors import TooManyRequests, Unavailable
from podium.jobs.quarantine import PAUSE_MS, SPACE, Quarantine
from podium.spaces.directory import Directory
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient

VISIT_S = 5.0
"""A round goes on with the next space after so long, while the one before is still at it."""
VISITS_MAX = 2
"""Spaces that are visited at a time: each takes up to two connections to Postgres."""

log = structlog.get_logger(__name__)

Round = Callable[[], Awaitable[object]]
"""One round of the job in one space; what it keeps between rounds is its own."""


class SpaceJob:
    """One job of the worker."""

    def __init__(
        self,
        name: str,
        directory: Directory,
        redis: RedisClient,
        clock: Clock,
        open_: Callable[[Space], Round],
        pause_s: float,
    ) -> None:
        """``open_`` makes the job of a space, once. ``pause_s`` lies between two rounds."""
        self._name = name
        self._directory = directory
        self._redis = redis
        self._clock = clock
        self._open = open_
        self._pause_s = pause_s
        self._rounds: dict[int, Round] = {}
        self._quarantines: dict[int, Quarantine] = {}
        self._visits: dict[int, asyncio.Task[None]] = {}
        self._postponed: set[int] = set()

    async def run(self, may_run: asyncio.Event) -> NoReturn:
        """Go round until cancelled, while the event is set."""
        try:
            while True:
                await may_run.wait()
                await self.round()
                await asyncio.sleep(self._pause_s)
        finally:
            for visit in self._visits.values():
                visit.cancel()

    async def round(self) -> None:
        """Visit every space that is alive, one after the other; one that is slow is left to itself."""
        for space in list(self._directory.spaces.values()):
            if space.epoch is None or space.id in self._visits:
                continue
            visit = asyncio.create_task(self._visit(space), name=f"{self._name} {space.public_id}")
            self._visits[space.id] = visit
            visit.add_done_callback(partial(self._over, space.id))
            await asyncio.wait({visit}, timeout=VISIT_S)
            while len(self._visits) >= VISITS_MAX:
                await asyncio.wait(self._visits.values(), return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0)  # for the callbacks that take them off

    def _over(self, space_id: int, _: asyncio.Task[None]) -> None:
        del self._visits[space_id]

    async def _visit(self, space: Space) -> None:
        quarantine = self._quarantines.get(space.id)
        if quarantine is None:
            pause_ms = max(PAUSE_MS, int(self._pause_s * 1000))
            quarantine = Quarantine(self._redis, space, self._clock, self._name, pause_ms=pause_ms)
            self._quarantines[space.id] = quarantine
        version = f"{space.epoch} {space.index.version}"
        try:
            if quarantine.holds(SPACE, version=version):
                return
            if space.id not in self._rounds:
                self._rounds[space.id] = self._open(space)
            await self._rounds[space.id]()
            await quarantine.passed(SPACE)
        except (Unavailable, TooManyRequests) as error:
            if space.id not in self._postponed:
                self._postponed.add(space.id)
                log.warning("job_postponed", job=self._name, space=space.public_id, error=str(error))
        except Exception as error:  # noqa: BLE001 # whatever it is, other spaces go on; the quarantine logs it
            await self._failed(quarantine, error, version)
        else:
            self._postponed.discard(space.id)

    async def _failed(self, quarantine: Quarantine, error: Exception, version: str) -> None:
        try:
            await quarantine.failed(SPACE, "", error, version)
        except Unavailable as away:
            log.warning("job_failure_not_listed", job=self._name, error=str(away))
        except Exception:
            log.exception("job_failed", job=self._name)
