"""Signing in to a tenant, active or archived."""

from __future__ import annotations

import httpx

from podium.console import accounts
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.console.test_sign_in import sign_in_as
from tests.integration.test_boards import make
from tests.integration.test_tenants import revive


async def test_an_account_of_an_archived_tenant_is_told_so(
    http: httpx.AsyncClient, console_url: str, services: Services, clock: SettableClock
) -> None:
    services.directory.multi_tenancy = True
    [acme] = await make(http, "tenants", {"customerId": "acme", "name": "Acme"})
    await revive(services, clock)
    space = next(one for one in services.directory.spaces.values() if one.tenant == "acme")
    async with services.pool.acquire() as connection:
        secret = await accounts.create(connection, space.id, "ana@acme.example", "Ana", "admin")
    async with httpx.AsyncClient(base_url=console_url) as ana:
        assert (await sign_in_as(ana, console_url, "ana@acme.example", secret)).status_code == 303
        assert (await ana.get("/console/users")).status_code == 200
        assert (await http.delete("/admin/v1/tenants", params={"ids": acme["id"]})).status_code == 200
        await services.directory.refresh()
        assert (await ana.get("/console/users")).status_code == 303
        refused = await sign_in_as(ana, console_url, "ana@acme.example", secret)
        assert (refused.status_code, "The tenant is archived." in refused.text) == (403, True)
        wrong = await sign_in_as(ana, console_url, "ana@acme.example", "guessed")
        assert "archived" not in wrong.text
    async with services.pool.acquire() as connection:
        signed_in = "SELECT count(*) FROM audit_log WHERE space_id = $1 AND action = 'sign in'"
        assert await connection.fetchval(signed_in, space.id) == 1
