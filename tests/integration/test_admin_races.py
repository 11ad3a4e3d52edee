"""Changes that meet: none is lost, and none is without its row in the audit log."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import httpx
import pytest

from podium.spaces import audit
from podium.storage.postgres.pool import Pool
from tests.integration.test_boards import make


async def test_of_tenants_changed_at_once_the_log_says_what_each_change_found(http: httpx.AsyncClient) -> None:
    [tenant] = await make(http, "tenants", {"customerId": "acme", "name": "A"})
    changes = [[{"id": tenant["id"], "name": name}] for name in "bcdef"]
    await asyncio.gather(*(http.patch("/admin/v1/tenants", json=change) for change in changes))
    rows = (await http.get("/admin/v1/audit-log", params={"kind": "tenant"})).json()["rows"]
    assert len(rows) == 1 + len(changes)
    assert all(after["before"] == before["after"] for after, before in pairwise(rows))


async def test_what_the_log_does_not_take_is_not_done(
    http: httpx.AsyncClient, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    [tenant] = await make(http, "tenants", {"customerId": "acme", "name": "A"})
    [key] = await make(http, "application-api-keys", {"userId": "ann"})

    async def fail(*_: object) -> None:
        raise ConnectionResetError("gone in between")

    with monkeypatch.context() as patch:
        patch.setattr(audit, "write", fail)
        for answer in (
            await http.post("/admin/v1/tenants", json=[{"customerId": "bolt", "name": "B"}]),
            await http.patch("/admin/v1/tenants", json=[{"id": tenant["id"], "name": "C"}]),
            await http.delete("/admin/v1/tenants", params={"ids": tenant["id"]}),
            await http.delete("/admin/v1/application-api-keys", params={"ids": key["id"]}),
        ):
            assert answer.status_code == 503, answer.text
    assert (await http.get("/admin/v1/tenants")).json() == [tenant]
    assert [row["id"] for row in (await http.get("/admin/v1/application-api-keys")).json()] == [key["id"]]


async def test_preferences_changed_at_once_are_all_kept(http: httpx.AsyncClient) -> None:
    await http.put("/v1/users/ann", json={})
    await http.patch("/admin/v1/streaks/settings", json={"customizationEnabled": True})
    path, kinds = "/v1/users/ann/preferences", ("achievement_completed", "recap", "reactivation")
    changes = [
        *({"notifications": {kind: ["push"]}} for kind in kinds),
        {"streak": {"enabled": False}},
        {"streak": {"daysOff": [0]}},
    ]
    await asyncio.gather(*(http.patch(path, json=change) for change in changes))
    found = (await http.get(path)).json()
    assert found["notifications"] == {kind: ["push"] for kind in kinds}
    assert found["streak"] == {"enabled": False, "daysOff": [0]}
    await http.patch(path, json={"notifications": {"recap": None}})
    assert "recap" not in (await http.get(path)).json()["notifications"]
