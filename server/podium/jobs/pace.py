"""Pace the commits of a job by the waits of other inputs.

Every process that commits for requests reports in its calls how long its single inputs waited
(functions/podium.lua, ``pace``). A job reads the sum, compares the waits during its own calls with those while it
was idle, and lengthens its pauses after each call while they are worse.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from podium.clock import stopwatch_s
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient

LOOK_S = 0.2
"""Seconds between two reads of the others' waits."""
ENOUGH = 20
"""Least number of inputs for a meaningful mean wait."""
WORSE = 1.5
"""Factor by which the mean wait of others may exceed that without the job, before the job slows down. Their p99
rises more than the mean, and may double."""
WORSE_S = 0.000_3
"""Seconds by which the mean wait may exceed that in any case: smaller differences are noise."""
LEAST, FIRST, MOST = 0.25, 1.0, 4.0
"""Least, first and longest pause after a call, as a multiple of the call's duration. There is a least one, because
the waits of requests that only read are not reported."""
CALL_S = 0.02
"""Most seconds of Redis's time that a call takes, with the sync of its file, in which Redis serves nobody either.
If it took longer, it waited for others itself."""
SLOWER, FASTER = 1.25, 0.8
NEWS = 0.3
"""Weight of the newest measurement without the job in the moving average, since a single one may be an outlier."""


class Look(NamedTuple):
    """A reading: the number of single inputs and the sum of seconds they waited, since Redis started."""

    inputs: int
    waited_s: float


@dataclass(slots=True)
class Throttle:
    """Computes the pauses of a job from the waits of others. Pure."""

    share: float = FIRST
    """Pause after a call, as a multiple of its duration."""
    quiet_s: float | None = None
    """Mean wait of the others while the job is idle, None before the first measurement."""

    def quiet(self, before: Look, after: Look) -> None:
        """Update the mean wait without the job, from two readings between which it was idle."""
        mean_s = _mean_s(before, after)
        if mean_s is not None:
            before_s = mean_s if self.quiet_s is None else self.quiet_s
            self.quiet_s = before_s + NEWS * (mean_s - before_s)

    def busy(self, before: Look, after: Look) -> bool:
        """Adapt the pause to two readings between which the job committed. Return False if too few inputs
        waited."""
        mean_s = _mean_s(before, after)
        if after.inputs == before.inputs:
            worse = False  # there are no other inputs
        elif after.inputs < before.inputs or (mean_s is not None and self.quiet_s is None):
            return True  # Redis has restarted, or there is no mean to compare with
        elif mean_s is None or self.quiet_s is None:
            return False
        else:
            worse = mean_s > self.quiet_s * WORSE + WORSE_S
        self.share = min(MOST, self.share * SLOWER) if worse else max(LEAST, self.share * FASTER)
        return True


def _mean_s(before: Look, after: Look) -> float | None:
    """Return the mean wait between two readings, or None if too few inputs waited or Redis has restarted."""
    inputs = after.inputs - before.inputs
    return (after.waited_s - before.waited_s) / inputs if inputs >= ENOUGH else None


class Pace:
    """Makes the pauses of one job in a space."""

    def __init__(self, redis: RedisClient, space: Space) -> None:
        self._redis = redis
        self._space = space
        self._throttle = Throttle()
        self._last: Look | None = None
        self.lag_s = 0.0
        """Seconds of flush lag at the last reading."""
        self._looked_s = 0.0

    @property
    def share(self) -> float:
        """Return the pause after a call, as a multiple of its duration."""
        return self._throttle.share

    async def begin(self) -> None:
        """Start working, after the job has been idle since ``end``."""
        before, self._last = self._last, await self.look()
        if before is not None:
            self._throttle.quiet(before, self._last)

    async def end(self) -> None:
        """Stop working: the job is idle from here on."""
        self._last = await self.look()

    async def pause(self, call_s: float) -> None:
        """Pause after a call that took ``call_s``."""
        if self._last is not None and stopwatch_s() - self._looked_s >= LOOK_S:
            look = await self.look()
            if self._throttle.busy(self._last, look):
                self._last = look
        await asyncio.sleep(min(call_s, CALL_S) * self._throttle.share)

    async def look(self) -> Look:
        """Read the waits of others and the flush lag.

        Raises:
            Unavailable: Redis is away.
        """
        inputs, waited_us, lag_ms = await self._redis.call("pace", self._space.keys.meta)
        self._looked_s = stopwatch_s()
        self.lag_s = lag_ms / 1_000
        return Look(inputs, waited_us / 1_000_000)
