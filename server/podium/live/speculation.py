"""The quota of speculative channels: those of groups and days, which may show a board that has nobody on it.

Anyone can make up such names, and each open channel takes some KB of the process and a subscription in Redis. So
viewers without a token share one quota, and viewers with one another. A channel no longer counts once its board is
known to have participants.
"""

from __future__ import annotations

from collections import Counter

from podium.live.channels import LeaderboardChannel

SPECULATIVE_MAX = 1_000
"""Speculative channels that may be open per quota."""

Key = tuple[str, LeaderboardChannel]
"""The public id of a space, and a channel's name."""


def is_speculative(name: LeaderboardChannel) -> bool:
    """Return whether a channel may show a board that has nobody on it."""
    return bool(name.query or name.day)


class SpeculativeChannels:
    """The open channels that count, with the quota that each counts against.

    A ``limit`` of 0 allows any number.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._quotas: dict[Key, str] = {}
        self._counts: Counter[str] = Counter()

    def __contains__(self, key: Key) -> bool:
        return key in self._quotas

    def is_used_up(self, quota: str) -> bool:
        """Return whether no further channel may be opened on this quota."""
        return 0 < self._limit <= self._counts[quota]

    def add(self, key: Key, quota: str) -> None:
        """Count a channel that was opened."""
        self._quotas[key] = quota
        self._counts[quota] += 1

    def discard(self, key: Key) -> None:
        """Stop counting a channel, if it counts."""
        quota = self._quotas.pop(key, None)
        if quota is not None:
            self._counts[quota] -= 1
