"""Tenants: spaces of their own behind the same key, between which nothing crosses."""

from __future__ import annotations

import httpx
import pytest
from trophy import AsyncTrophyApi, CreateTenantRequestItem, UpdateTenantRequestItem
from trophy.errors import NotFoundError

from podium.api.tenants.queries import create_tenant
from podium.services import Services
from podium.writebehind.flusher import Flusher
from podium.writebehind.rebuild import rebuild
from tests.conftest import SettableClock
from tests.integration.test_boards import make

UNKNOWN = "0195d0d2-0000-7000-8000-000000000000"


async def revive(services: Services, clock: SettableClock) -> None:
    """What the worker does with spaces that are new."""
    await services.directory.refresh()
    for space in services.directory.spaces.values():
        if space.epoch is None:
            await rebuild(services.pool, services.redis, space, clock)
    await services.directory.refresh()


@pytest.fixture
async def two(http: httpx.AsyncClient, services: Services, clock: SettableClock) -> dict[str, str]:
    """Two tenants, Acme and Bolt; their ids."""
    services.directory.multi_tenancy = True
    items = [{"customerId": key, "name": key.title()} for key in ("acme", "bolt")]
    rows = await make(http, "tenants", *items)
    await revive(services, clock)
    return {row["customerId"]: row["id"] for row in rows}


async def test_nothing_crosses(
    http: httpx.AsyncClient, services: Services, clock: SettableClock, two: dict[str, str]
) -> None:
    acme, bolt = {"Tenant-ID": "acme"}, {"Tenant-ID": "bolt"}
    ids = {}
    for tenant in (acme, bolt):
        made = (await http.post("/admin/v1/metrics", json=[{"name": "W", "key": "words"}], headers=tenant)).json()
        ids[tenant["Tenant-ID"]] = made["created"][0]["id"]
        board = {"name": "A", "key": "all", "rankBy": "metric", "metricId": ids[tenant["Tenant-ID"]]}
        made = await http.post("/admin/v1/leaderboards", json=[{**board, "status": "active"}], headers=tenant)
        assert made.status_code == 201, made.text
    event = {"user": {"id": "ann"}, "value": 5}
    for headers, value in ((acme, 5), (bolt, 7), (bolt, 1)):
        answer = await http.post("/v1/metrics/words/event", json={**event, "value": value}, headers=headers)
        assert answer.status_code == 201, answer.text
    for headers, total in ((acme, 5), (bolt, 8)):
        assert (await http.get("/v1/users/ann/metrics/words", headers=headers)).json()["current"] == total
        rows = (await http.get("/v1/leaderboards/all", headers=headers)).json()["rankings"]
        assert [(row["userId"], row["value"]) for row in rows] == [("ann", total)]
    # Another tenant's ids name nothing.
    assert (await http.get(f"/admin/v1/metrics/{ids['acme']}", headers=bolt)).status_code == 404
    gone = (await http.request("DELETE", f"/admin/v1/metrics?ids={ids['acme']}", headers=bolt)).json()
    assert gone["deleted"] == []
    await http.put("/v1/users/eve", json={"name": "Eve"}, headers=acme)
    assert (await http.get("/v1/users/eve", headers=bolt)).status_code == 404
    spaces = {space.tenant: space for space in services.directory.spaces.values()}
    for tenant, users in (("acme", ["ann", "eve"]), ("bolt", ["ann"])):
        flusher = Flusher(services.pool, services.redis, spaces[tenant], clock)
        while (await flusher.flush()).more:
            pass
        found = (await http.get("/admin/v1/users", headers={"Tenant-ID": tenant})).json()["users"]
        assert [user["id"] for user in found] == users
    made = await http.post("/admin/v1/application-api-keys", json=[{"userId": "ann"}], headers=acme)
    key = {"X-API-KEY": made.json()["created"][0]["key"]}
    for headers in (key, {**key, **bolt}):  # the key's own space, whatever the header says
        assert (await http.get("/v1/users/ann/metrics/words", headers=headers)).json()["current"] == 5


