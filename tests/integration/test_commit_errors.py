"""The commit function with the largest inputs, and with errors in its middle: on Valkey and Redis 7.0."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

import msgspec
import pytest
import redis

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import PodiumError, Unavailable, Unprocessable
from podium.game.ids import new_uuid7
from podium.game.inputs import ChangeUser, Erase, Event, Input
from podium.game.leaderboards.model import Leaderboard, Standing
from podium.game.metrics.model import Metric
from podium.game.state import UserState
from podium.game.users.model import Profile
from podium.game.users.rules import NOTHING, Upsert
from podium.intake import lane as batching
from podium.intake.batcher import Batcher, Outcome
from podium.intake.states import States
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis import client, wire
from podium.storage.redis.client import LIBRARY, SOURCE, RedisClient
from tests.conftest import EPOCH, SettableClock
from tests.posting import confirm

METRIC = Metric(id="m", number=1, key="words", name="Words", decimals=0)


def leaderboard(number: int, **more: Any) -> Leaderboard:
    return Leaderboard(
        id=f"l{number}",
        number=number,
        key=f"b{number}",
        name="",
        metric_id="m",
        start=date(2020, 1, 1),
        status="active",
        **more,
    )


BOARDS = (
    leaderboard(2, tie_rule="competition", max_participants=2),
    leaderboard(3, group_by="team"),
    leaderboard(4, group_by="team", aggregate="average", tie_rule="dense", min_members=2),
)


@pytest.fixture(params=["valkey", "debian_redis"])
def redis_url(request: pytest.FixtureRequest) -> str:
    """Empty, and each in turn."""
    server = request.getfixturevalue(request.param)
    url: str = server if isinstance(server, str) else server.url
    with redis.Redis.from_url(url) as connection:
        connection.flushall()
    return url


class Ignored:
    """An observer that doesn't care."""

    def committed(self, *, inputs: int, events: int, call_s: float, waits_s: list[float]) -> None:
        """As ``intake.batcher.Observer``."""

    def refused(self, reason: str, inputs: int) -> None:
        """As ``intake.batcher.Observer``."""


class Committer:
    """Commits into a space, each time as a process that has just started."""

    def __init__(self, space: Space, client_: RedisClient, pool: Pool, clock: SettableClock) -> None:
        self.space, self.redis, self.clock = space, client_, clock
        self._pool = pool

    def batcher(self) -> Batcher:
        async def refresh(space: Space) -> None:
            await confirm(self.redis, space, EPOCH)

        async def thaw(space: Space, users: list[str]) -> None:
            raise AssertionError("nobody is cold")

        return Batcher(
            self.space,
            self.redis,
            States(self.space, self.redis, self._pool, thaw, most=100),
            clock=self.clock,
            refresh=refresh,
            queue_limit=100_000,
            log_limit=10**9,
            observer=Ignored(),
        )

    async def post(self, *inputs: Input) -> list[Outcome | PodiumError]:
        return await self.batcher().submit_many(inputs)

    def event(
        self, user: str, value: float, *, key: str | None = None, team: str | None = None, name: str | None = None
    ) -> Event:
        upsert = NOTHING
        if team is not None:
            upsert = Upsert(attributes={"team": team})
        if name is not None:
            upsert = Upsert(name=name)
        now_ms = self.clock.now_ms
        return Event(new_uuid7(now_ms), user, "words", value, now_ms, upsert, key=key)

    async def put_state(self, user: str, state: UserState) -> None:
        """Have Redis hold a state, whose boards stay empty."""
        blob = msgspec.json.encode(state)
        await self.redis.raw.hset(self.space.keys.user(user), mapping={"t": "made", "s": blob})

    async def sum(self, board: str, group: str) -> int:
        return int(await self.redis.raw.hget(f"{self.space.keys.prefix}s:g:{board}", group) or 0)


@pytest.fixture
async def committer(space: Space, redis_client: RedisClient, pool: Pool, clock: SettableClock) -> Committer:
    space.index = CatalogIndex(Catalog(1, metrics=(METRIC,), leaderboards=BOARDS))
    return Committer(space, redis_client, pool, clock)


async def contents(committer: Committer) -> dict[str, Any]:
    """Everything of the space that doesn't say how often a call was sent."""
    raw, prefix = committer.redis.raw, committer.space.keys.prefix
    names = sorted(key.decode().removeprefix(prefix) for key in await raw.keys(f"{prefix}*"))
    names = [name for name in names if not name.startswith("p:") and name not in ("n", "meta", "log")]
    async with raw.pipeline(transaction=False) as pipeline:
        for name in names:
            if name[:2] in ("b:", "d:") or name == "due":
                pipeline.zrange(prefix + name, 0, -1, withscores=True)
            elif name.startswith("i:"):
                pipeline.smembers(prefix + name)
            else:
                pipeline.hgetall(prefix + name)
        found: dict[str, Any] = dict(zip(names, await pipeline.execute(), strict=True))
    for name in names:
        if name.startswith("u:"):
            del found[name][b"t"]
        elif name.startswith("k:"):
            found.setdefault("ids", {}).update(found.pop(name))  # it is five minutes after another, now and then
    log = await raw.xrange(committer.space.keys.log)
    items = [item for _, fields in log for item in wire.decode_entry(fields)]
    found["log"] = sorted((item.user, item.state, item.record) for item in items)
    return found


