"""The query parameters of summaries over time (docs/http-api.md#summaries)."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple, cast

from starlette.requests import Request

from podium.game.errors import Unprocessable
from podium.game.summary import AGGREGATIONS, SPAN_MAX_DAYS, Aggregation, check_range
from podium.http import params
from podium.http.endpoints import Query


class AskedSummary(NamedTuple):
    """The size of a bucket, and the first and last day of the range, both included."""

    aggregation: Aggregation
    start: date
    end: date


def asked_summary(request: Request) -> AskedSummary:
    """Return ``aggregation``, ``startDate`` and ``endDate``. Raises ``Unprocessable`` for an invalid range."""
    aggregation = cast(Aggregation, params.choice(request, "aggregation", AGGREGATIONS))
    start, end = _day(request, "startDate"), _day(request, "endDate")
    check_range(start, end)
    return AskedSummary(aggregation, start, end)


def _day(request: Request, name: str) -> date:
    day = params.day(request, name)
    if day is None:
        raise Unprocessable(f"{name} is required")
    return day


_DAY = {"type": "string", "format": "date"}
QUERY = (
    Query(
        "aggregation",
        "Size of a bucket. Weeks start on Monday.",
        {"type": "string", "enum": list(AGGREGATIONS)},
        required=True,
    ),
    Query("startDate", "First day, before `endDate`.", _DAY, required=True),
    Query("endDate", f"Last day, at most {SPAN_MAX_DAYS} days later.", _DAY, required=True),
)
"""The parameters, for the API document."""
