"""Run a job over all spaces, round after round, so that no space waits for one that fails or takes long."""

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
"""Seconds after which a round goes on to the next space, while the job still runs in the one before."""
VISITS_MAX = 2
"""Most spaces in which a job runs at the same time. Each takes up to two connections to Postgres."""

log = structlog.get_logger(__name__)

Round = Callable[[], Awaitable[object]]
"""One round of a job in one space. It may keep data between rounds."""


class SpaceJob:
    """One job of the worker, in all spaces."""

    def __init__(
        self,
        name: str,
        directory: Directory,
        redis: RedisClient,
        clock: Clock,
        open_: Callable[[Space], Round],
        pause_s: float,
    ) -> None:
        """``open_`` creates the job of a space, once. ``pause_s`` is the pause between two rounds."""
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
        """Run rounds until cancelled, whenever the event is set."""
        try:
            while True:
                await may_run.wait()
                await self.round()
                await asyncio.sleep(self._pause_s)
        finally:
            for visit in self._visits.values():
                visit.cancel()

    async def round(self) -> None:
        """Run the job in each space that is alive, one after the other. Slow ones continue in the background."""
        for space in list(self._directory.spaces.values()):
            if space.epoch is None or space.id in self._visits:
                continue
            visit = asyncio.create_task(self._visit(space), name=f"{self._name} {space.public_id}")
            self._visits[space.id] = visit
            visit.add_done_callback(partial(self._over, space.id))
            await asyncio.wait({visit}, timeout=VISIT_S)
            while len(self._visits) >= VISITS_MAX:
                await asyncio.wait(self._visits.values(), return_when=asyncio.FIRST_COMPLETED)
                await asyncio.sleep(0)  # lets the callbacks run that remove finished visits

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
        except Exception as error:  # noqa: BLE001 # other spaces must go on after any error; the quarantine logs it
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
