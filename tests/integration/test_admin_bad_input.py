"""What the admin API is given wrongly: every kind of item, every verb; and texts that mean something elsewhere."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from podium.services import Services
from tests.integration.test_boards import flush, make

UNKNOWN = "0195d0d2-0000-7000-8000-000000000000"
TEXTS = (
    "🏆 Läufer 👩‍🚀",
    "لوحة المتصدرين",
    "\u202eevil\u202c",
    "<script>alert(1)</script>",
    "'; DROP TABLE users; --",
    '{"$ne": null} \\u0000 %00 ../../etc',
)


@pytest.fixture
async def kinds(http: httpx.AsyncClient) -> dict[str, dict[str, Any]]:
    """A good body for each kind of item, by its path."""
    [metric] = await make(http, "metrics", {"name": "Words", "key": "words"})
    [system] = await make(http, "points", {"name": "XP", "key": "xp"})
    of_system = f"points/{system['id']}"
    return {
        "metrics": {"name": "Pages", "key": "pages"},
        "attributes": {"name": "City", "key": "city", "type": "user"},
        "leaderboards": {"name": "All", "key": "all", "rankBy": "metric", "metricId": metric["id"]},
        "achievements": {"name": "Hero", "key": "hero", "trigger": "api"},
        "points": {"name": "Gold", "key": "gold"},
        f"{of_system}/levels": {"name": "Bronze", "key": "bronze", "points": 1},
        f"{of_system}/triggers": {"type": "user_creation", "points": 1},
        f"{of_system}/boosts": {"name": "Double", "start": "2026-11-01", "multiplier": 2},
        "tenants": {"name": "Acme", "customerId": "acme"},
    }


async def test_every_kind_and_verb(http: httpx.AsyncClient, kinds: dict[str, dict[str, Any]]) -> None:
    for kind, good in kinds.items():
        path = f"/admin/v1/{kind}"
        for items in ([], [good] * 101):
            for verb in ("POST", "PATCH"):
                answer = await http.request(verb, path, json=items)
                assert (answer.status_code, "1 to 100" in answer.json()["error"]) == (422, True), (kind, verb)
        for ids in ("", ",", ",".join([UNKNOWN[:-3] + f"{at:03}" for at in range(101)])):
            assert (await http.delete(path, params={"ids": ids})).status_code == 422, (kind, ids[:9])
        for body in ("{}", "null", "[", '[{"name": 1}]', "[[]]"):
            answer = await http.post(path, content=body)
            assert answer.status_code in (200, 400), (kind, body)
            assert answer.status_code == 400 or answer.json()["issues"], (kind, body)
        # One of equals is made, the other is named; what is no key or text is named, too.
        worse = [{**good, "name": "n" * 10_000}, {**good, "name": ""}, {**good, "name": "a\x00b"}]
        made = (await http.post(path, json=[good, good, *worse])).json()
        with_key = "key" in good or "customerId" in good
        assert len(made["created"]) == (1 if with_key else 2), (kind, made)
        assert len(made["issues"]) == (4 if with_key else 3), (kind, made)
        id_ = made["created"][0]["id"]
        patched = (
            await http.patch(path, json=[{"id": UNKNOWN}, {"id": "x"}, {"name": "No id"}, {"id": id_}])
        ).json()
        assert ([one["id"] for one in patched["updated"]], len(patched["issues"])) == ([id_], 3), (kind, patched)
        for unknown in (UNKNOWN, "x", "%2e%2e", "%27--"):
            assert (await http.get(f"{path}/{unknown}")).status_code in (404, 422), (kind, unknown)
        if kind != "tenants":  # those are archived
            deleted = (await http.delete(path, params={"ids": f"{id_},{id_},{UNKNOWN}"})).json()
            assert ([one["id"] for one in deleted["deleted"]], len(deleted["issues"])) == ([id_], 1), (
                kind,
                deleted,
            )
            assert (await http.get(f"{path}/{id_}")).status_code == 404
        for query in ({"limit": 0}, {"limit": 101}, {"skip": -1}):
            assert (await http.get(path, params=query)).status_code == 422, (kind, query)
        for query in ({"limit": "ten"}, {"skip": "1.5"}):
            assert (await http.get(path, params=query)).status_code == 400, (kind, query)


async def test_what_cannot_change_and_dates_that_cannot_be(
    http: httpx.AsyncClient, kinds: dict[str, dict[str, Any]]
) -> None:
    async def refused(kind: str, **fields: Any) -> str:
        answer = (await http.post(f"/admin/v1/{kind}", json=[{**kinds[kind], **fields}])).json()
        assert answer["created"] == [], (kind, fields)
        message: str = answer["issues"][0]["message"]
        return message

    boosts = next(kind for kind in kinds if kind.endswith("boosts"))
    for kind in ("leaderboards", boosts):
        for day in ("2026-02-30", "2026-13-01", "yesterday", "0000-01-01", 20260101):
            assert "start" in await refused(kind, start=day), (kind, day)
        assert "end" in await refused(kind, start="2026-11-02", end="2026-11-01")
    for kind, field, value in (
        ("metrics", "key", "other"),
        ("metrics", "decimals", 0),
        ("attributes", "type", "event"),
        ("achievements", "key", "other"),
        ("points", "key", "other"),
    ):
        answer = (await http.post(f"/admin/v1/{kind}", json=[kinds[kind]])).json()
        found = answer["created"] or (await http.get(f"/admin/v1/{kind}", params={"limit": 100})).json()[-1:]
        change = [{"id": found[0]["id"], field: value}]
        issue = (await http.patch(f"/admin/v1/{kind}", json=change)).json()["issues"][0]
        assert issue["message"] == f"{field} cannot be changed", (kind, issue)


async def test_texts_are_kept_as_they_are_everywhere(http: httpx.AsyncClient, services: Services) -> None:
    for at, text in enumerate(TEXTS):
        [metric] = await make(http, "metrics", {"name": text, "key": f"metric-{at}"})
        await make(
            http,
            "leaderboards",
            {
                "name": text,
                "key": f"board-{at}",
                "description": text,
                "rankBy": "metric",
                "metricId": metric["id"],
                "status": "active",
            },
        )
        user = {"id": text, "name": text}
        answer = await http.post(f"/v1/metrics/metric-{at}/event", json={"user": user, "value": 1})
        if "\u202e" in text or "\\u0000" in text or answer.status_code != 201:
            assert answer.status_code in (201, 422), text
        board = (await http.get(f"/v1/leaderboards/board-{at}")).json()
        assert (board["name"], board["description"]) == (text, text)
        if answer.status_code == 201:
            assert [(row["userId"], row["userName"]) for row in board["rankings"]] == [(text, text)]
    await flush(services)
    names = {row["name"] for row in (await http.get("/admin/v1/users")).json()["users"]}
    assert names == set(TEXTS)
    assert {row["name"] for row in (await http.get("/admin/v1/metrics")).json()} == set(TEXTS)
