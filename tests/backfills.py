"""Backfills brought to their end."""

from __future__ import annotations

from podium.jobs.backfill import Backfill
from podium.services import Services
from podium.writebehind.flusher import Flusher


def backfill_of(services: Services) -> Backfill:
    """A worker's job on the production space, which knows nothing yet."""
    space = services.directory.production
    return Backfill(services.pool, services.redis, services.intake(space), services.clock)


async def backfill(services: Services, job: Backfill | None = None) -> int:
    """Flush, and fill all leaderboards that are new; how many users had something to be counted."""
    flusher = Flusher(services.pool, services.redis, services.directory.production, services.clock)
    job = job or backfill_of(services)
    counted, more = 0, True
    while more:
        while (await flusher.flush()).more:
            pass
        done = await job.round()
        counted, more = counted + done.counted, done.more
    while (await flusher.flush()).more:
        pass
    return counted
