from __future__ import annotations

import pytest

from podium.game.errors import Unavailable
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, open_pool
from podium.storage.redis import wire
from podium.storage.redis.client import RedisClient
from podium.storage.redis.wire import Result
from podium.writebehind import eviction
from podium.writebehind.eviction import evict, load_cold
from podium.writebehind.flusher import Flusher
from tests.conftest import SettableClock
from tests.posting import Poster


@pytest.fixture
async def poster(redis_client: RedisClient, space: Space, clock: SettableClock, pool: Pool) -> Poster:
    """A poster; Ann and Bob have been idle for a second, and are flushed."""
    poster = Poster(redis_client, space, clock)
    await poster.post_all([poster.event("ann", 5, name="Ann"), poster.event("bob", 3)])
    await Flusher(pool, redis_client, space, clock).flush()
    clock.advance(1_000)
    return poster


async def test_evict_and_load_cold(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    raw, keys = redis_client.raw, space.keys
    before = await raw.hgetall(keys.user("ann"))
    assert await evict(pool, redis_client, space, clock.now_ms) == 2
    assert await evict(pool, redis_client, space, clock.now_ms) == 0
    assert not await raw.exists(keys.user("ann"), keys.user("bob"))
    assert await raw.hgetall(keys.cold) == {
        row["id"].encode(): row["token"].encode() for row in await pool.fetch("SELECT id, token FROM users")
    }
    # The boards still hold them.
    assert (await redis_client.call("page", keys.meta, "2:", 0, 10, "", 0))[4][0][:2] == [b"ann", b"Ann"]
    assert await poster.post(poster.event("ann", 1)) == [Result(wire.COLD)]

    await load_cold(pool, redis_client, space, ["ann", "nobody"])
    assert await raw.hgetall(keys.user("ann")) == before
    assert await raw.hkeys(keys.cold) == [b"bob"]
    [[status, ranks, *_]] = await poster.post(poster.event("ann", -3))
    assert (status, ranks[:2]) == (wire.ACCEPTED, [1, 2])


async def test_load_cold_loads_the_functions(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    """Redis was restarted without its file, or is another one, and the first call is this one."""
    assert await evict(pool, redis_client, space, clock.now_ms) == 2
    await redis_client.raw.function_flush("SYNC")
    await load_cold(pool, redis_client, space, ["ann", "bob"])
    assert await redis_client.raw.exists(space.keys.user("ann"), space.keys.user("bob")) == 2


async def test_evict_leaves_who_was_seen_since(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    assert await evict(pool, redis_client, space, clock.now_ms - 1_000) == 0
    # Bob is back, but Postgres doesn't know yet: his state has a newer token.
    await poster.post_all([poster.event("bob", 1)])
    assert await evict(pool, redis_client, space, clock.now_ms) == 1
    assert await redis_client.raw.hkeys(space.keys.cold) == [b"ann"]
    assert await redis_client.raw.exists(space.keys.user("bob"))


async def test_evict_goes_on_in_chunks(
    pool: Pool,
    redis_client: RedisClient,
    space: Space,
    clock: SettableClock,
    poster: Poster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(eviction, "CHUNK", 3)
    await poster.post_all([poster.event(f"user-{i}", 1) for i in range(8)])
    await Flusher(pool, redis_client, space, clock).flush()
    assert await evict(pool, redis_client, space, clock.now_ms + 1) == 10


async def test_load_cold_leaves_a_state_that_is_newer(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await evict(pool, redis_client, space, clock.now_ms)
    await load_cold(pool, redis_client, space, ["ann"])
    await poster.post_all([poster.event("ann", 1)])
    newer = await redis_client.raw.hgetall(space.keys.user("ann"))
    await load_cold(pool, redis_client, space, ["ann"])
    assert await redis_client.raw.hgetall(space.keys.user("ann")) == newer


async def test_load_cold_without_a_store(
    pool: Pool,
    redis_client: RedisClient,
    space: Space,
    clock: SettableClock,
    poster: Poster,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    await evict(pool, redis_client, space, clock.now_ms)
    nowhere = tmp_path_factory.mktemp("nobody")
    away = await open_pool(f"postgresql://podium@/podium?host={nowhere}")
    with pytest.raises(Unavailable, match="Postgres"):
        await load_cold(away, redis_client, space, ["ann"])
    with pytest.raises(Unavailable, match="Postgres"):
        await evict(away, redis_client, space, clock.now_ms)
    await away.close()
    other = RedisClient(f"unix://{nowhere}/nobody")
    with pytest.raises(Unavailable, match="Redis"):
        await load_cold(pool, other, space, ["ann"])
    await other.aclose()


async def test_nothing_moves_while_redis_is_rebuilt(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await evict(pool, redis_client, space, clock.now_ms)
    await redis_client.raw.hdel(space.keys.meta, "epoch")
    with pytest.raises(Unavailable, match="rebuilt"):
        await load_cold(pool, redis_client, space, ["ann"])
    with pytest.raises(Unavailable, match="rebuilt"):
        await evict(pool, redis_client, space, clock.now_ms)
    assert await redis_client.raw.hlen(space.keys.cold) == 2
