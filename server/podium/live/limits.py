"""Limits on live connections: per address, per user and per connection, for one process.

Pure: instants are passed in, in ms. A limit of 0 means "no limit". A connection that shows an API key belongs to
the app's own server and is subject to none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from podium.http.addresses import neighbourhood

T = TypeVar("T", bound=Hashable)

BURST_S = 2
"""Seconds' worth of commands that may arrive at once: a page subscribes to everything it shows in one go."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits, from the settings.

    ``per_address`` and ``per_user`` count open connections, ``channels`` the subscriptions of one connection,
    ``commands`` its commands per second, and ``channel_bytes`` the bytes of a channel's name.
    """

    per_address: int = 10_000
    per_user: int = 100
    channels: int = 128
    commands: int = 200
    channel_bytes: int = 1_024


@dataclass(slots=True)
class ConnectionLimiter:
    """Counts the open connections of a process, WebSockets and event streams together."""

    limits: Limits = Limits()
    _addresses: Counter[str] = field(default_factory=Counter)
    _users: Counter[tuple[str, str]] = field(default_factory=Counter)

    def acquire(self, address: str | None) -> ConnectionSlot | None:
        """Count a new connection and return its slot, or None where the address has too many.

        An address of None (a Unix socket) is not counted. IPv6 addresses are counted by /64, which is what one
        customer of a provider gets.
        """
        network = neighbourhood(address) if address and self.limits.per_address else None
        if network is not None:
            if self._addresses[network] >= self.limits.per_address:
                return None
            self._addresses[network] += 1
        return ConnectionSlot(self, network)


class ConnectionSlot:
    """One connection's share of the counts. Its owner must call ``release`` when the connection ends."""

    __slots__ = ("_limiter", "_network", "_user")

    def __init__(self, limiter: ConnectionLimiter, network: str | None) -> None:
        self._limiter = limiter
        self._network = network
        self._user: tuple[str, str] | None = None

    def exempt(self) -> None:
        """Stop counting the connection: it has shown an API key."""
        _decrement(self._limiter._addresses, self._network)
        self._network = None

    def assign_user(self, space: str, user: str) -> bool:
        """Count the connection for this user, once; False, uncounted, where the user has too many."""
        if self._user is not None or not self._limiter.limits.per_user:
            return True
        key = space, user
        if self._limiter._users[key] >= self._limiter.limits.per_user:
            return False
        self._limiter._users[key] += 1
        self._user = key
        return True

    def release(self) -> None:
        """Give the slot back. Idempotent."""
        _decrement(self._limiter._addresses, self._network)
        _decrement(self._limiter._users, self._user)
        self._network = self._user = None


class CommandBucket:
    """A token bucket for the commands of one connection.

    It holds up to ``BURST_S`` seconds' worth of commands and refills at ``rate`` per second.
    """

    __slots__ = ("_at_ms", "_capacity", "_left", "_rate")

    def __init__(self, rate: int, now_ms: int) -> None:
        self._rate = rate
        self._capacity = float(rate * BURST_S)
        self._left = self._capacity
        self._at_ms = now_ms

    def take(self, now_ms: int) -> bool | None:
        """Take one command: True to execute it, False to refuse it, None to close the connection.

        A refused command costs as much as any other, so a client that goes on sending without a pause is refused
        until it pauses. None is returned once a whole burst was refused.
        """
        if not self._rate:
            return True
        passed_ms = max(0, now_ms - self._at_ms)  # a clock that is set back takes nothing away
        self._at_ms = now_ms
        self._left = min(self._capacity, self._left + passed_ms * self._rate / 1000) - 1
        if self._left >= 0:
            return True
        return False if self._left >= -self._capacity else None


def _decrement(counts: Counter[T], key: T | None) -> None:
    if key is None:
        return
    counts[key] -= 1
    # Counters keep zeros; without this every address ever seen would stay.
    if not counts[key]:
        del counts[key]
