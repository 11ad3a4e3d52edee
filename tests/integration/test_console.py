"""The console's pages over HTTP: who may see and do what, forged and repeated forms, texts that mean something."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from podium.app import web_folder
from podium.console import accounts
from podium.console.app import PAGES, console_routes
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import DAY_MS, flush, make
from tests.integration.test_tenants import revive
from tests.serving import serving

EVIL = "<script>alert('x')</script>'; DROP TABLE users; -- \u05d0"


@pytest.fixture
async def console_url(services: Services) -> AsyncIterator[str]:
    """Where the console is served."""
    app = Starlette(routes=console_routes(web_folder()))
    app.state.services = services
    async with serving(app) as url:
        yield url


@asynccontextmanager
async def signed_in(url: str, secret: str, email: str = "") -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=url) as client:
        form = {"email": email, "secret": secret}
        answer = await client.post("/console/sign-in", data=form, headers={"Origin": url})
        assert answer.status_code == 303, answer.text
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        yield client


@pytest.fixture
async def console(console_url: str, admin_key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with signed_in(console_url, admin_key) as client:
        yield client


async def account(services: Services, role: str, email: str) -> str:
    async with services.pool.acquire() as connection:
        space = services.directory.production.id
        return await accounts.create(connection, space, email, role.title(), role)


async def game(http: httpx.AsyncClient) -> dict[str, Any]:
    [words] = await make(http, "metrics", {"name": EVIL, "key": "words", "decimals": 0})
    board = {"rankBy": "metric", "metricId": words["id"], "status": "active", "start": "2026-01-01"}
    await make(http, "leaderboards", {"name": EVIL, "key": "all", **board})
    freezes = {"startCount": 0, "maxCount": 3}
    streak = {"metrics": [{"key": "words", "threshold": 1}], "freezes": freezes}
    await http.patch("/admin/v1/streaks/settings", json=streak)
    await make(http, "achievements", {"name": EVIL, "trigger": "api", "key": "hero", "status": "active"})
    trigger = {"type": "metric", "metricId": words["id"], "metricThreshold": 1, "points": 1, "status": "active"}
    levels = [{"name": "Gold", "key": "gold", "points": 1_000}]
    [xp] = await make(http, "points", {"name": "XP", "key": "xp", "triggers": [trigger], "levels": levels})
    return xp


async def write(http: httpx.AsyncClient, user: str = "ann", value: float = 5) -> None:
    body = {"user": {"id": user, "name": EVIL}, "value": value}
    answer = await http.post("/v1/metrics/words/event", json=body)
    assert answer.status_code == 201, answer.text


async def form(console: httpx.AsyncClient, path: str, **fields: str) -> dict[str, str]:
    """The hidden fields of a page's own form, and what is typed."""
    page = await console.get(path)
    assert page.status_code == 200, page.text
    header, main = page.text.split("<main", 1)
    hidden = [
        dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', one)) for one in (header, main)
    ]
    # A page of an action that can't be done has no form of its own: one that somebody kept open is sent then.
    return {"csrf": hidden[0]["csrf"], "form": secrets.token_hex(8), **hidden[1], **fields}


async def act(console: httpx.AsyncClient, action: str, user: str = "ann", **fields: str) -> httpx.Response:
    path = f"/console/users/{user}/actions/{action}"
    return await console.post(path, data=await form(console, path, **fields))


async def test_every_page_is_there_and_safe(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services
) -> None:
    for path in ("/console/", "/console/users", "/console/leaderboards"):  # before there is anything
        assert (await console.get(path)).status_code == 200, path
    await game(http)
    await write(http)
    await flush(services)
    await http.post("/v1/achievements/hero/complete", json={"user": {"id": "ann"}})
    await flush(services)
    paths = [
        *(
            "/console/",
            "/console/overview.json",
            "/console/users",
            "/console/users?search=an",
            "/console/users/ann",
        ),
        "/console/users?attribute=x",
        "/console/users/ann?aggregation=weekly&kinds=event&cursor=9999999999999-1",
        *("/console/users/ann/debug?board=all", "/console/users/ann/export.json", "/console/leaderboards"),
        *("/console/leaderboards/all", "/console/leaderboards/all/analytics", "/console/token.json?user=ann"),
        *(
            f"/console/users/ann/actions/{name}"
            for name in ("restore", "points", "boost", "event", "erase", "pause")
        ),
    ]
    for path in paths:
        page = await console.get(path)
        assert page.status_code == (422 if "attribute=x" in path else 200), (path, page.text[-500:])
        assert len(page.content) < 300_000
        if "text/html" in page.headers["content-type"]:
            assert "<script>alert" not in page.text, path
            assert "default-src 'none'" in page.headers["content-security-policy"]
            assert not re.search(r"<[^>]+ (style|on\w+)=", page.text), path
    for path in ("/console/users/nobody", "/console/leaderboards/none", "/console/users/ann/actions/none"):
        assert (await console.get(path)).status_code == 404, path
    shown = await console.get("/console/users/ann")
    assert "&lt;script&gt;" in shown.text
    assert "\u05d0" in shown.text