async def test_which_tenant_must_be_said(http: httpx.AsyncClient, services: Services, two: dict[str, str]) -> None:
    for headers, said in (({}, "is required"), ({"Tenant-ID": "nobody"}, "names no tenant")):
        for path in ("/v1/leaderboards", "/admin/v1/metrics"):
            answer = await http.get(path, headers=headers)
            assert (answer.status_code, said in answer.json()["error"]) == (422, True)
        answer = await http.post(
            "/v1/metrics/words/event", json={"user": {"id": "a"}, "value": 1}, headers=headers
        )
        assert (answer.status_code, said in answer.json()["error"]) == (422, True)
    acme = {"Tenant-ID": "acme"}
    await http.request("DELETE", f"/admin/v1/tenants?ids={two['acme']}")
    for method, path in (("GET", "/v1/leaderboards"), ("POST", "/v1/metrics/words/event")):
        answer = await http.request(method, path, headers=acme)
        assert (answer.status_code, "archived" in answer.json()["error"]) == (403, True)
    assert (await http.get("/v1/leaderboards", headers={"Tenant-ID": "bolt"})).status_code == 200
    await http.patch("/admin/v1/tenants", json=[{"id": two["acme"], "status": "active"}])
    assert (await http.get("/v1/leaderboards", headers=acme)).status_code == 200


@pytest.mark.usefixtures("two")
async def test_a_tenant_is_named_in_any_script_everywhere(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    async with services.pool.acquire() as connection:  # as earlier releases made it
        await create_tenant(connection, "production", "Ärger ✓", "Ärger", clock.now_ms)
    await revive(services, clock)
    headers = {b"Tenant-ID": "Ärger ✓".encode()}
    made = await http.post("/admin/v1/metrics", json=[{"name": "W", "key": "w"}], headers=headers)
    listed = (await http.get("/admin/v1/metrics", headers=headers)).json()
    assert [one["id"] for one in listed] == [made.json()["created"][0]["id"]]
    event = {"user": {"id": "ann"}, "value": 1}
    assert (await http.post("/v1/metrics/w/event", json=event, headers=headers)).status_code == 201
    for method, path in (("GET", "/v1/leaderboards"), ("POST", "/v1/metrics/w/event")):
        answer = await http.request(method, path, headers={b"Tenant-ID": "Ärger".encode("latin-1")})
        assert (answer.status_code, answer.json()["error"]) == (422, "Tenant-ID must be UTF-8")


async def test_without_tenancy_the_header_is_ignored(http: httpx.AsyncClient) -> None:
    await make(http, "tenants", {"customerId": "acme", "name": "Acme"})
    for headers in ({}, {"Tenant-ID": "acme"}, {"Tenant-ID": "nobody"}):
        assert (await http.get("/v1/leaderboards", headers=headers)).json() == []


async def test_a_customer_id_is_what_a_header_carries(http: httpx.AsyncClient) -> None:
    bad = (" acme ", "acme ", " ", "", "\tacme", "ac\nme", "Zoë", "x" * 256, "acme\n")
    answer = await http.post("/admin/v1/tenants", json=[{"customerId": one, "name": "A"} for one in bad])
    assert (answer.status_code, answer.json()["created"]) == (200, [])
    assert [issue["index"] for issue in answer.json()["issues"]] == list(range(len(bad)))
    assert all(issue["message"].startswith("customerId must have") for issue in answer.json()["issues"])
    await make(http, "tenants", *({"customerId": one, "name": "A"} for one in ("a c~me/1", "x" * 255, "!")))


async def test_the_sdk_makes_tenants(trophy: AsyncTrophyApi) -> None:
    admin = trophy.admin.tenants
    made = await admin.create(
        request=[
            CreateTenantRequestItem(customer_id="acme", name="Acme"),
            CreateTenantRequestItem(customer_id="acme", name="Again"),
            CreateTenantRequestItem(customer_id="default", name="Default"),
            CreateTenantRequestItem(customer_id="bolt", name=""),
        ]
    )
    [tenant] = made.created
    assert (tenant.customer_id, tenant.status) == ("acme", "active")
    assert [issue.index for issue in made.issues] == [1, 2, 3]
    changed = await admin.update(
        request=[
            UpdateTenantRequestItem(id=tenant.id, name="Acme Ltd"),
            UpdateTenantRequestItem(id=UNKNOWN, name="x"),
        ]
    )
    assert ([one.name for one in changed.updated], len(changed.issues)) == (["Acme Ltd"], 1)
    assert [one.name for one in await admin.list()] == ["Acme Ltd"]
    gone = await admin.delete(ids=[tenant.id, UNKNOWN])
    assert ([one.id for one in gone.deleted], len(gone.issues)) == ([tenant.id], 1)
    assert (await admin.get(tenant.id)).status == "archived"
    with pytest.raises(NotFoundError):
        await admin.get(UNKNOWN)
    assert [one.key for one in await trophy.admin.environments.list()] == ["production"]
