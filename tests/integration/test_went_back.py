"""A Redis that went back in time takes no event: old copies under living processes, restarts, promoted replicas.

``FUNCTION DELETE`` stands for another server process (restarted, restored, promoted): what the function library
keeps in its memory is gone, the data stay.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest
from msgspec import structs

from podium.game.catalog import CatalogIndex
from podium.game.errors import Unavailable
from podium.game.ids import new_uuid7
from podium.game.inputs import Event
from podium.intake.batcher import Outcome
from podium.services import Services, open_services
from podium.settings import Settings
from podium.spaces.space import Space
from podium.storage.embedded import start_valkey, temporary_folder
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import LIBRARY
from podium.telemetry.health import readiness, rebuilds
from podium.writebehind.flusher import Flusher
from podium.writebehind.rebuild import rebuild
from tests.conftest import EPOCH, SettableClock
from tests.places import roomy
from tests.posting import METRIC, small_catalog


@pytest.fixture
def space(services: Services) -> Space:
    """The space as the process under test holds it."""
    return with_catalog(services)


@pytest.fixture
async def other(services: Services, clock: SettableClock) -> AsyncIterator[Services]:
    """Another process on the same stores, which posts nothing by itself."""
    async with open_services(services.settings, clock) as other:
        with_catalog(other)
        yield other


def with_catalog(services: Services) -> Space:
    space = services.directory.production
    space.index = CatalogIndex(small_catalog())
    return space


async def post(services: Services, user: str, key: str) -> Outcome:
    space = services.directory.production
    now_ms = services.clock()
    event = Event(new_uuid7(now_ms), user, METRIC, 1, now_ms, key=key)
    return await services.intake(space).batcher.submit(event)


async def copied(services: Services) -> dict[bytes, bytes]:
    """All keys of the space, serialized."""
    raw, prefix = services.redis.raw, services.directory.production.keys.prefix
    return {key: await raw.dump(key) async for key in raw.scan_iter(f"{prefix}*")}


async def restore(services: Services, copy: dict[bytes, bytes]) -> None:
    raw, prefix = services.redis.raw, services.directory.production.keys.prefix
    found = [key async for key in raw.scan_iter(f"{prefix}*")]
    await raw.delete(*found)
    for key, blob in copy.items():
        await raw.restore(key, 0, blob)


async def flush(services: Services) -> None:
    flusher = Flusher(services.pool, services.redis, services.directory.production, services.clock)
    while any(await flusher.flush()):
        pass


async def another_process(services: Services) -> None:
    await services.redis.raw.function_delete(LIBRARY)


async def stored(services: Services) -> dict[str, int]:
    rows = await services.pool.fetch("SELECT user_id, sum(units)::bigint FROM events GROUP BY user_id")
    return dict(tuple(row) for row in rows)


async def refused(services: Services, *keys: str) -> None:
    """None of these is taken, however often it is sent."""
    for key in keys:
        with pytest.raises(Unavailable):
            await post(services, "ann", key)


@pytest.mark.parametrize("flushed", [True, False])
@pytest.mark.parametrize("restarted", [True, False])
async def test_an_old_copy_takes_no_event(
    services: Services, space: Space, clock: SettableClock, other: Services, flushed: bool, restarted: bool
) -> None:
    await post(services, "ann", "first")
    copy = await copied(services)
    await post(services, "ann", "second")
    if flushed:
        await flush(services)
    await restore(services, copy)
    if restarted:
        await another_process(services)
    # Whoever posts first: the process that was answered with more finds out, and then everybody is refused.
    await refused(services, "third", "fourth")
    await refused(other, "third", "fourth")
    assert await services.redis.raw.hget(space.keys.meta, "epoch") is None
    assert await services.redis.raw.xlen(space.keys.log) == 2

    done = await rebuild(services.pool, services.redis, space, clock)
    assert done is not None
    assert await stored(services) == {"ann": 2000 if flushed else 1000}
    for process in (services, other):
        await process.directory.refresh()
    assert (await post(services, "ann", "second")).replayed == flushed
    assert not (await post(other, "ann", "third")).replayed
    assert (await post(services, "ann", "third")).replayed
    await flush(services)
    assert await stored(services) == {"ann": 3000}

    found = await readiness(services.redis, services.pool, [space], clock())
    assert found.ready
    assert [warning for warning in found.warnings if "went back in time (behind)" in warning]
    assert [one[:3] for one in await rebuilds(services.pool)] == [(space.id, "behind", 1)]


async def test_a_process_that_was_answered_with_less_finds_out_too(
    services: Services, space: Space, other: Services
) -> None:
    """It doesn't know of what the copy lacks, but Postgres does, or another process did a second ago."""
    await post(other, "ann", "first")
    copy = await copied(services)
    await post(services, "bob", "second")
    await flush(services)
    await restore(services, copy)
    await another_process(services)
    await refused(other, "third")
    assert await services.redis.raw.hget(space.keys.meta, "closed") == b"behind"

    await rebuild(services.pool, services.redis, space, services.clock)
    await other.directory.refresh()
    await post(other, "ann", "third")
    copy = await copied(services)
    await services.directory.refresh()
    await post(services, "bob", "fourth")
    await other.directory.refresh()
    await restore(services, copy)
    await refused(other, "fifth")


