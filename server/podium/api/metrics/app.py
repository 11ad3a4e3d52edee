"""A user's metrics over the application API (docs/http-api.md#metrics)."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from podium.api.metrics import queries
from podium.game import ids
from podium.game.catalog import CatalogIndex
from podium.game.errors import NotFound
from podium.game.metrics.model import Metric
from podium.game.progress import UserAchievement, metric_achievements
from podium.game.state import UserState
from podium.game.summary import summarise
from podium.http import summaries
from podium.http.answers import answer, in_turns
from podium.http.auth import principal
from podium.http.endpoints import Endpoint
from podium.http.summaries import asked_summary
from podium.http.users import named_snapshot, named_user


class UserMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric and the user's total, which is 0 without events."""

    id: str
    key: str
    name: str
    status: Literal["active", "archived"] = "active"
    current: float
    achievements: list[UserAchievement] = []


class SummaryBucket(msgspec.Struct, frozen=True):
    """A day, week or month. ``date`` is its first day, ``total`` the user's total at its end."""

    date: date
    total: float
    change: float


def shown(index: CatalogIndex, metric: Metric, state: UserState) -> UserMetric:
    """Return a metric with the user's total."""
    return UserMetric(
        id=metric.id,
        key=metric.key,
        name=metric.name,
        current=metric.value(state.totals.get(metric.number, 0)),
        achievements=metric_achievements(index, metric.id, state),
    )


async def get_metrics(request: Request) -> Response:
    """``GET /v1/users/{id}/metrics``."""
    state = await named_user(request)
    index = principal(request).space.index
    return answer([shown(index, metric, state) async for metric in in_turns(index.catalog.metrics)])


async def get_metric(request: Request) -> Response:
    """``GET /v1/users/{id}/metrics/{key}``."""
    metric = _metric(request)
    return answer(shown(principal(request).space.index, metric, await named_user(request)))


async def get_summary(request: Request) -> Response:
    """``GET /v1/users/{id}/metrics/{key}/event-summary``."""
    metric = _metric(request)
    aggregation, start, end = asked_summary(request)
    space_id, user = principal(request).space.id, request.path_params["id"]
    async with named_snapshot(request) as (connection, _):
        before, changes = await queries.read_days(connection, space_id, user, metric.number, start, end)
    return answer(
        [
            SummaryBucket(bucket.first, metric.value(bucket.total), metric.value(bucket.change))
            for bucket in summarise(aggregation, start, end, before, changes)
        ]
    )


def _metric(request: Request) -> Metric:
    key: str = request.path_params["key"]
    metric = principal(request).space.index.metric_by_key.get(key)
    if metric is None:
        raise NotFound(f"Metric not found: {key[: ids.KEY_MAX]}")
    return metric


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/users/{id}/metrics",
        shows="user",
        summary="Get a user's metrics",
        tag="Metrics",
        needs="read",
        statuses=(200, 404, 422, 503),
        handler=get_metrics,
        answer=list[UserMetric],
        description="All active metrics, the oldest first.",
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{id}/metrics/{key}",
        shows="user",
        summary="Get one metric of a user",
        tag="Metrics",
        needs="read",
        statuses=(200, 404, 422, 503),
        handler=get_metric,
        answer=UserMetric,
    ),
    Endpoint(
        method="GET",
        path="/v1/users/{id}/metrics/{key}/event-summary",
        shows="user",
        summary="Get a metric of a user over time",
        tag="Metrics",
        needs="read",
        statuses=(200, 404, 422, 503),
        handler=get_summary,
        answer=list[SummaryBucket],
        query=summaries.QUERY,
        description="Every bucket (day, week or month) with a day in the range, the oldest first. Days are local "
        "dates of the user. `date` is the first day of the bucket, also if the range begins later; `change` "
        "counts the days within the range, `total` everything up to the last of them.",
    ),
]