FAILING = SOURCE.replace(LIBRARY, f"{LIBRARY}_failing").replace(
    "local function use_api() call, pack, unpack_ = redis.call, cmsgpack.pack, cmsgpack.unpack end",
    """
local function use_api()
  local fails, n = tonumber(redis.call('GET', 'fails') or '0'), 0
  call = function(...)
    n = n + 1
    if n == fails then error('injected') end
    redis.pcall('SET', 'calls', n)
    return redis.call(...)
  end
  pack, unpack_ = cmsgpack.pack, cmsgpack.unpack
end
""",
)
"""The library, whose call of Redis with the number that the key ``fails`` names raises instead."""


def many_kinds(committer: Committer) -> Sequence[Input]:
    """Inputs of each kind that writes: users who come, stay, change teams, go; keys, also twice in a call."""
    event = committer.event
    return (
        event("ann", 5, key="k1"),
        event("new", 7, team="red", key="k2"),
        event("ann", 5, key="k1"),
        event("bob", -4, team="blue"),
        Erase("dee", committer.clock.now_ms),
        event("ann", 1, key="k3"),
        event("dee", 9, key="k4", team="red"),
        ChangeUser("eve", Upsert(name="", attributes={"team": "green"}), committer.clock.now_ms),
    )


async def test_an_error_at_any_call_leaves_nothing_half_done(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert SOURCE.replace(LIBRARY, f"{LIBRARY}_failing") != FAILING
    raw, event = committer.redis.raw, committer.event
    before = [event(user, i, team=team) for i, (user, team) in enumerate(zip("abcde", "rrbbg", strict=True))]
    team_of = {"r": "red", "b": "blue", "g": "green"}
    names = dict(zip("abcde", ("ann", "bob", "cid", "dee", "eve"), strict=True))
    for one in before:
        user, team = names[one.user], team_of[one.upsert.attributes["team"]]  # type: ignore[index] # it is one
        assert isinstance((await committer.post(event(user, one.value, team=team)))[0], Outcome)
    start = [(key, await raw.dump(key)) async for key in raw.scan_iter(match=f"{committer.space.keys.prefix}*")]
    inputs = many_kinds(committer)

    monkeypatch.setattr(client, "LIBRARY", f"{LIBRARY}_failing")
    monkeypatch.setattr(client, "SOURCE", FAILING)
    await confirm(committer.redis, committer.space, EPOCH)
    expected: dict[str, Any] = {}
    calls, told, number = 1, 0, 0
    step = 1 if "valkey_version" in await raw.info("server") else 7  # the calls are the same on both
    while number <= calls:
        committer.space._reached = ("", (0, 0), "")  # nobody knows of what was logged last time
        async with raw.pipeline() as pipeline:
            pipeline.flushall().set("fails", number)
            for key, dumped in start:
                pipeline.restore(key, 0, dumped)
            await pipeline.execute()
        results = await committer.post(*inputs)
        await raw.delete("fails")
        failed = [i for i, r in zip(inputs, results, strict=True) if isinstance(r, PodiumError)]
        assert all(isinstance(r, Outcome | Unavailable) for r in results)
        again = await committer.post(*failed)
        assert all(isinstance(r, Outcome) for r in again)
        told += len(failed)
        if not number:
            assert not failed
            expected, calls = await contents(committer), int(await raw.get("calls"))
            assert [r.replayed for r in results if isinstance(r, Outcome)].count(True) == 1
        else:
            assert await contents(committer) == expected, f"after an error at call {number}"
        number += step
    assert calls > 100
    assert told > 0


async def test_sums_of_a_group_stop_where_they_would_not_be_exact(committer: Committer) -> None:
    event, most = committer.event, 2**53 - 1
    parts = [1e15] * 9 + [most - 9e15]  # an event has 1e15 at most
    everybody = [event(f"user-{i}", part, team="red") for i, part in enumerate((*parts, 1))]
    results = await committer.post(*everybody)
    assert [isinstance(r, Outcome) for r in results] == [True] * 10 + [False]
    assert isinstance(results[10], Unprocessable)
    assert "group" in str(results[10])
    assert await committer.sum("3:", "red") == -most
    # Who shares a call with such a one is counted, and other groups have room.
    results = await committer.post(
        event("ann", 1), event("user-0", 1), event("bob", 1e15, team="blue"), event("user-1", -3)
    )
    assert [isinstance(r, Outcome) for r in results] == [True, False, True, True]
    assert await committer.sum("3:", "red") == 3 - most
    assert await committer.sum("3:", "blue") == -(10**15)
    # In the other direction as well.
    results = await committer.post(*(event(f"low-{i}", -part, team="low") for i, part in enumerate((*parts, 1))))
    assert [isinstance(r, Outcome) for r in results] == [True] * 10 + [False]
    assert await committer.sum("3:", "low") == most


@pytest.mark.parametrize("sum_", [2**63 - 1, -(2**63)])
async def test_a_sum_that_an_earlier_release_let_grow_shrinks_and_loses_members(
    committer: Committer, sum_: int
) -> None:
    grows = -1 if sum_ > 0 else 1  # scores are stored negated
    users = ("ann", "bob", "cid")
    await committer.post(*(committer.event(user, grows, team="red") for user in users))
    await committer.redis.raw.hset(f"{committer.space.keys.prefix}s:g:3:", "red", sum_)
    results = await committer.post(
        committer.event("ann", grows),
        committer.event("bob", -3 * grows),
        ChangeUser("cid", Upsert(attributes={"team": "blue"}), committer.clock.now_ms),
    )
    assert [isinstance(r, Unprocessable) for r in results] == [True, False, False]
    assert [isinstance(r, Outcome) for r in results] == [False, True, True]
    assert abs(await committer.sum("3:", "red")) == abs(sum_) - 4
    assert await committer.sum("3:", "blue") == -grows


def on_boards(clock: SettableClock, n: int) -> UserState:
    """A state of somebody who stands on boards of so many groups."""
    boards = {f"3::team-{i:05}{'x' * 40}": Standing(-(2**53) if i % 2 else 2**53, clock.now_ms) for i in range(n)}
    return UserState(Profile(clock.now_ms, clock.now_ms), boards=boards)


async def test_the_largest_input(committer: Committer) -> None:
    raw, most = committer.redis.raw, batching.INPUT_MOVES
    name = "日" * 255
    await committer.put_state("ann", on_boards(committer.clock, most))
    await committer.put_state("bob", on_boards(committer.clock, most + 1))
    rename = [ChangeUser(user, Upsert(name=name), committer.clock.now_ms) for user in ("cid", "bob", "ann", "dee")]
    cid, bob, ann, dee = await committer.post(*rename)
    assert all(isinstance(r, Outcome) for r in (cid, ann, dee))
    assert isinstance(bob, Unprocessable)
    assert "10,001 boards" in str(bob)
    assert await raw.hget(committer.space.keys.user("bob"), "t") == b"made"
    assert await raw.hget(committer.space.keys.names, "ann") == name.encode()
    assert await raw.exists(committer.space.keys.board(next(iter(on_boards(committer.clock, 1).boards))))
    # Whoever is erased is, and all goes.
    assert isinstance((await committer.post(Erase("ann", committer.clock.now_ms)))[0], Outcome)
    assert not await raw.exists(committer.space.keys.user("ann"))
    assert not await raw.exists(committer.space.keys.board(next(iter(on_boards(committer.clock, 1).boards))))


async def test_thaw_takes_as_many_boards(committer: Committer) -> None:
    keys = committer.space.keys
    await committer.redis.raw.hset(keys.cold, "ann", "t")
    members = [text for i in range(10_000) for text in (f"2:{i}", f"member-{i}")]
    assert await committer.redis.call("thaw", keys.meta, "epoch-1", "ann", "t", "{}", *members) == [0, 1]
    assert await committer.redis.raw.hlen(keys.user("ann")) == 10_002


async def test_a_call_is_cut_by_what_its_inputs_move(
    committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(Ignored, "committed", lambda _, *, inputs, **__: calls.append(inputs))
    users = [f"user-{i}" for i in range(6)]
    for user in users:
        await committer.put_state(user, on_boards(committer.clock, 40))
    renames = [ChangeUser(user, Upsert(name="x"), committer.clock.now_ms) for user in users]
    results = await committer.post(*renames, committer.event("ann", 1), committer.event("ann", 2))
    assert all(isinstance(r, Outcome) for r in results)
    assert sum(calls) == 8
    assert len(calls) == 3
    # A state of more than a million characters is a call of its own; a huge one is refused.
    calls.clear()
    monkeypatch.setattr(batching, "CALL_SIZE", 10_000)
    monkeypatch.setattr(batching, "INPUT_SIZE", 20_000)
    long, longer = ({"team": "a", "motto": "m" * n} for n in (11_000, 30_000))
    one, two, three = await committer.post(
        ChangeUser("ann", Upsert(attributes=long), committer.clock.now_ms),
        ChangeUser("bob", Upsert(attributes=longer), committer.clock.now_ms),
        committer.event("cid", 1),
    )
    assert isinstance(one, Unprocessable | Outcome)
    assert isinstance(two, Unprocessable)
    assert "too large" in str(two)
    assert isinstance(three, Outcome)
