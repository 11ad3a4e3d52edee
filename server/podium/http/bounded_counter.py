"""A counter of things in use by key, with a limit per key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class BoundedCounter(Generic[K]):
    """Counts up to ``limit`` for each key; 0 means "no limit"."""

    __slots__ = ("_counts", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._counts: Counter[K] = Counter()

    def acquire(self, key: K) -> bool:
        """Count one more; return False, uncounted, where the key has reached the limit."""
        if 0 < self.limit <= self._counts[key]:
            return False
        self._counts[key] += 1
        return True

    def release(self, key: K) -> None:
        """Count one less."""
        self._counts[key] -= 1
        # A Counter keeps zeros: without this, every key ever seen would stay.
        if not self._counts[key]:
            del self._counts[key]

    def total(self) -> int:
        """Return the sum over all keys."""
        return self._counts.total()
