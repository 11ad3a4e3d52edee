"""The catalog under chaos: two metrics, a streak, points, and leaderboards of every sort."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

BOARDS = ("all", "daily", "cities", "by-city", "dense-coins", "weekly-xp", "streaks")
"""Keys of the leaderboards."""


async def make_catalog(url: str, key: str) -> None:
    """Make all of it; ``AssertionError`` where the server refuses."""
    async with httpx.AsyncClient(base_url=f"{url}/admin/v1", headers={"X-API-KEY": key}, timeout=30) as client:

        async def make(kind: str, *items: dict[str, Any]) -> list[dict[str, Any]]:
            answer = await client.post(f"/{kind}", json=list(items))
            assert answer.status_code in (200, 201), answer.text
            body = answer.json()
            assert not body["issues"], body
            created: list[dict[str, Any]] = body["created"]
            return created

        words, coins = await make(
            "metrics",
            {"key": "words", "name": "Words", "decimals": 0},
            {"key": "coins", "name": "Coins", "decimals": 2},
        )
        city, _ = await make(
            "attributes",
            {"key": "city", "name": "City", "type": "user"},
            {"key": "tag", "name": "Tag", "type": "event"},
        )
        streak = {"metrics": [{"key": "words", "threshold": 1}], "freezes": {"startCount": 1, "maxCount": 3}}
        answer = await client.patch("/streaks/settings", json=streak)
        assert answer.status_code == 200, answer.text
        trigger = {
            "type": "metric",
            "metricId": words["id"],
            "metricThreshold": 50,
            "points": 10,
            "status": "active",
        }
        [points] = await make(
            "points",
            {
                "key": "xp",
                "name": "Experience",
                "triggers": [trigger, {"type": "streak", "streakLength": 1, "points": 25, "status": "active"}],
                "levels": [{"key": "bronze", "name": "Bronze", "points": 100}],
            },
        )
        goal = {"name": "First page", "trigger": "metric", "metricId": words["id"], "metricValue": 250}
        await make("achievements", {**goal, "status": "active"})
        # From a day on that has begun everywhere, so that each user's every event counts.
        since = (datetime.now(UTC) - timedelta(days=14)).date().isoformat()
        common = {"status": "active", "start": since, "rankBy": "metric"}
        by_words = {**common, "metricId": words["id"]}
        by_coins = {**common, "metricId": coins["id"]}
        await make(
            "leaderboards",
            {**by_words, "key": "all", "name": "All time"},
            {**by_words, "key": "daily", "name": "Today", "runUnit": "day", "runInterval": 1},
            {**by_words, "key": "cities", "name": "Cities", "groupBy": city["id"], "aggregate": "sum"},
            {**by_coins, "key": "by-city", "name": "By city", "breakdownAttributes": [city["id"]]},
            {**by_coins, "key": "dense-coins", "name": "Dense", "tieRule": "dense"},
            {
                **common,
                "key": "weekly-xp",
                "name": "This week's points",
                "rankBy": "points",
                "pointsSystemId": points["id"],
                "runUnit": "day",
                "runInterval": 7,
            },
            {**common, "key": "streaks", "name": "Streaks", "rankBy": "streak"},
        )
