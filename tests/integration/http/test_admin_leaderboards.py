"""Leaderboards over the admin API: rows, refusals, their life."""

from __future__ import annotations

from typing import Any

import httpx

from podium.game.leaderboards.model import AttributeFilter
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from tests.conftest import SettableClock
from tests.integration.http.conftest import make
from tests.integration.http.items import TODAY, TOMORROW, UNKNOWN, YESTERDAY, issue, patch

DAY_MS = 86_400_000


async def test_leaderboard_row(http: httpx.AsyncClient, metric: str) -> None:
    least = {"name": "Top", "key": "top", "rankBy": "metric", "metricId": metric}
    full = {
        **least,
        "key": "weekly",
        "description": "The week",
        "start": "2026-11-02",
        "end": "2027-01-31",
        "maxParticipants": 10_000_000,
        "runUnit": "day",
        "runInterval": 7,
        "status": "active",
        "public": True,
    }
    [plain, weekly] = await make(http, "leaderboards", least, full)
    nothing = {
        "breakdownAttributes": [],
        "userAttributes": [],
        "displayAttributes": [],
        "tieRule": "ordinal",
        "order": "desc",
        "operator": "sum",
        "rewards": [],
    }
    assert plain == {
        **least,
        **nothing,
        "id": plain["id"],
        "start": TODAY,
        "status": "inactive",
        "public": False,
        "backfill": None,
    }
    pending = {"state": "pending", "done": 0, "total": 0, "percent": 0, "setAside": 0}
    assert weekly == {**full, **nothing, "id": weekly["id"], "backfill": pending}


async def test_start_is_today_at_home(
    http: httpx.AsyncClient, metric: str, pool: Pool, clock: SettableClock
) -> None:
    await pool.execute("UPDATE spaces SET home_zone = 'Pacific/Auckland'")
    [row] = await make(http, "leaderboards", {"name": "T", "key": "t", "rankBy": "metric", "metricId": metric})
    assert row["start"] == TOMORROW  # it is 01:00 on the 24th there


