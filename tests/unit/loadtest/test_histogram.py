from __future__ import annotations

from math import inf

import pytest

from loadtest.histogram import Histogram, quantile, slope

BOUNDS = (0.001, 0.002, 0.004, inf)


def test_a_quantile_lies_within_its_bucket_by_share():
    # 10 up to 1 ms, 80 up to 2 ms, 10 up to 4 ms: the 50th of 100 is the 40th of 80 in 1..2 ms
    histogram = Histogram(BOUNDS, (10, 90, 100, 100), 0.2)
    assert histogram.quantile(0.5) == pytest.approx(0.0015)
    assert histogram.quantile(0.05) == pytest.approx(0.0005)
    assert histogram.quantile(0.99) == pytest.approx(0.0038)
    assert histogram.quantile(1.0) == pytest.approx(0.004)


def test_empty_buckets_are_passed_over():
    histogram = Histogram(BOUNDS, (0, 0, 50, 50), 0.1)
    assert histogram.quantile(0.5) == pytest.approx(0.003)
    assert histogram.quantile(0.0) == pytest.approx(0.002)


def test_beyond_the_last_finite_bound_is_that_bound():
    histogram = Histogram(BOUNDS, (0, 0, 1, 100), 9.0)
    assert histogram.quantile(0.99) == 0.004
    assert histogram.share_below(0.004) == 0.01


def test_nothing_observed_is_zero():
    empty = Histogram(BOUNDS, (0, 0, 0, 0), 0.0)
    assert (empty.quantile(0.99), empty.mean, empty.share_below(0.001)) == (0.0, 0.0, 0.0)


def test_since_counts_what_came_after():
    before = Histogram(BOUNDS, (5, 5, 5, 5), 0.005)
    after = Histogram(BOUNDS, (5, 15, 15, 15), 0.02)
    since = after.since(before)
    assert since.counts == (0, 10, 10, 10)
    assert since.mean == pytest.approx(0.0015)
    assert since.quantile(0.5) == pytest.approx(0.0015)


def test_histograms_of_other_buckets_are_not_compared():
    with pytest.raises(ValueError, match="different buckets"):
        Histogram(BOUNDS, (0, 0, 0, 0), 0).since(Histogram((1.0, inf), (0, 0), 0))


@pytest.mark.parametrize(("q", "expected"), [(0.5, 5), (0.9, 9), (0.99, 10), (0.0, 1), (1.0, 10)])
def test_quantile_of_samples_is_a_sample(q: float, expected: int):
    assert quantile([10, 9, 8, 7, 6, 5, 4, 3, 2, 1], q) == expected


def test_quantile_of_no_samples_is_zero():
    assert quantile([], 0.99) == 0.0


def test_slope_of_a_line():
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)
    assert slope([(0, 1), (1, 1)]) == 0
    assert slope([(3, 1)]) == 0
