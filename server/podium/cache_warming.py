"""Warming of the cache of expensive counts, so that no request waits for the first computation."""

from __future__ import annotations

import asyncio

import structlog

from podium.api.achievements.app import completions
from podium.api.points.app import distribution, level_counts
from podium.api.wrapped.percentiles import gains
from podium.console.pages.overview import active_users
from podium.game.errors import Unavailable
from podium.game.periods import local_day
from podium.game.wrapped.rules import whole_year
from podium.http import as_of
from podium.http.services import Services
from podium.spaces.space import Space

PAUSE_S = 1.0
"""Interval of the checks for new catalogs, whose new points systems and levels must be counted."""

log = structlog.get_logger(__name__)


async def keep_warm(services: Services) -> None:
    """Warm every space at the start, and again when its catalog has changed, until cancelled.

    From then on the cache answers at once, and revalidates by itself (http/stale_cache.py).
    """
    warmed: dict[int, int] = {}
    while True:
        for space in list(services.directory.spaces.values()):
            version = space.index.catalog.version
            if space.archived or warmed.get(space.id) == version:
                continue
            try:
                await warm(services, space)
            except Unavailable:
                continue  # requests report it; the next round tries again
            except Exception as error:
                log.error("not_warmed", space=space.public_id, exc_info=error)
            warmed[space.id] = version
        await asyncio.sleep(PAUSE_S)


async def warm(services: Services, space: Space) -> None:
    """Compute all counts of a space. Raises ``Unavailable`` where a store is away."""
    with as_of.computing(await services.reads.as_of_ms(space, services.clock())):
        await _warm(services, space)


async def _warm(services: Services, space: Space) -> None:
    await active_users(services, space)
    await gains(services, space.id, whole_year(local_day(services.clock(), space.index.home).year))
    if space.index.catalog.achievements:
        await completions(services, space)
    for system in space.index.catalog.points:
        await distribution(services, space, system, {})
        if space.index.points.levels[system.number]:
            await level_counts(services, space, system)
