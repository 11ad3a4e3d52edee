"""The counters of web processes, and the text of ``/metrics``. Numbers from the stores are in store_metrics.py."""

from __future__ import annotations

import os
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterable, Sequence

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)
from prometheus_client.metrics_core import Metric

EVENTS = Counter("podium_events", "Events accepted and stored, by how they came to this process")
RANK_UPDATE = Histogram(
    "podium_rank_update_seconds",
    "From a parsed request to its known rank",
    buckets=(0.0005, 0.001, 0.0015, 0.002, 0.003, 0.004, 0.006, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0),
)
BATCH_SIZE = Histogram("podium_batch_inputs", "Inputs of a commit call", buckets=(1, 2, 4, 8, 16, 24, 32))
CALL = Histogram(
    "podium_commit_call_seconds",
    "A commit call to Redis and back",
    buckets=(0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.05, 0.2, 1.0),
)
ANSWER = Histogram(
    "podium_answer_seconds",
    "From a request's arrival at its endpoint to its answer; not of single events, whose time is the rank update",
    ["method", "path"],
    buckets=(0.0005, 0.001, 0.0015, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.03, 0.1, 0.2, 0.5, 2.0),
)
SOCKETS = Gauge("podium_sockets", "Open WebSocket connections", multiprocess_mode="livesum")
FRAMES = Counter("podium_frames_sent", "Frames sent to viewers")
LIVE_REFUSED = Counter("podium_live_refused", "Live connections that a limit refused or ended")
WRITES_REFUSED = Counter(
    "podium_writes_refused",
    "Events and commands answered with 503 because Redis takes no writes: memory, disk, read_only, replicas,"
    " rights, log",
    ["reason"],
)


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """Count values as ``histogram.observe`` does, each bucket once: it takes a lock for every value."""
    bounds, buckets = histogram._upper_bounds, histogram._buckets
    for at, count in Counts(bisect_left(bounds, value) for value in values).items():
        buckets[at].inc(count)
    histogram._sum.inc(sum(values))


class CommitObserver:
    """Updates the metrics of the commit path, once per commit call."""

    def committed(self, *, inputs: int, events: int, call_s: float, waits_s: list[float]) -> None:
        """Observe a commit call (intake.batcher.Observer)."""
        BATCH_SIZE.observe(inputs)
        CALL.observe(call_s)
        EVENTS.inc(events)
        observe_all(RANK_UPDATE, waits_s)

    def refused(self, reason: str, inputs: int) -> None:
        """Count inputs that Redis refused (intake.batcher.Observer)."""
        WRITES_REFUSED.labels(reason).inc(inputs)


def answered(method: str, path: str, seconds: float) -> None:
    """Observe an answer (http.routes.Observe)."""
    ANSWER.labels(method, path).observe(seconds)


def exposition(of_stores: Sequence[Metric] = ()) -> tuple[bytes, str]:
    """Return body and content type of a scrape.

    It has the counters of this process, or of all web processes that share PROMETHEUS_MULTIPROC_DIR, and the
    numbers ``of_stores`` (store_metrics.py).
    """
    body = generate_latest(_Fixed(of_stores))
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library's own omission
        return generate_latest(registry) + body, CONTENT_TYPE_LATEST
    return generate_latest() + body, CONTENT_TYPE_LATEST


class _Fixed(CollectorRegistry):
    """A registry of metrics that were measured already."""

    def __init__(self, found: Sequence[Metric]) -> None:
        super().__init__()
        self._found = found

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        return self._found
