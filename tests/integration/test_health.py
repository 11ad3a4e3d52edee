"""Readiness on real stores."""

from __future__ import annotations

from sqlalchemy.engine import make_url

from server.backends.postgres.pool import Pool
from server.backends.redis.client import RedisClient
from server.spaces.space import Space
from server.telemetry.health import readiness
from tests.conftest import START_MS


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
    url = make_url(redis_url).set(username="hosted", password="secret")
    hosted = RedisClient(url.render_as_string(hide_password=False))
    try:
        found = await readiness(hosted, pool, [space], START_MS)
    finally:
        await hosted.aclose()
        await redis_client.raw.execute_command("ACL", "DELUSER", "hosted")
    assert found.ready
    assert [warning for warning in found.warnings if "does not show" in warning]
