"""The header ``Server-Timing``: where the time of an answer went (W3C Server Timing; docs/http-api.md)."""

from __future__ import annotations

from podium.http.endpoints import Query

SERVER_TIMING = b"server-timing"


def rank_timing(rank_s: float) -> bytes:
    """The header's value: from request parsed to rank known, in ms."""
    return b"rank;dur=%.2f" % (rank_s * 1e3)


RANK_TIMING = Query(
    "Server-Timing",
    "`rank;dur=1.84`: milliseconds from the request being parsed to the ranks being known and stored (W3C Server"
    " Timing; browsers show it, and scripts read it with `PerformanceResourceTiming.serverTiming`).",
)
"""The header in the document."""
