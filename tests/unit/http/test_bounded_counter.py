"""Counting up to a limit per key."""

from __future__ import annotations

from podium.http.bounded_counter import BoundedCounter


def test_each_key_has_its_own_limit() -> None:
    counter = BoundedCounter[str](2)
    assert [counter.acquire("a") for _ in range(3)] == [True, True, False]
    assert counter.acquire("b")
    assert counter.total() == 3
    counter.release("a")
    assert counter.acquire("a")


def test_a_limit_of_0_is_none() -> None:
    counter = BoundedCounter[str](0)
    assert all(counter.acquire("a") for _ in range(1_000))
    assert counter.total() == 1_000


def test_a_key_that_is_not_in_use_takes_no_memory() -> None:
    counter = BoundedCounter[int](1)
    for key in range(100):
        assert counter.acquire(key)
        counter.release(key)
    assert not counter._counts
