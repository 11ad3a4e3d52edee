"""Costly values are cached and revalidated once; cheap ones are always computed."""

from __future__ import annotations

import asyncio

import pytest

from podium.http import as_of, stale_cache
from podium.http.stale_cache import StaleWhileRevalidateCache
from tests.waiting import until


@pytest.fixture
def time_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The stopwatch, as the only item."""
    now = [100.0]
    monkeypatch.setattr(stale_cache, "stopwatch_s", lambda: now[0])
    return now


async def test_what_is_costly_is_kept_and_renewed_behind_the_scenes(time_s: list[float]) -> None:
    kept, calls = StaleWhileRevalidateCache(), 0

    async def compute() -> int:
        nonlocal calls
        calls += 1
        mine = calls
        await asyncio.sleep(0)
        time_s[0] += 0.1
        return mine

    assert await asyncio.gather(*(kept.get("a", compute) for _ in range(5))) == [1] * 5
    time_s[0] += 4.9
    assert (await kept.get("a", compute), calls) == (1, 1)
    time_s[0] += 0.2
    assert await kept.get("a", compute) == 1  # at once, while it is renewed
    await until(lambda: not kept._computing)
    assert (await kept.get("a", compute), calls) == (2, 2)
    assert await kept.get("b", compute) == 3


async def test_a_time_to_keep_what_is_costly(time_s: list[float]) -> None:
    kept, costs_s, calls = StaleWhileRevalidateCache(), 1.0, 0

    async def compute() -> int:
        nonlocal calls
        calls += 1
        time_s[0] += costs_s
        return calls

    assert await kept.get("a", compute, 3_600) == 1
    time_s[0] += 3_599
    assert await kept.get("a", compute, 3_600) == 1
    costs_s = 0.001
    assert [await kept.get("b", compute, 3_600) for _ in range(2)] == [2, 3]


async def test_what_is_cheap_is_computed_each_time(time_s: list[float]) -> None:
    kept, calls = StaleWhileRevalidateCache(), 0

    async def compute() -> int:
        nonlocal calls
        calls += 1
        time_s[0] += 0.001
        return calls

    assert [await kept.get("a", compute) for _ in range(3)] == [1, 2, 3]


async def test_an_error_reaches_who_asked_and_is_not_kept(time_s: list[float]) -> None:
    kept = StaleWhileRevalidateCache()

    async def fail() -> int:
        time_s[0] += 1
        raise ValueError("away")

    async def good() -> int:
        time_s[0] += 1
        return 1

    for _ in range(2):
        with pytest.raises(ValueError, match="away"):
            await kept.get("a", fail)
    assert await kept.get("a", good) == 1
    time_s[0] += 1_000
    assert await kept.get("a", fail) == 1  # the old one, while the new one fails
    await until(lambda: not kept._computing)
    assert await kept.get("a", good) == 1


async def test_a_hang_is_not_kept_for_hours(time_s: list[float]) -> None:
    kept, calls = StaleWhileRevalidateCache(), 0

    async def compute() -> int:
        nonlocal calls
        calls += 1
        mine = calls
        time_s[0] += 300
        return mine

    assert await kept.get("a", compute) == 1
    time_s[0] += 599
    assert (await kept.get("a", compute), calls) == (1, 1)
    time_s[0] += 2
    assert await kept.get("a", compute) == 1
    await asyncio.sleep(0)
    assert (await kept.get("a", compute), calls) == (2, 2)


async def test_what_is_kept_makes_an_answer_as_old_as_it_is(time_s: list[float]) -> None:
    kept = StaleWhileRevalidateCache()

    async def compute() -> int:
        await asyncio.sleep(0)
        time_s[0] += 0.1
        return 1

    with as_of.computing(1_000) as first:
        await kept.get("a", compute)
    with as_of.computing(2_000) as second:
        await kept.get("a", compute)
    assert (first.ms, second.ms) == (1_000, 1_000)
    time_s[0] += 60
    with as_of.computing(3_000) as third:
        await kept.get("a", compute)  # as it was, while it is renewed
        await kept.get("b", compute)
    with as_of.computing(4_000) as fourth:
        await kept.get("a", compute)
    assert (third.ms, fourth.ms) == (1_000, 3_000)


async def test_who_waits_for_what_another_began_is_as_old(time_s: list[float]) -> None:
    kept, go = StaleWhileRevalidateCache(), asyncio.Event()

    async def compute() -> int:
        await go.wait()
        return 1

    async def ask(ms: int) -> int:
        with as_of.computing(ms) as found:
            await kept.get("a", compute)
        return found.ms

    first = asyncio.create_task(ask(1_000))
    await asyncio.sleep(0)
    second = asyncio.create_task(ask(2_000))
    await asyncio.sleep(0)
    go.set()
    assert await asyncio.gather(first, second) == [1_000, 1_000]
