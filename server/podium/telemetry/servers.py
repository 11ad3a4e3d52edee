"""Checks of Redis and Postgres servers: version, role and memory, from their own information."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

REDIS_OLDEST = (7, 0)
POSTGRES_OLDEST = 150_000
"""``server_version_num`` of the oldest Postgres that Podium is tested with."""
FULL = 0.9
"""The share of ``maxmemory`` from which on there is a warning."""


class Memory(NamedTuple):
    """Bytes that Redis uses, and its ``maxmemory``, 0 where it has none or hides it."""

    used: int
    limit: int


def redis_problem(info: Mapping[str, Any]) -> str:
    """Return why Podium can't use a Redis with this ``INFO``, as a sentence; "" where it can."""
    version = tuple(int(n) for n in str(info.get("redis_version", "7.0")).split(".")[:2])
    if version < REDIS_OLDEST:
        return f"Redis {version[0]}.{version[1]} is too old: 7.0 is the oldest"
    if info.get("cluster_enabled"):
        return "Redis is one node of a cluster, and Podium needs one Redis with all keys"
    if info.get("role") == "slave" and info.get("slave_read_only"):
        return "Redis is a replica and takes no writes"
    return ""


def postgres_problem(version_num: int) -> str:
    """Return why Podium can't use a Postgres of this ``server_version_num``, as a sentence; "" where it can."""
    if version_num < POSTGRES_OLDEST:
        return f"Postgres {version_num // 10_000} is too old: 15 is the oldest"
    return ""


def memory_of(info: Mapping[str, Any]) -> Memory:
    """Return the memory in Redis' ``INFO``."""
    return Memory(int(info.get("used_memory", 0)), int(info.get("maxmemory", 0)))


def memory_warning(memory: Memory) -> str:
    """Return a warning where Redis is nearly full, else ""."""
    if not memory.limit or memory.used < FULL * memory.limit:
        return ""
    share = 100 * memory.used // memory.limit
    return (
        f"Redis uses {share} % of its `maxmemory` ({memory.used:,} of {memory.limit:,} bytes): when it is full,"
        " events are answered with 503"
    )
