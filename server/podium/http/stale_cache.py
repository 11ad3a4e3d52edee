"""A cache for answers about a whole space that take long to compute.

It serves stale values while it revalidates.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, NamedTuple, TypeVar

import structlog

from podium.clock import stopwatch_s
from podium.http import as_of

T = TypeVar("T")

COSTLY_S = 0.005
"""A value that takes less is computed each time, so a small space is always up to date. One that takes just this
long is fresh for 0.25 s, about as long as Postgres lags anyway."""
FRESH_FACTOR = 50
"""A costly value is fresh this many times as long as its computation took: each takes at most 2 % of a core."""
FRESH_MAX_S = 600.0
"""Longest time that a value is fresh: its computation may have taken long only because Postgres hung."""
VALUES_MAX = 1_000
"""Values that are cached at a time."""

log = structlog.get_logger(__name__)


class _Cached(NamedTuple):
    value: Any
    fresh_until_s: float
    as_of_ms: int | None


class StaleWhileRevalidateCache:
    """Values by key.

    A cached value is returned at once. If it is no longer fresh it is also computed anew in the background, once,
    however many callers ask.
    """

    def __init__(self, costly_s: float = COSTLY_S) -> None:
        """Values whose computation takes less than ``costly_s`` are not cached."""
        self._costly_s = costly_s
        self._cached: OrderedDict[Hashable, _Cached] = OrderedDict()
        self._computing: dict[Hashable, tuple[asyncio.Task[Any], int | None]] = {}

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[T]], fresh_s: float | None = None) -> T:
        """Return the value of ``key``; raise what ``compute`` raises where nothing is cached.

        ``fresh_s`` is how long a costly value is fresh, where that does not depend on how long it took.
        """
        cached = self._cached.get(key)
        if cached is not None and cached.fresh_until_s > stopwatch_s():
            as_of.lower(cached.as_of_ms)
            value: T = cached.value
            return value
        if key not in self._computing:
            begun_ms = as_of.current_ms()
            task = asyncio.create_task(self._compute(key, compute, fresh_s, begun_ms), name="stale-cache")
            self._computing[key] = task, begun_ms
            task.add_done_callback(lambda done: self._finish(key, done))
        if cached is not None:
            as_of.lower(cached.as_of_ms)
            stale: T = cached.value
            return stale
        task, begun_ms = self._computing[key]
        as_of.lower(begun_ms)
        # Shielded: a caller that is cancelled must not cancel the computation for the others.
        found: T = await asyncio.shield(task)
        return found

    def __contains__(self, key: Hashable) -> bool:
        """Return whether a value is cached, fresh or not."""
        return key in self._cached

    async def _compute(
        self, key: Hashable, compute: Callable[[], Awaitable[T]], fresh_s: float | None, as_of_ms: int | None
    ) -> T:
        began_s = stopwatch_s()
        value = await compute()
        took_s = stopwatch_s() - began_s
        if took_s >= self._costly_s:
            for_s = min(FRESH_FACTOR * took_s, FRESH_MAX_S) if fresh_s is None else fresh_s
            self._cached[key] = _Cached(value, stopwatch_s() + for_s, as_of_ms)
            self._cached.move_to_end(key)
            if len(self._cached) > VALUES_MAX:
                self._cached.popitem(last=False)
        else:
            self._cached.pop(key, None)
        return value

    def _finish(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        del self._computing[key]
        if not done.cancelled() and (error := done.exception()) is not None:
            # Callers that wait get the error from the task; a stale value stays for all others.
            log.debug("stale_cache_revalidation_failed", error=str(error))
