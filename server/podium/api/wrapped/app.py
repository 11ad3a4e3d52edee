"""``GET /v1/users/{id}/wrapped``: the year in review (docs/http-api.md#year-in-review)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType
from starlette.requests import Request
from starlette.responses import Response

from podium.api.wrapped import queries
from podium.api.wrapped.percentiles import Gains, gains, percentile
from podium.game import progress
from podium.game.catalog import CatalogIndex
from podium.game.periods import day_begins, local_day, zone
from podium.game.state import UserState
from podium.game.wrapped.rules import Period, Year, percent_change, review, whole_year
from podium.http import params
from podium.http.answers import encode, streamed
from podium.http.auth import principal
from podium.http.endpoints import Endpoint, Query
from podium.http.services import services
from podium.http.users import named_snapshot


class WrappedValue(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The gain from events with an attribute value."""

    name: str
    units: str | None
    current_total: float
    change_this_period: float
    percent_change: float


class WrappedMetric(WrappedValue, frozen=True, kw_only=True, rename="camel"):
    """A metric in a period: the total at its end, and the gain in it, also by attribute key and value.
    ``percentileThisPeriod`` is the percentage of users with a gain who gained less, from a sample; days have
    none."""

    percentile_this_period: int | UnsetType = UNSET
    by_attribute: dict[str, dict[str, WrappedValue]]


