"""Limits of the live endpoints, by themselves."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podium.http.addresses import neighbourhood
from podium.live.limits import CommandBucket, ConnectionLimiter, ConnectionSlot, Limits


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("/run/podium.sock", "/run/podium.sock"),
    ],
)
def test_what_is_counted_as_one_address(address: str, counted_as: str) -> None:
    assert neighbourhood(address) == counted_as


def test_connections_of_an_address() -> None:
    limiter = ConnectionLimiter(Limits(per_address=2))
    first, second = limiter.acquire("2001:db8::1"), limiter.acquire("2001:db8::2")
    assert first is not None
    assert second is not None
    assert limiter.acquire("2001:db8::3") is None
    assert limiter.acquire("192.0.2.1") is not None
    assert limiter.acquire(None) is not None  # a Unix socket has no address
    first.release()
    first.release()
    third = limiter.acquire("2001:db8::3")
    assert third is not None
    assert limiter.acquire("2001:db8::4") is None
    third.exempt()
    assert limiter.acquire("2001:db8::4") is not None


def test_connections_of_a_user() -> None:
    limiter = ConnectionLimiter(Limits(per_user=1))
    first, second = limiter.acquire("a"), limiter.acquire("b")
    assert first is not None
    assert second is not None
    assert first.assign_user("space", "ada")
    assert first.assign_user("space", "ada")  # a refreshed token: the same connection
    assert not second.assign_user("space", "ada")
    assert second.assign_user("other", "ada")
    first.release()
    third = limiter.acquire("c")
    assert third is not None
    assert third.assign_user("space", "ada")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9))), st.integers(0, 3))
def test_the_limiter_counts_as_a_list_of_open_connections_does(
    steps: list[tuple[int, int, int]], most: int
) -> None:
    limiter = ConnectionLimiter(Limits(per_address=most, per_user=most))
    inside: list[tuple[str, str | None, ConnectionSlot]] = []
    for place, user, leaver in steps:
        address, name = f"192.0.2.{place}", f"u{user}" if user else None
        full = most > 0 and Counter(a for a, _, _ in inside)[address] >= most
        slot = limiter.acquire(address)
        assert (slot is None) is full
        if slot is not None:
            full = name is not None and most > 0 and Counter(u for _, u, _ in inside)[name] >= most
            if name is None or slot.assign_user("s", name):
                assert not full
                inside.append((address, name, slot))
            else:
                assert full
                slot.release()
        if leaver < len(inside):
            inside.pop(leaver)[2].release()
    for _, _, slot in inside:
        slot.release()
    assert limiter._addresses.total() == 0
    assert limiter._users.total() == 0


def test_commands_a_second() -> None:
    bucket = CommandBucket(3, 1_000)
    assert [bucket.take(1_000) for _ in range(8)] == [True] * 6 + [False] * 2
    assert [bucket.take(2_000) for _ in range(3)] == [True, False, False]  # 3 more, less the 2 refused
    assert [bucket.take(500) for _ in range(5)] == [False] * 4 + [None]  # the clock went back: nothing is added
    rested = CommandBucket(3, 0)
    assert [rested.take(3_600_000) for _ in range(7)] == [True] * 6 + [False]
    unlimited = CommandBucket(0, 0)
    assert all(unlimited.take(0) for _ in range(10_000))
