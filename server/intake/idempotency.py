"""Idempotency keys as Redis keeps them (design.md, "Redis keys")."""

from __future__ import annotations

from hashlib import blake2b


def key_hash(metric: int, key: str) -> str:
    """The signed 64-bit hash of a key under a metric (by number), as decimal text: Redis packs sets of
    integers to about 8 bytes each."""
    digest = blake2b(f"{metric}:{key}".encode(), digest_size=8).digest()
    return str(int.from_bytes(digest, "big", signed=True))
