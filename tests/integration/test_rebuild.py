from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest

from podium.game.errors import Unavailable, WritesRefused
from podium.spaces import store as spaces_store
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis import wire
from podium.storage.redis.client import LIBRARY, RedisClient
from podium.storage.redis.keys import LAYOUT
from podium.storage.redis.wire import Result
from podium.writebehind import rebuild as rebuild_module
from podium.writebehind.flusher import Flusher
from podium.writebehind.rebuild import Rebuilt, rebuild
from tests.conftest import EPOCH, SettableClock
from tests.posting import Poster, rename
from tests.waiting import until


@pytest.fixture
def poster(redis_client: RedisClient, space: Space, clock: SettableClock) -> Poster:
    return Poster(redis_client, space, clock)


async def dump(redis: RedisClient, space: Space) -> dict[str, Any]:
    """Everything of a space but epoch, log, board numbers and the processes' last calls."""
    raw, found = redis.raw, {}
    async for key in raw.scan_iter(match=f"{space.keys.prefix}*"):
        name = key.decode().removeprefix(space.keys.prefix)
        if name in ("meta", "log", "n") or name.startswith("p:"):
            continue
        match await raw.type(key):
            case b"hash":
                found[name] = await raw.hgetall(key)
            case b"zset":
                found[name] = await raw.zrange(key, 0, -1, withscores=True)
            case b"set":
                found[name] = await raw.smembers(key)
    return found


async def flush(pool: Pool, redis: RedisClient, space: Space, clock: SettableClock) -> None:
    flusher = Flusher(pool, redis, space, clock)
    while any(await flusher.flush()):
        pass


def merged(found: dict[str, Any]) -> dict[str, Any]:
    """A dump in which the generations of a user's idempotency keys, and the ids by them, don't count."""
    of_users = {name: value for name, value in found.items() if name[:2] not in ("i:", "k:")}
    for name, value in found.items():
        if name.startswith("i:"):
            user = name.split(":", 2)[2]
            of_users[user] = of_users.get(user, set()) | value
    return of_users


async def random_history(poster: Poster, clock: SettableClock) -> None:
    """Ties, negative values, keys in two generations, names that come and go, runs over weeks."""
    draw = random.Random(7)
    for step in range(300):
        user = f"user-{draw.randrange(25)}·{{x}}"
        key = f"key-{step}" if draw.random() < 0.5 else None
        name = draw.choice([None, None, "Ann", "", "日本"])
        await poster.post_all([poster.event(user, draw.randrange(-3, 9), key=key, name=name)])
        if draw.random() < 0.1:
            await poster.post(rename(user, f"Renamed {step}", clock.now_ms))
        clock.advance(draw.choice([0, 1, 60_000, 7_200_000]))


async def test_rebuild_gives_back_what_was_there(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await random_history(poster, clock)
    await flush(pool, redis_client, space, clock)
    before = await dump(redis_client, space)
    position = await pool.fetchval("SELECT log_id FROM log_positions")
    assert {name.split(":")[0] for name in before} == {"u", "b", "i", "k", "names"}
    await redis_client.raw.flushall()

    heard: list[tuple[int, int]] = []
    done = await rebuild(
        pool, redis_client, space, clock, progress=lambda done, total: heard.append((done, total))
    )
    assert done == Rebuilt(users=25, flushed=0, lost=0)
    assert heard[0][0] == 0
    assert heard[-1][0] == heard[-1][1] > 25
    after = await dump(redis_client, space)
    # Redis put the keys into the generation of its own clock, the rebuild into those of their age.
    assert merged(after) == merged(before)

    meta = await redis_client.raw.hgetall(space.keys.meta)
    current = int(meta.pop(b"generation"))
    assert {int(name.split(":")[1]) for name in after if name.startswith("i:")} <= {current - 1, current}
    assert meta.pop(b"epoch").decode() == await pool.fetchval("SELECT epoch FROM log_positions") != EPOCH
    assert meta == {
        b"catalog": b"1",
        b"logged": b"0",
        b"trimmed": b"0",
        b"last": position.encode(),
        b"position": position.encode(),
        b"flushed_ms": str(clock.now_ms).encode(),
        b"layout": LAYOUT.encode(),
    }
    assert [log_id for log_id, _ in await redis_client.raw.xrange(space.keys.log)] == [position.encode()]

    # And it goes on: ids and ranks as if nothing had been.
    await poster.post_all([poster.event("user-1·{x}", 1)])
    await flush(pool, redis_client, space, clock)
    assert await pool.fetchval("SELECT log_id FROM log_positions") > position


async def test_rebuild_keeps_keys_as_long_as_they_would_have_been(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1, key="k")])
    await flush(pool, redis_client, space, clock)
    await rebuild(pool, redis_client, space, clock, force=True)
    assert await poster.post(poster.event("ann", 1, key="k")) == [Result(wire.REPLAY)]
    [key] = [k async for k in redis_client.raw.scan_iter(match=f"{space.keys.prefix}i:*")]
    assert 0 < await redis_client.raw.ttl(key) <= wire.KEYS_TTL


