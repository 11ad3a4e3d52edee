"""How long a job's pauses are, from how long others wait."""

from __future__ import annotations

import pytest

from podium.jobs.pace import FIRST, LEAST, MOST, Look, Throttle


class Others:
    """What is heard of those who post."""

    def __init__(self, throttle: Throttle) -> None:
        self.throttle = throttle
        self.look = Look(0, 0.0)

    def busy(self, inputs: int, mean_s: float) -> bool:
        """So many inputs waited so long while the job committed."""
        before, self.look = self.look, Look(self.look.inputs + inputs, self.look.waited_s + inputs * mean_s)
        return self.throttle.busy(before, self.look)

    def quiet(self, inputs: int, mean_s: float) -> None:
        """So many inputs waited so long while the job did nothing."""
        before, self.look = self.look, Look(self.look.inputs + inputs, self.look.waited_s + inputs * mean_s)
        self.throttle.quiet(before, self.look)


@pytest.fixture
def others() -> Others:
    return Others(Throttle())


def test_the_pauses_grow_while_others_wait_longer_than_without_the_job(others: Others) -> None:
    others.quiet(100, 0.002)
    shares = []
    for _ in range(15):
        assert others.busy(100, 0.0034)  # 1.5 times, and 0.3 ms, are 3.3 ms
        shares.append(others.throttle.share)
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (FIRST * 1.25, MOST)


def test_the_pauses_shrink_while_others_wait_hardly_longer(others: Others) -> None:
    others.quiet(100, 0.002)
    for _ in range(20):
        assert others.busy(100, 0.0032)
    assert others.throttle.share == LEAST


def test_nobody_who_posts_is_nobody_to_wait_for(others: Others) -> None:
    for _ in range(20):
        assert others.busy(0, 0.0)
    assert others.throttle.share == LEAST


def test_a_few_inputs_say_nothing_until_there_are_more(others: Others) -> None:
    others.quiet(100, 0.002)
    assert not others.busy(19, 1.0)
    assert others.throttle.share == FIRST


def test_before_anything_is_known_of_others_the_pauses_stay(others: Others) -> None:
    assert others.busy(100, 1.0)
    assert others.throttle.share == FIRST


def test_one_bad_moment_does_not_stand_for_what_others_wait_without_the_job(others: Others) -> None:
    others.quiet(100, 0.002)
    others.quiet(100, 0.022)
    assert others.throttle.quiet_s == pytest.approx(0.008)
    others.quiet(5, 1.0)  # too few to say
    assert others.throttle.quiet_s == pytest.approx(0.008)


def test_a_redis_that_started_anew_has_no_waits_from_before() -> None:
    throttle = Throttle()
    throttle.quiet(Look(1_000, 5.0), Look(30, 0.1))
    assert throttle.quiet_s is None
    assert throttle.busy(Look(1_000, 5.0), Look(30, 0.1))
    assert throttle.share == FIRST
