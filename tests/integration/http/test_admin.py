"""The five verbs for metrics, attributes and leaderboards, and what a change leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from trophy import (
    AsyncTrophyApi,
    CreateAttributeRequestItem,
    CreateLeaderboardRequestItem,
    CreateMetricRequestItem,
    UpdateAttributeRequestItem,
    UpdateLeaderboardRequestItem,
    UpdateMetricRequestItem,
)
from trophy.errors import NotFoundError, UnprocessableEntityError

from server.backends.postgres.pool import Pool
from server.backends.redis.client import RedisClient
from server.features.leaderboards.model import AttributeFilter
from server.spaces import store
from server.spaces.space import Space
from tests.conftest import SettableClock
from tests.integration.http.conftest import BODY_LIMIT, make

UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
DAY_MS = 86_400_000
TODAY, YESTERDAY, TOMORROW = "2026-11-23", "2026-11-22", "2026-11-24"
KINDS = ["metrics", "attributes", "leaderboards"]


@pytest.fixture
async def metric(http: httpx.AsyncClient) -> str:
    """The id of a metric."""
    [row] = await make(http, "metrics", {"name": "Words", "key": "words"})
    return str(row["id"])


@pytest.fixture
def item(metric: str) -> dict[str, dict[str, Any]]:
    """A good item of each kind."""
    return {
        "metrics": {"name": "Pages", "key": "pages"},
        "attributes": {"name": "City", "key": "city", "type": "user"},
        "leaderboards": {"name": "Top", "key": "top", "rankBy": "metric", "metricId": metric},
    }


async def issue(http: httpx.AsyncClient, kind: str, fields: Any, *, id_: str | None = None) -> str:
    """What is said about one item that must be refused."""
    if id_ is None:
        response = await http.post(f"/admin/v1/{kind}", json=[fields])
        place = {"index": 0}
    else:
        response = await http.patch(f"/admin/v1/{kind}", json=[{"id": id_, **fields}])
        place = {"id": id_}
    assert response.status_code == 200, response.text
    body = response.json()
    assert body.get("created", []) == body.get("updated", []) == []
    [found] = body["issues"]
    assert found == {"severity": "error", "message": found["message"], **place}
    return str(found["message"])


async def patch(http: httpx.AsyncClient, kind: str, id_: str, **fields: Any) -> dict[str, Any]:
    """The row after a change that must be accepted."""
    response = await http.patch(f"/admin/v1/{kind}", json=[{"id": id_, **fields}])
    assert response.status_code == 200
    assert response.json()["issues"] == []
    [row] = response.json()["updated"]
    assert (await http.get(f"/admin/v1/{kind}/{id_}")).json() == row
    return dict(row)


# What all kinds share.


@pytest.mark.parametrize("kind", KINDS)
async def test_five_verbs(http: httpx.AsyncClient, item: dict[str, dict[str, Any]], kind: str) -> None:
    path = f"/admin/v1/{kind}"
    [row] = await make(http, kind, item[kind])
    assert (await http.get(f"{path}/{row['id']}")).json() == row
    assert row in (await http.get(path)).json()
    assert (await patch(http, kind, row["id"], name="Renamed")) == {**row, "name": "Renamed"}
    gone = await http.delete(path, params={"ids": row["id"]})
    assert (gone.status_code, gone.json()) == (200, {"deleted": [{"id": row["id"]}], "issues": []})
    missing = await http.get(f"{path}/{row['id']}")
    assert missing.status_code == 404
    assert missing.json() == {"error": f"{kind[:-1].capitalize()} not found by ID"}
    [again] = await make(http, kind, item[kind])  # the key is free again
    assert again["id"] != row["id"]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_row_sent_back_changes_nothing(
    http: httpx.AsyncClient, space: Space, item: dict[str, dict[str, Any]], kind: str
) -> None:
    [row] = await make(http, kind, item[kind])
    version = space.index.version
    assert await patch(http, kind, row["id"], **{k: v for k, v in row.items() if k != "id"}) == row
    assert space.index.version == version


_BAD_BATCH: list[Any] = [
    (b"[]", 422),
    (b"[" + b",".join([b"{}"] * 101) + b"]", 422),
    (b"{}", 400),
    (b"null", 400),
    (b"[", 400),
    (b"[" * 5_000, 400),
    (b'["' + b"x" * BODY_LIMIT + b'"]', 413),
]


@pytest.mark.parametrize("kind", KINDS)
async def test_bad_batch(http: httpx.AsyncClient, kind: str) -> None:
    for body, status in _BAD_BATCH:
        for method in ("POST", "PATCH"):
            response = await http.request(method, f"/admin/v1/{kind}", content=body)
            assert (response.status_code, set(response.json())) == (status, {"error"})


_BAD_ITEMS: list[Any] = KINDS


@pytest.mark.parametrize("bad", [None, 1, "x", [], {}, {"name": 1, "key": "k"}, {"surprise": 1}])
async def test_bad_items(http: httpx.AsyncClient, bad: Any) -> None:
    for kind in _BAD_ITEMS:
        assert await issue(http, kind, bad)
        response = await http.patch(f"/admin/v1/{kind}", json=[bad])
        assert response.status_code == 200
        assert response.json()["issues"][0]["index"] == 0


_ISSUE_NAMES_THE_FIELD: list[Any] = [
    ({"key": "a b"}, "key must be 1 to 100 letters, digits, '-' or '_'"),
    ({"key": ""}, "key must be 1 to 100 letters, digits, '-' or '_'"),
    ({"key": "k" * 101}, "key must be 1 to 100 letters, digits, '-' or '_'"),
    ({"key": 5}, "key: expected str, got int"),
    ({"name": 5}, "name: expected str, got int"),
    ({"name": " "}, "name must not be empty"),
    ({"name": "n" * 256}, "name must have at most 255 characters"),
    ({"name": "a\0b"}, "name must not contain U+0000 or lone surrogates"),
    ({"naem": "x"}, "naem is not a known field"),
]


@pytest.mark.parametrize("kind", KINDS)
async def test_issue_names_the_field(http: httpx.AsyncClient, item: dict[str, dict[str, Any]], kind: str) -> None:
    for change, said in _ISSUE_NAMES_THE_FIELD:
        assert await issue(http, kind, {**item[kind], **change}) == said


@pytest.mark.parametrize("kind", KINDS)
async def test_partial_success(http: httpx.AsyncClient, item: dict[str, dict[str, Any]], kind: str) -> None:
    good = item[kind]
    body = [{**good, "key": "a"}, {**good, "key": "a"}, {"name": "x"}, {**good, "key": "b"}]
    response = await http.post(f"/admin/v1/{kind}", json=body)
    assert response.status_code == 201
    assert [row["key"] for row in response.json()["created"]] == ["a", "b"]
    issues = response.json()["issues"]
    assert [i["index"] for i in issues] == [1, 2]
    assert issues[0]["message"] == f"Key already in use by another {kind[:-1]}"
    # Nothing of it again: 200.
    again = await http.post(f"/admin/v1/{kind}", json=body[:2])
    assert (again.status_code, again.json()["created"]) == (200, [])


@pytest.mark.parametrize("kind", KINDS)
async def test_unknown_ids(http: httpx.AsyncClient, kind: str) -> None:
    path, label = f"/admin/v1/{kind}", kind[:-1].capitalize()
    assert await issue(http, kind, {"name": "x"}, id_=UNKNOWN) == f"{label} not found by ID"
    assert await issue(http, kind, {"name": "x"}, id_="5") == "id must be a valid UUID"
    gone = await http.delete(path, params={"ids": f"{UNKNOWN},x"})
    assert gone.status_code == 200
    assert gone.json() == {
        "deleted": [],
        "issues": [
            {"severity": "error", "message": f"{label} not found by ID", "id": UNKNOWN},
            {"severity": "error", "message": "id must be a valid UUID", "id": "x"},
        ],
    }
    assert (await http.get(f"{path}/{UNKNOWN}")).status_code == 404
    assert (await http.get(f"{path}/%00")).status_code == 422
    assert (await http.delete(path)).status_code == 422


async def test_list(http: httpx.AsyncClient) -> None:
    keys = [f"k{i:02}" for i in range(12)]
    await make(http, "metrics", *({"name": key, "key": key} for key in keys))

    async def listed(**params: Any) -> list[str]:
        return [row["key"] for row in (await http.get("/admin/v1/metrics", params=params)).json()]

    assert await listed() == keys[:10]
    assert await listed(limit=3, skip=8) == keys[8:11]
    assert await listed(limit=100) == keys
    assert await listed(skip=12) == []
    for params, status in [({"limit": 0}, 422), ({"limit": 101}, 422), ({"skip": -1}, 422), ({"limit": "x"}, 400)]:
        assert (await http.get("/admin/v1/metrics", params=params)).status_code == status


async def test_deleting_several(http: httpx.AsyncClient) -> None:
    rows = await make(http, "attributes", *({"name": k, "key": k, "type": "user"} for k in "abcd"))
    ids = [row["id"] for row in rows]
    repeated = await http.delete("/admin/v1/attributes", params={"ids": [ids[0], ids[1]]})
    assert [item["id"] for item in repeated.json()["deleted"]] == ids[:2]
    joined = await http.delete("/admin/v1/attributes", params={"ids": f"{ids[2]},{ids[3]}"})
    assert [item["id"] for item in joined.json()["deleted"]] == ids[2:]


# What a change leaves behind.


async def test_audit(http: httpx.AsyncClient, pool: Pool, admin_key: str) -> None:
    [row] = await make(http, "metrics", {"name": "Words", "key": "words"})
    await patch(http, "metrics", row["id"], units="w")
    await http.delete("/admin/v1/metrics", params={"ids": row["id"]})
    async with pool.acquire() as connection:
        audit = await connection.fetch("SELECT * FROM audit_log ORDER BY id")
        key_id = await connection.fetchval("SELECT id FROM api_keys")
    assert [entry["action"] for entry in audit] == ["create", "update", "delete"]
    assert {(entry["kind"], entry["item"], entry["actor"]) for entry in audit} == {
        ("metric", row["id"], f"test ({key_id})")
    }
    assert [entry["before"] and entry["before"]["units"] for entry in audit] == [None, "", "w"]
    assert [entry["after"] and entry["after"]["units"] for entry in audit] == ["", "w", None]


async def test_version(http: httpx.AsyncClient, space: Space, pool: Pool, redis_client: RedisClient) -> None:
    rows = await make(http, "metrics", {"name": "A", "key": "a"}, {"name": "B", "key": "b"})
    assert space.index.version == 2
    assert set(space.index.metric_by_key) == {"a", "b"}
    assert await redis_client.raw.hget(space.keys.meta, "catalog") == b"2"
    await http.delete("/admin/v1/metrics", params={"ids": rows[0]["id"]})
    async with pool.acquire() as connection:
        kept = await connection.fetch("SELECT version, catalog FROM catalog_versions ORDER BY version")
        now = await store.load_catalog(connection, space.id)
    assert [entry["version"] for entry in kept] == [1, 2, 3]
    assert [len(entry["catalog"]["metrics"]) for entry in kept] == [0, 2, 1]
    assert now == space.index.catalog
    assert await redis_client.raw.hget(space.keys.meta, "catalog") == b"3"


async def test_refused_batch_leaves_nothing(http: httpx.AsyncClient, space: Space, pool: Pool) -> None:
    await issue(http, "metrics", {"name": "A"})
    assert space.index.version == 1
    assert await pool.fetchval("SELECT count(*) FROM audit_log") == 0


async def test_numbers_are_not_reused(http: httpx.AsyncClient, space: Space) -> None:
    [first] = await make(http, "metrics", {"name": "A", "key": "a"})
    number = space.index.metric_by_key["a"].number
    await http.delete("/admin/v1/metrics", params={"ids": first["id"]})
    await make(http, "metrics", {"name": "A", "key": "a"})
    assert space.index.metric_by_key["a"].number > number


async def test_writers_take_turns(http: httpx.AsyncClient, space: Space, pool: Pool) -> None:
    keys = [f"k{i}" for i in range(8)]
    await asyncio.gather(*(make(http, "metrics", {"name": key, "key": key}) for key in keys))
    assert set(space.index.metric_by_key) == set(keys)
    assert space.index.version == 9
    assert len({metric.number for metric in space.index.catalog.metrics}) == 8
    assert await pool.fetchval("SELECT count(*) FROM catalog_versions") == 9


# Metrics.


async def test_metric_row(http: httpx.AsyncClient) -> None:
    [plain, money] = await make(
        http,
        "metrics",
        {"name": "Words", "key": "words"},
        {"name": "Sales", "key": "sales", "unitType": "currency", "units": "USD", "decimals": 2},
    )
    assert plain == {
        "id": plain["id"],
        "name": "Words",
        "key": "words",
        "unitType": "number",
        "units": "",
        "decimals": 3,
    }
    assert (money["unitType"], money["units"], money["decimals"]) == ("currency", "USD", 2)


_METRIC_ISSUES: list[Any] = [
    ({"unitType": "length"}, "unitType: invalid enum value 'length'"),
    ({"unitType": "currency"}, "units must be the ISO 4217 code of a currency, like USD"),
    ({"unitType": "currency", "units": "usd"}, "units must be the ISO 4217 code of a currency, like USD"),
    ({"units": "u" * 256}, "units must have at most 255 characters"),
    ({"decimals": 7}, "decimals: expected int <= 6"),
    ({"decimals": -1}, "decimals: expected int >= 0"),
    ({"decimals": True}, "decimals: expected int | null, got bool"),
    ({"maxPerDay": 0}, "maxPerDay: expected float > 0.0"),
    ({"minValue": 5, "maxValue": 1}, "maxValue must not be below minValue"),
]


async def test_metric_issues(http: httpx.AsyncClient) -> None:
    for change, said in _METRIC_ISSUES:
        assert await issue(http, "metrics", {"name": "Words", "key": "words", **change}) == said


async def test_metric_update(http: httpx.AsyncClient, metric: str) -> None:
    assert await issue(http, "metrics", {"key": "other"}, id_=metric) == "key cannot be changed"
    assert await issue(http, "metrics", {"decimals": 2}, id_=metric) == "decimals cannot be changed"
    assert await issue(http, "metrics", {"name": None}, id_=metric) == "name: expected str, got null"
    assert "units must be" in await issue(http, "metrics", {"unitType": "currency"}, id_=metric)
    assert (await patch(http, "metrics", metric, unitType="currency", units="EUR"))["units"] == "EUR"
    assert (await patch(http, "metrics", metric, unitType="number", units=None))["units"] == ""


async def test_metric_in_use(http: httpx.AsyncClient, metric: str) -> None:
    [board] = await make(
        http, "leaderboards", {"name": "Top", "key": "top", "rankBy": "metric", "metricId": metric}
    )
    refused = (await http.delete("/admin/v1/metrics", params={"ids": metric})).json()
    assert refused["deleted"] == []
    assert refused["issues"][0]["message"] == "Metric is used by leaderboard top; delete that one first"
    await http.delete("/admin/v1/leaderboards", params={"ids": board["id"]})
    assert (await http.delete("/admin/v1/metrics", params={"ids": metric})).json()["deleted"] == [{"id": metric}]


# Attributes.


async def test_attribute_keys_are_unique_per_type(http: httpx.AsyncClient) -> None:
    rows = await make(
        http,
        "attributes",
        {"name": "Plan", "key": "plan", "type": "user"},
        {"name": "Plan", "key": "plan", "type": "event"},
    )
    assert [row["type"] for row in rows] == ["user", "event"]
    said = await issue(http, "attributes", {"name": "Plan", "key": "plan", "type": "event"})
    assert said == "Key already in use by another attribute"
    assert await issue(http, "attributes", {"key": "other"}, id_=rows[0]["id"]) == "key cannot be changed"
    assert await issue(http, "attributes", {"type": "event"}, id_=rows[0]["id"]) == "type cannot be changed"
    assert await issue(http, "attributes", {"name": "P", "key": "p"}) == "type is required"


# Leaderboards.


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
    }
    assert weekly == {**full, **nothing, "id": weekly["id"]}


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


# The published SDK.


async def test_sdk_metrics(trophy: AsyncTrophyApi) -> None:
    api = trophy.admin.metrics
    created = await api.create(
        request=[CreateMetricRequestItem(name="Words", key="words"), CreateMetricRequestItem(name="", key="b")]
    )
    assert [issue.index for issue in created.issues] == [1]
    [row] = created.created
    assert (row.key, row.unit_type, row.units) == ("words", "number", "")
    assert await api.get(row.id) == row
    assert await api.list(limit=100) == [row]
    updated = await api.update(request=[UpdateMetricRequestItem(id=row.id, name="Pages", units="p")])
    assert (updated.updated[0].name, updated.updated[0].units) == ("Pages", "p")
    deleted = await api.delete(ids=[row.id, UNKNOWN])
    assert [item.id for item in deleted.deleted] == [row.id]
    assert [issue.id for issue in deleted.issues] == [UNKNOWN]
    with pytest.raises(NotFoundError):
        await api.get(row.id)
    with pytest.raises(UnprocessableEntityError):
        await api.create(request=[])


async def test_sdk_attributes(trophy: AsyncTrophyApi) -> None:
    api = trophy.admin.attributes
    created = await api.create(request=[CreateAttributeRequestItem(name="City", key="city", type="user")])
    [row] = created.created
    assert (row.key, row.type) == ("city", "user")
    updated = await api.update(request=[UpdateAttributeRequestItem(id=row.id, name="Town")])
    assert updated.updated[0].name == "Town"
    assert [item.name for item in await api.list()] == ["Town"]
    assert (await api.delete(ids=row.id)).deleted[0].id == row.id


async def test_sdk_leaderboards(trophy: AsyncTrophyApi, metric: str) -> None:
    api = trophy.admin.leaderboards
    created = await api.create(
        request=[
            CreateLeaderboardRequestItem(
                name="Daily",
                key="daily",
                rank_by="metric",
                metric_id=metric,
                run_unit="day",
                run_interval=1,
                status="active",
                max_participants=1_000,
            )
        ]
    )
    assert created.issues == []
    [row] = created.created
    assert (row.status, row.start, row.run_unit, row.run_interval) == ("active", TODAY, "day", 1)
    assert (row.breakdown_attributes, row.user_attributes, row.end) == ([], [], None)
    updated = await api.update(
        request=[UpdateLeaderboardRequestItem(id=row.id, name="Every day", max_participants=None)]
    )
    assert updated.issues == []
    assert (updated.updated[0].name, updated.updated[0].max_participants) == ("Every day", None)
    assert await api.get(row.id) == updated.updated[0]
    assert await api.list() == updated.updated
    assert (await api.delete(ids=[row.id])).deleted[0].id == row.id


async def test_sdk_errors(trophy: AsyncTrophyApi) -> None:
    with pytest.raises(UnprocessableEntityError) as caught:
        await trophy.admin.metrics.list(limit=101)
    assert caught.value.body == {"error": "limit must be 1 to 100"}
