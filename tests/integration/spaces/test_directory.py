"""What a process knows of spaces and keys, and how soon it hears of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from podium.game.errors import Unauthorized, Unavailable
from podium.game.metrics.model import Metric
from podium.spaces import store
from podium.spaces.catalog_store import editing
from podium.spaces.directory import Directory
from podium.spaces.item_kinds import METRIC
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool, PoolConnection, open_pool
from podium.storage.redis.client import RedisClient
from tests.conftest import EPOCH, SettableClock
from tests.waiting import until

METRIC_ID = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
async def other(
    pool: Pool, redis_client: RedisClient, database_url: str, clock: SettableClock, space: Space
) -> Directory:
    """The directory of another process."""
    directory = Directory(pool, redis_client, database_url, clock)
    await directory.refresh()
    return directory


@asynccontextmanager
async def watching(directory: Directory) -> AsyncIterator[None]:
    task = asyncio.create_task(directory.watch())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def add_metric(directory: Directory, key: str) -> None:
    space = directory.production
    actor = next(iter(directory._principals.values()))
    async with editing(directory, space, actor) as editor:
        editor.insert(METRIC, Metric(id=METRIC_ID, number=editor.take_number(), key=key, name=key))


def refused(directory: Directory, key: str) -> bool:
    try:
        directory.authenticate(key)
    except Unauthorized:
        return True
    return False


def test_authenticate(directory: Directory, space: Space, admin_key: str) -> None:
    principal = directory.authenticate(admin_key)
    assert principal.space is space
    assert principal.name == "test"
    assert principal.may("admin")
    assert principal.may("read")


@pytest.mark.parametrize("key", [None, "", "x", "abcdefgh.secret", "\ud800.x"])
def test_authenticate_refuses(directory: Directory, key: str | None) -> None:
    assert refused(directory, key)  # type: ignore[arg-type] # None is one of the cases


async def test_key_is_not_kept(pool: Pool, admin_key: str) -> None:
    row = await pool.fetchrow("SELECT k.*, k::text AS all FROM api_keys k")
    prefix, secret = admin_key.split(".")
    assert row["prefix"] == prefix
    assert len(prefix) == 8
    assert secret not in row["all"]


async def test_narrow_key(pool: Pool, directory: Directory, space_id: int) -> None:
    async with pool.acquire() as connection:
        key = await store.create_key(connection, space_id, "reader", ("read",))
    await directory.refresh()
    principal = directory.authenticate(key)
    assert principal.may("read")
    assert not principal.may("admin")
    assert not principal.may("events:write")


async def test_epoch_follows_redis(directory: Directory, space: Space, redis_client: RedisClient) -> None:
    assert space.epoch == EPOCH
    await redis_client.raw.delete(space.keys.meta)
    await directory.refresh()
    assert space.epoch is None
    # A copy from before a rebuild, or another server: Postgres has another epoch.
    await redis_client.raw.hset(space.keys.meta, mapping={"epoch": "epoch-2"})
    await directory.refresh()
    assert space.epoch is None
    await redis_client.raw.hset(space.keys.meta, mapping={"epoch": "epoch-2"})
    await directory.pool.execute("UPDATE log_positions SET epoch = 'epoch-2'")
    await directory.refresh()
    assert space.epoch == "epoch-2"
    # A Redis without a catalog version is told ours.
    assert await redis_client.raw.hget(space.keys.meta, "catalog") == b"1"


async def test_change_is_known_here_at_once(directory: Directory, space: Space, redis_client: RedisClient) -> None:
    await add_metric(directory, "words")
    assert space.index.version == 2
    assert space.index.metric_by_key["words"].number == 1
    assert await redis_client.raw.hget(space.keys.meta, "catalog") == b"2"


async def test_change_reaches_another_process(directory: Directory, other: Directory) -> None:
    async with watching(other):
        await add_metric(directory, "words")
        await until(lambda: "words" in other.production.index.metric_by_key)
    assert other.production.index.version == 2


async def test_change_is_found_without_notification(directory: Directory, other: Directory, pool: Pool) -> None:
    async with watching(other):
        await pool.execute("UPDATE spaces SET catalog_version = 7")
        await until(lambda: other.production.index.version == 7)


async def test_revoked_key(other: Directory, pool: Pool, admin_key: str) -> None:
    async with watching(other):
        other.authenticate(admin_key)
        await pool.execute("UPDATE api_keys SET revoked_at = now()")
        await until(lambda: refused(other, admin_key))
        await pool.execute("UPDATE api_keys SET revoked_at = NULL")
        await until(lambda: not refused(other, admin_key))


async def test_new_space(other: Directory, pool: Pool, clock: SettableClock) -> None:
    async with watching(other), pool.acquire() as connection:
        await store.create_space(connection, environment="staging", now_ms=clock.now_ms)
        await until(lambda: len(other.spaces) == 2)
    assert other.production.environment == "production"


async def test_listen_comes_back(directory: Directory, other: Directory, pool: Pool) -> None:
    listening = "SELECT pid FROM pg_stat_activity WHERE application_name = 'podium listen'"

    async def listener() -> int | None:
        return await pool.fetchval(listening)

    async def is_back() -> bool:
        return await listener() not in (None, first)

    async def is_there() -> bool:
        return await listener() is not None

    async with watching(other):
        await until(is_there)
        first = await listener()
        await pool.execute("SELECT pg_terminate_backend($1)", first)
        await until(is_back)
        await add_metric(directory, "words")
        await until(lambda: "words" in other.production.index.metric_by_key)


async def test_last_good_data_stay(
    redis_client: RedisClient, database_url: str, clock: SettableClock, admin_key: str
) -> None:
    pool = await open_pool(database_url)
    directory = Directory(pool, redis_client, database_url, clock)
    await directory.refresh()
    checked_ms = directory.checked_ms
    await pool.close()  # every query fails from here on, as with a Postgres that is gone
    clock.advance(1_000)
    with pytest.raises(Unavailable):
        await directory.refresh()
    assert directory.authenticate(admin_key).space is directory.production
    assert directory.production.epoch == EPOCH
    # Whether Redis was rebuilt, or is an old copy, only Postgres could tell.
    await redis_client.raw.hset(directory.production.keys.meta, "epoch", "epoch-2")
    with pytest.raises(Unavailable):
        await directory.refresh()
    assert directory.production.epoch is None
    assert directory.checked_ms == checked_ms


async def test_redis_away_keeps_epoch(
    pool: Pool, database_url: str, clock: SettableClock, directory: Directory
) -> None:
    nowhere = RedisClient("redis://127.0.0.1:1/0")
    other = Directory(pool, nowhere, database_url, clock)
    await other.refresh()
    assert other.production.epoch is None
    other.production.epoch = EPOCH
    await other.refresh()
    assert other.production.epoch == EPOCH
    await nowhere.aclose()


async def test_older_catalog_is_not_adopted(directory: Directory, space: Space) -> None:
    old = space.index.catalog
    await add_metric(directory, "words")
    await directory.adopt(space, old)
    assert space.index.version == 2


async def test_no_space_yet(
    pool: Pool, redis_client: RedisClient, database_url: str, clock: SettableClock
) -> None:
    directory = Directory(pool, redis_client, database_url, clock)
    await directory.refresh()
    with pytest.raises(Unavailable):
        _ = directory.production


async def test_a_key_of_a_space_that_is_made_while_the_directory_reads(
    pool: Pool, directory: Directory, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_spaces, made = store.load_spaces, []

    async def and_then_made(connection: PoolConnection) -> list[store.SpaceRow]:
        rows = await load_spaces(connection)
        monkeypatch.setattr(store, "load_spaces", load_spaces)
        async with pool.acquire() as other:
            made.append(await store.create_environment(other, "staging", "test", clock.now_ms))
        return rows

    monkeypatch.setattr(store, "load_spaces", and_then_made)
    await directory.refresh()
    assert refused(directory, made[0].key)
    await directory.refresh()
    assert directory.authenticate(made[0].key).space.environment == "staging"
