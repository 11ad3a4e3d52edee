"""Users found by what they are called, and all that is kept of one."""

from __future__ import annotations

import httpx
import pytest

from podium.services import Services
from tests.integration.test_boards import flush, make
from tests.integration.test_points import write


async def found(http: httpx.AsyncClient, **query: object) -> list[str]:
    """The ids on all pages."""
    users: list[str] = []
    while True:
        answer = await http.get("/admin/v1/users", params=query)
        assert answer.status_code == 200, answer.text
        page = answer.json()
        users += [user["id"] for user in page["users"]]
        if "nextCursor" not in page:
            return users
        query["cursor"] = page["nextCursor"]


@pytest.fixture
async def people(http: httpx.AsyncClient, services: Services) -> list[str]:
    """Their ids, in order."""
    await make(http, "attributes", {"name": "Plan", "key": "plan", "type": "user"})
    fields = {
        "u1": {"name": "Ann Lee", "email": "ann@example.com", "attributes": {"plan": "pro"}},
        "u2": {"name": "anna", "email": "a_b%c@example.com"},
        "u3": {"name": "نور", "attributes": {"plan": "pro"}},
        "u4": {"name": "Özil  Mésut Ann-Marie"},
        "u5": {"name": "ИВАН Петров"},
        "u6": {"name": "\u202eevil " + "word " * 40},
        "ann": {"name": "Zed"},
        " pad ": {"name": "Ada"},
        "x'; DROP TABLE users; --": {"name": "<b>Bobby</b>"},
    }
    for user, profile in fields.items():
        assert (await http.post("/v1/users", json={"id": user, **profile})).status_code == 201
    await flush(services)
    return sorted(fields)


FOUND: list[tuple[dict[str, str], list[str]]] = [
    ({"search": "ann"}, ["ann", "u1", "u4", "u2"]),
    ({"search": "ANN@"}, ["u1"]),
    ({"search": "a_b%"}, ["u2"]),
    ({"search": "%"}, []),
    ({"search": "نو"}, ["u3"]),
    ({"search": "özil"}, ["u4"]),
    ({"search": "OZIL mes"}, ["u4"]),
    ({"search": "mesut  Ann"}, ["u4"]),
    ({"search": "иван"}, ["u5"]),
    ({"search": "ПЕТР"}, ["u5"]),
    ({"search": " pad"}, [" pad "]),
    ({"search": "x';"}, ["x'; DROP TABLE users; --"]),
    ({"search": "lee"}, ["u1"]),
    ({"search": "ee"}, []),
    ({"attribute": "plan:pro"}, ["u1", "u3"]),
    ({"attribute": "plan:pro", "search": "ann"}, ["u1"]),
]


async def test_users_are_found(http: httpx.AsyncClient, people: list[str]) -> None:
    for query, ids in FOUND:
        assert await found(http, **query) == ids, query
    for limit in (1, 2, 3):
        assert await found(http, limit=limit) == people
        assert await found(http, limit=limit, search="ann") == ["ann", "u1", "u4", "u2"]


async def test_a_new_name_replaces_the_old_one(
    http: httpx.AsyncClient, services: Services, people: list[str]
) -> None:
    await http.patch("/v1/users/u1", json={"name": "Bea"})
    await http.delete("/admin/v1/users", params={"ids": "u2"})
    await flush(services)
    assert await found(http, search="ann") == ["ann", "u4", "u1"]  # u1 by the e-mail
    assert await found(http, search="lee") == []
    assert await found(http, search="bea") == ["u1"]


async def test_what_cannot_be_searched_for(http: httpx.AsyncClient) -> None:
    for query in (
        *({"limit": 0}, {"attribute": "plan"}, {"attribute": "x:y"}, {"search": "a" * 300}),
        *({"cursor": "x"}, {"cursor": "WzEsIDJd"}, {"cursor": "é"}),
    ):
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


async def test_an_export_has_every_table_and_calls_things_by_their_names(
    http: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words", "decimals": 0})
    board = {"name": "All", "key": "all", "rankBy": "metric", "metricId": words["id"], "status": "active"}
    await make(http, "leaderboards", board)
    await http.patch("/admin/v1/streaks/settings", json={"metrics": [{"key": "words", "threshold": 1}]})
    trigger = {"type": "metric", "metricId": words["id"], "metricThreshold": 1, "points": 1, "status": "active"}
    level = {"name": "First", "key": "first", "points": 1}
    [xp] = await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger], "levels": [level]})
    boost = {"name": "Sorry", "start": "2026-11-01", "multiplier": 2, "userId": "ann"}
    await make(http, f"points/{xp['id']}/boosts", boost)
    [key] = await make(http, "application-api-keys", {"userId": "ann"})
    goal = {"trigger": "metric", "metricId": words["id"], "metricValue": 1, "status": "active"}
    await make(http, "achievements", {"name": "First words", **goal})
    sent = {"user": {"id": "ann"}, "value": 7}
    await http.post("/v1/metrics/words/event", json=sent, headers={"Idempotency-Key": "once"})
    await flush(services)

    path = "/admin/v1/users/ann/export"
    answer = await http.get(path)
    found = answer.json()
    tables = found["tables"]
    assert key["key"] not in answer.text
    assert (tables["events"][0]["metric_key"], tables["events"][0]["metric_name"]) == ("words", "Words")
    assert (tables["boardEntries"][0]["leaderboard_key"], tables["achievements"][0]["achievement_name"]) == (
        "all",
        "First words",
    )
    [award] = tables["pointAwards"]
    assert (award["system_key"], award["cause_kind"], award["boost_names"]) == ("xp", "points trigger", ["Sorry"])
    assert [(row["system_key"], row["total"]) for row in tables["points"]] == [("xp", 14)]
    assert [(row["system_key"], row["change"]) for row in tables["pointDays"]] == [("xp", 14)]
    assert [(row["track_name"], row["length"]) for row in tables["streaks"]] == [
        ("daily", 1),
        ("weekly", 1),
        ("monthly", 1),
    ]
    assert [(row["key"], row["metric_key"]) for row in tables["idempotencyKeys"]] == [("once", "words")]
    assert [(row["id"], row["prefix"]) for row in tables["applicationKeys"]] == [(key["id"], key["prefix"])]
    assert [row["body"]["name"] for row in tables["boosts"]] == ["Sorry"]
    assert [(row["kind"], row["action"]) for row in tables["auditLog"]] == [
        ("points boost", "create"),
        ("application key", "create"),
    ]
    assert {row["kind"]: row.get("system_key") for row in tables["facts"]}["level"] == "xp"
    assert (found["eventsComplete"], found["cut"]) == (True, [])

    monkeypatch.setattr("podium.api.users.admin.ROWS_MAX", 1)
    await http.post("/v1/metrics/words/event", json=sent)
    await flush(services)
    found = (await http.get(path)).json()
    assert (found["eventsComplete"], len(found["tables"]["events"])) == (False, 1)
    assert {"events", "streakPeriods"} <= set(found["cut"])
    assert "points" not in found["cut"]


async def test_an_export_of_one_of_whom_there_is_a_key_only(http: httpx.AsyncClient) -> None:
    await make(http, "application-api-keys", {"userId": "ann"})
    found = (await http.get("/admin/v1/users/ann/export")).json()
    assert (found["user"], found["state"], len(found["tables"]["applicationKeys"])) == (None, None, 1)
