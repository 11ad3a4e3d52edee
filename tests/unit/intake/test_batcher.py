"""The real batcher over a connection that answers as the Redis function does."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Any

import pytest

from podium.game.catalog import Catalog, CatalogIndex
from podium.game.errors import PodiumError, TooManyRequests, Unavailable, Unprocessable, WritesRefused
from podium.game.ids import new_uuid7
from podium.game.inputs import Event, Tick
from podium.game.leaderboards.model import Leaderboard
from podium.game.metrics.model import Metric
from podium.game.state import UserState, decode_state
from podium.intake import calls as module
from podium.intake.batcher import Batcher, Outcome
from podium.intake.queue import CALL_INPUTS, CALL_MOVES
from podium.intake.states import States
from podium.spaces.space import Space
from podium.storage.redis.keys import GENERATION_MS
from podium.storage.redis.wire import FAILED, NOT_FINITE, Result
from tests.unit.intake.fake_redis import GENERATION_NOW, FakeRedis, Sent

NOW_MS = GENERATION_NOW * GENERATION_MS
WORDS = Metric("m", 1, "words", "Words", decimals=0)
PAGES = Metric("p", 2, "pages", "Pages", decimals=0)
MANY_BOARDS = 10


class Observed:
    """Counts what the batcher reports."""

    def __init__(self) -> None:
        self.inputs: list[int] = []
        self.refusals: list[tuple[str, int]] = []

    def committed(self, *, inputs: int, events: int, call_s: float, waits_s: list[float]) -> None:
        self.inputs.append(inputs)

    def refused(self, reason: str, inputs: int) -> None:
        self.refusals.append((reason, inputs))


class Bench:
    """A batcher on the fake connection, and everything around it."""

    def __init__(self, *, queue_limit: int = 1_000, log_limit: int = 1_000) -> None:
        self.redis = FakeRedis()
        index = CatalogIndex(Catalog(1, metrics=(WORDS,)))
        self.space = Space(1, "s", "production", "default", "", (), index, "e")
        self.newer: dict[str, Any] = {"epoch": "e", "index": index}
        self.thawed: list[list[str]] = []
        self.observer = Observed()
        redis: Any = self.redis
        self.states = States(self.space, redis, None, self.thaw, most=100)  # type: ignore[arg-type]
        self.batcher = Batcher(
            self.space,
            redis,
            self.states,
            clock=lambda: NOW_MS,
            refresh=self.refresh,
            queue_limit=queue_limit,
            log_limit=log_limit,
            observer=self.observer,
        )

    async def refresh(self, space: Space) -> None:
        space.epoch, space.index = self.newer["epoch"], self.newer["index"]

    async def thaw(self, space: Space, users: list[str]) -> None:
        self.thawed.append(users)
        self.redis.cold -= set(users)

    def stored(self, user: str = "ann") -> UserState:
        return decode_state(self.redis.users[user][1])

    def total(self, user: str = "ann") -> int:
        return self.stored(user).totals.get(1, 0)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lost call is repeated at once, and those who wait for it are told at once."""
    monkeypatch.setattr(module, "PATIENCE_S", 0)
    monkeypatch.setattr(module, "REPEAT_DELAY_S", 0)


def event(value: float = 1, user: str = "ann", *, key: str | None = None, metric: str = "words") -> Event:
    return Event(new_uuid7(NOW_MS), user, metric, value, NOW_MS, key=key)


def values(call: list[Sent]) -> list[int]:
    """The totals that a call's inputs write."""
    return [decode_state(sent.state).totals[1] for sent in call]


async def test_events_that_arrive_together_share_a_call_and_a_user_s_keep_their_order(bench: Bench) -> None:
    outcomes = await asyncio.gather(*(bench.batcher.submit(event(value)) for value in (1, 10, 100)))
    assert [values(call) for call in bench.redis.calls] == [[1, 11, 111]]
    assert [outcome.state.totals[1] for outcome in outcomes if outcome.state] == [1, 11, 111]
    assert bench.total() == 111