async def test_rebuild_saves_the_log_first(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 2)])
    before = await dump(redis_client, space)
    assert await rebuild(pool, redis_client, space, clock, force=True) == Rebuilt(2, flushed=2, lost=0)
    assert await dump(redis_client, space) == before


async def test_rebuild_counts_what_does_not_continue_postgres(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    await flush(pool, redis_client, space, clock)
    await redis_client.raw.xdel(space.keys.log, await pool.fetchval("SELECT log_id FROM log_positions"))
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 1)])
    assert await rebuild(pool, redis_client, space, clock) == Rebuilt(users=1, flushed=0, lost=2)
    assert await redis_client.raw.zcard(space.keys.board("2:")) == 1


async def test_rebuild_does_nothing_where_nothing_is_wrong(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    assert await rebuild(pool, redis_client, space, clock) is None
    assert await redis_client.raw.hget(space.keys.meta, "epoch") == EPOCH.encode()


async def test_rebuild_of_a_new_space(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock
) -> None:
    await redis_client.raw.flushall()
    await redis_client.raw.function_flush()
    await pool.execute("DELETE FROM log_positions")
    assert await rebuild(pool, redis_client, space, clock) == Rebuilt(0, 0, 0)
    poster = Poster(redis_client, space, clock)
    await poster.post_all([poster.event("ann", 1)])
    await flush(pool, redis_client, space, clock)
    assert await pool.fetchval("SELECT count(*) FROM events") == 1


@pytest.mark.parametrize("step", ["_clear", "_open", "_save_log"])
async def test_rebuild_that_died_starts_over(
    pool: Pool,
    redis_client: RedisClient,
    space: Space,
    clock: SettableClock,
    poster: Poster,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 2)])
    before = await dump(redis_client, space)
    if step == "_save_log":  # dies while it saves the log
        target, name = Flusher, "flush"
    else:
        target, name = rebuild_module, step

    async def dying(*args: Any) -> Any:
        raise OSError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(target, name, dying)
        with pytest.raises(Unavailable):
            await rebuild(pool, redis_client, space, clock, force=True)
    # Until it is done, nobody writes.
    assert await redis_client.raw.hget(space.keys.meta, "epoch") is None
    reply = await redis_client.call("load", space.keys.meta, EPOCH, "ann")
    assert reply[0] == wire.EPOCH
    done = await rebuild(pool, redis_client, space, clock)
    assert done == Rebuilt(2, flushed=2 if step == "_save_log" else 0, lost=0)
    assert await dump(redis_client, space) == before


async def test_rebuild_is_done_by_one_process_at_a_time(
    pool: Pool,
    redis_client: RedisClient,
    space: Space,
    clock: SettableClock,
    poster: Poster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    clear, refusals = rebuild_module._clear, []

    async def meanwhile(*args: Any) -> None:
        with pytest.raises(Unavailable, match="another process") as refusal:
            await rebuild(pool, redis_client, space, clock, force=True)
        refusals.append(refusal)
        await clear(*args)

    monkeypatch.setattr(rebuild_module, "_clear", meanwhile)
    assert await rebuild(pool, redis_client, space, clock, force=True) == Rebuilt(1, 1, 0)
    assert len(refusals) == 1


async def test_rebuild_leaves_idle_users_cold(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1, name="Ann")])
    clock.advance(1_000)
    await poster.post_all([poster.event("bob", 2)])
    done = await rebuild(pool, redis_client, space, clock, force=True, cold_before_ms=clock.now_ms)
    assert done == Rebuilt(2, 2, 0)
    token = await pool.fetchval("SELECT token FROM users WHERE id = 'ann'")
    assert await redis_client.raw.hgetall(space.keys.cold) == {b"ann": token.encode()}
    assert not await redis_client.raw.exists(space.keys.user("ann"))
    assert await redis_client.raw.hget(space.keys.names, "ann") == b"Ann"
    assert await redis_client.raw.zcard(space.keys.board("2:")) == 2
    assert await poster.post(poster.event("ann", 1)) == [Result(wire.COLD)]


