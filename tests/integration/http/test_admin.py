"""The five verbs for metrics and attributes, what all kinds share, and what a change leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from podium.spaces import store
from podium.spaces.space import Space
from podium.storage.postgres.pool import Pool
from podium.storage.redis.client import RedisClient
from tests.integration.http.conftest import BODY_LIMIT, make
from tests.integration.http.items import UNKNOWN, issue, patch

KINDS = ["metrics", "attributes", "leaderboards"]


@pytest.fixture
def item(metric: str) -> dict[str, dict[str, Any]]:
    """A good item of each kind."""
    return {
        "metrics": {"name": "Pages", "key": "pages"},
        "attributes": {"name": "City", "key": "city", "type": "user"},
        "leaderboards": {"name": "Top", "key": "top", "rankBy": "metric", "metricId": metric},
    }


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
