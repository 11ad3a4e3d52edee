"""Attempts to sign in, counted in Redis for all web processes.

Each is counted for its address, for its e-mail from there, and for its e-mail from anywhere; one that succeeds is
not. An address from which an e-mail has signed in lately is not held to the last of these: else anybody could lock
out anybody. Names are hashed: Redis learns no e-mail and no address.
"""

from __future__ import annotations

from hashlib import sha256
from typing import NamedTuple

from podium.console.stores import of_redis
from podium.storage.redis.client import RedisClient

WINDOW_S = 300
"""What is counted begins anew after this."""
MOST_TOGETHER = 10
"""Of an e-mail from one address; of keys from one address."""
MOST_ADDRESS = 30
"""Of an address: an office may share one."""
MOST_EMAIL = 100
"""Of an e-mail from anywhere: what many machines may guess together."""
KNOWN_S = 30 * 86_400
"""How long an address is known after an e-mail signed in from it."""


class Attempt(NamedTuple):
    """An attempt as it was counted. ``wait_s``: 0, or seconds after which it may be made."""

    keys: tuple[str, ...]
    known: str
    wait_s: int = 0


async def take(redis: RedisClient, address: str, email: str, now_ms: int) -> Attempt:
    """Count an attempt, if it may be made. ``Unavailable`` where Redis is away."""
    raw, window = redis.raw, now_ms // (WINDOW_S * 1000)
    email = email.lower()
    known = _key("known", address, email)
    limits = [(_key(window, address, email), MOST_TOGETHER), (_key(window, address), MOST_ADDRESS)]
    if email and not await of_redis(raw.exists(known)):
        limits.append((_key(window, "", email), MOST_EMAIL))
    taken: list[str] = []
    for key, most in limits:
        async with raw.pipeline(transaction=False) as pipe:
            pipe.incr(key)
            pipe.expire(key, 2 * WINDOW_S)
            count, _ = await of_redis(pipe.execute())
        if count > most:
            wait_s = (window + 1) * WINDOW_S - now_ms // 1000
            return Attempt(tuple(taken), known, max(1, wait_s))
        taken.append(key)
    return Attempt(tuple(taken), known)


async def succeeded(redis: RedisClient, attempt: Attempt) -> None:
    """Take an attempt back from what is counted, and know its address. ``Unavailable`` where Redis is away."""
    async with redis.raw.pipeline(transaction=False) as pipe:
        for key in attempt.keys:
            pipe.decr(key)
            pipe.expire(key, 2 * WINDOW_S)
        pipe.set(attempt.known, 1, ex=KNOWN_S)
        await of_redis(pipe.execute())


def _key(*parts: object) -> str:
    return "podium:tries:" + sha256("\n".join(map(str, parts)).encode()).hexdigest()[:32]
