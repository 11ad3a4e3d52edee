"""The commit path on a real Redis: tokens, call numbers, epochs, refusals
(docs/decisions/0002-one-atomic-call.md, docs/decisions/0003-tokens.md, docs/decisions/0004-micro-batches.md,
docs/decisions/0005-stored-when-answered.md)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from datetime import date
from typing import Any

import pytest
import redis

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import NotFound, Unavailable, Unprocessable
from podium.game.ids import new_uuid7
from podium.game.inputs import ChangeUser, Event
from podium.game.leaderboards.model import Leaderboard
from podium.game.leaderboards.ranking import member_user
from podium.game.metrics.model import Metric
from podium.game.users.rules import Upsert
from podium.intake.batcher import Batcher, Outcome
from podium.intake.states import States, Thaw
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.posting import confirm

METRIC = Metric(id="00000000-0000-7000-8000-000000000001", number=1, key="words", name="Words")
ALL_TIME = Leaderboard(
    id="00000000-0000-7000-8000-000000000002",
    number=2,
    key="all-time",
    name="All time",
    metric_id=METRIC.id,
    start=date(2020, 1, 1),
    status="active",
)
DAILY = Leaderboard(
    id="00000000-0000-7000-8000-000000000003",
    number=3,
    key="daily",
    name="Today",
    metric_id=METRIC.id,
    start=date(2020, 1, 1),
    status="active",
    run_unit="day",
    run_interval=1,
)
INDEX = CatalogIndex(Catalog(1, metrics=(METRIC,), leaderboards=(ALL_TIME, DAILY)))


class Counted:
    """An observer that adds up."""

    def __init__(self) -> None:
        self.events = 0

    def committed(self, *, inputs: int, events: int, call_s: float, waits_s: list[float]) -> None:
        self.events += events

    def refused(self, reason: str, inputs: int) -> None:
        """As ``intake.batcher.Observer``."""


@pytest.fixture(params=["valkey", "debian_redis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """Empty, and each in turn: what the functions promise must hold on both."""
    server = request.getfixturevalue(request.param)
    url: str = server if isinstance(server, str) else server.url
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return url


MakeBatcher = Callable[..., Batcher]


@pytest.fixture
async def make_batcher(
    space: Space, redis_client: RedisClient, pool: Pool, clock: SettableClock
) -> AsyncIterator[MakeBatcher]:
    space.index = INDEX
    made = []

    async def postgres_away(space: Space, users: list[str]) -> None:
        raise Unavailable("Postgres is away")

    def make(redis: Any = redis_client, thaw: Thaw = postgres_away) -> Batcher:
        async def refresh(space: Space) -> None:
            epoch = await redis_client.raw.hget(space.keys.meta, "epoch")
            space.epoch = epoch.decode() if epoch else None
            if epoch:
                await confirm(redis_client, space, epoch.decode())

        own = Space(
            *(getattr(space, n) for n in ("id", "public_id", "environment", "tenant")),
            "",
            (),
            INDEX,
            space.epoch,
        )
        batcher = Batcher(
            own,
            redis,
            States(own, redis, pool, thaw, most=100),
            clock=clock,
            refresh=refresh,
            queue_limit=100_000,
            log_limit=10**9,
            observer=Counted(),
        )
        made.append(batcher)
        return batcher

    yield make
    for batcher in made:
        await batcher.drain()


def event(user: str, value: float, clock: SettableClock, key: str | None = None, **more: Any) -> Event:
    return Event(new_uuid7(clock.now_ms), user, "words", value, clock.now_ms, key=key, **more)


async def board(redis_client: RedisClient, space: Space, name: str = "2:") -> list[tuple[str, int]]:
    rows = await redis_client.raw.zrange(space.keys.board(name), 0, -1, withscores=True)
    return [(member_user(m.decode()), -int(s)) for m, s in rows]


async def test_an_event_is_ranked_on_every_board(make_batcher: MakeBatcher, clock: SettableClock) -> None:
    batcher = make_batcher()
    first = await batcher.submit(event("ana", 750, clock))
    second = await batcher.submit(event("ben", 800.5, clock))
    assert [(p.board, p.before, p.after) for p in first.placings] == [("2:", 0, 1), ("3:20261123", 0, 1)]
    assert [(p.before, p.after) for p in second.placings] == [(0, 1), (0, 1)]
    again = await batcher.submit(event("ana", 51, clock))
    assert [(p.before, p.after) for p in again.placings] == [(2, 1), (2, 1)]
    assert again.state is not None
    assert again.state.totals == {1: 801_000}


async def test_the_waits_of_single_inputs_are_told_with_the_next_call(
    make_batcher: MakeBatcher, clock: SettableClock, redis_client: RedisClient, space: Space
) -> None:
    one, other = make_batcher(), make_batcher()
    inputs, waited_us, lag_ms = await redis_client.call("pace", space.keys.meta)
    assert (inputs, waited_us, lag_ms) == (0, 0, 0)
    for _ in range(3):
        await one.submit(event("ana", 1, clock))
        await other.submit_many([event("ben", 1, clock), event("cid", 1, clock)])  # a job, or a batch
    inputs, waited_us, lag_ms = await redis_client.call("pace", space.keys.meta)
    assert inputs == 2
    assert 0 < waited_us < 2 * 100_000
    assert lag_ms >= 0


async def test_equal_scores_stand_in_the_order_they_were_reached(
    make_batcher: MakeBatcher, clock: SettableClock, redis_client: RedisClient, space: Space
) -> None:
    batcher = make_batcher()
    for user in ("zoe", "ana", "ben"):
        await batcher.submit(event(user, 10, clock))
        clock.advance(1 if user == "zoe" else 0)
    assert await board(redis_client, space) == [("zoe", 10_000), ("ana", 10_000), ("ben", 10_000)]


async def test_parallel_events_of_one_user_from_two_processes_are_all_counted(
    make_batcher: MakeBatcher, clock: SettableClock, redis_client: RedisClient, space: Space
) -> None:
    batchers = make_batcher(), make_batcher()
    outcomes = await asyncio.gather(*(batchers[i % 2].submit(event(f"u{i % 3}", 1, clock)) for i in range(300)))
    assert all(isinstance(o, Outcome) for o in outcomes)
    assert dict(await board(redis_client, space)) == {f"u{i}": 100_000 for i in range(3)}


async def test_a_refused_first_event_does_not_take_the_users_later_ones_along(
    make_batcher: MakeBatcher, clock: SettableClock, redis_client: RedisClient, space: Space
) -> None:
    one, other = make_batcher(), make_batcher()
    await one.submit(event("ana", 1, clock, key="a"))
    await other.submit(event("ana", 10, clock))  # one's token is old now
    results = await one.submit_many(
        [event("ana", 100, clock, key="a"), event("ana", 1000, clock), event("ben", 5, clock)]
    )
    assert [r.replayed for r in results if isinstance(r, Outcome)] == [True, False, False]
    assert dict(await board(redis_client, space)) == {"ana": 1_011_000, "ben": 5_000}


async def test_a_bad_event_in_the_middle_leaves_its_neighbours_alone(
    make_batcher: MakeBatcher, clock: SettableClock, redis_client: RedisClient, space: Space
) -> None:
    batcher = make_batcher()
    huge = 9e12  # 9e15 thousandths: the second passes 2^53
    results = await batcher.submit_many(
        [event("ana", 1, clock), event("ben", huge, clock), event("ben", huge, clock), event("ana", 2, clock)]
    )
    assert isinstance(results[2], Unprocessable)
    assert [isinstance(r, Outcome) for r in results] == [True, True, False, True]
    assert dict(await board(redis_client, space)) == {"ben": 9_000_000_000_000_000, "ana": 3_000}


async def test_a_repeated_key_counts_once_however_it_comes(
    make_batcher: MakeBatcher, clock: SettableClock, redis_client: RedisClient, space: Space
) -> None:
    one, other = make_batcher(), make_batcher()
    outcomes = await asyncio.gather(
        *((one if i % 2 else other).submit(event("ana", 7, clock, key="once")) for i in range(20))
    )
    assert sorted(o.replayed for o in outcomes) == [False] + [True] * 19
    assert dict(await board(redis_client, space)) == {"ana": 7_000}
    clock.advance(6 * 86_400_000)
    assert (await one.submit(event("ana", 7, clock, key="once"))).replayed


async def test_an_unusable_event_whose_key_was_used_is_a_replay(
    make_batcher: MakeBatcher, clock: SettableClock
) -> None:
    batcher = make_batcher()
    await batcher.submit(event("ana", 9e12, clock, key="k"))
    assert (await batcher.submit(event("ana", 9e12, clock, key="k"))).replayed
    with pytest.raises(Unprocessable):
        await batcher.submit(event("ana", 9e12, clock, key="other"))


class Lossy:
    """The real client, but the replies of the next calls are lost on the way back."""

    def __init__(self, real: RedisClient) -> None:
        self.raw = real.raw
        self._real = real
        self.lose = 0

    async def call(self, function: str, meta: str, *args: Any) -> Any:
        reply = await self._real.call(function, meta, *args)
        if function == "commit" and self.lose:
            self.lose -= 1
            raise Unavailable("lost on the way back")
        return reply


async def test_a_call_whose_reply_is_lost_counts_once(
    make_batcher: MakeBatcher, redis_client: RedisClient, clock: SettableClock, space: Space
) -> None:
    lossy = Lossy(redis_client)
    batcher = make_batcher(lossy)
    lossy.lose = 2
    outcomes = await asyncio.gather(*(batcher.submit(event("ana", 1, clock)) for _ in range(10)))
    assert [o.placings[0].after for o in outcomes] == [1] * 10
    assert lossy.lose == 0
    assert dict(await board(redis_client, space)) == {"ana": 10_000}
    assert await redis_client.raw.xlen(space.keys.log) == 2


async def test_nobody_writes_into_an_emptied_redis(
    make_batcher: MakeBatcher, redis_client: RedisClient, clock: SettableClock, space: Space
) -> None:
    batcher = make_batcher()
    await batcher.submit(event("ana", 1, clock))
    await redis_client.raw.flushall()
    with pytest.raises(Unavailable):
        await batcher.submit(event("ana", 1, clock))
    assert await redis_client.raw.keys() == []


async def test_a_process_that_outlives_a_rebuild_starts_from_the_new_states(
    make_batcher: MakeBatcher, redis_client: RedisClient, clock: SettableClock, space: Space
) -> None:
    batcher = make_batcher()
    await batcher.submit(event("ana", 1, clock))
    await redis_client.raw.flushall()
    await redis_client.raw.hset(space.keys.meta, mapping={"epoch": "epoch-2", "catalog": 1})
    await batcher.submit(event("ana", 5, clock))
    assert dict(await board(redis_client, space)) == {"ana": 5_000}


async def test_renaming_reaches_the_boards_names_and_their_number(
    make_batcher: MakeBatcher, redis_client: RedisClient, clock: SettableClock, space: Space
) -> None:
    batcher = make_batcher()
    await batcher.submit(event("ana", 1, clock, upsert=Upsert(name="Ana")))
    number = int(await redis_client.raw.hget(space.keys.numbers, "2:"))
    await batcher.submit(ChangeUser("ana", Upsert(name="Anna"), clock.now_ms))
    assert await redis_client.raw.hget(space.keys.names, "ana") == b"Anna"
    assert int(await redis_client.raw.hget(space.keys.numbers, "2:")) == number + 1
    await batcher.submit(ChangeUser("ana", Upsert(name=None), clock.now_ms))
    assert await redis_client.raw.hget(space.keys.names, "ana") is None


async def test_changing_an_unknown_user_is_refused(make_batcher: MakeBatcher, clock: SettableClock) -> None:
    with pytest.raises(NotFound):
        await make_batcher().submit(ChangeUser("nobody", Upsert(name="x"), clock.now_ms, must_exist=True))


async def test_a_full_log_is_an_error_with_a_name(
    make_batcher: MakeBatcher, redis_client: RedisClient, clock: SettableClock, space: Space
) -> None:
    batcher = make_batcher()
    await redis_client.raw.hset(space.keys.meta, "logged", 10**9)
    with pytest.raises(Unavailable, match="log is full"):
        await batcher.submit(event("ana", 1, clock))


async def test_ranks_equal_a_sorted_list_over_a_random_history(
    make_batcher: MakeBatcher, redis_client: RedisClient, clock: SettableClock, space: Space
) -> None:
    import random

    rng = random.Random(7)
    batchers = make_batcher(), make_batcher()
    total: dict[str, int] = defaultdict(int)
    reached: dict[str, int] = {}
    for _ in range(60):
        clock.advance(rng.choice([0, 1, 5]))
        users = rng.sample([f"u{i}" for i in range(12)], 8)
        values = [rng.choice([-2, -1, 0, 1, 1, 2, 3]) for _ in users]
        await asyncio.gather(
            *(
                batchers[i % 2].submit(event(u, v, clock))
                for i, (u, v) in enumerate(zip(users, values, strict=True))
            )
        )
        for user, value in zip(users, values, strict=True):
            if value or user not in reached:
                reached[user] = clock.now_ms
            total[user] += value * 1000
    oracle = sorted(total, key=lambda u: (-total[u], reached[u], u.encode()))
    assert await board(redis_client, space) == [(u, total[u]) for u in oracle]


async def make_cold(redis_client: RedisClient, space: Space, user: str) -> None:
    """Take a user out of Redis as the eviction does, without a look at Postgres."""
    token = (await redis_client.raw.hget(space.keys.user(user), "t")).decode()
    assert await redis_client.call("evict", space.keys.meta, "epoch-1", user, token) == [0, 1]


async def test_a_cold_user_fails_alone_while_postgres_is_away(
    make_batcher: MakeBatcher, redis_client: RedisClient, clock: SettableClock, space: Space
) -> None:
    await make_batcher().submit(event("cold", 1, clock))
    await make_cold(redis_client, space, "cold")
    results = await make_batcher().submit_many([event(user, 2, clock) for user in ("ana", "cold", "ben", "cold")])
    assert [isinstance(r, Unavailable) for r in results] == [False, True, False, True]
    assert dict(await board(redis_client, space)) == {"cold": 1_000, "ana": 2_000, "ben": 2_000}


async def test_a_cold_user_comes_back_with_everything_and_in_order(
    make_batcher: MakeBatcher, redis_client: RedisClient, clock: SettableClock, space: Space
) -> None:
    await make_batcher().submit(event("cold", 1, clock))
    kept = await redis_client.raw.hgetall(space.keys.user("cold"))
    await make_cold(redis_client, space, "cold")

    async def thaw(space: Space, users: list[str]) -> None:
        assert users == ["cold"]
        members = [x for board in (b"2:", b"3:20261123") for x in (board, kept[board])]
        await redis_client.call("thaw", space.keys.meta, "epoch-1", "cold", kept[b"t"], kept[b"s"], *members)

    results = await make_batcher(thaw=thaw).submit_many([event("cold", value, clock) for value in (10, 100)])
    assert [r.state.totals[1] for r in results if isinstance(r, Outcome) and r.state] == [11_000, 111_000]
    assert dict(await board(redis_client, space)) == {"cold": 111_000}


async def test_a_key_that_only_postgres_remembers_is_a_replay(
    make_batcher: MakeBatcher, redis_client: RedisClient, clock: SettableClock, space: Space, pool: Pool
) -> None:
    batcher = make_batcher()
    await batcher.submit(event("ana", 1, clock, key="old"))
    await pool.execute(
        "INSERT INTO idempotency_keys VALUES ($1, 'ana', 1, 'old', $2, $3)",
        space.id,
        new_uuid7(clock.now_ms),
        clock.now_ms,
    )
    await redis_client.raw.hincrby(space.keys.meta, "generation", 2)  # its two generations are over
    old, new = await batcher.submit_many([event("ana", 1, clock, key="old"), event("ana", 1, clock, key="new")])
    assert isinstance(old, Outcome)
    assert isinstance(new, Outcome)
    assert (old.replayed, new.replayed) == (True, False)
    assert dict(await board(redis_client, space)) == {"ana": 2_000}
