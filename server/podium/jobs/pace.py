"""How fast a job may commit while others post: as fast as their waits allow.

Every process that commits for requests says in its calls how long its single inputs waited (functions/podium.lua,
``pace``). A job reads the sum, compares the waits during its calls with those while it was quiet, and pauses the
longer after each call the more they differ.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple

from podium.clock import stopwatch_s
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient

LOOK_S = 0.2
"""Pause between two looks at the others' waits."""
ENOUGH = 20
"""Inputs whose mean wait says something."""
WORSE = 1.75
"""Times that others may wait what they wait without the job, before it gives way. Their p99 rises more than the
mean does, and may double."""
WORSE_S = 0.000_3
"""Seconds that they may wait longer in any case: less than this comes and goes by itself."""
LEAST, FIRST, MOST = 0.25, 1.0, 2.0
"""Least, first and longest pause after a call, in times of the call's own duration. There is a least one, because
nobody says how long those wait who only read."""
CALL_S = 0.005
"""What a call takes of Redis at most; what it took longer, it waited for others itself."""
SLOWER, FASTER = 1.25, 0.8
NEWS = 0.3
"""Weight of the last look at what others wait without the job: it may have been a good moment, or a bad one."""


class Look(NamedTuple):
    """Single inputs and the seconds they waited, since Redis started."""

    inputs: int
    waited_s: float


@dataclass(slots=True)
class Throttle:
    """How long the pauses are, from what is heard of the others. Pure."""

    share: float = FIRST
    """Pause after a call, in times of its duration."""
    quiet_s: float | None = None
    """Mean wait of the others while the job is quiet."""

    def quiet(self, before: Look, after: Look) -> None:
        """Learn what others wait without the job, from two looks between which it did nothing."""
        mean_s = _mean_s(before, after)
        if mean_s is not None:
            before_s = mean_s if self.quiet_s is None else self.quiet_s
            self.quiet_s = before_s + NEWS * (mean_s - before_s)

    def busy(self, before: Look, after: Look) -> bool:
        """Take notice of two looks between which the job committed; False where too few waited to say."""
        mean_s = _mean_s(before, after)
        if after.inputs == before.inputs:
            worse = False  # nobody posts
        elif after.inputs < before.inputs or (mean_s is not None and self.quiet_s is None):
            return True  # there is nothing to compare with
        elif mean_s is None or self.quiet_s is None:
            return False
        else:
            worse = mean_s > self.quiet_s * WORSE + WORSE_S
        self.share = min(MOST, self.share * SLOWER) if worse else max(LEAST, self.share * FASTER)
        return True


def _mean_s(before: Look, after: Look) -> float | None:
    """The mean wait between two looks; None where too few waited, or Redis has started anew."""
    inputs = after.inputs - before.inputs
    return (after.waited_s - before.waited_s) / inputs if inputs >= ENOUGH else None


class Pace:
    """The pauses of one job in a space."""

    def __init__(self, redis: RedisClient, space: Space) -> None:
        self._redis = redis
        self._space = space
        self._throttle = Throttle()
        self._last: Look | None = None
        self.lag_s = 0.0
        """How far the log was behind when last looked."""
        self._looked_s = 0.0

    @property
    def share(self) -> float:
        """The pause after a call, in times of its duration."""
        return self._throttle.share

    async def begin(self) -> None:
        """Begin after a pause, in which the job has done nothing since ``end``."""
        before, self._last = self._last, await self.look()
        if before is not None:
            self._throttle.quiet(before, self._last)

    async def end(self) -> None:
        """Note that the job does nothing from here on."""
        self._last = await self.look()

    async def pause(self, call_s: float) -> None:
        """Wait after a call that took so long, if the others need it."""
        if self._last is not None and stopwatch_s() - self._looked_s >= LOOK_S:
            look = await self.look()
            if self._throttle.busy(self._last, look):
                self._last = look
        await asyncio.sleep(min(call_s, CALL_S) * self._throttle.share)

    async def look(self) -> Look:
        """How the others fare. ``Unavailable`` where Redis is away."""
        inputs, waited_us, lag_ms = await self._redis.call("pace", self._space.keys.meta)
        self._looked_s = stopwatch_s()
        self.lag_s = lag_ms / 1_000
        return Look(inputs, waited_us / 1_000_000)
