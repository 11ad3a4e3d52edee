"""The limit of events of one user (``PODIUM_RATE_LIMIT_USER``)."""

from __future__ import annotations

import math
from collections import Counter, OrderedDict
from collections.abc import Iterable

from podium.game.errors import TooManyRequests
from podium.game.inputs import Event

BURST_S = 10.0
"""Seconds' worth of events that may come at once."""
COUNTED_MAX = 100_000
"""Users that are counted at a time; of more, those that were quiet the longest begin anew."""


class UserLimit:
    """Token buckets of a space's users: ``rate`` events more each second, at most ``BURST_S`` seconds' worth."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate * BURST_S)
        self._spent: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def take(self, events: Iterable[Event], now_ms: int) -> None:
        """Count events that come together; ``TooManyRequests``, and none is counted, where one user has too many.

        A full bucket takes any number of one request, which is limited itself, and owes what it did not have: a
        batch with the history of one user would never fit otherwise.
        """
        counts = Counter(event.user for event in events)
        left = {user: self._left(user, now_ms) for user in counts}
        wait_s = max((min(count, self._most) - left[user]) / self._rate for user, count in counts.items())
        if wait_s > 0:
            raise TooManyRequests("too many events of one user", retry_after_s=max(1, math.ceil(wait_s)))
        for user, count in counts.items():
            self._spent[user] = left[user] - count, now_ms
            self._spent.move_to_end(user)
        while len(self._spent) > COUNTED_MAX:
            self._spent.popitem(last=False)

    def _left(self, user: str, now_ms: int) -> float:
        left, at_ms = self._spent.get(user, (self._most, now_ms))
        # A clock that is set back takes nothing away.
        return min(self._most, left + max(0, now_ms - at_ms) * self._rate / 1000)