async def test_nobody_gets_in_without_signing_in(
    console_url: str, admin_key: str, services: Services, http: httpx.AsyncClient
) -> None:
    async with httpx.AsyncClient(base_url=console_url) as stranger:
        for page in PAGES:
            path = page.path.replace("{id}", "ann").replace("{key}", "all").replace("{action}", "restore")
            answer = await stranger.request(page.method, path.replace("{run}", "all"))
            json = path.endswith(".json")
            assert answer.status_code == (403 if page.method == "POST" else 401 if json else 303), page
        origin = {"Origin": console_url}

        async def sign_in(headers: dict[str, str] = origin, **fields: str) -> httpx.Response:
            return await stranger.post("/console/sign-in", data=fields, headers=headers)

        for secret in ("", "bad.key", "x" * 5_000):
            assert (await sign_in(secret=secret)).status_code == 403
        good = {"secret": admin_key, "next": "https://evil.example"}
        assert (await sign_in({"Origin": "https://evil.example"}, **good)).status_code == 403
        assert (await sign_in(secret="", demo="1")).status_code == 403
        signed = await sign_in(**good)
        assert (signed.status_code, signed.headers["location"]) == (303, "/console/")
        reader = await make(http, "application-api-keys", {"userId": "ann"})
        assert (await sign_in(secret=reader[0]["key"])).status_code == 403
        for _ in range(10):
            last = await sign_in(secret="x")
        assert last.status_code == 429
        stranger.cookies.clear()
        stranger.cookies.set("podium_console", "a.b.c", path="/console")
        assert (await stranger.get("/console/")).status_code == 303


async def test_roles(
    console_url: str, console: httpx.AsyncClient, services: Services, http: httpx.AsyncClient
) -> None:
    await game(http)
    await write(http)
    viewer_secret = await account(services, "viewer", "v@example.com")
    support_secret = await account(services, "support", "s@example.com")
    async with signed_in(console_url, viewer_secret, "V@example.com") as viewer:
        assert (await viewer.get("/console/users/ann")).status_code == 200
        assert "Restore streak" not in (await viewer.get("/console/users/ann")).text
        fields = {"csrf": "", "form": "1"}
        for path in ("actions/freeze", "actions/erase"):
            assert (await viewer.get(f"/console/users/ann/{path}")).status_code == 403
            assert (await viewer.post(f"/console/users/ann/{path}", data=fields)).status_code == 403
        async with services.pool.acquire() as connection:
            await accounts.disable(connection, "v@example.com")
        assert (await viewer.get("/console/users/ann")).status_code == 303
    async with signed_in(console_url, support_secret, "s@example.com") as support:
        assert (await act(support, "freeze")).status_code == 303
        assert (await support.get("/console/users/ann/actions/erase")).status_code == 403
        assert (await support.get("/console/users/ann/export.json")).status_code == 403
        out = await support.post(
            "/console/sign-out", data=await form(support, "/console/users/ann/actions/freeze")
        )
        assert out.status_code == 303
        assert (await support.get("/console/")).status_code == 303
    rows = (await http.get("/admin/v1/audit-log", params={"item": "ann"})).json()["rows"]
    assert [(row["action"], row["actor"].partition(" ")[0]) for row in rows] == [("freeze", "Support")]
    async with httpx.AsyncClient(base_url=console_url) as stranger:
        wrong = {"email": "s@example.com", "secret": viewer_secret}
        answer = await stranger.post("/console/sign-in", data=wrong, headers={"Origin": console_url})
        assert answer.status_code == 403


async def test_a_lost_streak_comes_back_and_that_can_be_undone(
    http: httpx.AsyncClient, console_url: str, admin_key: str, services: Services, clock: SettableClock
) -> None:
    await game(http)
    for _ in range(42):
        await write(http)
        clock.now_ms += DAY_MS
    clock.now_ms += 3 * DAY_MS
    async with signed_in(console_url, admin_key) as console:
        await lose_and_restore(http, console, services)


