"""Several calls in flight: each user's events one after the other, whatever becomes of the calls
(docs/decisions/0004-micro-batches.md)."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
import redis

from podium.game.errors import PodiumError, Unavailable
from podium.intake import batcher as batching
from podium.intake import calls
from podium.intake.batcher import LANES, Batcher, Outcome
from podium.spaces.space import Space
from podium.storage.redis.client import RedisClient
from tests.conftest import SettableClock
from tests.integration.test_commit import MakeBatcher, board, event, make_batcher
from tests.waiting import PATIENCE_S, until

__all__ = ["make_batcher"]


@pytest.fixture
def redis_url(valkey: Any) -> str:
    with redis.Redis.from_url(valkey.url) as client:
        client.flushall()
    return str(valkey.url)


class Held:
    """A Redis whose commits are done when they are let through, one by one or all."""

    def __init__(self, redis_client: RedisClient) -> None:
        self._redis = redis_client
        self.raw = redis_client.raw
        self.commits: list[tuple[str, asyncio.Event]] = []
        """Process and gate of each commit that has come, in order."""
        self.loads: list[str] = []
        """Users whose states were asked for."""
        self.open = False
        self.lost: Counter[str] = Counter()
        """Replies of a process that are lost on their way."""

    async def call(self, function: str, meta: str, *args: Any) -> Any:
        if function == "load":
            self.loads += args[1:]
        if function != "commit":
            return await self._redis.call(function, meta, *args)
        process = args[2]
        if not self.open:
            gate = asyncio.Event()
            self.commits.append((process, gate))
            await gate.wait()
        reply = await self._redis.call(function, meta, *args)
        if self.lost[process]:
            self.lost[process] -= 1
            raise Unavailable("the reply was lost")
        return reply

    def let_through(self, *numbers: int) -> None:
        """Do commits, by the order in which they came; all, also later ones, without a number."""
        for number in numbers or range(len(self.commits)):
            self.commits[number][1].set()
        self.open = not numbers


@pytest.fixture
def held(redis_client: RedisClient) -> Held:
    return Held(redis_client)


@pytest.fixture
async def batcher(make_batcher: MakeBatcher, held: Held, clock: SettableClock) -> AsyncIterator[Batcher]:
    found = make_batcher(redis=held)
    held.open = True
    await found.submit(event("zoe", 0, clock))  # now it knows which week it is by Redis' clock
    held.open = False
    held.loads.clear()
    yield found
    held.let_through()  # else a test that fails would wait for ever


class Told:
    """Notes the outcomes of events, in order."""

    def __init__(self) -> None:
        self.results: list[tuple[str, Outcome | PodiumError]] = []

    def of(self, user: str) -> list[Outcome | PodiumError]:
        return [result for name, result in self.results if name == user]

    def post(self, batcher: Batcher, clock: SettableClock, user: str, value: float = 1) -> None:
        told = self

        class One:
            def put(self, _: int, result: Outcome | PodiumError) -> None:
                told.results.append((user, result))

        batcher.post(event(user, value, clock), One())


@pytest.fixture
def told() -> Told:
    return Told()


async def test_other_users_do_not_wait_for_a_call_under_way(
    batcher: Batcher, held: Held, told: Told, clock: SettableClock
) -> None:
    for number, user in enumerate(["ann", "ben", "cid"], start=1):
        told.post(batcher, clock, user)
        await until(lambda number=number: len(held.commits) == number)
    assert len({process for process, _ in held.commits}) == 3  # call numbers of their own
    held.let_through(2)
    await until(lambda: bool(told.of("cid")))
    assert not told.of("ann")
    held.let_through()
    await until(lambda: len(told.results) == 3)


async def test_the_events_of_a_user_wait_for_each_other(
    batcher: Batcher, held: Held, told: Told, clock: SettableClock, redis_client: RedisClient, space: Space
) -> None:
    told.post(batcher, clock, "ann", 1)
    await until(lambda: len(held.commits) == 1)
    told.post(batcher, clock, "ann", 2)
    told.post(batcher, clock, "ben", 5)
    told.post(batcher, clock, "ann", 4)
    await until(lambda: len(held.commits) == 2)
    held.let_through(1)
    await until(lambda: bool(told.of("ben")))
    assert len(held.commits) == 2
    held.let_through()
    await until(lambda: len(told.results) == 4)
    totals = [result.state.totals[1] for result in told.of("ann") if isinstance(result, Outcome) and result.state]
    assert totals == [1_000, 3_000, 7_000]
    assert await board(redis_client, space) == [("ann", 7_000), ("ben", 5_000), ("zoe", 0)]


async def test_calls_do_not_become_smaller_by_there_being_several(
    batcher: Batcher, held: Held, told: Told, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "OVERDUE_S", PATIENCE_S)
    for i in range(10):
        told.post(batcher, clock, f"a{i}")
    await until(lambda: len(held.commits) == 1)
    for i in range(9):
        told.post(batcher, clock, f"b{i}")
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(held.commits) == 1  # fewer than are in flight
    told.post(batcher, clock, "b9")
    await until(lambda: len(held.commits) == 2)
    held.let_through()
    await until(lambda: len(told.results) == 20)


async def test_nobody_waits_for_a_large_call_that_takes_long(
    batcher: Batcher, held: Held, told: Told, clock: SettableClock
) -> None:
    for i in range(20):
        told.post(batcher, clock, f"a{i}")
    await until(lambda: len(held.commits) == 1)
    told.post(batcher, clock, "ben")  # alone, and nothing comes after it
    await until(lambda: len(held.commits) == 2)
    held.let_through(1)
    await until(lambda: bool(told.of("ben")))
    assert len(told.results) == 1
    held.let_through()
    await until(lambda: len(told.results) == 21)


async def test_the_number_of_calls_is_bounded(
    batcher: Batcher, held: Held, told: Told, clock: SettableClock
) -> None:
    for i in range(LANES):
        told.post(batcher, clock, f"u{i}")
        await until(lambda i=i: len(held.commits) == i + 1)
    for i in range(LANES, 3 * LANES):
        told.post(batcher, clock, f"u{i}")
    await asyncio.sleep(0.05)
    assert len(held.commits) == LANES
    held.let_through()
    await until(lambda: len(told.results) == 3 * LANES)


@pytest.mark.parametrize("lost", [1, 3])
async def test_a_call_whose_reply_is_lost_counts_once_and_holds_up_its_own_users_only(
    batcher: Batcher,
    held: Held,
    told: Told,
    clock: SettableClock,
    redis_client: RedisClient,
    space: Space,
    lost: int,
) -> None:
    told.post(batcher, clock, "ann", 1)
    await until(lambda: len(held.commits) == 1)
    held.lost[held.commits[0][0]] = lost
    told.post(batcher, clock, "ann", 2)
    held.let_through()
    told.post(batcher, clock, "ann", 4)
    for _ in range(20):
        told.post(batcher, clock, "ben", 1)
    await until(lambda: len(told.of("ben")) == 20)
    assert not told.of("ann") or lost == 1  # a call is repeated after a pause
    await until(lambda: len(told.of("ann")) == 3)
    assert not held.lost.total()
    totals = [result.state.totals[1] for result in told.of("ann") if isinstance(result, Outcome) and result.state]
    assert totals == [1_000, 3_000, 7_000]
    assert await board(redis_client, space) == [("ben", 20_000), ("ann", 7_000), ("zoe", 0)]


async def test_who_waits_for_a_call_that_stays_unanswered_is_told_and_others_are_not(
    batcher: Batcher,
    held: Held,
    told: Told,
    clock: SettableClock,
    monkeypatch: pytest.MonkeyPatch,
    redis_client: RedisClient,
    space: Space,
) -> None:
    monkeypatch.setattr(calls, "PATIENCE_S", 0.0)
    told.post(batcher, clock, "ann", 1)
    await until(lambda: len(held.commits) == 1)
    told.post(batcher, clock, "ben", 1)
    await until(lambda: len(held.commits) == 2)
    held.let_through(1)
    await until(lambda: bool(told.of("ben")))
    # The other lane was answered since ann's call was sent: Redis is not away.
    told.post(batcher, clock, "ann", 2)
    told.post(batcher, clock, "cid", 1)
    held.lost[held.commits[0][0]] = 1
    held.let_through()
    await until(lambda: len(told.of("ann")) == 2 and bool(told.of("cid")))
    assert [type(result) for result in told.of("ann")] == [Unavailable, Unavailable]
    assert isinstance(told.of("cid")[0], Outcome)
    told.post(batcher, clock, "ann", 4)
    await until(lambda: len(told.of("ann")) == 3)
    assert isinstance(told.of("ann")[2], Outcome)
    # The first was stored nevertheless, once; the second never was.
    assert ("ann", 5_000) in await board(redis_client, space)


async def test_a_redis_that_is_away_refuses_at_once_and_is_asked_until_it_is_back(
    batcher: Batcher, held: Held, told: Told, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "PATIENCE_S", 0.0)
    told.post(batcher, clock, "ann", 1)
    await until(lambda: len(held.commits) == 1)
    held.lost[held.commits[0][0]] = 3
    held.let_through()
    await until(lambda: bool(told.of("ann")))
    with pytest.raises(Unavailable):
        told.post(batcher, clock, "ben", 1)

    async def posted() -> bool:
        try:
            await batcher.submit(event("ben", 1, clock))
        except Unavailable:
            return False
        return True

    await until(posted)


async def test_states_are_asked_for_while_the_call_before_is_under_way(
    batcher: Batcher, held: Held, told: Told, clock: SettableClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "OVERDUE_S", PATIENCE_S)
    for user in "abcdefgh":
        told.post(batcher, clock, user)
    await until(lambda: len(held.commits) == 1)
    told.post(batcher, clock, "late")  # one of fewer than are in flight: it waits for them
    await until(lambda: "late" in held.loads)
    assert len(held.commits) == 1
    held.let_through()
    await until(lambda: bool(told.of("late")))
    assert held.loads.count("late") == 1


async def test_drain_waits_for_every_lane(batcher: Batcher, held: Held, told: Told, clock: SettableClock) -> None:
    for number, user in enumerate(["ann", "ben"], start=1):
        told.post(batcher, clock, user)
        await until(lambda number=number: len(held.commits) == number)
    draining = asyncio.ensure_future(batcher.drain())
    held.let_through(0)
    await until(lambda: bool(told.of("ann")))
    assert not draining.done()
    held.let_through()
    await draining
    assert told.of("ben")