_LEADERBOARD_ISSUES: list[Any] = [
    ({"rankBy": "luck"}, "rankBy: invalid enum value 'luck'"),
    ({"rankBy": "points"}, "pointsSystemId is required with rankBy points"),
    ({"rankBy": "streak"}, "metricId can't be used with rankBy streak"),
    ({"rewards": [{"fromRank": 1, "toRank": 3}]}, "rewards[0] must give points, an achievementKey or freezes"),
    ({"rewards": [{"fromRank": 3, "toRank": 1, "freezes": 1}]}, "rewards[0].toRank must not lie before"),
    (
        {"rewards": [{"fromRank": 1, "toRank": 1, "achievementKey": "x"}]},
        "rewards[0].achievementKey names no achievement",
    ),
    ({"metricId": UNKNOWN}, "Metric not found by ID: metricId names none"),
    ({"metricId": "words"}, "metricId must be a valid UUID"),
    ({"start": "soon"}, "start must be a date, YYYY-MM-DD"),
    ({"start": "1969-12-31"}, "start must lie in the years 1970 to 2999"),
    ({"start": "9999-12-31"}, "start must lie in the years 1970 to 2999"),
    ({"end": "9999-12-31"}, "end must lie in the years 1970 to 2999"),
    ({"end": YESTERDAY}, "end must not lie before start"),
    ({"maxParticipants": 0}, "maxParticipants: expected int >= 1"),
    ({"maxParticipants": 10_000_001}, "maxParticipants: expected int <= 10000000"),
    ({"maxParticipants": 1.5}, "maxParticipants: expected int | null, got float"),
    ({"runUnit": "week", "runInterval": 1}, "runUnit: invalid enum value 'week'"),
    ({"runUnit": "day"}, "runInterval is required with runUnit"),
    ({"runInterval": 1}, "runUnit is required with runInterval"),
    ({"runUnit": "day", "runInterval": 0}, "runInterval: expected int >= 1"),
    ({"runUnit": "day", "runInterval": 10**9}, "runInterval: expected int <= 1000"),
    ({"status": "archived"}, "status: invalid enum value 'archived'"),
    ({"status": "scheduled"}, "status can be scheduled only with a start in the future"),
    ({"status": "finished"}, "status can be finished only with an end in the past"),
    ({"status": "finished", "end": TODAY}, "status can be finished only with an end in the past"),
    ({"description": "d" * 1_001}, "description must have at most 1,000 characters"),
    ({"breakdownAttributes": [UNKNOWN]}, f"breakdownAttributes names no user attribute: {UNKNOWN}"),
    ({"breakdownAttributes": ["city"]}, "breakdownAttributes must be a valid UUID"),
    (
        {"userAttributes": [{"attributeId": UNKNOWN, "attributeValue": "a"}]},
        f"userAttributes names no user attribute: {UNKNOWN}",
    ),
    ({"userAttributes": [{"attributeId": UNKNOWN}]}, "userAttributes[0].attributeValue is required"),
    ({"displayAttributes": ["city"]}, "displayAttributes names no user attribute: city"),
    ({"displayAttributes": ["a"] * 6}, "displayAttributes: expected array of length <= 5"),
    ({"startTime": "9:00"}, "startTime: expected str matching regex"),
    ({"endTime": "24:00"}, "endTime: expected str matching regex"),
    ({"pointsSystemId": UNKNOWN}, "pointsSystemId can't be used with rankBy metric"),
    ({"tieRule": "shared"}, "tieRule: invalid enum value 'shared'"),
    ({"order": "up"}, "order: invalid enum value 'up'"),
    ({"operator": "max"}, "operator: invalid enum value 'max'"),
    ({"groupBy": "city"}, "groupBy must be a valid UUID"),
    ({"groupBy": UNKNOWN}, f"groupBy names no user attribute: {UNKNOWN}"),
    ({"aggregate": "median"}, "aggregate: invalid enum value 'median'"),
    ({"aggregateTop": 101}, "aggregateTop: expected int <= 100"),
    ({"minMembers": 0}, "minMembers: expected int >= 1"),
]


async def test_leaderboard_issues(http: httpx.AsyncClient, metric: str) -> None:
    for change, said in _LEADERBOARD_ISSUES:
        good = {"name": "Top", "key": "top", "rankBy": "metric", "metricId": metric}
        assert (await issue(http, "leaderboards", {**good, **change})).startswith(said)


async def test_leaderboard_of_groups(http: httpx.AsyncClient, metric: str, space: Space) -> None:
    [city, team] = await make(
        http,
        "attributes",
        {"name": "City", "key": "city", "type": "user"},
        {"name": "Team", "key": "team", "type": "user"},
    )
    asked = {
        "name": "Cities",
        "key": "cities",
        "rankBy": "metric",
        "metricId": metric,
        "groupBy": city["id"],
        "aggregate": "top",
        "aggregateTop": 3,
        "minMembers": 2,
        "keepOnLeave": True,
        "displayAttributes": ["team"],
        "userAttributes": [{"attributeId": team["id"], "attributeValue": "red"}],
        "startTime": "22:00",
        "endTime": "02:00:30",
        "tieRule": "dense",
        "order": "asc",
        "operator": "best",
        "status": "active",
    }
    [row] = await make(http, "leaderboards", asked)
    assert {**row, **asked} == row
    stored = space.index.leaderboard_by_key["cities"]
    assert (stored.group_by, stored.user_attributes) == ("city", (AttributeFilter("team", "red"),))

    said = await issue(http, "leaderboards", {"breakdownAttributes": [team["id"]]}, id_=row["id"])
    assert said == "breakdownAttributes can only be changed while the leaderboard is inactive"
    broken_down = {**asked, "key": "b", "breakdownAttributes": [team["id"]]}
    assert (
        await issue(http, "leaderboards", broken_down) == "groupBy can't be used together with breakdownAttributes"
    )
    twice = {**asked, "key": "b", "groupBy": None, "breakdownAttributes": [team["id"], team["id"]]}
    assert await issue(http, "leaderboards", twice) == "breakdownAttributes names an attribute twice"
    row = await patch(http, "leaderboards", row["id"], displayAttributes=None)
    assert row["displayAttributes"] == []

    deleted = (await http.delete("/admin/v1/attributes", params={"ids": city["id"]})).json()
    assert deleted["issues"][0]["message"] == "Attribute is used by leaderboard cities; delete that one first"


