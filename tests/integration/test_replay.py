"""Histories that come out of order: what a replay makes of them is what the sorted history gives."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, timedelta
from random import Random
from typing import Any

import httpx
import pytest

from podium.services import Services
from tests.backfills import backfill
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, get, make
from tests.integration.test_older_runs import flushing
from tests.seeds import seeds

TODAY = date(2026, 11, 23)
DAYS = 60
BOARDS = ("sum", "best", "last", "points", "gold", "streak", "teams")


@pytest.fixture(autouse=True)
async def worker(services: Services) -> AsyncIterator[None]:
    async with flushing(services):
        yield


@pytest.fixture
async def game(http: httpx.AsyncClient, services: Services) -> dict[str, str]:
    """Two metrics that a streak and points hang on, and weekly leaderboards by all of them."""
    rows = await make(http, "metrics", *({"name": key, "key": key, "decimals": 0} for key in ("words", "pages")))
    ids = {row["key"]: str(row["id"]) for row in rows}
    streak = {
        "metrics": [{"key": key, "threshold": 1} for key in ids],
        "freezes": {"startCount": 1, "maxCount": 3, "autoEarnInterval": 10, "autoEarnAmount": 1},
    }
    assert (await http.patch("/admin/v1/streaks/settings", json=streak)).status_code == 200
    triggers = [
        {"type": "metric", "points": 10, "metricId": id_, "metricThreshold": 1, "status": "active"}
        for id_ in ids.values()
    ]
    [system] = await make(http, "points", {"name": "XP", "key": "xp", "triggers": triggers})
    gold = [
        {"type": "metric", "points": 3, "metricId": ids["words"], "metricThreshold": 7, "status": "active"},
        {"type": "metric", "points": 5, "metricId": ids["pages"], "metricThreshold": 40, "status": "active"},
    ]
    [coins] = await make(http, "points", {"name": "Gold", "key": "gold", "triggers": gold})
    [team] = await make(http, "attributes", {"name": "Team", "key": "team", "type": "user"})
    common = {"status": "active", "start": str(TODAY - timedelta(days=70)), "runUnit": "day", "runInterval": 7}
    by: dict[str, dict[str, Any]] = {
        "sum": {"rankBy": "metric", "metricId": ids["words"]},
        "best": {"rankBy": "metric", "metricId": ids["words"], "operator": "best"},
        "last": {"rankBy": "metric", "metricId": ids["words"], "operator": "last"},
        "points": {"rankBy": "points", "pointsSystemId": system["id"]},
        "gold": {"rankBy": "points", "pointsSystemId": coins["id"]},
        "streak": {"rankBy": "streak"},
        "teams": {"rankBy": "metric", "metricId": ids["pages"], "groupBy": team["id"]},
    }
    await make(
        http, "leaderboards", *({"name": key, "key": key, **common, **fields} for key, fields in by.items())
    )
    goals = [{"name": f"S{n}", "trigger": "streak", "streakLength": n} for n in (3, 5)]
    await make(http, "achievements", *({**goal, "status": "active"} for goal in goals))
    await backfill(services)
    return ids


def events(user: str, seed: int) -> list[dict[str, Any]]:
    """A history without two events at the same instant."""
    random = Random(seed)
    hours = random.sample(range(DAYS * 24), 70)
    start = TODAY - timedelta(days=DAYS)
    return [
        {
            "key": random.choice(["words", "pages"]),
            "user": {"id": user, "attributes": {"team": "red"}},
            "value": random.randint(1, 5),
            "timestamp": f"{start + timedelta(days=hour // 24)}T{hour % 24:02d}:00:00Z",
        }
        for hour in hours
    ]


async def post(http: httpx.AsyncClient, items: list[dict[str, Any]]) -> None:
    answer = await http.post("/admin/v1/metrics/events", json=items)
    assert answer.status_code == 202, answer.text


async def replay(http: httpx.AsyncClient, *users: str) -> tuple[list[str], dict[str, str]]:
    answer = await http.post("/admin/v1/users/replay", json={"users": [{"id": user} for user in users]})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found["replayed"], {issue["userId"]: issue["message"] for issue in found["issues"]}


async def said(http: httpx.AsyncClient, user: str) -> dict[str, Any]:
    """What the API says of a user."""
    found: dict[str, Any] = {}
    for key in BOARDS:
        for days in range(0, DAYS + 7, 7):
            run = str(TODAY - timedelta(days=days))
            rows = (await get(http, key, run=run, limit=100))["rankings"]
            found[f"{key} {run}"] = [row["value"] for row in rows if row["userId"] == user]
    streak = (await http.get(f"/v1/users/{user}/streak", params={"historyPeriods": 70})).json()
    found["streak"] = streak
    found["longest"] = (await http.get("/v1/streaks/rankings", params={"type": "longest", "limit": 100})).json()
    found["longest"] = [row["streakLength"] for row in found["longest"] if row["userId"] == user]
    for key in ("words", "pages"):
        found[key] = (await http.get(f"/v1/users/{user}/metrics/{key}")).json()["current"]
    days = {"aggregation": "daily", "startDate": str(TODAY - timedelta(days=DAYS)), "endDate": str(TODAY)}
    for key in ("xp", "gold"):
        found[key] = (await http.get(f"/v1/users/{user}/points/{key}", params={"awards": 100})).json()
        found[key]["awards"] = [
            {name: value for name, value in award.items() if name != "id"} for award in found[key]["awards"]
        ]
        path = f"/v1/users/{user}/points/{key}/event-summary"
        found[f"{key} by day"] = (await http.get(path, params=days)).json()
    completed = (await http.get(f"/v1/users/{user}/achievements")).json()
    found["achievements"] = sorted(row["name"] for row in completed)
    late = (await http.get("/admin/v1/events", params={"userId": user, "limit": 100})).json()["events"]
    found["late"] = sum(event["late"] for event in late)
    return found


@seeds(3)
async def test_any_order_of_chunks_ends_like_the_sorted_history(
    http: httpx.AsyncClient, services: Services, game: dict[str, str], seed: int
) -> None:
    in_order = sorted(events("ann", seed), key=lambda item: item["timestamp"])
    await post(http, in_order)
    shuffled = events("bob", seed)
    for start in range(0, len(shuffled), 10):
        await post(http, shuffled[start : start + 10])
    wanted = await said(http, "ann")
    assert await said(http, "bob") != wanted
    if seed == 3:  # as an earlier release has left them
        await flush(services)
        await services.pool.execute("UPDATE events SET late = late OR behind, behind = false")
    assert await replay(http, "bob", "ann") == (["bob", "ann"], {})
    await flush(services)
    assert await said(http, "bob") == wanted
    assert await replay(http, "bob") == (["bob"], {})
    assert await said(http, "bob") == wanted
    # The next events find what they would have found.
    for user in ("ann", "bob"):
        await post(http, [{"key": "words", "user": {"id": user}, "value": 2, "timestamp": f"{TODAY}T11:00:00Z"}])
    assert await said(http, "bob") == await said(http, "ann")


async def test_a_replay_names_whom_it_could_not_bring(
    http: httpx.AsyncClient, services: Services, game: dict[str, str], clock: SettableClock
) -> None:
    await post(http, events("cy", 4))
    frozen = await http.post("/admin/v1/streaks/freezes", json={"freezes": [{"userId": "cy"}]})
    assert frozen.status_code in (200, 201), frozen.text
    replayed, issues = await replay(http, "cy", "nobody")
    assert replayed == ["cy"]  # but for the streak
    assert issues == {
        "cy": "Support or a reward changed the user's streak: it stays as it is",
        "nobody": "User not found: nobody",
    }
    rows = await services.pool.fetch("SELECT item FROM audit_log WHERE action = 'replay'")
    assert [row["item"] for row in rows] == ["cy"]
    answer = await http.post("/admin/v1/users/replay", json={"users": []})
    assert answer.status_code == 422


async def test_whom_support_removed_stays_off(
    http: httpx.AsyncClient, services: Services, game: dict[str, str]
) -> None:
    history = events("dan", 5)
    for start in range(0, len(history), 10):
        await post(http, history[start : start + 10])
    before = await said(http, "dan")
    rows = {row["key"]: row["id"] for row in (await http.get("/admin/v1/leaderboards?limit=100")).json()}
    run = TODAY - timedelta(days=14)
    for key, query in (("sum", {"run": str(run)}), ("best", {})):
        gone = await http.delete(f"/admin/v1/leaderboards/{rows[key]}/users", params={"ids": "dan", **query})
        assert gone.status_code == 200, gone.text
    await flush(services)
    replayed, issues = await replay(http, "dan")
    assert replayed == ["dan"]
    assert "removed the user from runs of best, sum" in issues["dan"]
    await flush(services)
    after = await said(http, "dan")
    assert after[f"sum {run}"] == []
    assert not any(rows for key, rows in after.items() if key.startswith("best "))
    others = [key for key in after if key.startswith("sum ") and key != f"sum {run}"]
    assert any(after[key] != before[key] for key in others)


async def test_points_of_events_that_were_hardly_late_move_as_well(
    http: httpx.AsyncClient, services: Services, game: dict[str, str]
) -> None:
    """Within days nothing else has to be counted anew, so no event is marked."""
    start = TODAY - timedelta(days=5)
    items = [
        {"key": "words", "user": {"id": user}, "value": 5, "timestamp": f"{start + timedelta(days=day)}T06:00:00Z"}
        for user in ("flo", "gus")
        for day in range(5)
    ]
    await post(http, [*items[:5], *reversed(items[5:])])
    wanted, found = await said(http, "flo"), await said(http, "gus")
    assert found["gold by day"] != wanted["gold by day"]
    assert await replay(http, "gus") == (["gus"], {})
    await flush(services)
    found = await said(http, "gus")
    assert [name for name in found if name != "streak" and found[name] != wanted[name]] == []
    # The streak was counted as the events arrived, its rank too: whoever got there first is first.
    assert found["streak"]["streakHistory"] == wanted["streak"]["streakHistory"]


async def test_points_that_a_boost_multiplied_stay_on_their_days(
    http: httpx.AsyncClient, services: Services, game: dict[str, str]
) -> None:
    systems = (await http.get("/admin/v1/points?limit=10")).json()
    gold = next(row["id"] for row in systems if row["key"] == "gold")
    boost = {"name": "Twice", "start": str(TODAY - timedelta(days=DAYS)), "multiplier": 2}
    made = await http.post(f"/admin/v1/points/{gold}/boosts", json=[boost])
    assert made.status_code == 201, made.text
    history = events("eve", 6)
    for start in range(0, len(history), 10):
        await post(http, history[start : start + 10])
    before = await said(http, "eve")
    replayed, issues = await replay(http, "eve")
    assert (replayed, issues) == (["eve"], {"eve": "Points of Gold stay on the days on which they were given"})
    await flush(services)
    after = await said(http, "eve")
    assert (after["gold"], after["gold by day"]) == (before["gold"], before["gold by day"])
    assert after["streak"] != before["streak"]


async def test_what_an_import_would_leave_out_can_be_asked_for(
    http: httpx.AsyncClient, services: Services, game: dict[str, str]
) -> None:
    item = {"key": "words", "user": {"id": "ann"}, "value": 1, "timestamp": "2026-11-20T01:00:00Z"}
    await post(http, [{**item, "idempotencyKey": "k"}])
    found = (await http.post("/admin/v1/users/newest-events", json={"users": ["ann", "nobody"]})).json()
    at = "2026-11-20T01:00:00.000Z"
    assert found == {
        "users": [{"id": "ann", "newest": at, "metrics": {"words": at}}],
        "streakMetrics": ["pages", "words"],
        "pointsRuns": True,
    }
    await flush(services)
    keys = [{"key": metric, "userId": "ann", "idempotencyKey": "k"} for metric in ("pages", "words", "gone")]
    assert (await http.post("/admin/v1/metrics/events/known", json=keys)).json() == {"known": [1]}
    assert (await http.post("/admin/v1/metrics/events/known", json=keys[2:])).json() == {"known": []}
    for field in ("userId", "idempotencyKey"):
        refused = await http.post("/admin/v1/metrics/events/known", json=[keys[1], {**keys[1], field: "\0"}])
        said = f"[1].{field} must not contain control characters"
        assert (refused.status_code, refused.json()) == (422, {"error": said})
