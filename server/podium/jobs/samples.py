"""Record samples of a space's load for the charts of the console, while the space is written to."""

from __future__ import annotations

import structlog

from podium.clock import Clock
from podium.game.errors import Unavailable
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, acquired
from podium.storage.redis.client import RedisClient
from podium.telemetry.health import log_state
from podium.telemetry.samples import count_events, keep, sample_of

EVERY_MS = 5_000
"""Least milliseconds between two samples: half of the gap over which a chart draws no line (``samples.GAP_MS``).
At the usual interval that is one of 25 flushes."""

log = structlog.get_logger(__name__)


class SampleRecorder:
    """Records the samples of one space."""

    def __init__(self, pool: Pool, redis: RedisClient, space: Space, clock: Clock) -> None:
        self._pool, self._redis, self._space, self._clock = pool, redis, space, clock
        self._kept_ms = 0

    async def keep(self) -> None:
        """Record a sample, at most every ``EVERY_MS``. Call it before a flush, after which there is no lag to
        see."""
        now_ms = self._clock()
        if now_ms - self._kept_ms < EVERY_MS:
            return
        self._kept_ms = now_ms
        try:
            state = await log_state(self._redis, self._space, now_ms)
            async with acquired(self._pool) as connection:
                events = await count_events(connection, self._space.id)
            await keep(self._redis, self._space, sample_of(now_ms, events, state))
        except Unavailable as error:
            # The flush reports the outage; a chart may have a gap.
            log.debug("figures_postponed", space=self._space.public_id, error=str(error))
        except Exception:  # the flush must go on after any error
            log.exception("figures_failed", space=self._space.public_id)
