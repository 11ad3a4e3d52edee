"""Limits on live connections: per address, per user and per connection, for one process.

Pure: instants are passed in, in ms. A limit of 0 means "no limit". A connection that shows an API key belongs to
the app's own server and is subject to none of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from podium.http.addresses import neighbourhood
from podium.http.bounded_counter import BoundedCounter

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


class ConnectionLimiter:
    """Counts the open connections of a process, WebSockets and event streams together."""

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._addresses: BoundedCounter[str] = BoundedCounter(self.limits.per_address)
        self._users: BoundedCounter[tuple[str, str]] = BoundedCounter(self.limits.per_user)

    def acquire(self, address: str | None) -> ConnectionSlot | None:
        """Count a new connection and return its slot, or None where the address has too many.

        An address of None (a Unix socket) is not counted. IPv6 addresses are counted by /64, which is what one
        customer of a provider gets.
        """
        network = neighbourhood(address) if address and self.limits.per_address else None
        if network is not None and not self._addresses.acquire(network):
            return None
        return ConnectionSlot(self._addresses, self._users, network)


class ConnectionSlot:
    """One connection's share of the counts. Its owner must call ``release`` when the connection ends."""

    __slots__ = ("_addresses", "_network", "_user", "_users")

    def __init__(
        self, addresses: BoundedCounter[str], users: BoundedCounter[tuple[str, str]], network: str | None
    ) -> None:
        self._addresses = addresses
        self._users = users
        self._network = network
        self._user: tuple[str, str] | None = None

    def exempt(self) -> None:
        """Stop counting the connection: it has shown an API key."""
        if self._network is not None:
            self._addresses.release(self._network)
            self._network = None

    def assign_user(self, space: str, user: str) -> bool:
        """Count the connection for this user, once; False, uncounted, where the user has too many."""
        if self._user is not None or not self._users.limit:
            return True
        if not self._users.acquire((space, user)):
            return False
        self._user = space, user
        return True

    def release(self) -> None:
        """Give the slot back. Idempotent."""
        self.exempt()
        if self._user is not None:
            self._users.release(self._user)
            self._user = None


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
