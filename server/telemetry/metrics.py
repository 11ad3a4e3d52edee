"""What Prometheus scrapes at ``/metrics``. Every number and its unit is named here."""

from __future__ import annotations

import os

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    multiprocess,
)

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
FRAMES = Gauge("podium_frames_sent", "Frames sent to viewers since the start", multiprocess_mode="livesum")
REFUSED = Gauge(
    "podium_live_refused", "Connections that a limit refused or ended since the start", multiprocess_mode="livesum"
)
LOG_ENTRIES = Gauge("podium_log_entries", "Log entries in Redis", ["space"], multiprocess_mode="mostrecent")
LOG_BYTES = Gauge("podium_log_bytes", "Bytes of log not flushed yet", ["space"], multiprocess_mode="mostrecent")
REBUILDS = Gauge(
    "podium_rebuilds",
    "Times that Redis was filled anew with a space, by reason; empty, other, behind: Redis went back in time",
    ["space", "reason"],
    multiprocess_mode="mostrecent",
)
FLUSH_LAG = Gauge(
    "podium_flush_lag_seconds",
    "Age of the oldest log entry not flushed yet",
    ["space"],
    multiprocess_mode="mostrecent",
)
SET_ASIDE = Gauge(
    "podium_set_aside",
    "Items that a job of the worker has set aside because they failed again and again",
    ["job"],
    multiprocess_mode="mostrecent",
)
WRONG_CLOCKS = Gauge(
    "podium_wrong_clocks",
    "Processes, web and worker, whose clock differs from Redis' by more than a minute",
    multiprocess_mode="mostrecent",
)
REJECTED = Gauge(
    "podium_rejected_items",
    "Accepted items that Postgres refused, and that nobody has resent or deleted",
    ["space"],
    multiprocess_mode="mostrecent",
)


WRITES_REFUSED = Counter(
    "podium_writes_refused",
    "Events and commands answered with 503 because Redis takes no writes: memory, disk, read_only, replicas,"
    " rights, log",
    ["reason"],
)


class CommitObserver:
    """Feeds the metrics of the commit path, once a call."""

    def committed(self, *, inputs: int, events: int, call_s: float, waits_s: list[float]) -> None:
        """See intake.batcher.Observer."""
        BATCH_SIZE.observe(inputs)
        CALL.observe(call_s)
        EVENTS.inc(events)
        for wait_s in waits_s:
            RANK_UPDATE.observe(wait_s)

    def refused(self, reason: str, inputs: int) -> None:
        """See intake.batcher.Observer."""
        WRITES_REFUSED.labels(reason).inc(inputs)


def answered(method: str, path: str, seconds: float) -> None:
    """See http.routes.Observe."""
    ANSWER.labels(method, path).observe(seconds)


def exposition() -> tuple[bytes, str]:
    """The scrape's body and content type; of all web processes where they share a folder of metrics."""
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # the library's own omission
        return generate_latest(registry), CONTENT_TYPE_LATEST
    return generate_latest(), CONTENT_TYPE_LATEST
