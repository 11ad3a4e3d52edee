"""Rate limits of API keys and addresses, where settings ask for them (docs/http-api.md#rate-limits)."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from typing import NamedTuple

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from podium.clock import Clock
from podium.http.addresses import neighbourhood
from podium.http.answers import answer

BURST_S = 10.0
"""Seconds' worth of requests that may come at once."""
COUNTED_MAX = 100_000
"""Keys and addresses that are counted at a time; of more, those that were quiet the longest begin anew."""
KEY_MAX = 200
"""Bytes of a key that can be one: anything longer counts for its address only."""
_PATHS = ("/v1/", "/admin/v1/")


class Allowed(NamedTuple):
    """What a bucket says of a request: ``left`` requests may follow at once (below 0: this one is refused), and
    all may again in ``full_s`` seconds."""

    limit: int
    left: float
    full_s: float

    def headers(self, now_ms: int) -> list[tuple[bytes, bytes]]:
        """``X-RateLimit-*``: requests at once, those that are left, and when (unix seconds) all are back."""
        values = {
            b"x-ratelimit-limit": self.limit,
            b"x-ratelimit-remaining": max(0, math.floor(self.left)),
            b"x-ratelimit-reset": math.ceil(now_ms / 1000 + self.full_s),
        }
        return [(name, str(value).encode()) for name, value in values.items()]


class Buckets:
    """Token buckets: ``rate`` more each second, at most ``burst_s`` seconds' worth. A refused request costs
    nothing."""

    def __init__(self, rate: float, burst_s: float = BURST_S) -> None:
        self._rate = rate
        self._most = max(1.0, rate * burst_s)
        self._spent: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def take(self, who: Hashable, now_ms: int) -> Allowed:
        """Count a request, if it may be answered."""
        left, at_ms = self._spent.get(who, (self._most, now_ms))
        # A clock that is set back takes nothing away.
        left = min(self._most, left + max(0, now_ms - at_ms) * self._rate / 1000)
        allowed = left >= 1
        if allowed:
            left -= 1
        self._spent[who] = (left, now_ms)
        self._spent.move_to_end(who)
        if len(self._spent) > COUNTED_MAX:
            self._spent.popitem(last=False)
        full_s = (self._most - left) / self._rate
        return Allowed(math.floor(self._most), left if allowed else left - 1, full_s)

    def wait_s(self, found: Allowed) -> int:
        """Whole seconds after which the next request may be answered."""
        return max(1, math.ceil(-found.left / self._rate))


class RateLimits:
    """ASGI: answers 429 with ``Retry-After`` to what is too much, and tells everybody what is left.

    ``per_key`` and ``per_address`` are requests per second of one process, 0 for any number. Live connections have
    limits of their own (live/limits.py).
    """

    def __init__(self, app: ASGIApp, per_key: float, per_address: float, clock: Clock) -> None:
        self._app = app
        self._keys = Buckets(per_key) if per_key else None
        self._addresses = Buckets(per_address) if per_address else None
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Hand on, or refuse."""
        if scope["type"] != "http" or not scope["path"].startswith(_PATHS):
            await self._app(scope, receive, send)
            return
        now_ms = self._clock()
        found = self._count(scope, now_ms)
        if found is None:
            await self._app(scope, receive, send)
            return
        buckets, allowed = found
        headers = allowed.headers(now_ms)
        if allowed.left < 0:
            wait_s = buckets.wait_s(allowed)
            refusal = answer(
                {"error": f"Too many requests; try again in {wait_s} s"}, 429, {"Retry-After": str(wait_s)}
            )
            refusal.raw_headers.extend(headers)
            await refusal(scope, receive, send)
            return

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, tell)

    def _count(self, scope: Scope, now_ms: int) -> tuple[Buckets, Allowed] | None:
        """The bucket with the least left; that of the key is not asked where the address is refused."""
        found: tuple[Buckets, Allowed] | None = None
        client = scope.get("client")
        if self._addresses is not None and client:
            found = self._addresses, self._addresses.take(neighbourhood(client[0]), now_ms)
            if found[1].left < 0:
                return found
        key = next((value for name, value in scope["headers"] if name == b"x-api-key"), b"")
        if self._keys is not None and 0 < len(key) <= KEY_MAX:
            of_key = self._keys.take(key, now_ms)
            if found is None or of_key.left < found[1].left:
                found = self._keys, of_key
        return found
