"""Set aside the items of a job that fail repeatedly, so that the others go on
(docs/decisions/0020-fresh-refusals.md)."""

from __future__ import annotations

import structlog

from podium.clock import Clock
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient
from podium.telemetry import set_aside
from podium.telemetry.set_aside import SPACE, SetAside

TRIES = 3
"""Consecutive failures after which an item is set aside. A single one may be temporary."""
PAUSE_MS = 60_000
"""Milliseconds after which an item that was set aside is tried again."""
ITEMS_MAX = 1_000
"""Most items of a job that are set aside in a space. If more fail, the job itself fails."""

log = structlog.get_logger(__name__)

Key = tuple[str, str]
"""Kind and name of an item."""


class Quarantine:
    """The items of one job in one space that have failed.

    An item is tried in each round until it has failed ``TRIES`` times in a row. Then it is skipped for a pause, or
    until its ``version`` (that of the data it was tried with) changes. ``load`` reads the items that an earlier
    worker set aside.
    """

    def __init__(
        self, redis: RedisClient, space: Space, clock: Clock, job: str, *, pause_ms: int = PAUSE_MS
    ) -> None:
        self._redis = redis
        self._space = space
        self._clock = clock
        self._job = job
        self._pause_ms = pause_ms
        self._entries: dict[Key, SetAside] = {}
        self._loaded = False

    async def load(self) -> None:
        """Read the items that were set aside before this process started.

        Raises:
            Unavailable: Redis is away.
        """
        if not self._loaded:
            for entry in await set_aside.read(self._redis, self._space):
                if entry.job == self._job:
                    self._entries[entry.kind, entry.name] = entry
            self._loaded = True

    def holds(self, kind: str, name: str = "", version: str = "") -> bool:
        """Return whether an item is set aside and must not be tried yet."""
        entry = self._entries.get((kind, name))
        return (
            entry is not None
            and entry.tries >= TRIES
            and entry.version == version
            and self._clock() < entry.until_ms
        )

    def has(self, kind: str, name: str = "") -> bool:
        """Return whether the last attempt at an item failed."""
        return (kind, name) in self._entries

    def names(self, kind: str) -> list[str]:
        """Return the items of a kind that have failed and should be tried again now."""
        return [name for one, name in self._entries if one == kind and not self.holds(one, name)]

    async def failed(self, kind: str, name: str, error: BaseException, version: str = "") -> bool:
        """Count a failure, and return whether the item is set aside now. Raises ``error`` if too many items
        are."""
        now_ms, key = self._clock(), (kind, name)
        before = self._entries.get(key)
        if before is None and len(self._entries) >= ITEMS_MAX:
            raise error
        tries = 1 + (before.tries if before is not None else 0)
        since_ms = before.since_ms if before is not None else now_ms
        entry = SetAside(
            self._job, kind, name, type(error).__name__, tries, since_ms, now_ms + self._pause_ms, version
        )
        self._entries[key] = entry
        fields = {"job": self._job, "space": self._space.public_id, "kind": kind, "item": name, "tries": tries}
        if tries < TRIES:
            log.warning("job_item_failed", **fields, error=str(error))
            return False
        if tries == TRIES:
            log.error("job_item_set_aside", **fields, exc_info=error)
        await set_aside.write(self._redis, self._space, entry)
        return True

    async def passed(self, kind: str, name: str = "") -> None:
        """Forget the failures of an item that has succeeded, or doesn't exist any more."""
        if not self._entries:
            return
        entry = self._entries.get((kind, name))
        if entry is None:
            return
        if entry.tries >= TRIES:
            await set_aside.forget(self._redis, self._space, entry.field)
            log.info("job_item_done", job=self._job, space=self._space.public_id, kind=kind, item=name)
        del self._entries[kind, name]


__all__ = ["ITEMS_MAX", "PAUSE_MS", "SPACE", "TRIES", "Quarantine"]
