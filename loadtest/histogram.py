"""Histograms as Prometheus exposes them, and quantiles of samples. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, inf


@dataclass(frozen=True, slots=True)
class Histogram:
    """``counts[i]`` observations lie at or below ``bounds[i]`` (cumulative); the last bound is infinite."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]
    total: float
    """Sum of the observations."""

    @property
    def count(self) -> float:
        """Observations."""
        return self.counts[-1]

    @property
    def mean(self) -> float:
        """Exact, unlike the quantiles; 0 without observations."""
        return self.total / self.count if self.count else 0.0

    def since(self, before: Histogram) -> Histogram:
        """What was observed after ``before``."""
        if before.bounds != self.bounds:
            raise ValueError("the histograms have different buckets")
        counts = tuple(now - then for now, then in zip(self.counts, before.counts, strict=True))
        return Histogram(self.bounds, counts, self.total - before.total)

    def quantile(self, q: float) -> float:
        """The quantile, taken as evenly spread within its bucket (as Prometheus does).

        0 without observations; the largest finite bound for one that lies beyond it.
        """
        wanted = q * self.count
        low = below = 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= wanted and count > below:
                return low if bound == inf else low + (bound - low) * (wanted - below) / (count - below)
            if bound != inf:
                low = bound
            below = count
        return 0.0

    def share_below(self, bound: float) -> float:
        """The share of observations at or below one of ``bounds``: exact. 0 without observations."""
        return self.counts[self.bounds.index(bound)] / self.count if self.count else 0.0


def quantile(samples: Sequence[float], q: float) -> float:
    """The nearest-rank quantile: a sample such that at least the share ``q`` is no larger. 0 without samples."""
    return sorted(samples)[max(0, ceil(q * len(samples)) - 1)] if samples else 0.0


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least-squares slope of ``(x, y)`` points; 0 where there is none."""
    n = len(points)
    if n < 2:
        return 0.0
    mean_x, mean_y = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else 0.0