async def test_what_asks_for_nothing_is_accepted(http: httpx.AsyncClient, metric: str) -> None:
    empty: dict[str, Any] = {
        "breakdownAttributes": [],
        "userAttributes": None,
        "startTime": None,
        "tieRule": "ordinal",
        "description": None,
        "end": None,
        "maxParticipants": None,
        "runUnit": None,
        "runInterval": None,
        "status": None,
    }
    [row] = await make(
        http, "leaderboards", {"name": "Top", "key": "top", "rankBy": "metric", "metricId": metric, **empty}
    )
    assert "maxParticipants" not in row


async def test_leaderboard_life(http: httpx.AsyncClient, metric: str, space: Space, clock: SettableClock) -> None:
    [other] = await make(http, "metrics", {"name": "Pages", "key": "pages"})
    [row] = await make(
        http,
        "leaderboards",
        {"name": "T", "key": "t", "rankBy": "metric", "metricId": metric, "runUnit": "month", "runInterval": 1},
    )
    id_ = row["id"]

    # Inactive: freely editable.
    row = await patch(http, "leaderboards", id_, key="u", metricId=other["id"], start=TOMORROW, runUnit=None)
    assert "runInterval" not in row
    assert (row["key"], row["metricId"], row["start"]) == ("u", other["id"], TOMORROW)

    # Scheduled, then active by itself.
    row = await patch(http, "leaderboards", id_, status="scheduled", description="d", end="2026-12-01")
    assert row["status"] == "scheduled"
    assert space.index.leaderboard_by_key["u"].status == "active"
    clock.advance(DAY_MS)
    assert (await http.get(f"/admin/v1/leaderboards/{id_}")).json()["status"] == "active"

    # Active: what scores were counted by is fixed.
    for fields in ({"key": "v"}, {"metricId": metric}, {"start": TODAY}, {"runUnit": "day", "runInterval": 1}):
        said = await issue(http, "leaderboards", fields, id_=id_)
        assert said == f"{next(iter(fields))} can only be changed while the leaderboard is inactive"
    said = await issue(http, "leaderboards", {"status": "inactive"}, id_=id_)
    assert said == "status cannot go back to inactive"
    row = await patch(http, "leaderboards", id_, description=None, end=None, maxParticipants=5, public=True)
    assert not {"description", "end"} & set(row)
    said = await issue(http, "leaderboards", {"status": "finished"}, id_=id_)
    assert said == "status can be finished only with an end in the past"

    # Finished by its end.
    await patch(http, "leaderboards", id_, end=TOMORROW)
    clock.advance(DAY_MS)
    assert (await http.get(f"/admin/v1/leaderboards/{id_}")).json()["status"] == "finished"
    said = await issue(http, "leaderboards", {"end": None}, id_=id_)
    assert said == "end can only be changed until the leaderboard is finished"
    row = await patch(http, "leaderboards", id_, status="finished", name="Done")
    assert (row["status"], row["name"]) == ("finished", "Done")
    said = await issue(http, "leaderboards", {"status": "active"}, id_=id_)
    assert said == "status cannot go from finished to active"


async def test_created_finished(http: httpx.AsyncClient, metric: str) -> None:
    [row] = await make(
        http,
        "leaderboards",
        {
            "name": "Past",
            "key": "past",
            "rankBy": "metric",
            "metricId": metric,
            "start": "2026-01-01",
            "end": YESTERDAY,
            "status": "finished",
        },
    )
    assert row["status"] == "finished"
