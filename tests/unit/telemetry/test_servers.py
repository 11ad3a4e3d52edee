"""Whether a server is one that Podium works with, by what it says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from podium.telemetry.servers import Memory, memory_of, memory_warning, postgres_problem, redis_problem


@pytest.mark.parametrize(
    ("info", "problem"),
    [
        ({"redis_version": "7.0.0"}, ""),
        ({"redis_version": "9.1.2"}, ""),
        ({}, ""),  # it hides what it is
        ({"redis_version": "6.2.14"}, "Redis 6.2 is too old: 7.0 is the oldest"),
        ({"redis_version": "8.0.0", "cluster_enabled": 1}, "Redis is one node of a cluster, and Podium needs one"),
        ({"role": "slave", "slave_read_only": 1}, "Redis is a replica and takes no writes"),
        ({"role": "slave", "slave_read_only": 0}, ""),
    ],
)
def test_a_redis_is_judged_by_its_info(info: dict[str, Any], problem: str) -> None:
    found = redis_problem(info)
    assert found.startswith(problem)
    assert bool(found) == bool(problem)


def test_the_oldest_postgres_is_fifteen() -> None:
    assert postgres_problem(150_000) == postgres_problem(180_003) == ""
    assert postgres_problem(140_012) == "Postgres 14 is too old: 15 is the oldest"


def test_memory_is_warned_of_at_nine_tenths() -> None:
    assert memory_of({}) == Memory(0, 0)
    assert memory_warning(memory_of({"used_memory": 10**12})) == ""
    assert memory_warning(Memory(89, 100)) == ""
    assert "Redis uses 90 % of its `maxmemory` (90 of 100 bytes)" in memory_warning(Memory(90, 100))