async def lose_and_restore(http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services) -> None:
    path = "/console/users/ann/actions/restore"
    asked = await console.get(path)
    assert "The streak of 0 becomes one of 42." in asked.text
    sent = await form(console, path)
    done = await console.post(path, data=sent)
    assert (done.status_code, "/users/ann?notice=" in done.headers["location"]) == (303, True)
    assert (await http.get("/v1/users/ann/streak")).json()["length"] == 42
    page = await console.get(done.headers["location"])
    assert "data-streak>42<" in page.text
    assert "The streak is back: 42." in page.text
    again = await console.post(path, data=sent)
    assert (again.status_code, "sent before" in again.text) == (409, True)
    forged = await console.post(path, data={**sent, "csrf": "x", "form": "y"})
    assert forged.status_code == 403
    assert (await act(console, "undo")).status_code == 303
    assert (await http.get("/v1/users/ann/streak")).json()["length"] == 0
    nothing = await act(console, "undo")
    assert (nothing.status_code, "nothing to undo" in nothing.text) == (422, True)
    # What the user did since stays: then there is nothing to take back.
    await act(console, "restore")
    await write(http)
    assert (await act(console, "undo")).status_code == 422
    assert (await http.get("/v1/users/ann/streak")).json()["length"] == 43
    await flush(services)
    rows = (await http.get("/admin/v1/audit-log", params={"item": "ann"})).json()["rows"]
    assert [row["action"] for row in rows] == ["restore", "undo restore", "restore"]
    assert [rows[-1][when]["length"] for when in ("before", "after")] == [0, 42]
    assert [rows[1][when]["length"] for when in ("before", "after")] == [42, 0]
    assert rows[-1]["actor"].startswith("test (console, key ")


async def test_all_other_actions(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    xp = await game(http)
    await write(http)
    await flush(services)
    assert (await act(console, "points", system=xp["id"], amount="100", reason="Sorry")).status_code == 303
    assert (await act(console, "points", system=xp["id"], amount="-30", reason="Too much")).status_code == 303
    points = (await http.get("/v1/users/ann/points/xp")).json()
    await flush(services)
    assert points["total"] == 75
    awards = (await http.get("/v1/users/ann/points/xp")).json()["awards"]
    assert [(one["awarded"], one["trigger"]["type"]) for one in awards][:2] == [(-30, "manual"), (100, "manual")]
    for fields in (
        {"system": xp["id"], "amount": "many", "reason": "x"},
        {"system": xp["id"], "amount": "0", "reason": "x"},
        {"system": xp["id"], "amount": "1", "reason": ""},
        {"system": "x", "amount": "1", "reason": "x"},
    ):
        assert (await act(console, "points", **fields)).status_code == 422, fields
    boost = {"system": xp["id"], "name": "Yours", "multiplier": "2", "start": "2026-11-01", "end": ""}
    assert (await act(console, "boost", **boost)).status_code == 303
    assert (await act(console, "boost", **{**boost, "start": "2026-02-30"})).status_code == 422
    assert (await http.get("/v1/users/ann/points/xp/boosts")).json()[0]["name"] == "Yours"
    assert (await act(console, "achievement", achievement="none")).status_code == 422
    assert (await act(console, "achievement", achievement="hero")).status_code == 303
    assert [one["achievedAt"] is not None for one in (await http.get("/v1/users/ann/achievements")).json()] == [
        True
    ]
    assert (await act(console, "pause", start="2026-12-24", end="2026-12-26")).status_code == 303
    assert (await act(console, "pause", start="2026-12-26", end="2026-12-24")).status_code == 422
    assert (await act(console, "reset")).status_code == 303
    await flush(services)
    rows = (await http.get("/admin/v1/users/ann/timeline")).json()["rows"]
    assert {row["kind"] for row in rows} >= {"event", "points", "achievement"}
    assert (await act(console, "erase", confirm="wrong")).status_code == 422
    assert (await act(console, "erase", confirm="ann")).headers["location"] == "/console/users?erased=1"
    assert (await http.get("/v1/users/ann")).status_code == 404
    assert (await console.get("/console/users/ann")).status_code == 404


async def test_an_admin_key_looks_at_one_tenant(
    http: httpx.AsyncClient, console_url: str, admin_key: str, services: Services, clock: SettableClock
) -> None:
    services.directory.multi_tenancy = True
    await make(http, "tenants", {"customerId": "acme", "name": "Acme"}, {"customerId": "bolt", "name": "Bolt"})
    await revive(services, clock)
    await http.put("/v1/users/ann", json={"name": "Ann"}, headers={"Tenant-ID": "acme"})
    async with httpx.AsyncClient(base_url=console_url) as client:
        for tenant, status in (("", 403), ("nobody", 403), ("acme", 303)):
            form = {"secret": admin_key, "tenant": tenant}
            answer = await client.post("/console/sign-in", data=form, headers={"Origin": console_url})
            assert answer.status_code == status, tenant
        assert (await client.get("/console/users/ann")).status_code == 200
        form = {"secret": admin_key, "tenant": "bolt"}
        await client.post("/console/sign-in", data=form, headers={"Origin": console_url})
        assert (await client.get("/console/users/ann")).status_code == 404
