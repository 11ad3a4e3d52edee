"""Where users stand, and stood day by day, as Postgres has it.

It is in states, in what these have let go of, and in rows that an earlier release wrote."""

from __future__ import annotations

import msgspec
import pytest

from podium.game.periods import MS_PER_DAY as DAY_MS
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from podium.storage.redis.wire import FORMER, TOTAL, VERSION, decode_entry
from podium.writebehind.flusher import Flusher
from podium.writebehind.rebuild import rebuild
from tests.conftest import SettableClock
from tests.integration.test_rebuild import dump
from tests.posting import DAILY, PERPETUAL, Poster

ENTRY = "INSERT INTO board_entries (space_id, leaderboard, run, grp, user_id, value, reached_ms, rank)"
RANK_DAY = "INSERT INTO rank_days SELECT $1, $2, $3, $4, day, 7, 9, 70, 60 FROM place_days WHERE user_id = $4"


@pytest.fixture
def poster(redis_client: RedisClient, space: Space, clock: SettableClock) -> Poster:
    return Poster(redis_client, space, clock)


async def flush(pool: Pool, redis: RedisClient, space: Space, clock: SettableClock) -> None:
    flusher = Flusher(pool, redis, space, clock)
    while any(await flusher.flush()):
        pass


async def standings(pool: Pool) -> list[tuple[object, ...]]:
    rows = await pool.fetch("SELECT leaderboard, run, user_id, value FROM standings ORDER BY 1, 2, 3")
    return [tuple(row) for row in rows]


async def test_a_state_says_more_than_the_entries_beside_it(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1), poster.event("bob", 2)])
    await flush(pool, redis_client, space, clock)
    # What an earlier release wrote of ann, and has not removed of bob's older run.
    await pool.execute(f"{ENTRY} VALUES ($1, 2, '', '', 'ann', 5, 1, 1)", space.id)
    await pool.execute(f"{ENTRY} VALUES ($1, 3, '20261101', '', 'bob', 8, 1, 1)", space.id)
    await pool.execute(f"{ENTRY} VALUES ($1, 2, '', '', 'nobody', 4, 1, 1)", space.id)
    expected = [
        (PERPETUAL, "", "ann", 1000),
        (PERPETUAL, "", "bob", 2000),
        (PERPETUAL, "", "nobody", 4),
        (DAILY, "20261101", "bob", 8),
        (DAILY, "20261123", "ann", 1000),
        (DAILY, "20261123", "bob", 2000),
    ]
    assert await standings(pool) == expected

    await rebuild(pool, redis_client, space, clock, force=True)
    held = await dump(redis_client, space)
    boards = {name: len(members) for name, members in held.items() if name.startswith("b:")}
    assert boards == {"b:2:": 3, "b:3:20261101": 1, "b:3:20261123": 2}


