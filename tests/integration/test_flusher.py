from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
import structlog

from podium.game.errors import Unavailable
from podium.game.ids import new_uuid7
from podium.game.records import LogItem, LogRecord, decode_record, encode_record
from podium.jobs.partitions import create_partitions
from podium.spaces import continuity
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from podium.storage.redis.wire import COMMIT, FORMER, TOTAL, VERSION, decode_entry
from podium.writebehind import batches, store
from podium.writebehind import flusher as flusher_module
from podium.writebehind.batches import Batch
from podium.writebehind.flusher import PAGE_ENTRIES, Flushed, Flusher, WentBack
from podium.writebehind.rebuild import rebuild
from tests.conftest import EPOCH, SettableClock
from tests.posting import Poster, encode_commit, rename
from tests.waiting import until

Make = Callable[[], Flusher]


@pytest.fixture
def poster(redis_client: RedisClient, space: Space, clock: SettableClock) -> Poster:
    return Poster(redis_client, space, clock)


@pytest.fixture
def make(pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock) -> Make:
    return lambda: Flusher(pool, redis_client, space, clock)


async def drain(flusher: Flusher) -> int:
    """Flush until there is nothing; the events."""
    total = 0
    while True:
        flushed = await flusher.flush()
        total += flushed.events
        if not flushed.events and not flushed.more:
            return total


async def log_length(redis: RedisClient, space: Space) -> int:
    return int(await redis.raw.xlen(space.keys.log))


async def totals(pool: Pool) -> dict[str, int]:
    """Units of each user by the rows of ``events``."""
    rows = await pool.fetch("SELECT user_id, sum(units)::bigint FROM events GROUP BY user_id")
    return dict(tuple(row) for row in rows)


async def test_flush_writes_every_table(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster, make: Make
) -> None:
    await poster.post_all([poster.event("ann", 1.5, key="k1", name="Ann"), poster.event("bob", 4)])
    clock.advance(1_000)
    await poster.post_all([poster.event("ann", 3), poster.event("ann", -1)])
    await poster.post(rename("bob", "Bob", clock.now_ms))
    flusher = make()
    assert await flusher.flush() == Flushed(5, more=False)
    assert await flusher.flush() == Flushed(0, more=False)

    assert await totals(pool) == {"ann": 3500, "bob": 4000}
    users = await pool.fetch("SELECT id, name, token, state FROM users ORDER BY id")
    assert [row["name"] for row in users] == ["Ann", "Bob"]
    for row in users:
        token, blob = await redis_client.raw.hmget(space.keys.user(row["id"]), ["t", "s"])
        assert (row["token"], row["state"]) == (token.decode(), blob.decode())
    assert [tuple(r) for r in await pool.fetch("SELECT user_id, metric, key FROM idempotency_keys")] == [
        ("ann", 1, "k1")
    ]
    days = await pool.fetch("SELECT user_id, day::text, change FROM metric_days ORDER BY user_id")
    assert [tuple(row) for row in days] == [("ann", "2026-11-23", 3500), ("bob", "2026-11-23", 4000)]
    entries = await pool.fetch(
        "SELECT leaderboard, run, user_id, value FROM standings ORDER BY leaderboard, user_id"
    )
    assert [tuple(row) for row in entries] == [
        (2, "", "ann", 3500),
        (2, "", "bob", 4000),
        (3, "20261123", "ann", 3500),
        (3, "20261123", "bob", 4000),
    ]
    assert await pool.fetchval("SELECT count(*) FROM board_entries") == 0  # the states have them all
    ranks = await pool.fetch(
        "SELECT user_id, rank, previous_rank, value, previous_value FROM rank_history"
        " WHERE leaderboard = 2 ORDER BY user_id"
    )
    assert [tuple(row) for row in ranks] == [("ann", 2, None, 3500, None), ("bob", 1, None, 4000, None)]
    assert (flusher.stats.events, flusher.stats.batches, flusher.stats.rejected) == (5, 1, 0)


async def test_flush_adds_to_what_earlier_flushes_wrote(
    pool: Pool, clock: SettableClock, poster: Poster, make: Make
) -> None:
    flusher = make()
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 2)])
    await drain(flusher)
    clock.advance(1_000)
    await poster.post_all([poster.event("ann", 5)])
    await drain(flusher)
    assert await pool.fetchval("SELECT change FROM metric_days WHERE user_id = 'ann'") == 6000
    row = await pool.fetchrow(
        "SELECT rank, previous_rank, value, previous_value FROM rank_history"
        " WHERE leaderboard = 2 AND user_id = 'ann'"
    )
    assert row is not None
    # The day began for ann when she came onto the board: no rank, no value before.
    assert tuple(row) == (1, None, 6000, None)


