"""Readiness on real stores."""

from __future__ import annotations

from typing import Any

import pytest

from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.postgres.schema import needed
from podium.storage.redis.client import RedisClient
from podium.telemetry.health import Readiness, readiness
from podium.telemetry.servers import postgres_problem, redis_problem
from tests.conftest import START_MS
from tests.urls import with_parts

pytestmark = pytest.mark.usefixtures("patient_looks")


async def test_a_weak_redis_is_named(redis_client: RedisClient, pool: Pool, space: Space) -> None:
    found = await readiness(redis_client, pool, [space], START_MS)
    assert found.ready
    assert [warning for warning in found.warnings if "appendfsync always" in warning]


async def test_a_redis_that_hides_its_settings_is_ready(
    redis_client: RedisClient, redis_url: str, pool: Pool, space: Space
) -> None:
    await redis_client.raw.execute_command(
        "ACL", "SETUSER", "hosted", "on", ">secret", "~*", "&*", "+@all", "-config"
    )
    url = with_parts(redis_url, username="hosted", password="secret")
    hosted = RedisClient(url)
    try:
        found = await readiness(hosted, pool, [space], START_MS)
    finally:
        await hosted.aclose()
        await redis_client.raw.execute_command("ACL", "DELUSER", "hosted")
    assert found.ready
    assert [warning for warning in found.warnings if "does not show" in warning]


async def test_a_redis_that_is_nearly_full_is_named(redis_client: RedisClient, pool: Pool, space: Space) -> None:
    used = (await redis_client.raw.info("memory"))["used_memory"]
    for limit, said in ((used * 10, False), (int(used * 1.02), True), (int(used * 0.98), True)):
        await redis_client.raw.config_set("maxmemory", limit)
        try:
            found = await readiness(redis_client, pool, [space], START_MS)
        finally:
            await redis_client.raw.config_set("maxmemory", 0)
        warned = [warning for warning in found.warnings if "of its `maxmemory`" in warning]
        assert (bool(warned), found.ready) == (said, True), (limit, found)


async def test_a_schema_that_does_not_fit_is_named(redis_client: RedisClient, pool: Pool, space: Space) -> None:
    async def with_schema(number: str | None) -> Readiness:
        await pool.execute("DELETE FROM alembic_version")
        if number is not None:
            await pool.execute("INSERT INTO alembic_version VALUES ($1)", number)
        return await readiness(redis_client, pool, [space], START_MS)

    older = f"{int(needed()) - 1:04}"
    for number, words in ((None, "no tables"), (older, f"schema {older} and this release needs {needed()}")):
        found = await with_schema(number)
        assert not found.ready
        assert words in found.parts["schema"].detail
        assert "podium migrate" in found.parts["schema"].detail
    found = await with_schema("9999")
    assert found.ready
    assert [warning for warning in found.warnings if "newer than this release" in warning]
    found = await with_schema(needed())
    assert found.ready
    assert not [warning for warning in found.warnings if "schema" in warning]


async def test_the_newest_migration_is_the_schema_that_is_needed(pool: Pool) -> None:
    assert await pool.fetchval("SELECT version_num FROM alembic_version") == needed()


@pytest.mark.parametrize(
    ("info", "words"),
    [
        ({"redis_version": "6.2.14"}, "6.2 is too old"),
        ({"redis_version": "7.0.0", "cluster_enabled": 1}, "cluster"),
        ({"redis_version": "7.2.4", "role": "slave", "slave_read_only": 1}, "replica"),
        ({"redis_version": "7.2.4", "role": "slave", "slave_read_only": 0}, ""),
        ({"redis_version": "10.0.1", "role": "master"}, ""),
        ({}, ""),
    ],
)
def test_what_redis_says_of_itself(info: dict[str, Any], words: str) -> None:
    assert words in redis_problem(info)
    assert bool(words) == bool(redis_problem(info))


@pytest.mark.parametrize(("number", "words"), [(140_011, "14 is too old"), (150_000, ""), (180_001, "")])
def test_what_postgres_says_of_itself(number: int, words: str) -> None:
    assert words in postgres_problem(number)
    assert bool(words) == bool(postgres_problem(number))
