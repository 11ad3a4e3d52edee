"""The header ``Server-Timing`` of an answer to an event."""

from __future__ import annotations

import re

_RANK = re.compile(r"(?:^|,)\s*rank;dur=(\d+(?:\.\d+)?)")


def rank_ms(header: str | None) -> float | None:
    """Return the milliseconds from request parsed to rank known; None where the header doesn't say."""
    found = _RANK.search(header or "")
    return float(found[1]) if found else None
