"""Idempotency keys as Redis keeps them (docs/storage.md#redis)."""

from __future__ import annotations

from hashlib import blake2b


def key_hash(metric: int, key: str) -> str:
    """The signed 64-bit hash of a key under a metric (by number), as decimal text: Redis packs sets of
    integers to about 8 bytes each."""
    digest = blake2b(f"{metric}:{key}".encode(), digest_size=8).digest()
    return str(int.from_bytes(digest, "big", signed=True))


def event_hash(user: str, metric: int, key: str) -> str:
    """The 64-bit hash under which Redis knows a while which event used a user's key first, as hexadecimal text. It
    names nobody: what an erased user leaves there is nothing personal."""
    return blake2b(f"{metric}:{key}:{user}".encode(), digest_size=8).hexdigest()
