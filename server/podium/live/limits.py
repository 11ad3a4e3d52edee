"""How much one address, one user and one connection may take of a process. Pure: instants are passed in.

Every limit is 0 for none. A connection with an API key is the app's own server, and counts against none of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import TypeVar

from podium.http.addresses import neighbourhood

T = TypeVar("T", bound=Hashable)

BURST_S = 2
"""Seconds' worth of commands that may come at once: a page that subscribes to all it shows does so in one go."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits from the settings: connections of one address and of one user, channels of a connection, commands/s,
    bytes of a channel's name."""

    per_address: int = 10_000
    per_user: int = 100
    channels: int = 128
    commands: int = 200
    channel_bytes: int = 1_024


@dataclass(slots=True)
class Door:
    """Counts the connections of a process, sockets and streams alike."""

    limits: Limits = Limits()
    _addresses: Counter[str] = field(default_factory=Counter)
    _users: Counter[tuple[str, str]] = field(default_factory=Counter)

    def enter(self, address: str | None) -> Visit | None:
        """A connection has come from here; None, and it isn't counted, where the address has too many."""
        place = neighbourhood(address) if address and self.limits.per_address else None
        if place is not None:
            if self._addresses[place] >= self.limits.per_address:
                return None
            self._addresses[place] += 1
        return Visit(self, place)


class Visit:
    """One connection as the door counts it. ``leave`` must come in the end."""

    __slots__ = ("_door", "_place", "_user")

    def __init__(self, door: Door, place: str | None) -> None:
        self._door = door
        self._place = place
        self._user: tuple[str, str] | None = None

    def is_server(self) -> None:
        """It has shown an API key: count it no longer."""
        _less(self._door._addresses, self._place)
        self._place = None

    def is_user(self, space: str, user: str) -> bool:
        """It is this user's; False, and it isn't counted, where the user has too many."""
        if self._user is not None or not self._door.limits.per_user:
            return True
        key = space, user
        if self._door._users[key] >= self._door.limits.per_user:
            return False
        self._door._users[key] += 1
        self._user = key
        return True

    def leave(self) -> None:
        """The connection has ended; may be said twice."""
        _less(self._door._addresses, self._place)
        _less(self._door._users, self._user)
        self._place = self._user = None


class Allowance:
    """Commands that a connection may still send: ``rate`` more each second, at most ``BURST_S`` seconds' worth."""

    __slots__ = ("_at_ms", "_left", "_most", "_rate")

    def __init__(self, rate: int, now_ms: int) -> None:
        self._rate = rate
        self._most = float(rate * BURST_S)
        self._left = self._most
        self._at_ms = now_ms

    def take(self, now_ms: int) -> bool | None:
        """Whether a command may be carried out; None once as many were refused as may come at once.

        A refused command costs as much as any: one who sends on without a pause is not heard again before it.
        """
        if not self._rate:
            return True
        passed_ms = max(0, now_ms - self._at_ms)  # a clock that is set back takes nothing away
        self._at_ms = now_ms
        self._left = min(self._most, self._left + passed_ms * self._rate / 1000) - 1
        if self._left >= 0:
            return True
        return False if self._left >= -self._most else None


def _less(counts: Counter[T], key: T | None) -> None:
    if key is None:
        return
    counts[key] -= 1
    if not counts[key]:
        del counts[key]