async def test_what_arrives_while_a_call_is_in_flight_goes_into_the_next(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived, answer = asyncio.Event(), asyncio.Event()
    call = bench.redis.call

    async def held(function: str, *args: Any) -> Any:
        if function == "commit":
            arrived.set()
            await answer.wait()
        return await call(function, *args)

    monkeypatch.setattr(bench.redis, "call", held)
    first = asyncio.create_task(bench.batcher.submit(event()))
    await arrived.wait()
    others = [asyncio.create_task(bench.batcher.submit(event())) for _ in range(3)]
    answer.set()
    await asyncio.gather(first, *others)
    assert bench.observer.inputs == [1, 3]
    assert bench.redis.numbers == ["1", "2"]


async def test_a_call_ends_at_32_inputs(bench: Bench) -> None:
    await bench.batcher.submit_many([event() for _ in range(70)])
    assert [len(call) for call in bench.redis.calls] == [CALL_INPUTS, CALL_INPUTS, 6] == [32, 32, 6]
    assert bench.total() == 70


async def test_a_call_ends_at_100_board_moves(bench: Bench) -> None:
    boards = tuple(
        Leaderboard(f"b{n}", n, f"b{n}", f"B{n}", "m", date(1970, 1, 1), status="active")
        for n in range(10, 10 + MANY_BOARDS)
    )
    bench.space.index = CatalogIndex(Catalog(1, metrics=(WORDS,), leaderboards=boards))
    await bench.batcher.submit_many([event() for _ in range(25)])
    moves = [sum(sent.moves for sent in call) for call in bench.redis.calls]
    assert moves == [CALL_MOVES, CALL_MOVES, 50] == [100, 100, 50]


async def test_large_requests_and_single_events_take_turns(bench: Bench) -> None:
    bulk = bench.batcher.submit_many([event(1) for _ in range(60)])
    await asyncio.gather(bulk, *(bench.batcher.submit(event(1_000)) for _ in range(20)))
    first = values(bench.redis.calls[0])
    steps = [after - before for before, after in zip([0, *first], first, strict=False)]
    assert steps == [1_000, 1] * 16
    assert [len(call) for call in bench.redis.calls] == [32, 20, 28]  # then 4 single ones with 16, then the rest
    assert bench.total() == 60 + 20_000


async def test_one_inputs_refusal_leaves_its_neighbours_alone(bench: Bench) -> None:
    bench.redis.refused = {"big": Result(NOT_FINITE), "odd": Result(FAILED, detail=("nobody knows", ""))}
    good, big, odd, unknown = await bench.batcher.submit_many(
        [event(user="ann"), event(user="big"), event(user="odd"), event(metric="none")]
    )
    assert isinstance(good, Outcome)
    assert (type(big), str(big)) == (Unprocessable, "the score is too large to be ranked")
    assert isinstance(odd, Unavailable)
    assert str(unknown) == "Unknown metric key: none"
    assert set(bench.redis.users) == {"ann"}


async def test_a_stale_token_is_answered_with_the_fresh_state_and_applied_again(bench: Bench) -> None:
    other = Bench()
    other.redis = bench.redis
    other.states._redis = other.batcher._link.redis = bench.redis  # type: ignore[assignment]
    await bench.batcher.submit(event(1))
    await other.batcher.submit(event(10))
    outcome = await bench.batcher.submit(event(100))
    assert bench.total() == 111
    assert outcome.state is not None
    assert outcome.state.totals[1] == 111
    assert len(bench.redis.calls) == 4  # one of them was refused


async def test_after_a_stale_event_the_later_ones_of_its_user_are_applied_again_in_order(bench: Bench) -> None:
    await bench.batcher.submit(event(1))
    bench.redis.users["ann"] = b"elsewhere", bench.redis.users["ann"][1]
    await bench.batcher.submit_many([event(10), event(100)])
    assert values(bench.redis.calls[-1]) == [11, 111]


async def test_a_key_that_was_used_is_answered_with_the_state_of_now(bench: Bench) -> None:
    await bench.batcher.submit(event(5, key="k"))
    await bench.batcher.submit(event(2))
    again = await bench.batcher.submit(event(5, key="k"))
    assert (again.replayed, again.applied) == (True, None)
    assert again.state is not None
    assert again.state.totals[1] == bench.total() == 7


async def test_a_cold_user_is_thawed_first_and_keeps_the_order(bench: Bench) -> None:
    await bench.batcher.submit(event(1))
    bench.states.clear()
    bench.redis.cold = {"ann"}
    await asyncio.gather(*(bench.batcher.submit(event(value)) for value in (10, 100)))
    assert bench.thawed == [["ann"]]
    assert values(bench.redis.calls[-1]) == [11, 111]


async def test_a_user_who_was_evicted_unheard_of_is_thawed(bench: Bench) -> None:
    await bench.batcher.submit(event(1))
    bench.redis.cold = {"ann"}  # the batcher still holds the state
    await bench.batcher.submit(event(10))
    assert bench.thawed == [["ann"]]
    assert bench.total() == 11


async def test_a_full_log_refuses_with_its_reason_and_is_counted() -> None:
    bench = Bench(log_limit=1)
    await bench.batcher.submit(event())
    with pytest.raises(WritesRefused, match="Postgres has been away") as refused:
        await bench.batcher.submit(event())
    assert (refused.value.reason, refused.value.retry_after_s) == ("log", 10)
    assert bench.observer.refusals == [("log", 1)]
    assert bench.total() == 1


@pytest.mark.usefixtures("impatient")
async def test_a_lost_reply_is_asked_for_with_the_same_number_and_counts_once(bench: Bench) -> None:
    bench.redis.lost = 1
    with pytest.raises(Unavailable, match="the reply is lost"):  # told at once: nobody is patient here
        await bench.batcher.submit(event(5))
    await bench.batcher.drain()
    assert bench.redis.numbers == ["1", "1"]
    await bench.batcher.submit(event(1))
    assert (bench.total(), bench.redis.numbers) == (6, ["1", "1", "2"])


async def test_whoever_is_patient_hears_of_a_lost_reply_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REPEAT_DELAY_S", 0)
    bench.redis.away, bench.redis.lost = 2, 1
    outcome = await bench.batcher.submit(event(5))
    assert outcome.state is not None
    assert outcome.state.totals[1] == bench.total() == 5
    assert bench.redis.numbers == ["1"] * 4


@pytest.mark.usefixtures("impatient")
async def test_while_redis_is_away_everybody_hears_503_until_it_is_back(bench: Bench) -> None:
    bench.redis.away = 1_000_000
    with pytest.raises(Unavailable):
        await bench.batcher.submit(event(1, key="k"))
    with pytest.raises(Unavailable, match="Redis is away"):
        await bench.batcher.submit(event(2))
    bench.redis.away = 0
    await bench.batcher.drain()  # the call of the first event arrives after all
    again = await bench.batcher.submit(event(1, key="k"))
    assert again.replayed
    assert bench.total() == 1


@pytest.mark.usefixtures("impatient")
async def test_a_stop_does_not_wait_for_a_redis_that_is_away(bench: Bench) -> None:
    bench.redis.away = 1_000_000
    with pytest.raises(Unavailable):
        await bench.batcher.submit(event(1, key="k"))
    assert not await bench.batcher.drain(0)
    bench.redis.away = 0
    assert await bench.batcher.drain()


async def test_a_newer_catalog_is_read_and_applied(bench: Bench) -> None:
    newer = CatalogIndex(Catalog(2, metrics=(WORDS, PAGES)))
    bench.newer["index"], bench.redis.meta["catalog"] = newer, "2"
    await bench.batcher.submit(event())
    assert bench.space.index is newer
    assert bench.redis.numbers == ["1", "2"]


async def test_a_refusal_by_an_old_catalog_is_drawn_again_from_the_newest(bench: Bench) -> None:
    bench.newer["index"], bench.redis.meta["catalog"] = CatalogIndex(Catalog(2, metrics=(WORDS, PAGES))), "2"
    outcome = await bench.batcher.submit(event(7, metric="pages"))
    assert outcome.state is not None
    assert outcome.state.totals == {2: 7}


async def test_a_refusal_by_an_old_state_is_drawn_again_from_the_fresh_one(bench: Bench) -> None:
    await bench.batcher.submit(event(1))
    token = b"elsewhere"
    bench.redis.users["ann"] = token, bench.redis.users["ann"][1]
    outcome = await bench.batcher.submit(Tick("ann", NOW_MS, True, {}, token.decode()))
    assert outcome.applied is not None


async def test_a_refusal_by_the_fresh_state_is_final(bench: Bench) -> None:
    await bench.batcher.submit(event(1))
    with pytest.raises(PodiumError, match="the user's score is changing"):
        await bench.batcher.submit(Tick("ann", NOW_MS, True, {}, "of long ago"))


async def test_another_epoch_is_taken_over_with_what_it_holds(bench: Bench) -> None:
    await bench.batcher.submit(event(1))
    bench.redis.meta["epoch"] = bench.newer["epoch"] = "rebuilt"
    bench.redis.users.clear()
    await bench.batcher.submit(event(10))
    assert bench.total() == 10


async def test_without_an_epoch_nothing_is_written(bench: Bench) -> None:
    bench.space.epoch = None
    bench.newer["epoch"] = None
    with pytest.raises(Unavailable, match="being rebuilt"):
        await bench.batcher.submit(event())
    assert bench.redis.numbers == []


async def test_the_generation_of_keys_is_redis_own(bench: Bench) -> None:
    bench.redis.meta["generation"] += 1
    await bench.batcher.submit(event(key="k"))
    await bench.batcher.submit(event(key="l"))
    assert bench.redis.numbers == ["1", "2", "3"]  # only the first was refused for it
    assert bench.stored().keyed_since == GENERATION_NOW + 1


async def test_a_queue_that_is_full_says_429_and_takes_none_of_the_request() -> None:
    bench = Bench(queue_limit=3)
    waiting = asyncio.create_task(bench.batcher.submit_many([event(1), event(1)]))
    await asyncio.sleep(0)
    with pytest.raises(TooManyRequests):
        await bench.batcher.submit_many([event(100), event(100)])
    await waiting
    assert bench.total() == 2
