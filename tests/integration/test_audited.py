"""Every change by the admin API is in the audit log, whichever endpoint made it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.app import ENDPOINTS
from podium.services import Services
from podium.writebehind.rebuild import rebuild
from tests.backfills import backfill
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, make

Call = tuple[str, str, Any]
"""An endpoint by method and path, and what it is sent: a body, or a query for DELETE."""

NOT_AUDITED = {
    (
        "POST",
        "/admin/v1/metrics/events",
    ): "events are data: each stands in the table of events",
    ("POST", "/admin/v1/catalog/plan"): "changes nothing",
    ("POST", "/admin/v1/users/newest-events"): "changes nothing",
    ("POST", "/admin/v1/metrics/events/known"): "changes nothing",
    ("POST", "/admin/v1/points/{systemId}/boosts/preview"): "changes nothing",
}
CHANGING = {
    (endpoint.method, endpoint.path)
    for endpoint in ENDPOINTS
    if endpoint.path.startswith("/admin/v1/") and endpoint.method != "GET"
}


@pytest.fixture
async def ids(http: httpx.AsyncClient, services: Services, clock: SettableClock) -> dict[str, str]:
    """A game that has one of everything, by kind of item."""
    [words] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    [city] = await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    board = {"name": "All", "key": "all", "rankBy": "metric", "metricId": words["id"], "status": "active"}
    [board] = await make(http, "leaderboards", {**board, "runUnit": "day", "runInterval": 1})
    [goal] = await make(http, "achievements", {"name": "Hero", "trigger": "api", "key": "hero"})
    [xp] = await make(http, "points", {"name": "XP", "key": "xp"})
    system = f"points/{xp['id']}"
    [level] = await make(http, f"{system}/levels", {"name": "One", "key": "one", "points": 1})
    [trigger] = await make(http, f"{system}/triggers", {"type": "user_creation", "points": 1})
    [boost] = await make(http, f"{system}/boosts", {"name": "B", "start": "2027-01-01", "multiplier": 2})
    [tenant] = await make(http, "tenants", {"customerId": "acme", "name": "Acme"})
    [key] = await make(http, "application-api-keys", {"userId": "bob"})
    streak = {"metrics": [{"key": "words", "threshold": 1}], "freezes": {"startCount": 1, "maxCount": 5}}
    assert (await http.patch("/admin/v1/streaks/settings", json=streak)).status_code == 200
    events = []
    for _ in range(2):
        sent = await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 5})
        events.append(sent.json()["eventId"])
        clock.now_ms += DAY_MS
    await flush(services)
    rows = {"metrics": words, "attributes": city, "leaderboards": board, "achievements": goal, "points": xp}
    rows |= {"levels": level, "triggers": trigger, "boosts": boost, "tenants": tenant, "application-api-keys": key}
    return {name: row["id"] for name, row in rows.items()} | {"event": events[0], "other event": events[1]}


async def rows_of(services: Services) -> int:
    """Rows of the audit logs of all spaces."""
    count: int = await services.pool.fetchval("SELECT count(*) FROM audit_log")
    return count


def five(path: str, made: dict[str, Any], id_: str) -> list[Call]:
    """Create, change and delete an item of a kind."""
    change = {"id": id_, "points": 2} if "type" in made and "name" not in made else {"id": id_, "name": "Other"}
    return [("POST", path, [made]), ("PATCH", path, [change]), ("DELETE", path, {"ids": id_})]


def calls(ids: dict[str, str]) -> list[Call]:
    """Every endpoint once, in an order in which each succeeds."""
    one = "/admin/v1"
    points = f"{one}/points/{ids['points']}"
    board = f"{one}/leaderboards/{ids['leaderboards']}"
    ann, users = [{"userId": "ann"}], {"users": [{"id": "ann"}]}
    pause = {"userId": "ann", "start": "2026-12-24", "end": "2026-12-26"}
    new_board = {"name": "B", "key": "b", "rankBy": "streak"}
    return [
        ("POST", f"{one}/users/replay", users),
        ("POST", f"{points}/awards", [{"userId": "ann", "amount": 5, "reason": "test"}]),
        ("PATCH", f"{one}/events/{ids['event']}", {"value": 3}),
        ("DELETE", f"{one}/events/{ids['other event']}", {}),
        ("POST", f"{one}/streaks/freezes", {"freezes": ann}),
        ("POST", f"{one}/streaks/pauses", {"pauses": [pause]}),
        ("DELETE", f"{one}/streaks/pauses", {"ids": "the pause"}),
        ("POST", f"{one}/streaks/reset", users),
        ("POST", f"{one}/streaks/restore", users),
        ("DELETE", f"{board}/users", {"ids": "ann"}),
        ("POST", f"{board}/runs/end", None),
        ("DELETE", f"{one}/users", {"ids": "ann"}),
        ("POST", f"{one}/application-api-keys", ann),
        ("DELETE", f"{one}/application-api-keys", {"ids": ids["application-api-keys"]}),
        ("PUT", f"{one}/origins", ["https://app.example.com"]),
        ("PATCH", f"{one}/settings", {"branding": {"appName": "Inkwell"}}),
        ("PATCH", f"{one}/streaks/settings", {"freezes": None, "metrics": []}),
        ("PUT", f"{one}/catalog", {"metrics": [{"name": "Pages", "key": "pages"}]}),
        ("POST", f"{one}/environments", {"key": "staging"}),
        ("POST", f"{one}/catalog/copy", {"from": "staging", "apply": True, "prune": True}),
        *five(f"{one}/tenants", {"customerId": "bolt", "name": "Bolt"}, ids["tenants"]),
        *five(f"{points}/levels", {"name": "Two", "key": "two", "points": 2}, ids["levels"]),
        *five(f"{points}/triggers", {"type": "user_creation", "points": 1}, ids["triggers"]),
        *five(f"{points}/boosts", {"name": "C", "start": "2027-01-01", "multiplier": 3}, ids["boosts"]),
        *five(f"{one}/leaderboards", new_board, ids["leaderboards"]),
        *five(f"{one}/achievements", {"name": "H", "trigger": "api", "key": "h"}, ids["achievements"]),
        *five(f"{one}/points", {"name": "Y", "key": "y"}, ids["points"]),
        *five(f"{one}/metrics", {"name": "M", "key": "m"}, ids["metrics"]),
        *five(f"{one}/attributes", {"name": "P", "key": "p", "type": "user"}, ids["attributes"]),
    ]


async def test_every_change_is_written_down(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, ids: dict[str, str]
) -> None:
    seen: set[tuple[str, str]] = set()
    todo = calls(ids)
    # What empties the catalog comes last.
    todo.sort(key=lambda call: call[1].endswith(("/catalog/copy", "/environments")))
    made: dict[str, Any] = {}
    for method, path, sent in todo:
        if sent == {"ids": "the pause"}:
            sent = {"ids": made["created"][0]["id"]}
        await backfill(services)  # events and pauses are changed as Postgres has them
        before = await rows_of(services)
        query = sent if method == "DELETE" else None
        answer = await http.request(method, path, params=query, json=None if method == "DELETE" else sent)
        assert answer.status_code in (200, 201), (method, path, answer.text)
        made = answer.json()
        assert not (isinstance(made, dict) and made.get("issues")), (method, path, answer.text)
        assert await rows_of(services) > before, f"{method} {path} left no row in the audit log"
        seen |= {
            (method, one.path)
            for one in ENDPOINTS
            if one.method == method and _names(one.path, path) and (method, one.path) in CHANGING
        }
        if path.endswith("/environments"):
            for space in services.directory.spaces.values():
                if space.epoch is None:
                    await rebuild(services.pool, services.redis, space, clock)
    assert seen | set(NOT_AUDITED) == CHANGING


def _names(pattern: str, path: str) -> bool:
    parts, given = pattern.split("/"), path.split("/")
    same = (part == word or part.startswith("{") for part, word in zip(parts, given, strict=False))
    return len(parts) == len(given) and all(same)
