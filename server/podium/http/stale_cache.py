"""Answers about a whole space that take long to compute: kept for a while, renewed behind the scenes."""

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
"""What takes less is computed each time: a small space always shows what is. What takes just this long is kept for
0.25 s, about as long as Postgres is behind anyway."""
KEPT_TIMES = 50
"""What is costly is kept this many times as long as it took: at most 2 % of a core of Postgres goes into it."""
KEPT_MAX_S = 600.0
"""And no longer: what took this long may only have waited for a Postgres that hung."""
KEPT_MAX = 1_000
"""Answers that are kept at a time."""

log = structlog.get_logger(__name__)


class _Kept(NamedTuple):
    value: Any
    until_s: float
    as_of_ms: int | None


class Memo:
    """Values by key. What is kept is answered at once, even when its time is over: it is then computed anew, once,
    however many ask."""

    def __init__(self, costly_s: float = COSTLY_S) -> None:
        """What takes less than ``costly_s`` is not kept."""
        self._costly_s = costly_s
        self._kept: OrderedDict[Hashable, _Kept] = OrderedDict()
        self._computing: dict[Hashable, tuple[asyncio.Task[Any], int | None]] = {}

    async def get(self, key: Hashable, compute: Callable[[], Awaitable[T]], kept_s: float | None = None) -> T:
        """The value of ``key``; raises what ``compute`` raises where nothing is kept. ``kept_s``: how long what is
        costly is kept, where that does not depend on how long it took."""
        kept = self._kept.get(key)
        if kept is not None and kept.until_s > stopwatch_s():
            as_of.lower(kept.as_of_ms)
            value: T = kept.value
            return value
        if key not in self._computing:
            begun_ms = as_of.current_ms()
            task = asyncio.create_task(self._compute(key, compute, kept_s, begun_ms), name="memo")
            self._computing[key] = task, begun_ms
            task.add_done_callback(lambda done: self._over(key, done))
        if kept is not None:
            as_of.lower(kept.as_of_ms)
            stale: T = kept.value
            return stale
        task, begun_ms = self._computing[key]
        as_of.lower(begun_ms)
        # Shielded: one who goes away must not take the others' answer along.
        found: T = await asyncio.shield(task)
        return found

    def __contains__(self, key: Hashable) -> bool:
        """Whether a value is kept."""
        return key in self._kept

    async def _compute(
        self, key: Hashable, compute: Callable[[], Awaitable[T]], kept_s: float | None, as_of_ms: int | None
    ) -> T:
        began_s = stopwatch_s()
        value = await compute()
        took_s = stopwatch_s() - began_s
        if took_s >= self._costly_s:
            for_s = min(KEPT_TIMES * took_s, KEPT_MAX_S) if kept_s is None else kept_s
            self._kept[key] = _Kept(value, stopwatch_s() + for_s, as_of_ms)
            self._kept.move_to_end(key)
            if len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
        else:
            self._kept.pop(key, None)
        return value

    def _over(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        del self._computing[key]
        if not done.cancelled() and (error := done.exception()) is not None:
            # Whoever waits is told by the task itself; the kept value stays for the others.
            log.debug("memo_not_renewed", error=str(error))