async def test_an_item_of_many_boards_weighs_more(
    poster: Poster, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    await poster.post_all([poster.event(f"u{i}", 1) for i in range(6)])
    monkeypatch.setattr(flusher_module, "PAGE_ENTRIES", 1)
    monkeypatch.setattr(flusher_module, "BATCH_EVENTS", 4)
    assert await make().flush() == Flushed(4, more=True)
    # Each of two boards: as if that were many.
    monkeypatch.setattr(flusher_module, "ITEM_RANKS", 6)
    assert await make().flush() == Flushed(2, more=True)


async def test_flush_trims_up_to_the_position_and_keeps_its_entry(
    redis_client: RedisClient, space: Space, poster: Poster, make: Make, pool: Pool
) -> None:
    await poster.post_all([poster.event("ann", 1) for _ in range(5)])
    await drain(make())
    [(log_id, _)] = await redis_client.raw.xrange(space.keys.log)
    assert await pool.fetchval("SELECT log_id FROM log_positions") == log_id.decode()
    logged, trimmed = await redis_client.raw.hmget(space.keys.meta, ["logged", "trimmed"])
    assert logged == trimmed


async def test_flush_trims_what_a_killed_worker_left(
    redis_client: RedisClient, space: Space, poster: Poster, make: Make, pool: Pool
) -> None:
    await poster.post_all([poster.event("ann", 1) for _ in range(3)])
    (last, _) = (await redis_client.raw.xrevrange(space.keys.log, count=1))[0]
    await pool.execute("UPDATE log_positions SET log_id = $1", last.decode())
    assert await make().flush() == Flushed(0, more=True)
    assert await log_length(redis_client, space) == 1


async def test_flush_of_a_backlog_goes_on_in_pages(
    pool: Pool, poster: Poster, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("podium.writebehind.flusher.BATCH_EVENTS", 100)
    count = 2 * PAGE_ENTRIES + 10
    await poster.post_all([poster.event(f"user-{i % 7}", 1) for i in range(count)])
    flusher = make()
    assert await flusher.flush() == Flushed(PAGE_ENTRIES, more=True)
    assert await drain(flusher) == count - PAGE_ENTRIES
    assert sum((await totals(pool)).values()) == count * 1000


async def test_two_flushers_at_once_write_each_event_once(pool: Pool, poster: Poster, make: Make) -> None:
    flushers = [make(), make(), make()]
    for _ in range(10):
        await poster.post_all([poster.event(f"user-{i}", 1) for i in range(4)])
        await asyncio.gather(*(flusher.flush() for flusher in flushers))
    await drain(flushers[0])
    assert await totals(pool) == {f"user-{i}": 10_000 for i in range(4)}
    assert await pool.fetchval("SELECT sum(change)::int FROM metric_days") == 40_000
    assert sum(flusher.stats.events for flusher in flushers) == 40


async def test_flush_refuses_a_redis_that_went_back(
    redis_client: RedisClient, space: Space, pool: Pool, poster: Poster, make: Make
) -> None:
    flusher = make()
    await poster.post_all([poster.event("ann", 1)])
    await drain(flusher)
    position = await pool.fetchval("SELECT log_id FROM log_positions")
    # What a restored backup looks like: the flushed entry never was, newer ones follow.
    await redis_client.raw.xdel(space.keys.log, position)
    await poster.post_all([poster.event("ann", 1)])
    for one in (flusher, make()):
        with pytest.raises(WentBack, match="no longer has"):
            await one.flush()
    assert await totals(pool) == {"ann": 1000}


async def test_flush_refuses_another_epoch(
    redis_client: RedisClient, space: Space, pool: Pool, poster: Poster, make: Make
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    await redis_client.raw.hset(space.keys.meta, "epoch", "other")
    with pytest.raises(WentBack, match="another epoch"):
        await make().flush()
    await redis_client.raw.hdel(space.keys.meta, "epoch")
    with pytest.raises(WentBack, match="no epoch"):
        await make().flush()
    await redis_client.raw.hset(space.keys.meta, "epoch", EPOCH)
    await pool.execute("DELETE FROM log_positions")
    with pytest.raises(WentBack, match="never been alive"):
        await make().flush()
    assert await totals(pool) == {}


async def test_a_flusher_of_an_epoch_that_was_replaced_while_it_read_writes_nothing(
    pool: Pool, poster: Poster, space: Space, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    flusher = make()
    lock_position = store.lock_position

    async def late(connection: Any, space_id: int) -> Any:
        await pool.execute("UPDATE log_positions SET epoch = 'newer'")
        return await lock_position(connection, space_id)

    monkeypatch.setattr(store, "lock_position", late)
    assert await flusher.flush() == Flushed(0, more=True)
    assert await totals(pool) == {}
    with pytest.raises(WentBack, match="another epoch"):
        await flusher.flush()


@pytest.mark.parametrize("step", ["write", "move_position"])
async def test_a_failure_between_reading_and_committing_loses_and_doubles_nothing(
    pool: Pool, poster: Poster, make: Make, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 2)])
    flusher = make()
    original: Callable[..., Awaitable[None]] = getattr(store, step)

    async def breaking(*args: Any) -> None:
        await original(*args)
        raise OSError("the connection broke")

    with monkeypatch.context() as patch:
        patch.setattr(store, step, breaking)
        with pytest.raises(Unavailable):
            await flusher.flush()
    assert await totals(pool) == {}
    assert await drain(flusher) == 2
    assert await totals(pool) == {"ann": 1000, "bob": 2000}


async def test_a_commit_whose_answer_is_lost_is_not_written_again(
    pool: Pool, poster: Poster, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    flusher = make()
    write = Flusher._write

    async def unanswered(self: Flusher, *args: Any) -> Any:
        await write(self, *args)
        raise Unavailable("Postgres is away")

    with monkeypatch.context() as patch:
        patch.setattr(Flusher, "_write", unanswered)
        with pytest.raises(Unavailable):
            await flusher.flush()
    await poster.post_all([poster.event("ann", 1)])
    assert await drain(flusher) == 1
    assert await totals(pool) == {"ann": 2000}


KILLED = """
import asyncio, sys
from podium.storage.postgres.pool import open_pool
from podium.storage.redis.client import RedisClient
from podium.clock import system_clock
from podium.spaces.directory import Directory
from podium.writebehind import batches, store
from podium.writebehind.batches import Batch
from podium.writebehind.flusher import Flusher

async def main(redis_url, database_url):
    pool, redis = await open_pool(database_url), RedisClient(redis_url)
    directory = Directory(pool, redis, database_url, system_clock)
    await directory.refresh()
    move_position = store.move_position
    async def hang(*args):
        await move_position(*args)
        print("written", flush=True)
        await asyncio.Event().wait()
    store.move_position = hang
    await Flusher(pool, redis, directory.production, system_clock).flush()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_worker_killed_before_its_commit_loses_and_doubles_nothing(
    pool: Pool, poster: Poster, make: Make, redis_url: str, database_url: str
) -> None:
    await poster.post_all([poster.event(f"user-{i % 3}", 1) for i in range(9)])
    worker = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        KILLED,
        redis_url,
        database_url,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert worker.stdout is not None
    async with asyncio.timeout(30):
        assert await worker.stdout.readline() == b"written\n"
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
    assert await totals(pool) == {}
    await poster.post_all([poster.event("user-0", 1)])
    assert await drain(make()) == 10
    assert await totals(pool) == {"user-0": 4000, "user-1": 3000, "user-2": 3000}
    assert await pool.fetchval("SELECT sum(change)::int FROM metric_days") == 10_000


async def append(redis: RedisClient, space: Space, item: LogItem) -> None:
    """An entry as the function would write it."""
    await redis.raw.xadd(space.keys.log, {VERSION: 1, TOTAL: 0, COMMIT: encode_commit(item)})


async def test_entries_of_an_earlier_release_are_flushed(
    redis_client: RedisClient, space: Space, pool: Pool, poster: Poster, make: Make
) -> None:
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 2)])
    _, (_, first), _ = await redis_client.raw.xrange(space.keys.log)
    [ann] = decode_entry(first)
    former = [[f"{ann.user}{i}", ann.token, ann.state, ann.record, ann.ranks] for i in range(2)]
    record = decode_record(ann.record)
    assert record.event is not None
    for item in former:
        event = msgspec.structs.replace(record.event, id=new_uuid7(record.event.at_ms))
        item[3] = encode_record(msgspec.structs.replace(record, event=event))
    fields = {VERSION: 1, TOTAL: 0, FORMER: msgspec.msgpack.encode(former)}
    await redis_client.raw.xadd(space.keys.log, fields)
    await drain(make())
    assert await totals(pool) == {"ann": 1_000, "ann0": 1_000, "ann1": 1_000, "bob": 2_000}


async def test_flush_rejects_the_bad_item_alone(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster, make: Make
) -> None:
    """Bad in each way: refused by the driver, by Postgres, by us; and an entry that can't be read at all."""
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 2)])
    entries = await redis_client.raw.xrange(space.keys.log)
    [good] = decode_entry(entries[1][1])
    record = msgspec.json.decode(good.record)

    def changed(place: int, value: object) -> str:
        event = [*record[0]]
        event[place] = value
        return msgspec.json.encode([event, record[1]]).decode()

    bad = {
        "driver": changed(2, 2**62 * 4),
        "uuid": changed(0, "no-uuid"),
        "postgres": changed(7, {"genre": "a\x00b"}),
        "json": "{",
        "day": changed(5, 10**9),
        "board": msgspec.json.encode([record[0], [["x", 1, 1, None]]]).decode(),
    }
    for user, text in bad.items():
        ranks = good.ranks[:3] if user == "board" else good.ranks
        await append(redis_client, space, LogItem(user, "t", good.state, text, ranks))
    await redis_client.raw.xadd(space.keys.log, {VERSION: 1, TOTAL: 0, COMMIT: b"\xc1"})
    await append(redis_client, space, LogItem("a\x00b", "t", good.state, encode_record(LogRecord(None, [])), []))
    await poster.post_all([poster.event("ann", 10), poster.event("bob", 20)])

    flusher = make()
    await drain(flusher)
    assert await totals(pool) == {"ann": 11_000, "bob": 22_000}
    rejected = await pool.fetch("SELECT user_id, record, state, error FROM rejected_entries ORDER BY id")
    assert sorted(row["user_id"] for row in rejected) == sorted(["", "a\\u0000b", *bad])
    assert {row["record"] for row in rejected} >= set(bad.values())
    assert next(row["record"] for row in rejected if not row["user_id"]) == "c1"
    assert all(row["error"] for row in rejected)
    assert await log_length(redis_client, space) == 1
    assert flusher.stats.rejected == len(bad) + 2
    assert await pool.fetchval("SELECT count(*) FROM users") == 2