async def test_rebuild_leaves_other_spaces_alone(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    async with pool.acquire() as connection:
        other = await spaces_store.create_space(connection, now_ms=clock.now_ms, environment="test")
    await redis_client.raw.set("{other}:meta", "x")
    await poster.post_all([poster.event("ann", 1)])
    await rebuild(pool, redis_client, space, clock, force=True)
    assert await redis_client.raw.get("{other}:meta") == b"x"
    assert await pool.fetchval("SELECT count(*) FROM log_positions WHERE space_id = $1", other) == 0


async def test_a_call_of_a_rebuild_that_was_given_up_comes_too_late(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    await redis_client.call("rebuild_begin", space.keys.meta, "given up", EPOCH, "requested")
    late = rebuild_module._SnapshotLoader(redis_client, space, "given up", clock.now_ms, 0, None)
    await rebuild(pool, redis_client, space, clock, force=True)
    before = await dump(redis_client, space)
    await late._send(msgspec.msgpack.encode([["ZADD", space.keys.board("2:"), "-9", "ghost"]]))
    with pytest.raises(Unavailable, match="another process"):
        await late._sent()
    assert await dump(redis_client, space) == before


async def test_rebuild_into_a_redis_that_is_full(
    pool: Pool,
    redis_client: RedisClient,
    space: Space,
    clock: SettableClock,
    poster: Poster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    before = await dump(redis_client, space)
    call = redis_client.call

    async def full(function: str, *args: Any) -> Any:
        if function == "rebuild_run":
            raise WritesRefused("Redis is at maxmemory", "memory")
        return await call(function, *args)

    with monkeypatch.context() as patch:
        patch.setattr(redis_client, "call", full)
        with pytest.raises(WritesRefused, match="maxmemory"):
            await rebuild(pool, redis_client, space, clock, force=True)
    assert await rebuild(pool, redis_client, space, clock) == Rebuilt(1, 0, 0)
    assert await dump(redis_client, space) == before


@pytest.mark.parametrize("step", ["begin", "save", "replace", "clear", "run", "groups", "open"])
async def test_a_rebuild_that_stalled_is_refused(
    pool: Pool,
    redis_client: RedisClient,
    space: Space,
    clock: SettableClock,
    poster: Poster,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """It stops before a step, its lock goes with its connection, another one runs whole, events are taken; then it
    goes on, and touches nothing."""
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 2)])
    name = {"save": "_save_log", "replace": "_replace_epoch"}.get(step, "_step")
    original, stalled, before = getattr(rebuild_module, name), False, {}

    async def stall(*args: Any) -> Any:
        nonlocal stalled, before
        if not stalled and (name != "_step" or args[2] == step):
            stalled = True
            pid = await pool.fetchval("SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
            await pool.execute("SELECT pg_terminate_backend($1)", pid)
            await until(lambda: unlocked(pool))
            assert await rebuild(pool, redis_client, space, clock, force=True) is not None
            await poster.post_all([poster.event("ann", 1), poster.event("cy", 3)])
            before = await dump(redis_client, space)
        return await original(*args)

    if step == "groups":

        async def groups(self: Any) -> None:
            if not stalled:
                board = rebuild_module.board_name(2, "")
                await rebuild_module._step(
                    redis_client, space, "groups", self._token, board, 0, 0, 1, 0, "team", "-9"
                )

        monkeypatch.setattr(rebuild_module._SnapshotLoader, "_regroup", groups)
    monkeypatch.setattr(rebuild_module, name, stall)
    with pytest.raises(Unavailable):
        await rebuild(pool, redis_client, space, clock, force=True)
    assert stalled
    assert await dump(redis_client, space) == before
    await poster.post_all([poster.event("ann", 1)])
    await flush(pool, redis_client, space, clock)
    assert await pool.fetchval("SELECT sum(units)::bigint FROM events") == 8_000
    assert await rebuild(pool, redis_client, space, clock) is None


async def unlocked(pool: Pool) -> bool:
    return await pool.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 0


async def test_a_rebuild_goes_on_in_no_other_server(
    pool: Pool,
    redis_client: RedisClient,
    space: Space,
    clock: SettableClock,
    poster: Poster,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Redis that was restarted meanwhile may have lost half of what was filled in."""
    await poster.post_all([poster.event("ann", 1)])
    clear = rebuild_module._clear

    async def then_restarted(*args: Any) -> None:
        await clear(*args)
        await redis_client.raw.function_delete(LIBRARY)

    with monkeypatch.context() as patch:
        patch.setattr(rebuild_module, "_clear", then_restarted)
        with pytest.raises(Unavailable, match="another process"):
            await rebuild(pool, redis_client, space, clock, force=True)
    assert await rebuild(pool, redis_client, space, clock) == Rebuilt(1, 0, 0)
