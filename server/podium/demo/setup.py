"""Create the demo's catalog through the admin API."""

from __future__ import annotations

from datetime import date
from typing import Any

import httpx

from podium.demo.catalog import BOARDS, METRIC
from podium.game.errors import StartError


async def make_catalog(url: str, key: str, since: date | None = None) -> None:
    """Create the metric and the two leaderboards, unless they exist. The leaderboards start on ``since``, or
    today.

    Raises:
        StartError: The server refuses an item.
    """
    async with httpx.AsyncClient(base_url=f"{url}/admin/v1", headers={"X-API-KEY": key}, timeout=10) as client:
        metric = await _ensure(client, "metrics", {"key": METRIC, "name": "Words written", "units": "words"})
        for board, name in BOARDS.items():
            body = {
                "key": board,
                "name": name,
                "rankBy": "metric",
                "metricId": metric["id"],
                "status": "active",
                "public": True,
            }
            if since is not None:
                body["start"] = since.isoformat()
            if board == "daily":
                body |= {"runUnit": "day", "runInterval": 1}
            await _ensure(client, "leaderboards", body)


async def make_game(url: str, key: str, since: date) -> None:
    """Create the rest of the demo's catalog, unless it exists.

    It has a streak, points with levels and a boost on weekends, achievements, and leaderboards of cities, of
    streaks and of each week's points.

    Raises:
        StartError: The server refuses an item.
    """
    async with httpx.AsyncClient(base_url=f"{url}/admin/v1", headers={"X-API-KEY": key}, timeout=10) as client:
        found = (await client.get("/metrics", params={"limit": 100})).raise_for_status().json()
        metric = next(item["id"] for item in found if item["key"] == METRIC)
        if not (await client.get("/streaks/settings")).raise_for_status().json()["metrics"]:
            streak = {
                "metrics": [{"key": METRIC, "threshold": 100}],
                "freezes": {"startCount": 1, "maxCount": 3, "autoEarnInterval": 7, "autoEarnAmount": 1},
            }
            (await client.patch("/streaks/settings", json=streak)).raise_for_status()
        goals = {"First page": 250, "Short story": 5_000, "Novel": 50_000}
        known = (await client.get("/achievements", params={"limit": 100})).raise_for_status().json()
        new: list[dict[str, Any]] = [
            {"name": name, "trigger": "metric", "metricId": metric, "metricValue": words, "status": "active"}
            for name, words in goals.items()
        ]
        new.append({"name": "A week in a row", "trigger": "streak", "streakLength": 7, "status": "active"})
        new.append({"name": "Beta reader", "key": "beta-reader", "trigger": "api", "status": "active"})
        missing = [item for item in new if all(item["name"] != other["name"] for other in known)]
        if missing:
            (await client.post("/achievements", json=missing)).raise_for_status()
        city = await _ensure(client, "attributes", {"key": "city", "name": "City", "type": "user"})
        await _ensure(client, "attributes", {"key": "plan", "name": "Plan", "type": "user"})
        points = await _ensure(
            client,
            "points",
            {
                "key": "xp",
                "name": "Experience",
                "triggers": [
                    {
                        "type": "metric",
                        "metricId": metric,
                        "metricThreshold": 100,
                        "points": 10,
                        "status": "active",
                    },
                    {"type": "streak", "streakLength": 1, "points": 25, "status": "active"},
                ],
                "levels": [
                    {"key": "bronze", "name": "Bronze", "points": 100},
                    {"key": "silver", "name": "Silver", "points": 1_000},
                    {"key": "gold", "name": "Gold", "points": 10_000},
                ],
                "boosts": [{"name": "Weekends", "start": "2026-01-01", "multiplier": 2, "weekdays": [6, 0]}],
            },
        )
        board = {"status": "active", "public": True, "start": since.isoformat()}
        by_words = {**board, "rankBy": "metric", "metricId": metric}
        cities = {**by_words, "key": "cities", "name": "London vs New York", "groupBy": city["id"]}
        await _ensure(client, "leaderboards", {**cities, "aggregate": "average"})
        weekly = {**board, "key": "weekly-xp", "name": "Experience, this week", "rankBy": "points"}
        week = {"pointsSystemId": points["id"], "runUnit": "day", "runInterval": 7}
        await _ensure(client, "leaderboards", {**weekly, **week})
        await _ensure(client, "leaderboards", {**board, "key": "streaks", "name": "Streaks", "rankBy": "streak"})


async def _ensure(client: httpx.AsyncClient, kind: str, body: dict[str, Any]) -> dict[str, Any]:
    for item in (await client.get(f"/{kind}", params={"limit": 100})).raise_for_status().json():
        if item["key"] == body["key"]:
            found: dict[str, Any] = item
            return found
    answer = (await client.post(f"/{kind}", json=[body])).raise_for_status().json()
    if not answer["created"]:
        raise StartError(f"the demo's {kind} cannot be created: {answer['issues']}")
    made: dict[str, Any] = answer["created"][0]
    return made
