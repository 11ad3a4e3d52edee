"""A clock that is borne out by another one: what time it is when either of them is set."""

from __future__ import annotations

import pytest

from podium.clock import AGREE_MS, STEP_MS, CheckedClock
from podium.game.errors import Unavailable

NOW_MS = 1_795_435_200_000
HOUR_MS, DAY_MS = 3_600_000, 86_400_000


class Machine:
    """Its clock and its stopwatch."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.passed_ms = 5_000
        self.clock = CheckedClock(lambda: self.now_ms, lambda: self.passed_ms)

    def wait(self, ms: int) -> None:
        """Let time pass."""
        self.now_ms += ms
        self.passed_ms += ms


@pytest.fixture
def machine() -> Machine:
    return Machine()


def test_there_is_no_time_before_the_first_comparison(machine: Machine) -> None:
    with pytest.raises(Unavailable, match="has not been compared"):
        machine.clock()
    assert machine.clock.unchecked() == NOW_MS
    assert machine.clock.was_set
    machine.clock.compare(NOW_MS + 3_000)
    assert machine.clock() == NOW_MS  # its own, not the other's
    assert machine.clock.agrees.is_set()
    assert not machine.clock.was_set


@pytest.mark.parametrize(
    ("ahead_ms", "sentence"),
    [(HOUR_MS, "3600 s ahead of Redis' clock"), (-AGREE_MS - 1_000, "61 s behind Redis' clock")],
)
def test_a_clock_that_is_wrong_from_the_start_gives_no_time(
    machine: Machine, ahead_ms: int, sentence: str
) -> None:
    machine.clock.compare(NOW_MS - ahead_ms)
    with pytest.raises(Unavailable, match=sentence):
        machine.clock()
    assert machine.clock.difference_ms == ahead_ms
    assert not machine.clock.agrees.is_set()
    machine.now_ms -= ahead_ms  # somebody sets it
    machine.clock.compare(NOW_MS - ahead_ms)
    assert machine.clock() == NOW_MS - ahead_ms
    assert machine.clock.problem == ""


@pytest.mark.parametrize("step_ms", [STEP_MS + 1, HOUR_MS, DAY_MS, -STEP_MS - 1, -HOUR_MS, -DAY_MS])
def test_time_goes_on_where_the_clock_is_set(machine: Machine, step_ms: int) -> None:
    machine.clock.compare(NOW_MS)
    machine.now_ms += step_ms
    assert machine.clock() == machine.clock.unchecked() == NOW_MS
    assert machine.clock.was_set
    machine.wait(30_000)
    assert machine.clock() == NOW_MS + 30_000


def test_a_new_time_holds_once_it_is_borne_out(machine: Machine) -> None:
    """As after the machine was suspended: its stopwatch stood still, and its clock is right."""
    machine.clock.compare(NOW_MS)
    machine.now_ms += HOUR_MS
    machine.clock.compare(NOW_MS + HOUR_MS)
    assert machine.clock() == NOW_MS + HOUR_MS
    assert machine.clock.agrees.is_set()


@pytest.mark.parametrize("step_ms", [HOUR_MS, -DAY_MS])
def test_a_new_time_that_is_refuted_never_holds(machine: Machine, step_ms: int) -> None:
    machine.clock.compare(NOW_MS)
    machine.now_ms += step_ms
    machine.clock.compare(NOW_MS)
    machine.wait(60_000)
    assert machine.clock() == NOW_MS + 60_000
    assert not machine.clock.agrees.is_set()
    machine.now_ms -= step_ms
    machine.clock.compare(NOW_MS + 60_000)
    assert machine.clock() == NOW_MS + 60_000
    assert machine.clock.agrees.is_set()


def test_time_goes_on_where_the_other_clock_is_set(machine: Machine) -> None:
    machine.clock.compare(NOW_MS)
    machine.wait(60_000)
    machine.clock.compare(NOW_MS + DAY_MS)
    assert not machine.clock.agrees.is_set()
    assert machine.clock() == NOW_MS + 60_000


def test_small_corrections_are_followed(machine: Machine) -> None:
    machine.clock.compare(NOW_MS)
    machine.now_ms += STEP_MS
    assert machine.clock() == NOW_MS + STEP_MS
    assert not machine.clock.was_set