async def test_a_run_that_is_final_stays_out(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    await flush(pool, redis_client, space, clock)
    await pool.execute(
        "INSERT INTO final_runs VALUES ($1, 3, '20261123', '2026-11-23', '2026-11-23', now(), 1)", space.id
    )
    assert await standings(pool) == [(PERPETUAL, "", "ann", 1000)]
    await rebuild(pool, redis_client, space, clock, force=True)
    assert {name for name in await dump(redis_client, space) if name.startswith("b:")} == {"b:2:"}


@pytest.mark.parametrize(
    "state", ["", "nonsense", "{}", "7", "[1, 2]", "[1, 2, 3, 4, 5, [6]]", '[1,2,3,4,5,{"2:":0}]']
)
async def test_a_state_that_cannot_be_read_has_no_standings(pool: Pool, space: Space, state: str) -> None:
    await pool.execute(
        "INSERT INTO users (space_id, id, created_ms, updated_ms, newest_ms, token, state)"
        " VALUES ($1, 'ann', 1, 1, 1, 't', $2)",
        space.id,
        state,
    )
    rows = await pool.fetch("SELECT value FROM standings WHERE space_id = $1 AND user_id = 'ann'", space.id)
    assert [row["value"] for row in rows] == []


async def test_entries_are_kept_of_runs_that_a_state_lets_go_of(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    await flush(pool, redis_client, space, clock)
    entries = "SELECT run, user_id, value FROM board_entries"
    assert await pool.fetch(entries) == []
    clock.advance(20 * DAY_MS)
    await poster.post_all([poster.event("ann", 1)])
    await flush(pool, redis_client, space, clock)
    assert [tuple(row) for row in await pool.fetch(entries)] == [("20261123", "ann", 1000)]
    assert await standings(pool) == [
        (PERPETUAL, "", "ann", 2000),
        (DAILY, "20261123", "ann", 1000),
        (DAILY, "20261213", "ann", 1000),
    ]


async def test_no_entry_comes_into_a_run_that_is_final(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    """The state lets go of it only after its standings were written down, and its entries deleted."""
    await poster.post_all([poster.event("ann", 1)])
    await flush(pool, redis_client, space, clock)
    await pool.execute(
        "INSERT INTO final_runs VALUES ($1, 3, '20261123', '2026-11-23', '2026-11-23', now(), 1)", space.id
    )
    clock.advance(20 * DAY_MS)
    await poster.post_all([poster.event("ann", 1)])
    await flush(pool, redis_client, space, clock)
    assert await pool.fetchval("SELECT count(*) FROM board_entries") == 0


async def test_records_of_the_release_before_bring_their_entries(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    """They say neither what the state lets go of nor what is the day's first change."""
    await poster.post_all([poster.event("ann", 1)])
    clock.advance(60_000)
    await poster.post_all([poster.event("ann", 2)])
    first, *entries = await redis_client.raw.xrange(space.keys.log)
    await redis_client.raw.delete(space.keys.log)
    await redis_client.raw.xadd(space.keys.log, first[1], id=first[0])
    for log_id, fields in entries:
        items = []
        for item in decode_entry(fields):
            event, boards = msgspec.json.decode(item.record)[:2]
            record = msgspec.json.encode([event, [board[:5] for board in boards], None, [], [], []]).decode()
            items.append([item.user, item.token, item.state, record, item.ranks])
        former = {VERSION: 1, TOTAL: 0, FORMER: msgspec.msgpack.encode(items)}
        await redis_client.raw.xadd(space.keys.log, former, id=log_id)
    await flush(pool, redis_client, space, clock)
    rows = await pool.fetch("SELECT leaderboard, run, value, rank FROM board_entries ORDER BY 1")
    assert [tuple(row) for row in rows] == [(PERPETUAL, "", 3000, 1), (DAILY, "20261123", 3000, 1)]
    counted = await pool.fetch("SELECT leaderboard, changes, active, joined FROM board_days ORDER BY 1")
    assert [tuple(row) for row in counted] == [(PERPETUAL, 1, 1, 1), (DAILY, 1, 1, 1)]


async def test_a_day_that_two_releases_wrote_of_is_one(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    await poster.post_all([poster.event("ann", 1)])
    await flush(pool, redis_client, space, clock)
    await pool.execute(RANK_DAY, space.id, PERPETUAL, "", "ann")
    await pool.execute(
        "INSERT INTO rank_days VALUES ($1, 2, '', 'ann', '2026-11-20', 9, NULL, 60, NULL)", space.id
    )
    rows = await pool.fetch(
        "SELECT day::text, rank, value, previous_rank, previous_value FROM rank_history"
        " WHERE space_id = $1 AND user_id = 'ann' AND leaderboard = 2 AND run = '' ORDER BY day",
        space.id,
    )
    # The newer row has the end of the day, the older one its beginning.
    assert [tuple(row) for row in rows] == [
        ("2026-11-20", 9, 60, None, None),
        ("2026-11-23", 1, 1000, 9, 60),
    ]


async def test_a_user_is_active_once_a_day_and_joins_once(
    pool: Pool, redis_client: RedisClient, space: Space, clock: SettableClock, poster: Poster
) -> None:
    for _ in range(2):
        for _ in range(3):
            await poster.post_all([poster.event("ann", 1), poster.event("bob", 2)])
            await flush(pool, redis_client, space, clock)
            clock.advance(60_000)
        clock.advance(DAY_MS)
    rows = await pool.fetch("SELECT day::text, active, joined FROM board_days WHERE leaderboard = 2 ORDER BY 1")
    assert [tuple(row) for row in rows] == [("2026-11-23", 2, 2), ("2026-11-24", 2, 0)]
    rows = await pool.fetch("SELECT run, active, joined FROM board_days WHERE leaderboard = 3 ORDER BY 1")
    assert [tuple(row) for row in rows] == [("20261123", 2, 2), ("20261124", 2, 2)]