class WrappedPoints(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Points in a period, in the form of a metric."""

    name: str
    description: str | None
    current_total: float
    change_this_period: float
    percent_change: float
    percentile_this_period: int | UnsetType = UNSET


class WrappedPeriod(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user's activity in a period, with the best place on each leaderboard."""

    metrics: dict[str, WrappedMetric]
    points: dict[str, WrappedPoints]
    achievements: list[progress.UserAchievement]
    leaderboards: dict[str, progress.BestPlace]


class WrappedDay(WrappedPeriod, frozen=True, kw_only=True, rename="camel"):
    """The day with the most events."""

    date: date


class WrappedWeek(WrappedPeriod, frozen=True, kw_only=True, rename="camel"):
    """The week, from Monday on, with the most events."""

    start: date
    end: date


class WrappedMonth(WrappedPeriod, frozen=True, kw_only=True, rename="camel"):
    """The month with the most events; 0 is January."""

    month: int


class WrappedStreak(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The longest streak of the year."""

    length: int
    frequency: str
    period_start: date | None
    period_end: date | None
    started: date | None


class WrappedYear(WrappedPeriod, frozen=True, kw_only=True, rename="camel"):
    """The whole year."""

    longest_streak: WrappedStreak


class Activity(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A user's year."""

    days_active: int
    weeks_active: int
    months_active: int
    most_active_day: WrappedDay
    most_active_week: WrappedWeek
    most_active_month: WrappedMonth
    entire_year: WrappedYear


class Wrapped(msgspec.Struct, frozen=True):
    """A user, and the user's year."""

    user: progress.User
    activity: Activity


async def get_wrapped(request: Request) -> Response:
    """``GET /v1/users/{id}/wrapped``."""
    parts, space = services(request), principal(request).space
    this_year = local_day(parts.clock(), space.index.home).year
    year = params.integer(request, "year", this_year, 1, this_year)
    user = request.path_params["id"]
    index = space.index
    first, last = whole_year(year)
    # The first and the last week may begin or end in other years.
    since, until = first - timedelta(days=first.weekday()), last + timedelta(days=6 - last.weekday())
    periods = progress.streak_period(index, first), progress.streak_period(index, last)
    days = since, until
    async with named_snapshot(request) as (connection, state):
        instants_ms = _begins(since, state), _begins(until + timedelta(days=1), state)
        done = await queries.read_activity(
            connection, space.id, user, days, instants_ms, index.streaks.track, periods
        )
        found = review(year, done.events)
        spans = (found.day, found.week, found.month, found.whole)
        sums = dict(zip(spans, await queries.read_sums(connection, space.id, user, spans), strict=True))
    sampled = await gains(parts, space.id, found.week, found.month, found.whole)
    activity = await _activity(index, state, found, done, sums, sampled)
    return streamed(_pieces(progress.user(user, state.profile), activity))


async def _pieces(user: progress.User, activity: Activity) -> AsyncIterator[bytes]:
    """Yield the JSON of a ``Wrapped``, a period at a time: with 1,000 achievements each period has 3 MB."""
    yield b'{"user":%b,"activity":' % encode(user)
    for at, field in enumerate(msgspec.structs.fields(Activity)):
        yield b"%b%b:%b" % (b"," if at else b"{", encode(field.encode_name), encode(getattr(activity, field.name)))
    yield b"}}"


def _begins(day: date, state: UserState) -> int:
    return day_begins(day, zone(state.profile.tz))


async def _activity(
    index: CatalogIndex,
    state: UserState,
    year: Year,
    done: queries.Activity,
    sums: dict[Period, queries.Sums],
    sampled: dict[Period, Gains],
) -> Activity:
    async def of(period: Period) -> dict[str, Any]:
        await asyncio.sleep(0)  # a period takes up to 10 ms, so let other tasks run between two
        return _period(index, state, period, done, sums[period], sampled.get(period, {}))

    best = max(done.streak_periods, key=lambda one: one.length, default=None)
    start, end = progress.streak_days(index, best.period) if best is not None else (None, None)
    started = None
    if best is not None:
        started, _ = progress.streak_days(index, best.period - best.length + 1)
    streak = WrappedStreak(
        length=best.length if best is not None else 0,
        frequency=index.streaks.frequency,
        period_start=start,
        period_end=end,
        started=started,
    )
    return Activity(
        days_active=year.days,
        weeks_active=year.weeks,
        months_active=year.months,
        most_active_day=WrappedDay(**await of(year.day), date=year.day.start),
        most_active_week=WrappedWeek(**await of(year.week), start=year.week.start, end=year.week.end),
        most_active_month=WrappedMonth(**await of(year.month), month=year.month.start.month - 1),
        entire_year=WrappedYear(**await of(year.whole), longest_streak=streak),
    )


def _period(
    index: CatalogIndex,
    state: UserState,
    period: Period,
    done: queries.Activity,
    sums: queries.Sums,
    sample: Gains,
) -> dict[str, Any]:
    by_attribute: dict[int, dict[str, dict[str, WrappedValue]]] = {}
    for one in sums.attributes:
        metric = index.metric_by_number.get(one.metric)
        if metric is not None:
            values = by_attribute.setdefault(one.metric, {}).setdefault(one.key, {})
            values[one.value] = WrappedValue(
                name=metric.name,
                units=metric.units or None,
                current_total=metric.value(one.sum.total),
                change_this_period=metric.value(one.sum.change),
                percent_change=percent_change(one.sum.total - one.sum.change, one.sum.change),
            )
    metrics = {}
    for metric in index.catalog.metrics:
        total, change = sums.metrics.get(metric.number, _NONE)
        if total or change:
            metrics[metric.key] = WrappedMetric(
                name=metric.name,
                units=metric.units or None,
                current_total=metric.value(total),
                change_this_period=metric.value(change),
                percent_change=percent_change(total - change, change),
                percentile_this_period=_percentile(sample, "metric", metric.number, change),
                by_attribute=by_attribute.get(metric.number, {}),
            )
    points = {}
    for system in index.catalog.points:
        total, change = sums.points.get(system.number, _NONE)
        if total or change:
            points[system.key] = WrappedPoints(
                name=system.name,
                description=system.description or None,
                current_total=total,
                change_this_period=change,
                percent_change=percent_change(total - change, change),
                percentile_this_period=_percentile(sample, "points", system.number, change),
            )
    first_ms, end_ms = _begins(period.start, state), _begins(period.end + timedelta(days=1), state)
    achievements = [
        progress.user_achievement(index, index.achievements.by_number[number], at_ms)
        for number, at_ms in done.completions
        if first_ms <= at_ms < end_ms and number in index.achievements.by_number
    ]
    leaderboards = {
        leaderboard.key: progress.best_place(index, leaderboard, best.rank, best.value)
        for leaderboard in index.catalog.leaderboards
        if (best := sums.places.get(leaderboard.number)) is not None and leaderboard.status != "inactive"
    }
    return {"metrics": metrics, "points": points, "achievements": achievements, "leaderboards": leaderboards}


_NONE = queries.Sum(0, 0)


def _percentile(sample: Gains, kind: str, number: int, own: int) -> int | UnsetType:
    share = percentile(sample.get((kind, number), []), own)
    return UNSET if share is None else share


ENDPOINTS: list[Endpoint] = [
    Endpoint(
        method="GET",
        path="/v1/users/{id}/wrapped",
        shows="user",
        summary="Get a user's year in review",
        tag="Users",
        needs="read",
        statuses=(200, 400, 404, 422, 503),
        handler=get_wrapped,
        answer=Wrapped,
        query=(Query("year", "By default the present one.", {"type": "integer", "minimum": 1}),),
        description="Days, weeks (from Monday on) and months are those of the user's local dates. The most active "
        "ones have the most events; of equal ones the first is taken. Without events they are the first of the "
        "year. "
        f"`byAttribute` has the {queries.ATTRIBUTES_MAX:,} values of a period with the greatest changes.",
    ),
]
