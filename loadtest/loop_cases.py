"""A request for every route and rpc, as large as it may be, for ``loadtest.loop``.

``tests/unit/loadtest/test_loop.py`` holds the list to the routing table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.routing import BaseRoute, Mount, Route

from loadtest.loop_world import VETERAN, id_of
from podium.console.middleware import Shell
from podium.console.pages.actions import ACTIONS


class Call(NamedTuple):
    """A request. ``body`` is JSON, or text that is sent as it is; ``form`` goes to the console with what its forms
    hold besides; ``may`` are statuses that are right beside those below 300."""

    path: str
    body: Any = None
    form: dict[str, str] | None = None
    may: tuple[int, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()


_TODAY = datetime.now(UTC).date()
_BOARD = "b0"
_ACTIONS = [action.name for action in ACTIONS]


def _day(ago: int) -> str:
    return (_TODAY - timedelta(days=ago)).isoformat()


def _path(text: str, **query: Any) -> str:
    return f"{text}?{urlencode(query, doseq=True)}" if query else text


def _ids(kind: int, first: int, count: int = 100) -> list[str]:
    return [id_of(kind, at) for at in range(first, first + count)]


def _filters(count: int = 10) -> list[dict[str, str]]:
    return [{"attributeId": id_of(2, at), "attributeValue": "v" * 1_000} for at in range(count)]


_BADGE = {"url": "https://example.org/" + "b" * 1_900}
_SUMMARY = {"aggregation": "daily", "startDate": _day(400), "endDate": _day(0)}
_SYSTEM, _METRIC = id_of(6, 0), id_of(1, 0)
_USERS = [f"u{at:07d}" for at in range(1_000)]
_HUGE_USER = {"name": "n" * 255, "attributes": {f"a{at}": "v" * 1_000 for at in range(100)}}
_LARGE_USER = {"name": "n" * 255, "attributes": {f"a{at}": "v" * 1_000 for at in range(10)}}


def _event(user: str, **more: Any) -> dict[str, Any]:
    return {"user": {"id": user}, "value": 1, **more}


def _batch(count: int, user: Callable[[int], str], size: int = 0) -> list[dict[str, Any]]:
    attributes = {f"e{at}": "v" * size for at in range(4)} if size else {}
    return [{"key": "m0", **_event(user(at), attributes=attributes)} for at in range(count)]


def _awards(count: int) -> list[dict[str, Any]]:
    return [
        {"userId": user, "amount": 1, "reason": "r" * 1_000, "joinRuns": True} for user in _USERS[1 : count + 1]
    ]


def _hundred(make: Callable[[int], dict[str, Any]]) -> list[dict[str, Any]]:
    return [make(at) for at in range(100)]


_named = {"name": "x" * 255}


def _document(metrics: int) -> dict[str, Any]:
    return {"metrics": [{"key": f"new{at}", "name": "x" * 200} for at in range(metrics)]}


def _crud(
    path: str, kind: int, create: Callable[[int], dict[str, Any]], update: dict[str, Any], victims: int
) -> dict[str, list[Call]]:
    """The five verbs; items from ``victims`` on are deleted."""
    return {
        f"GET {path}": [Call(_path(path, limit=100)), Call(_path(path, limit=100, skip=100))],
        f"GET {path}/{{id}}": [Call(f"{path}/{id_of(kind, 0)}")],
        f"POST {path}": [Call(path, _hundred(create))],
        f"PATCH {path}": [Call(path, [{"id": id_, **update} for id_ in _ids(kind, 0)])],
        f"DELETE {path}": [Call(_path(path, ids=_ids(kind, victims)))],
    }


def _api() -> dict[str, list[Call]]:
    u, b, s = f"/v1/users/{VETERAN}", f"/v1/leaderboards/{_BOARD}", "/v1/points/p0"
    return {
        "POST /v1/metrics/{key}/event": [
            Call("/v1/metrics/m0/event", _event(VETERAN)),
            Call("/v1/metrics/m0/event", _event("fresh-1")),
            Call("/v1/metrics/m1/event", _event("fresh-1", value=600)),
            Call("/v1/metrics/m0/event", {"user": {"id": "fresh-2", **_LARGE_USER}, "value": 500}),
        ],
        "GET /v1/users/{id}": [Call(u)],
        "POST /v1/users": [Call("/v1/users", {"id": "fresh-3", **_HUGE_USER})],
        "PUT /v1/users/{id}": [Call(u, _LARGE_USER)],
        "PATCH /v1/users/{id}": [Call(u, _LARGE_USER)],
        "GET /v1/users/{id}/metrics": [Call(f"{u}/metrics")],
        "GET /v1/users/{id}/metrics/{key}": [Call(f"{u}/metrics/m0")],
        "GET /v1/users/{id}/metrics/{key}/event-summary": [
            Call(_path(f"{u}/metrics/m0/event-summary", **_SUMMARY))
        ],
        "GET /v1/leaderboards/{key}/around/{userId}": [Call(_path(f"{b}/around/{VETERAN}", k=50))],
        "GET /v1/leaderboards/{key}/users": [Call(_path(f"{b}/users", ids=_USERS[:400]))],
        "GET /v1/leaderboards/{key}/groups": [Call(_path(f"{b}/groups", limit=1_000), may=(422,))],
        "GET /v1/leaderboards/{key}/groups/{value}": [Call(_path(f"{b}/groups/x", limit=1_000), may=(422,))],
        "GET /v1/leaderboards/{key}": [
            Call(_path(b, limit=1_000)),
            Call(_path("/v1/leaderboards/all-time", limit=1_000, offset=5_000)),
        ],
        "GET /v1/leaderboards": [Call(_path("/v1/leaderboards", includeFinished="true"))],
        "GET /v1/users/{id}/leaderboards": [Call(f"{u}/leaderboards")],
        "GET /v1/users/{id}/leaderboards/{key}": [Call(_path(f"{u}/leaderboards/{_BOARD}", numEvents=100))],
        "GET /v1/users/{id}/streak": [Call(_path(f"{u}/streak", historyPeriods=400))],
        "GET /v1/streaks": [Call(_path("/v1/streaks", userIds=_USERS[:100]))],
        "GET /v1/streaks/rankings": [Call(_path("/v1/streaks/rankings", limit=100))],
        "GET /v1/users/{id}/preferences": [Call(f"{u}/preferences")],
        "PATCH /v1/users/{id}/preferences": [Call(f"{u}/preferences", {"notifications": {}}, may=(422, 400))],
        "GET /v1/points/{key}": [Call(s)],
        "GET /v1/points/{key}/levels": [Call(f"{s}/levels")],
        "GET /v1/points/{key}/boosts": [Call(_path(f"{s}/boosts", includeFinished="true"))],
        "GET /v1/points/{key}/summary": [Call(f"{s}/summary")],
        "GET /v1/points/{key}/level-summary": [Call(f"{s}/level-summary")],
        "GET /v1/users/{id}/points/{key}": [Call(_path(f"{u}/points/p0", awards=100))],
        "GET /v1/users/{id}/points/{key}/boosts": [Call(_path(f"{u}/points/p0/boosts", includeFinished="true"))],
        "GET /v1/users/{id}/points/{key}/event-summary": [Call(_path(f"{u}/points/p0/event-summary", **_SUMMARY))],
        "GET /v1/achievements": [Call("/v1/achievements")],
        "POST /v1/achievements/{key}/complete": [
            Call("/v1/achievements/by-call/complete", {"user": {"id": "fresh-4", **_LARGE_USER}})
        ],
        "GET /v1/users/{id}/achievements": [Call(_path(f"{u}/achievements", includeIncomplete="true"))],
        "GET /v1/users/{id}/wrapped": [Call(f"{u}/wrapped"), Call(f"{u}/wrapped")],
        "POST /v1/users/{id}/realtime-token": [
            Call(f"{u}/realtime-token", {"channels": ["*"] * 100}, may=(422, 400))
        ],
    }


def _admin() -> dict[str, list[Call]]:
    a = "/admin/v1"
    boards = f"{a}/leaderboards/{id_of(4, 0)}"
    return {
        "POST /admin/v1/metrics/events": [
            Call(f"{a}/metrics/events", _batch(1_000, lambda at: _USERS[at])),
            Call(f"{a}/metrics/events", _batch(1_000, lambda at: f"new-{at}", 900)),
            Call(f"{a}/metrics/events", _batch(1_000, lambda _: VETERAN)),
            Call(f"{a}/metrics/events", json.dumps(_batch(1_000, lambda at: f"bad-{at}", 900))[:-1], may=(400,)),
        ],
        "POST /admin/v1/users/replay": [
            Call(f"{a}/users/replay", {"users": [{"id": VETERAN}]}),
            Call(f"{a}/users/replay", {"users": [{"id": one} for one in _USERS[1:101]]}),
        ],
        "POST /admin/v1/users/newest-events": [Call(f"{a}/users/newest-events", {"users": _USERS})],
        "POST /admin/v1/metrics/events/known": [
            Call(
                f"{a}/metrics/events/known",
                [{"key": "m0", "userId": one, "idempotencyKey": "k" * 200} for one in _USERS],
            )
        ],
        **_crud(f"{a}/metrics", 1, lambda at: {**_named, "key": f"more-{at}"}, {"name": "y" * 255}, 100),
        **_crud(f"{a}/attributes", 2, lambda at: {**_named, "key": f"more-{at}"}, {"name": "y" * 255}, 0),
        "GET /admin/v1/users": [Call(f"{a}/users"), Call(_path(f"{a}/users", search="Writer"))],
        "GET /admin/v1/users/{id}/export": [Call(f"{a}/users/{VETERAN}/export")],
        "DELETE /admin/v1/users": [
            Call(_path(f"{a}/users", ids=[f"owner-{at}" for at in range(2_000, 2_001)] + _USERS[900:990]))
        ],
        "GET /admin/v1/users/{id}/timeline": [
            Call(_path(f"{a}/users/{VETERAN}/timeline", limit=200)),
            Call(_path(f"{a}/users/{VETERAN}/timeline", limit=200, kinds="boost,level")),
            Call(_path(f"{a}/users/{VETERAN}/timeline", limit=200, kinds="streak")),
        ],
        "GET /admin/v1/events": [
            Call(_path(f"{a}/events", limit=200)),
            Call(_path(f"{a}/events", limit=200, userId=VETERAN)),
        ],
        "GET /admin/v1/events/{id}": [Call(f"{a}/events/{{event}}")],
        **_crud(
            f"{a}/leaderboards",
            4,
            lambda at: {
                **_named,
                "key": f"more-{at}",
                "rankBy": "metric",
                "metricId": id_of(1, 1),
                "description": "d" * 1_000,
                "userAttributes": _filters(),
            },
            {"description": "e" * 1_000},
            200,
        ),
        "POST /admin/v1/leaderboards/{id}/runs/end": [Call(f"{boards}/runs/end", {}, may=(422,))],
        "DELETE /admin/v1/leaderboards/{id}/users": [Call(_path(f"{boards}/users", ids=_USERS[1:101]))],
        "GET /admin/v1/leaderboards/{id}/users/{userId}/events": [
            Call(_path(f"{a}/leaderboards/{id_of(4, 1)}/users/{VETERAN}/events", limit=1_000))
        ],
        "PATCH /admin/v1/events/{id}": [Call(f"{a}/events/{{event}}", {"value": 2})],
        "DELETE /admin/v1/events/{id}": [Call(f"{a}/events/{{event}}")],
        "GET /admin/v1/leaderboards/{id}/analytics": [
            Call(_path(f"{a}/leaderboards/{id_of(4, 1)}/analytics", **{"from": _day(399), "to": _day(0)}))
        ],
        **_crud(
            f"{a}/achievements",
            5,
            lambda _: {
                **_named,
                "trigger": "achievement",
                "achievementIds": _ids(5, 1),
                "description": "d" * 1_000,
                "badge": _BADGE,
                "userAttributes": _filters(),
            },
            {"description": "e" * 1_000},
            900,
        ),
        **_crud(f"{a}/points", 6, lambda at: {**_named, "key": f"more-{at}"}, {"name": "y" * 255}, 10),
        **{
            key.replace(_SYSTEM, "{systemId}"): calls
            for key, calls in (
                *_crud(
                    f"{a}/points/{_SYSTEM}/triggers",
                    7,
                    lambda _: {
                        "type": "metric",
                        "metricId": _METRIC,
                        "metricThreshold": 1,
                        "points": 1,
                        "userAttributes": _filters(),
                    },
                    {"points": 2},
                    900,
                ).items(),
                *_crud(
                    f"{a}/points/{_SYSTEM}/levels",
                    8,
                    lambda at: {
                        **_named,
                        "key": f"more-{at}",
                        "points": 1_000_000 + at,
                        "description": "d" * 1_000,
                        "badge": _BADGE,
                    },
                    {"description": "e" * 1_000},
                    900,
                ).items(),
                *_crud(
                    f"{a}/points/{_SYSTEM}/boosts",
                    9,
                    lambda at: {**_named, "start": _day(-1), "multiplier": 2, "userId": f"more-{at}"},
                    {"name": "y" * 255},
                    1_500,
                ).items(),
            )
        },
        "POST /admin/v1/points/{systemId}/boosts/preview": [
            Call(f"{a}/points/{_SYSTEM}/boosts/preview", {"multiplier": 2, "days": 90})
        ],
        "POST /admin/v1/points/{systemId}/awards": [Call(f"{a}/points/{_SYSTEM}/awards", _awards(100))],
        "GET /admin/v1/streaks/settings": [Call(f"{a}/streaks/settings")],
        "PATCH /admin/v1/streaks/settings": [
            Call(f"{a}/streaks/settings", {"metrics": [{"key": f"m{at}", "threshold": 1} for at in range(100)]})
        ],
        "POST /admin/v1/streaks/freezes": [
            Call(f"{a}/streaks/freezes", {"freezes": [{"userId": one} for one in _USERS[:100]]})
        ],
        "POST /admin/v1/streaks/pauses": [
            Call(
                f"{a}/streaks/pauses",
                {"pauses": [{"userId": one, "start": _day(-1), "end": _day(-9)} for one in _USERS[:100]]},
            )
        ],
        "DELETE /admin/v1/streaks/pauses": [Call(_path(f"{a}/streaks/pauses", ids=_ids(11, 0)), may=(404, 422))],
        "POST /admin/v1/streaks/restore": [
            Call(f"{a}/streaks/restore", {"users": [{"id": one} for one in _USERS[:100]]})
        ],
        "POST /admin/v1/streaks/reset": [
            Call(f"{a}/streaks/reset", {"users": [{"id": one} for one in _USERS[100:200]]})
        ],
        "GET /admin/v1/origins": [Call(f"{a}/origins")],
        "PUT /admin/v1/origins": [
            Call(f"{a}/origins", [f"https://{at}.example.org" for at in range(100)], may=(400, 422))
        ],
        "GET /admin/v1/settings": [Call(f"{a}/settings")],
        "PATCH /admin/v1/settings": [Call(f"{a}/settings", {"branding": {"appName": "n" * 255}})],
        "GET /admin/v1/audit-log": [Call(f"{a}/audit-log"), Call(_path(f"{a}/audit-log", item=VETERAN))],
        "GET /admin/v1/environments": [Call(f"{a}/environments")],
        "POST /admin/v1/environments": [Call(f"{a}/environments", {"key": "copied"})],
        "GET /admin/v1/catalog": [Call(f"{a}/catalog")],
        "POST /admin/v1/catalog/plan": [
            Call(_path(f"{a}/catalog/plan"), _document(2_000)),
            Call(f"{a}/catalog/plan", {"achievements": []}),
            Call(_path(f"{a}/catalog/plan", prune="true"), {"achievements": []}),
            Call(f"{a}/catalog/plan", "{document}"),
        ],
        "PUT /admin/v1/catalog": [Call(f"{a}/catalog", _document(500)), Call(f"{a}/catalog", "{document}")],
        "POST /admin/v1/catalog/copy": [Call(f"{a}/catalog/copy", {"from": "copied"})],
        "GET /admin/v1/application-api-keys": [Call(_path(f"{a}/application-api-keys", limit=100))],
        "POST /admin/v1/application-api-keys": [
            Call(f"{a}/application-api-keys", [{"userId": one} for one in _USERS[:100]])
        ],
        "DELETE /admin/v1/application-api-keys": [Call(_path(f"{a}/application-api-keys", userIds=_USERS[:100]))],
        "GET /admin/v1/tenants": [Call(_path(f"{a}/tenants", limit=100), may=(403, 422))],
        "POST /admin/v1/tenants": [
            Call(
                f"{a}/tenants", [{"customerId": f"c{at}", "name": "n" * 255} for at in range(100)], may=(403, 422)
            )
        ],
        "PATCH /admin/v1/tenants": [
            Call(f"{a}/tenants", [{"id": id_, "name": "n"} for id_ in _ids(12, 0)], may=(403, 422))
        ],
        "DELETE /admin/v1/tenants": [Call(_path(f"{a}/tenants", ids=_ids(12, 0)), may=(403, 422))],
        "GET /admin/v1/tenants/{id}": [Call(f"{a}/tenants/{id_of(12, 0)}", may=(403, 404, 422))],
    }


def _pages() -> dict[str, list[Call]]:
    c = "/console"
    user, board = f"{c}/users/{VETERAN}", f"{c}/leaderboards/b1"
    return {
        "GET /console": [Call(c, may=(307,))],
        "GET /console/sign-in": [Call(f"{c}/sign-in", may=(303,))],
        "POST /console/sign-in": [Call(f"{c}/sign-in", form={"secret": "s" * 100}, may=(303, 403, 422))],
        "GET /console/": [Call(f"{c}/")],
        "GET /console/overview.json": [Call(f"{c}/overview.json")],
        "GET /console/session.json": [Call(f"{c}/session.json")],
        "GET /console/users": [Call(f"{c}/users"), Call(_path(f"{c}/users", search="Writer"))],
        "GET /console/token.json": [Call(_path(f"{c}/token.json", user=VETERAN), may=(404, 422))],
        "GET /console/users/{id}": [Call(user), Call(_path(user, aggregation="monthly"))],
        "GET /console/users/{id}/export.json": [Call(f"{user}/export.json")],
        "GET /console/users/{id}/debug": [Call(f"{user}/debug"), Call(_path(f"{user}/debug", board="b1"))],
        "GET /console/users/{id}/actions/{action}": [
            Call(f"{user}/actions/{name}", may=(404, 422)) for name in _ACTIONS
        ],
        "POST /console/users/{id}/actions/{action}": [
            Call(
                f"{user}/actions/points",
                form={"step": "look", "system": _SYSTEM, "amount": "5", "runs": "all", "reason": "r" * 255},
                may=(422,),
            ),
            Call(
                f"{user}/actions/points",
                form={"confirm": "yes", "system": _SYSTEM, "amount": "5", "runs": "all", "reason": "r" * 255},
                may=(303, 422),
            ),
        ],
        "GET /console/leaderboards": [Call(f"{c}/leaderboards")],
        "GET /console/leaderboards/{key}": [Call(board)],
        "GET /console/leaderboards/{key}/runs": [Call(f"{board}/runs")],
        "GET /console/leaderboards/{key}/runs/{run}": [Call(f"{c}/leaderboards/b0/runs/{{run}}")],
        "GET /console/leaderboards/{key}/runs/{run}.csv": [Call(f"{c}/leaderboards/b0/runs/{{run}}.csv")],
        "GET /console/leaderboards/{key}/analytics": [Call(_path(f"{board}/analytics", days=365))],
        "GET /console/audit": [Call(f"{c}/audit"), Call(_path(f"{c}/audit", item=VETERAN))],
        "POST /console/sign-out": [Call(f"{c}/sign-out", form={}, may=(303,))],
    }


_SITE: dict[str, list[Call]] = {
    "GET /healthz": [Call("/healthz")],
    "GET /readyz": [Call("/readyz")],
    "GET /metrics": [Call("/metrics", headers=(("Authorization", "Bearer loadtest"),))],
    "GET /docs": [Call("/docs"), Call("/docs")],
    "GET /docs/docs.css": [Call("/docs/docs.css")],
    "GET /docs/docs.js": [Call("/docs/docs.js")],
    "GET /openapi.json": [Call("/openapi.json"), Call("/openapi.json")],
    "GET /catalog.schema.json": [Call("/catalog.schema.json"), Call("/catalog.schema.json")],
    "GET /widget/podium-leaderboard.js": [Call("/widget/podium-leaderboard.js")],
    "GET /gallery": [Call("/gallery", may=(307,))],
    "GET /": [Call("/", may=(307,))],
}

STREAM = "GET /v1/leaderboards/{key}/live"
CASES: dict[str, list[Call]] = {**_api(), **_admin(), **_pages(), **_SITE}
"""By method and path of the routing table, in this order: what takes something away comes after what shows it."""
SOCKET_METHODS = ("connect", "subscribe", "rpc event", "rpc events", "refresh", "ping", "unsubscribe")
"""The requests of ``loadtest.loop`` to a socket: all methods that are supported, and each rpc."""
STATIC = ("/shared", "/gallery", "/console/static")
"""Folders of files, which Starlette reads in a thread."""


def names(routes: Iterable[BaseRoute]) -> Iterator[str]:
    """Yield the method and path of each route, sockets and folders of files left out."""
    for route in routes:
        if isinstance(route, Shell):
            yield from names(route.routes)
        elif isinstance(route, Mount):
            if route.path not in STATIC:
                yield f"MOUNT {route.path}"
        elif isinstance(route, Route):
            yield from (f"{method} {route.path}" for method in sorted((route.methods or {"GET"}) - {"HEAD"}))
