"""Keys from the first to the last day: what each may reach, what it leaves behind, what is written down of it."""

from __future__ import annotations

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from server.http.endpoints import Raw
from server.live.hub import Hub
from server.live.limits import Door
from server.live.sse import LiveStreams
from server.services import Services
from server.spaces import store
from tests.conftest import SettableClock
from tests.integration.test_boards import make
from tests.integration.test_tenants import revive


@pytest.fixture
async def acme(http: httpx.AsyncClient, services: Services, clock: SettableClock) -> dict[str, str]:
    """Tenants are on, and Acme is one: its row."""
    services.directory.multi_tenancy = True
    [row] = await make(http, "tenants", {"customerId": "acme", "name": "Acme"})
    await revive(services, clock)
    return dict(row)


async def key_of_tenant(services: Services, tenant: str) -> dict[str, str]:
    """The header with an admin key that was made for the space of one tenant."""
    [space] = [one for one in services.directory.spaces.values() if one.tenant == tenant]
    async with services.pool.acquire() as connection:
        key = await store.create_key(connection, space.id, "bound")
    await services.directory.refresh()
    return {"X-API-KEY": key}


async def test_a_key_of_one_tenant_rules_no_other(
    http: httpx.AsyncClient, services: Services, acme: dict[str, str]
) -> None:
    bound = await key_of_tenant(services, "acme")
    assert (await http.get("/admin/v1/metrics", headers=bound)).status_code == 200
    for method, path, body in (
        ("GET", "/admin/v1/tenants", None),
        ("GET", f"/admin/v1/tenants/{acme['id']}", None),
        ("POST", "/admin/v1/tenants", [{"customerId": "bolt", "name": "Bolt"}]),
        ("PATCH", "/admin/v1/tenants", [{"id": acme["id"], "name": "Mine"}]),
        ("DELETE", f"/admin/v1/tenants?ids={acme['id']}", None),
        ("GET", "/admin/v1/environments", None),
        ("POST", "/admin/v1/environments", {"key": "staging"}),
    ):
        answer = await http.request(method, path, json=body, headers=bound)
        assert (answer.status_code, "one tenant's" in answer.json()["error"]) == (403, True), (method, path)
    assert [one["name"] for one in (await http.get("/admin/v1/tenants")).json()] == ["Acme"]
    await http.delete("/admin/v1/tenants", params={"ids": acme["id"]})
    assert (await http.get("/admin/v1/metrics", headers=bound)).status_code == 403


async def test_an_application_key_moves_to_no_tenant(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    [made] = await make(http, "application-api-keys", {"userId": "ann"})
    key = {"X-API-KEY": made["key"]}
    assert (await http.get("/v1/leaderboards", headers=key)).status_code == 200
    services.directory.multi_tenancy = True
    await make(http, "tenants", {"customerId": "acme", "name": "Acme"})
    await revive(services, clock)
    for headers in (key, {**key, "Tenant-ID": "acme"}, {**key, "Tenant-ID": "nobody"}):
        assert (await http.get("/v1/leaderboards", headers=headers)).status_code == 403
    body = {"user": {"id": "ann"}, "value": 1}
    answer = await http.post("/v1/metrics/words/event", json=body, headers={**key, "Tenant-ID": "acme"})
    assert answer.status_code == 403


async def test_the_log_of_the_environment(
    http: httpx.AsyncClient, services: Services, acme: dict[str, str]
) -> None:
    rows = (await http.get("/admin/v1/audit-log")).json()["rows"]
    assert [(row["action"], row["kind"], row["item"]) for row in rows] == [("create", "tenant", acme["id"])]
    await http.post("/admin/v1/metrics", json=[{"name": "W", "key": "words"}], headers={"Tenant-ID": "acme"})
    of_acme = (await http.get("/admin/v1/audit-log", headers={"Tenant-ID": "acme"})).json()["rows"]
    assert [row["kind"] for row in of_acme] == ["metric"]
    assert (await http.get("/admin/v1/audit-log", headers=await key_of_tenant(services, "acme"))).json() == {
        "rows": of_acme
    }
    assert len((await http.get("/admin/v1/audit-log")).json()["rows"]) == 1
    assert (await http.get("/admin/v1/audit-log", headers={"Tenant-ID": "nobody"})).status_code == 422


async def test_a_live_stream_needs_the_tenant_as_any_request_does(
    http: httpx.AsyncClient, services: Services, acme: dict[str, str], admin_key: str
) -> None:
    """404 is the leaderboard that nobody made: the tenant was found. test_revoked.py has streams that open."""
    hub = Hub(services.redis, services.clock, services.thaw, services.describe, services.standings)
    streams = LiveStreams(hub, services.directory, services.clock, Door())
    app = Starlette(routes=[Route("/v1/leaderboards/{key}/live", Raw(streams))])
    space = next(one for one in services.directory.spaces.values() if one.tenant == "acme")
    own, bound = {"X-API-KEY": admin_key}, await key_of_tenant(services, "acme")

    async def status(headers: dict[str, str], **query: str) -> int:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://podium") as client:
            answer = await client.get("/v1/leaderboards/all/live", headers=headers, params=query)
        assert list(answer.json()) == ["error"]
        return answer.status_code

    assert await status(own) == await status(own, space=space.public_id) == 422
    assert await status({**own, "Tenant-ID": "nobody"}) == 422
    assert await status({**own, "Tenant-ID": "acme"}) == await status(bound) == 404
    assert await status({}, space=space.public_id) == 404
    assert await status({"X-API-KEY": "no.key"}) == 401
    await http.delete("/admin/v1/tenants", params={"ids": acme["id"]})
    assert await status({**own, "Tenant-ID": "acme"}) == await status(bound) == 403
    assert await status({}, space=space.public_id) == 403