@pytest.mark.parametrize("error", [TypeError, ValueError, KeyError])
async def test_a_fault_of_ours_stops_the_flusher_and_keeps_the_log(
    pool: Pool, poster: Poster, make: Make, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    for user in ("ann", "poison", "bob"):
        await poster.post(poster.event(user, 1))
    flusher, add = make(), batches._Boards.add

    def failing(self: Any, user: str, *rest: Any) -> None:
        if user == "poison":
            raise error("a fault of ours")
        add(self, user, *rest)

    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(batches._Boards, "add", failing)
        for _ in range(2):
            with pytest.raises(error, match="a fault of ours"):
                await flusher.flush()
    assert [(entry["event"], entry["user"]) for entry in logs] == [("log_item_failed", "poison")]
    assert await totals(pool) == {}
    assert await drain(flusher) == 3
    assert await totals(pool) == {"ann": 1000, "bob": 1000, "poison": 1000}
    assert await pool.fetchval("SELECT count(*) FROM rejected_entries") == 0


@pytest.mark.parametrize("table", ["users", "events"])
async def test_what_no_item_can_hold_is_a_fault_of_ours(
    pool: Pool, poster: Poster, make: Make, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    """The driver is handed a value of a wrong type."""
    await poster.post(poster.event("ann", 1))
    flusher, write = make(), store.write

    async def wrong(connection: Any, space_id: int, batch: Batch) -> None:
        users = [(object(),), *batch.users[1:]]
        events = [(space_id, event[1], object(), *event[3:]) for event in batch.events]
        await write(connection, space_id, batch._replace(**{table: users if table == "users" else events}))

    with monkeypatch.context() as patch:
        patch.setattr(store, "write", wrong)
        with pytest.raises((asyncpg.DataError, TypeError)):
            await flusher.flush()
    assert await drain(flusher) == 1
    assert await pool.fetchval("SELECT count(*) FROM rejected_entries") == 0


async def test_a_user_whose_item_was_rejected_goes_on(
    pool: Pool, redis_client: RedisClient, space: Space, poster: Poster, make: Make
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    (_, fields) = (await redis_client.raw.xrevrange(space.keys.log, count=1))[0]
    [item] = decode_entry(fields)
    await append(redis_client, space, LogItem(item.user, item.token, item.state, "[", item.ranks))
    await poster.post_all([poster.event("ann", 2)])
    await drain(make())
    assert await totals(pool) == {"ann": 3000}
    assert await pool.fetchval("SELECT value FROM standings WHERE leaderboard = 2") == 3000
    assert await pool.fetchval("SELECT count(*) FROM rejected_entries") == 1


async def test_flush_redis_away(pool: Pool, space: Space, clock: SettableClock, tmp_path: Path) -> None:
    away = RedisClient(f"unix://{tmp_path}/nobody")
    with pytest.raises(Unavailable, match="Redis is away"):
        await Flusher(pool, away, space, clock).flush()
    await away.aclose()


async def test_create_partitions(pool: Pool, clock: SettableClock, poster: Poster, make: Make) -> None:
    await poster.post_all([poster.event("ann", 1)])
    await drain(make())  # lies in the default partition
    assert await create_partitions(pool, clock.now_ms) == ["events_2026_11", "events_2026_12", "events_2027_01"]
    assert await create_partitions(pool, clock.now_ms) == []
    await poster.post_all([poster.event("ann", 2)])
    await drain(make())
    where = await pool.fetch("SELECT tableoid::regclass::text AS part, units FROM events ORDER BY units")
    assert [tuple(row) for row in where] == [("events_2026_11", 1000), ("events_2026_11", 2000)]
    indexes = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'events_id'::regclass"
    assert await pool.fetchval(indexes) == 4


async def test_a_partition_made_during_a_flush_costs_no_event(
    pool: Pool, clock: SettableClock, poster: Poster, make: Make
) -> None:
    """The flush waits for the job's lock, and must not go by the partitions that it saw before."""

    async def waiting(count: int) -> bool:
        query = "SELECT count(DISTINCT pid) FROM pg_locks WHERE NOT granted AND relation IS NOT NULL"
        return await pool.fetchval(query) == count

    await poster.post_all([poster.event("ann", 1)])
    async with pool.acquire() as reader, asyncio.TaskGroup() as group, reader.transaction():
        await reader.execute("LOCK TABLE events_default IN ACCESS SHARE MODE")
        group.create_task(create_partitions(pool, clock.now_ms))
        await until(lambda: waiting(1))
        flush = group.create_task(make().flush())
        await until(lambda: waiting(2))
    assert flush.result().events == 1
    assert await totals(pool) == {"ann": 1000}
    assert await pool.fetchval("SELECT count(*) FROM rejected_entries") == 0


@pytest.mark.parametrize("point", ["_locate", "_page", "_write", "_trim"])
@pytest.mark.parametrize("after", [False, True])
async def test_flushers_that_get_in_each_others_way_see_no_lost_log(
    pool: Pool,
    redis_client: RedisClient,
    space: Space,
    clock: SettableClock,
    poster: Poster,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
    after: bool,
) -> None:
    """Four on one space: at a dangerous point of one of them the next one flushes and trims all there is."""
    monkeypatch.setattr("podium.writebehind.flusher.PAGE_ENTRIES", 2)
    flushers = [make() for _ in range(4)]
    posted, depth = 0, 0
    original = getattr(Flusher, point)

    async def more() -> None:
        nonlocal posted
        await poster.post_all([poster.event(f"user-{i}", 1) for i in range(3)])
        posted += 3

    async def interrupted(self: Flusher, *args: Any) -> Any:
        nonlocal depth
        if after:
            found = await original(self, *args)
        depth += 1
        if depth < len(flushers):
            await more()
            await drain(flushers[depth])
        return found if after else await original(self, *args)

    for _ in range(3):  # from the second time on they hold positions
        await more()
        depth = 0
        if point == "_locate":
            flushers = [make() for _ in range(4)]
        with monkeypatch.context() as patch:
            patch.setattr(Flusher, point, interrupted)
            await drain(flushers[0])
        assert depth >= len(flushers)
    await drain(flushers[0])
    assert sum((await totals(pool)).values()) == posted * 1000
    assert await rebuild(pool, redis_client, space, clock) is None


async def test_a_rebuild_that_compares_while_others_flush_does_nothing(
    pool: Pool,
    redis_client: RedisClient,
    space: Space,
    clock: SettableClock,
    poster: Poster,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    position, asked = continuity._position, 0

    async def then_flushed(*args: Any) -> Any:
        nonlocal asked
        found = await position(*args)
        asked += 1
        if asked <= 3:
            await poster.post_all([poster.event("ann", 1)])
            await drain(make())
        return found

    monkeypatch.setattr(continuity, "_position", then_flushed)
    assert await rebuild(pool, redis_client, space, clock) is None
    assert asked == 4
    assert await redis_client.raw.hget(space.keys.meta, "epoch") == EPOCH.encode()
