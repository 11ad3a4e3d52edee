"""Rate limits per API key and per address, where settings ask for them (docs/http-api.md#rate-limits)."""

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
"""Seconds' worth of requests that may arrive at once."""
BUCKETS_MAX = 100_000
"""Keys and addresses that are counted at a time. Beyond this the least recently used ones start anew."""
KEY_MAX = 200
"""Bytes of a key; no valid one is longer. A request with a longer one counts for its address only."""
_PATHS = ("/v1/", "/admin/v1/")


class Decision(NamedTuple):
    """A bucket's answer to a request: ``limit`` is its size, and it is full again in ``full_s`` seconds.

    ``left`` more requests may follow at once; below 0 this one is refused.
    """

    limit: int
    left: float
    full_s: float

    def headers(self, now_ms: int) -> list[tuple[bytes, bytes]]:
        """Return ``X-RateLimit-*``: size, requests left, and the unix second at which the bucket is full."""
        values = {
            b"x-ratelimit-limit": self.limit,
            b"x-ratelimit-remaining": max(0, math.floor(self.left)),
            b"x-ratelimit-reset": math.ceil(now_ms / 1000 + self.full_s),
        }
        return [(name, str(value).encode()) for name, value in values.items()]


class Buckets:
    """Token buckets by key or address, each of ``burst_s`` seconds' worth of requests at ``rate`` per second.

    A refused request costs nothing.
    """

    def __init__(self, rate: float, burst_s: float = BURST_S) -> None:
        self._rate = rate
        self._capacity = max(1.0, rate * burst_s)
        self._buckets: OrderedDict[Hashable, tuple[float, int]] = OrderedDict()

    def take(self, client: Hashable, now_ms: int) -> Decision:
        """Take one request from the client's bucket, if there is one left."""
        left, at_ms = self._buckets.get(client, (self._capacity, now_ms))
        # A clock that is set back takes nothing away.
        left = min(self._capacity, left + max(0, now_ms - at_ms) * self._rate / 1000)
        allowed = left >= 1
        if allowed:
            left -= 1
        self._buckets[client] = (left, now_ms)
        self._buckets.move_to_end(client)
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
        full_s = (self._capacity - left) / self._rate
        return Decision(math.floor(self._capacity), left if allowed else left - 1, full_s)

    def wait_s(self, refusal: Decision) -> int:
        """Return the whole seconds after which the next request may be answered."""
        return max(1, math.ceil(-refusal.left / self._rate))


class RateLimits:
    """ASGI middleware that answers 429 beyond the limits, and adds ``X-RateLimit-*`` to every other answer.

    ``per_key`` and ``per_address`` are requests per second in this process, 0 for any number. Live connections
    have limits of their own (live/limits.py).
    """

    def __init__(self, app: ASGIApp, per_key: float, per_address: float, clock: Clock) -> None:
        self._app = app
        self._keys = Buckets(per_key) if per_key else None
        self._addresses = Buckets(per_address) if per_address else None
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Call the application, or refuse the request."""
        if scope["type"] != "http" or not scope["path"].startswith(_PATHS):
            await self._app(scope, receive, send)
            return
        now_ms = self._clock()
        found = self._take(scope, now_ms)
        if found is None:
            await self._app(scope, receive, send)
            return
        buckets, decision = found
        headers = decision.headers(now_ms)
        if decision.left < 0:
            wait_s = buckets.wait_s(decision)
            refusal = answer(
                {"error": f"Too many requests; try again in {wait_s} s"}, 429, {"Retry-After": str(wait_s)}
            )
            refusal.raw_headers.extend(headers)
            await refusal(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _take(self, scope: Scope, now_ms: int) -> tuple[Buckets, Decision] | None:
        """Take the request from the buckets of its address and its key; return the stricter decision.

        Where the address is refused, the key is not charged.
        """
        found: tuple[Buckets, Decision] | None = None
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
