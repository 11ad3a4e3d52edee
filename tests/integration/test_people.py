"""Users found by what they are called, and all that is kept of one."""

from __future__ import annotations

import httpx

from server.services import Services
from tests.integration.test_boards import flush, make
from tests.integration.test_points import write


async def test_users_are_found(http: httpx.AsyncClient, services: Services) -> None:
    await make(http, "attributes", {"name": "Plan", "key": "plan", "type": "user"})
    people = {
        "u1": {"name": "Ann Lee", "email": "ann@example.com", "attributes": {"plan": "pro"}},
        "u2": {"name": "anna", "email": "a_b%c@example.com"},
        "u3": {"name": "نور", "attributes": {"plan": "pro"}},
        "ann": {"name": "Zed"},
        "x'; DROP TABLE users; --": {"name": "<b>Bobby</b>"},
    }
    for user, fields in people.items():
        assert (await http.post("/v1/users", json={"id": user, **fields})).status_code == 201
    await flush(services)

    async def find(**query: object) -> list[str]:
        answer = await http.get("/admin/v1/users", params=query)
        assert answer.status_code == 200, answer.text
        return [user["id"] for user in answer.json()["users"]]

    assert await find() == sorted(people)
    assert await find(search="ann") == ["ann", "u1", "u2"]
    assert await find(search="ANN@") == ["u1"]
    assert await find(search="a_b%") == ["u2"]
    assert await find(search="%") == []
    assert await find(search="نو") == ["u3"]
    assert await find(search="x';") == ["x'; DROP TABLE users; --"]
    assert await find(attribute="plan:pro") == ["u1", "u3"]
    assert await find(attribute="plan:pro", search="ann") == ["u1"]
    first = (await http.get("/admin/v1/users", params={"limit": 2, "search": "ann"})).json()
    assert [user["id"] for user in first["users"]] == ["ann", "u1"]
    assert await find(search="ann", cursor=first["nextCursor"]) == ["u2"]
    for query in ({"limit": 0}, {"attribute": "plan"}, {"attribute": "x:y"}, {"search": "a" * 300}):
        refused = await http.get("/admin/v1/users", params=query)
        assert (refused.status_code, list(refused.json())) == (422, ["error"]), query


async def test_all_that_is_kept_of_a_user(http: httpx.AsyncClient, services: Services) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    board = {"name": "All", "key": "all", "rankBy": "metric", "metricId": words["id"], "status": "active"}
    await make(http, "leaderboards", board)
    await http.patch("/admin/v1/streaks/settings", json={"metrics": [{"key": "words", "threshold": 1}]})
    trigger = {"type": "metric", "metricId": words["id"], "metricThreshold": 1, "points": 1, "status": "active"}
    await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger]})
    await write(http, 7)
    await write(http, 1, "bob")
    await flush(services)
    found = (await http.get("/admin/v1/users/ann/export")).json()
    assert (found["user"]["name"], found["eventsComplete"]) == ("Ann", True)
    tables = found["tables"]
    assert [(row["units"], row["at"]) for row in tables["events"]] == [(7, "2026-11-23T12:00:00.000Z")]
    assert [row["awarded"] for row in tables["pointAwards"]] == [7]
    assert [row["value"] for row in tables["boardEntries"]] == [7]
    assert len(tables["streakPeriods"]) == 3
    assert (await http.get("/admin/v1/users/nobody/export")).status_code == 404
