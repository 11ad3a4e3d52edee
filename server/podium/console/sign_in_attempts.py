"""Limits on attempts to sign in, counted in Redis for all web processes.

Each attempt counts for its address, for its e-mail from that address, and for its e-mail from all addresses. A
successful one is taken back. The last limit does not apply to an address from which the e-mail has signed in
lately; otherwise anybody could lock anybody out. Keys are hashes, so Redis holds neither e-mails nor addresses.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from podium.console.stores import within_limit
from podium.storage.redis.client import RedisClient

WINDOW_S = 300
"""Length of a counting window."""
MOST_TOGETHER = 10
"""Attempts per window for one e-mail from one address, or for keys from one address."""
MOST_ADDRESS = 30
"""Attempts per window for one address, which an office may share."""
MOST_EMAIL = 100
"""Attempts per window for one e-mail from all addresses: a bound for many machines that guess together."""
KNOWN_S = 30 * 86_400
"""Time for which an address is known after an e-mail has signed in from it."""


class Attempt(NamedTuple):
    """An attempt that was counted. ``wait_s`` is 0 if it is allowed, else the seconds until the next window."""

    keys: tuple[str, ...]
    known: str
    wait_s: int = 0


async def take(redis: RedisClient, address: str, email: str, now_ms: int) -> Attempt:
    """Count an attempt, if the limits allow it. Raises ``Unavailable`` where Redis is away."""
    raw, window = redis.raw, now_ms // (WINDOW_S * 1000)
    email = email.lower()
    known = _key("known", address, email)
    limits = [(_key(window, address, email), MOST_TOGETHER), (_key(window, address), MOST_ADDRESS)]
    if email and not await within_limit(raw.exists(known)):
        limits.append((_key(window, "", email), MOST_EMAIL))
    taken: list[str] = []
    for key, most in limits:
        async with raw.pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * WINDOW_S)
            count, _ = await within_limit(pipe.execute())
        if count > most:
            wait_s = (window + 1) * WINDOW_S - now_ms // 1000
            return Attempt(tuple(taken), known, max(1, wait_s))
        taken.append(key)
    return Attempt(tuple(taken), known)


async def succeeded(redis: RedisClient, attempt: Attempt) -> None:
    """Take an attempt back, and remember its address. Raises ``Unavailable`` where Redis is away."""
    async with redis.raw.pipeline(transaction=False) as pipe:
        for key in attempt.keys:
            pipe.decr(key)
            pipe.expire(key, 2 * WINDOW_S)
        pipe.set(attempt.known, 1, ex=KNOWN_S)
        await within_limit(pipe.execute())


def _key(*parts: object) -> str:
    return "podium:tries:" + sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]