async def test_the_poll_closes_a_space_that_went_back(services: Services, space: Space) -> None:
    await post(services, "ann", "first")
    copy = await copied(services)
    await post(services, "ann", "second")
    await restore(services, copy)
    await services.directory.refresh()
    assert space.epoch is None
    assert await services.redis.raw.hget(space.keys.meta, "closed") == b"behind"


async def test_a_copy_from_before_a_rebuild_takes_no_event(
    services: Services, space: Space, clock: SettableClock, other: Services
) -> None:
    await post(services, "ann", "first")
    copy = await copied(services)
    await rebuild(services.pool, services.redis, space, clock)  # does nothing
    assert space.epoch == EPOCH
    await rebuild(services.pool, services.redis, space, clock, force=True)
    await post(services, "ann", "second")
    await flush(services)
    await restore(services, copy)
    await another_process(services)
    await refused(other, "third")  # holds the epoch of the copy
    await refused(services, "third")
    await services.directory.refresh()
    assert space.epoch is None
    await rebuild(services.pool, services.redis, space, clock)
    assert await stored(services) == {"ann": 2000}
    assert (await post(services, "ann", "second")).replayed
    assert sorted(one.reason for one in await rebuilds(services.pool)) == ["other", "requested"]


async def test_an_older_postgres_is_noticed(services: Services, space: Space) -> None:
    await post(services, "ann", "first")
    await flush(services)
    position = await services.pool.fetchval("SELECT log_id FROM log_positions")
    await post(services, "ann", "second")
    await flush(services)
    await services.pool.execute("UPDATE log_positions SET log_id = $1", position)
    await services.directory.refresh()
    assert space.epoch is None
    await refused(services, "third")


async def postgres_away(pool: Pool) -> None:
    """Every query fails from here on."""
    await pool.close()


async def test_a_redis_that_was_merely_restarted_goes_on(services: Services, space: Space) -> None:
    await post(services, "ann", "first")
    await flush(services)
    await another_process(services)
    assert not (await post(services, "ann", "second")).replayed
    assert space.epoch == EPOCH
    assert await rebuilds(services.pool) == []


async def test_a_restart_while_postgres_is_away(services: Services, space: Space, other: Services) -> None:
    """What a process was answered with proves that Redis continues; and where Redis lacks it, nothing is taken."""
    await post(services, "ann", "first")
    copy = await copied(services)
    await post(services, "ann", "second")
    await postgres_away(services.pool)
    await another_process(services)
    await post(services, "ann", "third")
    await restore(services, copy)
    await another_process(services)
    await refused(services, "fourth")
    assert await services.redis.raw.hget(space.keys.meta, "closed") == b"behind"


async def test_a_process_that_knows_nothing_waits_for_postgres(services: Services, space: Space) -> None:
    await post(services, "ann", "first")
    await another_process(services)
    await postgres_away(services.pool)
    services.directory._positions.clear()
    space._reached = (None, (0, 0), "")
    await refused(services, "second")
    assert await services.redis.raw.hget(space.keys.meta, "epoch") == EPOCH.encode()


async def test_a_valkey_restarted_with_an_old_file(
    services: Services, space: Space, clock: SettableClock, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A real one, its append-only file put back, with no worker: nothing is acknowledged until there is one."""
    kept = tmp_path_factory.mktemp("kept") / "valkey"
    with temporary_folder(roomy()) as folder:
        with start_valkey(folder) as valkey:
            port = valkey.port
            settings = replace_url(services.settings, valkey.url)
            async with open_services(settings, clock) as own:
                own_space = with_catalog(own)
                await rebuild(own.pool, own.redis, own_space, clock)
                await post(own, "ann", "first")
        shutil.copytree(folder.path / "valkey", kept)
        with start_valkey(folder, port=port):
            async with open_services(settings, clock) as own:
                with_catalog(own)
                await post(own, "ann", "second")
                await flush(own)
        shutil.rmtree(folder.path / "valkey")
        shutil.copytree(kept, folder.path / "valkey")
        with start_valkey(folder, port=port):
            async with open_services(settings, clock) as own:
                own_space = with_catalog(own)
                await refused(own, "third", "fourth")
                await rebuild(own.pool, own.redis, own_space, clock)
                await own.directory.refresh()
                assert (await post(own, "ann", "second")).replayed
                assert await stored(own) == {"ann": 2000}


def replace_url(settings: Settings, redis_url: str) -> Settings:
    """The same settings with another Redis."""
    return structs.replace(settings, redis_url=redis_url)
