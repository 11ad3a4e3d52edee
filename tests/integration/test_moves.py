"""Leaderboards beyond what one event may move are refused, never its events."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.game import board_limits, rule_limits
from tests.integration.test_boards import make


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(board_limits, "MOVES_MAX", 3)


@pytest.fixture
async def metric(http: httpx.AsyncClient) -> str:
    [row] = await make(http, "metrics", {"name": "Words", "key": "words"})
    return str(row["id"])


def board(key: str, metric: str, **fields: Any) -> dict[str, Any]:
    return {"name": key, "key": key, "rankBy": "metric", "metricId": metric, "status": "active", **fields}


async def event(http: httpx.AsyncClient) -> list[str]:
    answer = await http.post("/v1/metrics/words/event", json={"user": {"id": "ann"}, "value": 1})
    assert answer.status_code == 201
    return sorted(answer.json()["leaderboards"])


async def test_the_leaderboard_that_is_one_too_many(http: httpx.AsyncClient, metric: str) -> None:
    made = await http.post("/admin/v1/leaderboards", json=[board(key, metric) for key in "abcd"])
    assert [row["key"] for row in made.json()["created"]] == ["a", "b", "c"]
    [issue] = made.json()["issues"]
    assert issue["index"] == 3
    assert issue["message"].startswith("one event of the metric words would move 4 boards: 3 is the most")
    [later] = await make(http, "leaderboards", board("later", metric, status="inactive"))
    activate = [{"id": later["id"], "status": "active"}]
    assert (await http.patch("/admin/v1/leaderboards", json=activate)).json()["issues"][0]["id"] == later["id"]
    assert await event(http) == ["a", "b", "c"]
    gone = made.json()["created"][0]["id"]
    await http.delete("/admin/v1/leaderboards", params={"ids": gone})
    assert (await http.patch("/admin/v1/leaderboards", json=activate)).json()["issues"] == []
    assert await event(http) == ["b", "c", "later"]


async def test_a_catalog_is_applied_whole_or_refused(http: httpx.AsyncClient, metric: str) -> None:
    await make(http, "leaderboards", *(board(key, metric) for key in "abc"))
    document = (await http.get("/admin/v1/catalog")).json()
    [one, *_] = document["leaderboards"]
    document["leaderboards"].append({**one, "key": "d", "name": "d"})
    refused = await http.put("/admin/v1/catalog", json=document)
    assert refused.status_code == 422
    assert refused.json()["error"].startswith("leaderboards: one event of the metric words would move 4 boards")
    assert await event(http) == ["a", "b", "c"]
    # What is pruned makes room for what comes.
    document["leaderboards"] = [{**one, "key": key, "name": key} for key in "def"]
    assert (await http.put("/admin/v1/catalog", params={"prune": "true"}, json=document)).status_code == 200
    assert await event(http) == ["d", "e", "f"]


async def test_a_catalog_from_before_the_limit_goes_on(
    http: httpx.AsyncClient, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(board_limits, "MOVES_MAX", 10)
        rows = await make(http, "leaderboards", *(board(key, metric) for key in "abcde"))
    assert await event(http) == ["a", "b", "c", "d", "e"]
    renamed = await http.patch("/admin/v1/leaderboards", json=[{"id": rows[0]["id"], "name": "A"}])
    assert renamed.json()["issues"] == []
    refused = await http.post("/admin/v1/leaderboards", json=[board("f", metric)])
    assert refused.json()["created"] == []


async def test_a_trigger_that_links_too_many_is_refused(http: httpx.AsyncClient, metric: str) -> None:
    [system] = await make(http, "points", {"name": "XP", "key": "xp"})
    points = {"rankBy": "points", "pointsSystemId": system["id"], "metricId": None}
    await make(http, "leaderboards", *(board(key, metric) for key in "ab"))
    await make(http, "leaderboards", *(board(key, metric, **points) for key in "cd"))
    trigger = {"type": "metric", "metricId": metric, "metricThreshold": 1, "points": 1, "status": "active"}
    answer = await http.post(f"/admin/v1/points/{system['id']}/triggers", json=[trigger])
    assert "would move 4 boards" in answer.text
    assert answer.json()["created"] == []


async def test_a_rule_that_is_one_too_many(
    http: httpx.AsyncClient, metric: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_limits, "TRIGGERS_MAX", 2)
    monkeypatch.setattr(rule_limits, "ACHIEVEMENTS_MAX", 2)
    monkeypatch.setattr(rule_limits, "COMPOSITES_MAX", 2)
    trigger = {"type": "metric", "metricId": metric, "metricThreshold": 1, "points": 1, "status": "active"}
    [system] = await make(http, "points", {"name": "XP", "key": "xp"})
    made = await http.post(f"/admin/v1/points/{system['id']}/triggers", json=[trigger] * 3)
    assert len(made.json()["created"]) == 2
    [issue] = made.json()["issues"]
    assert issue["message"] == "the metric words would have 3 active triggers: 2 is the most"
    one = {"trigger": "metric", "metricId": metric, "status": "active"}
    made = await http.post(
        "/admin/v1/achievements", json=[{**one, "name": f"A{n}", "metricValue": n} for n in (1, 2, 3)]
    )
    assert [row["name"] for row in made.json()["created"]] == ["A1", "A2"]
    [issue] = made.json()["issues"]
    assert issue["message"] == "the metric words would have 3 active achievements: 2 is the most"
    document = (await http.get("/admin/v1/catalog")).json()
    document["points"][0]["triggers"].append({**document["points"][0]["triggers"][0], "points": 7})
    refused = await http.put("/admin/v1/catalog", json=document)
    assert (refused.status_code, "3 active triggers" in refused.json()["error"]) == (422, True), refused.text
