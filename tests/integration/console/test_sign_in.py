"""Sign-in, sessions, limits on attempts, forms, headers and outages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
import msgspec
import pytest

from podium.console import sign_in_attempts as tries
from podium.console import stores
from podium.console.csrf_tokens import masked, unmasked
from podium.console.pages.sign_in import inside
from podium.console.render import plain
from podium.game.errors import Unavailable
from podium.services import Services
from podium.storage.postgres.pool import Pool, acquired, open_pool
from podium.storage.redis.client import RedisClient
from podium.writebehind.rebuild import rebuild
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, make
from tests.integration.test_cli import podium
from tests.integration.test_console import account, form, game, signed_in, write

FREEZE = "/console/users/ann/actions/freeze"


@pytest.fixture
async def stranger(console_url: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=console_url, headers={"Origin": console_url}) as client:
        yield client


@pytest.fixture
async def away() -> AsyncIterator[RedisClient]:
    """A Redis that nobody answers for."""
    client = RedisClient("redis://127.0.0.1:1")
    yield client
    await client.aclose()


async def sign_in(client: httpx.AsyncClient, **fields: str) -> httpx.Response:
    return await client.post("/console/sign-in", data=fields)


async def test_sign_in_goes_on_to_the_page_that_was_asked_for(
    stranger: httpx.AsyncClient, services: Services
) -> None:
    secret = await account(services, "viewer", "ana@example.com")
    for path in (
        "/console/users?search=a//b&attribute=plan%3Apro",
        "/console/users/a%2Fb",
        "/console/users/ü?x=é",
    ):
        led = await stranger.get(path)
        assert led.status_code == 303
        page = await stranger.get(led.headers["location"])
        hidden = re.search(r'name="next" value="([^"]*)"', page.text)
        assert hidden is not None
        asked = hidden[1].replace("&amp;", "&")
        wrong = await sign_in(stranger, next=asked, email="ana@example.com", secret="wrong")
        assert wrong.status_code == 403
        assert f'name="next" value="{hidden[1]}"' in wrong.text
        assert 'value="ana@example.com"' in wrong.text
        assert "wrong" not in wrong.text.partition("<main")[2].replace("That", "")
        done = await sign_in(stranger, next=asked, email="ana@example.com", secret=secret)
        assert (done.status_code, done.headers["location"]) == (303, str(httpx.URL(path)))
        stranger.cookies.clear()


def test_nothing_leads_elsewhere() -> None:
    ours = (
        "/console/",
        "/console/users?search=//evil.example",
        "/console/users/a%2F%2Fb",
        "/console/a?b=http://c/",
    )
    for asked in ours:
        assert inside(asked) == asked
    evil = "evil.example"
    elsewhere = f"""//{evil}|///{evil}/console/|https://{evil}/console/|http:{evil}|\\\\{evil}|/\\{evil}
        |/console/\\{evil}|//{evil}/console/|javascript:alert(1)|/console|/consoles/x|/console//..//{evil}
        |/console/../..//{evil}|/console/%2e%2e//{evil}|/console/.%2E/{evil}|\t//{evil}
        | //{evil}/console/|/\t/{evil}
        |/console/\r\nx: y|https:/console/@{evil}|//{evil}@/console/|//[/console/|/／{evil}|/console/\u202e{evil}
        |{evil}/console/|?next=//{evil}|data:text/html,/console/|/console/\0//{evil}|||/|//"""
    wrong = re.split(r"\n? *\|", elsewhere)
    for asked in wrong:
        assert inside(asked) == "/console/", asked
    for asked in [*ours, *wrong]:
        assert urlsplit(urljoin("http://ours/console/sign-in", inside(asked))).netloc == "ours"


async def test_signing_out_ends_the_session_everywhere(
    console: httpx.AsyncClient, services: Services, away: RedisClient, clock: SettableClock
) -> None:
    old = console.cookies["podium_console"]
    out = await form(console, "/console/users")
    page = (await console.get("/console/users")).text
    csrf = re.search(r'name="csrf" value="([^"]+)"', page)
    assert csrf is not None
    real, services.redis = services.redis, away
    refused = await console.post("/console/sign-out", data={"csrf": csrf[1]})
    assert refused.status_code == 503
    assert "Redis is away" in refused.text
    assert "set-cookie" not in refused.headers
    for path in ("/console/users", "/console/leaderboards"):
        assert (await console.get(path)).status_code == 503
    services.redis = real
    assert (await console.get("/console/users")).status_code == 200, out
    assert (await console.post("/console/sign-out", data={"csrf": csrf[1]})).status_code == 303
    console.cookies.clear()
    for path, status in (("/console/users", 303), ("/console/overview.json", 401), ("/console/token.json", 401)):
        assert (await console.get(path, headers={"Cookie": f"podium_console={old}"})).status_code == status


async def test_a_rebuild_signs_nobody_out(
    console: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    space = services.directory.production
    assert await rebuild(services.pool, services.redis, space, clock, force=True)
    await services.directory.refresh()
    assert (await console.get("/console/users")).status_code == 200


async def test_a_session_ends_with_its_key_its_account_its_password_and_its_day(
    console_url: str,
    console: httpx.AsyncClient,
    admin_key: str,
    services: Services,
    clock: SettableClock,
    database_url: str,
    redis_url: str,
) -> None:
    environment = {"PODIUM_DATABASE_URL": database_url, "PODIUM_REDIS_URL": redis_url}
    secret = await account(services, "support", "ana@example.com")
    async with signed_in(console_url, secret, "ana@example.com") as ana:

        async def may() -> tuple[int, int]:
            shown = await ana.get("/console/users")
            export = await ana.get("/console/users/ann/export.json", headers={"Accept": "text/html"})
            return shown.status_code, export.status_code

        assert await may() == (200, 403)
        assert (await podium(environment, "users", "set-role", "Ana@example.com", "--role", "admin"))[0] == 0
        assert await may() == (200, 404)
        code, new, _ = await podium(environment, "users", "reset-password", "ANA@example.com")
        assert code == 0
        assert await may() == (303, 303)
        assert (await sign_in_as(ana, console_url, "ana@example.com", secret)).status_code == 403
        assert (await sign_in_as(ana, console_url, "ana@example.com", new.strip())).status_code == 303
        assert await may() == (200, 404)
        assert (await podium(environment, "users", "disable", "ana@example.com"))[0] == 0
        assert await may() == (303, 303)
        assert (await podium(environment, "users", "reset-password", "ana@example.com"))[0] == 1
        code, newer, _ = await podium(environment, "users", "enable", "ana@example.com")
        assert code == 0
        assert await may() == (303, 303)  # the session of before does not come back
        assert (await sign_in_as(ana, console_url, "ana@example.com", newer.strip())).status_code == 303
        assert await may() == (200, 404)
        for word in ("enable", "set-role"):
            who = "nobody@example.com"
            more = ["--role", "viewer"] if word == "set-role" else []
            code, _, err = await podium(environment, "users", word, who, *more)
            assert (code, who in err) == (1, True)
        code, _, err = await podium(environment, "users", "enable", "ana@example.com")
        assert (code, "no disabled account" in err) == (1, True)
        _, listed, _ = await podium(environment, "users", "list")
        assert re.search(r"ana@example\.com +admin +production +\S+ +signed in \d{4}-", listed), listed
        clock.advance(12 * 3_600_000)
        assert await may() == (303, 303)
    assert (await console.get("/console/users")).status_code == 303
    async with signed_in(console_url, admin_key) as by_key:
        assert (await by_key.get("/console/users")).status_code == 200
        assert (await podium(environment, "keys", "revoke", admin_key))[0] == 0
        await services.directory.refresh()
        assert (await by_key.get("/console/users")).status_code == 303


async def sign_in_as(client: httpx.AsyncClient, url: str, email: str, secret: str) -> httpx.Response:
    fields = {"email": email, "secret": secret}
    return await client.post("/console/sign-in", data=fields, headers={"Origin": url})


async def test_what_the_command_line_did_is_in_the_audit_log(
    database_url: str, redis_url: str, services: Services, http: httpx.AsyncClient
) -> None:
    environment = {"PODIUM_DATABASE_URL": database_url, "PODIUM_REDIS_URL": redis_url}
    for words in (
        ("create", "--email", "Ana@example.com"),
        ("set-role", "ana@example.com", "--role", "admin"),
        ("reset-password", "ana@example.com"),
        ("disable", "ana@example.com"),
        ("enable", "ana@example.com"),
    ):
        assert (await podium(environment, "users", *words))[0] == 0, words
    code, _, err = await podium(environment, "users", "create", "--email", "ana@example.com")
    assert (code, "already" in err) == (1, True)
    query = {"item": "Ana@example.com", "kind": "console account"}
    rows = (await http.get("/admin/v1/audit-log", params=query)).json()["rows"]
    actions = ["enable", "disable", "reset password", "set role", "create"]
    assert [row["action"] for row in rows] == actions
    assert (rows[3]["before"], rows[3]["after"]) == ({"role": "support"}, {"role": "admin"})
    code, _, err = await podium(environment, "users", "enable", "ana@example.com")
    assert code == 1


async def test_attempts_are_held_back_but_not_those_of_others(
    console_url: str, stranger: httpx.AsyncClient, services: Services, admin_key: str, clock: SettableClock
) -> None:
    secret = await account(services, "viewer", "ana@example.com")
    for _ in range(tries.MOST_ADDRESS + 5):  # who signs in is not counted
        assert (await sign_in(stranger, email="ana@example.com", secret=secret)).status_code == 303
        stranger.cookies.clear()
    for _ in range(tries.MOST_TOGETHER):
        assert (await sign_in(stranger, email="ANA@example.com", secret="wrong")).status_code == 403
    refused = await sign_in(stranger, email="ana@example.com", secret=secret)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["retry-after"]) <= tries.WINDOW_S
    assert "Try again in" in refused.text
    # Another e-mail and a key from the same address, and the e-mail from elsewhere, are free.
    other = await account(services, "viewer", "bo@example.com")
    assert (await sign_in(stranger, email="bo@example.com", secret=other)).status_code == 303
    assert (await sign_in(stranger, secret=admin_key)).status_code == 303
    redis, now_ms = services.redis, clock()
    assert (await tries.take(redis, "10.0.0.9", "ana@example.com", now_ms)).wait_s == 0
    clock.advance(int(refused.headers["retry-after"]) * 1000)
    assert (await sign_in(stranger, email="ana@example.com", secret=secret)).status_code == 303


async def test_many_machines_together_may_guess_little_and_lock_out_nobody(services: Services) -> None:
    redis, now_ms, email = services.redis, services.clock(), "ana@example.com"
    home = await tries.take(redis, "192.0.2.7", email, now_ms)
    await tries.succeeded(redis, home)
    allowed = 0
    for machine in range(tries.MOST_EMAIL // tries.MOST_TOGETHER + 5):
        for _ in range(tries.MOST_TOGETHER + 1):
            allowed += (await tries.take(redis, f"10.0.0.{machine}", email, now_ms)).wait_s == 0
    assert allowed == tries.MOST_EMAIL
    assert (await tries.take(redis, "192.0.2.7", email, now_ms)).wait_s == 0
    # One machine that tries many e-mails.
    allowed = sum([(await tries.take(redis, "10.9.9.9", f"{n}@x.y", now_ms)).wait_s == 0 for n in range(50)])
    assert allowed == tries.MOST_ADDRESS
    names = [key.decode() async for key in redis.raw.scan_iter("podium:tries:*")]
    assert names
    assert not any("ana" in name or "10.0" in name for name in names)


async def test_one_click_is_for_a_browser_that_names_this_machine(
    console_url: str, stranger: httpx.AsyncClient, services: Services
) -> None:
    port = urlsplit(console_url).port

    async def click(host: str, **more: str) -> tuple[bool, int]:
        headers = {"Host": host, "Origin": f"http://{host}", **more}
        page = await stranger.get("/console/sign-in", headers=headers)
        done = await stranger.post("/console/sign-in", data={"demo": "1"}, headers=headers)
        stranger.cookies.clear()
        return "Look around" in page.text, done.status_code

    assert await click(f"127.0.0.1:{port}") == (False, 403)  # it is no `podium dev`
    services.settings = msgspec.structs.replace(services.settings, demo=True)
    assert await click(f"127.0.0.1:{port}") == (False, 403)
    services.settings = msgspec.structs.replace(services.settings, demo=False, console_one_click=True)
    for host in (f"127.0.0.1:{port}", f"localhost:{port}", f"LOCALHOST:{port}", f"[::1]:{port}"):
        assert await click(host) == (True, 303), host
    evil = "evil.com:8103 127.0.0.1.evil.com localhost.evil.com evil.com@127.0.0.1 [::1 10.0.0.1 evil.com:@[::1]"
    for host in evil.split():
        shown, status = await click(host)
        assert not shown, host
        assert status in (400, 403), host
    passed_on = [(f"localhost:{port + 1}", {}), ("localhost", {})]  # the other end of a tunnel
    headers = ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host")
    passed_on += [(f"localhost:{port}", {header: "127.0.0.1"}) for header in headers]
    for host, more in passed_on:
        shown, status = await click(host, **more)
        assert not shown, (host, more)
        assert status in (403, 429), (host, more)


@pytest.mark.parametrize(
    ("host", "plain", "secure"),
    [
        ("127.0.0.1:1234", False, False),
        ("localhost", False, False),
        ("podium.example.com", False, True),
        ("10.0.0.5:8000", False, True),
        ("10.0.0.5:8000", True, False),
    ],
)
async def test_the_cookie_goes_over_tls_only_unless_the_server_is_on_this_machine(
    stranger: httpx.AsyncClient, services: Services, admin_key: str, host: str, plain: bool, secure: bool
) -> None:
    services.settings = msgspec.structs.replace(services.settings, console_plain_http=plain)
    headers = {"Host": host, "Origin": f"https://{host}"}
    answer = await stranger.post("/console/sign-in", data={"secret": admin_key}, headers=headers)
    assert answer.status_code == 303
    assert ("; Secure" in answer.headers["set-cookie"]) is secure


async def test_a_form_may_be_sent_again_only_where_nothing_was_done(
    http: httpx.AsyncClient, console: httpx.AsyncClient, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    xp = await game(http)
    await write(http)
    path = "/console/users/ann/actions/points"
    sent = await form(console, path, system=xp["id"], amount="many", reason="Sorry")
    nameless = await console.post(path, data={**sent, "form": ""})
    assert (nameless.status_code, "has no id" in nameless.text) == (422, True)
    assert (await console.post(path, data=sent)).status_code == 422
    # Refused, so the same form may be sent as it should have been.
    assert (await console.post(path, data={**sent, "amount": "5"})).status_code == 303
    again = await console.post(path, data={**sent, "amount": "5"})
    assert (again.status_code, "has been carried out" in again.text) == (409, True)
    assert (await http.get("/v1/users/ann/points/xp")).json()["total"] == 10

    # Postgres away before: nothing was done.
    sent = await form(console, FREEZE)
    real, closed = services.pool, await closed_pool(services)
    services.pool = closed
    refused = await console.post(FREEZE, data=sent)
    assert (refused.status_code, "may have been" in refused.text) == (503, False)
    services.pool = real
    before = await freezes(http)
    assert (await console.post(FREEZE, data=sent)).status_code == 303
    assert await freezes(http) == before + 1

    # A store away in the middle: nobody knows.
    sent = await form(console, FREEZE)
    commit = type(services).commit

    async def lost(self: Services, *args: Any) -> Any:
        await commit(self, *args)
        raise Unavailable("Redis is away")

    with_record = type(services).commit_with_record

    async def lost_too(self: Services, *args: Any) -> Any:
        await with_record(self, *args)
        raise Unavailable("Redis is away")

    monkeypatch.setattr(type(services), "commit", lost)
    monkeypatch.setattr(type(services), "commit_with_record", lost_too)
    unsure = await console.post(FREEZE, data=sent)
    assert (unsure.status_code, "may have been carried out" in unsure.text) == (503, True)
    monkeypatch.undo()
    again = await console.post(FREEZE, data=sent)
    assert (again.status_code, "may have been carried out" in again.text) == (409, True)
    assert await freezes(http) == before + 2


async def freezes(http: httpx.AsyncClient) -> int:
    found: int = (await http.get("/v1/users/ann/streak")).json()["freezes"]
    return found


async def closed_pool(services: Services) -> Pool:
    pool = await open_pool(services.settings.database_url)
    pool.terminate()
    return pool


async def test_every_answer_below_the_console_is_safe(
    http: httpx.AsyncClient, console: httpx.AsyncClient, console_url: str, services: Services
) -> None:
    await game(http)
    await write(http)
    await flush(services)
    paths = {
        "/console": 307,
        "/console/": 200,
        "/console/overview.json": 200,
        "/console/token.json": 200,
        "/console/leaderboards/all/runs/all.csv": 404,
        "/console/users/ann/export.json": 200,
        "/console/nope": 404,
        "/console/nope.json": 404,
        "/console/users/a%0Ab/nope": 404,
        "/console/static/nope.js": 404,
        "/console/sign-out": 405,
        "/console/sign-in": 303,
        "/console/static/console.css": 200,
    }
    for path, status in paths.items():
        answer = await console.get(path)
        assert answer.status_code == status, path
        assert "default-src 'none'" in answer.headers["content-security-policy"], path
        kept = "no-cache" if path.startswith("/console/static") else "no-store"
        assert answer.headers["cache-control"] == kept, path
        if status in (404, 405):
            assert answer.headers["content-type"].startswith("text/html"), path
            assert "<h1>" in answer.text
    async with httpx.AsyncClient(base_url=console_url) as stranger:
        for path in ("/console/nope", "/console/users"):
            answer = await stranger.get(path)
            assert answer.headers["cache-control"] == "no-store"


async def test_pages_are_compressed_and_never_show_the_same_secret(console: httpx.AsyncClient) -> None:
    seen = set()
    for _ in range(3):
        answer = await console.get("/console/users")
        assert answer.headers["content-encoding"] == "gzip"
        shown = re.search(r'name="csrf" value="([^"]+)"', answer.text)
        assert shown is not None
        seen.add(shown[1])
    assert len(seen) == 3
    assert len({unmasked(one) for one in seen}) == 1
    for forged in ("", "x", "é", "A" * 44, masked(b"0" * 16), next(iter(seen))[:-4], "=" * 44):
        answer = await console.post("/console/sign-out", data={"csrf": forged})
        assert answer.status_code == 403, forged
    assert (await console.post("/console/sign-out", data={"csrf": seen.pop()})).status_code == 303


async def test_a_title_turns_nothing_around(http: httpx.AsyncClient, console: httpx.AsyncClient) -> None:
    await game(http)
    await http.put("/v1/users/eve", json={"name": "\u202eevil\u2066<b>&"})
    page = (await console.get("/console/users/eve")).text
    title = page[page.index("<title>") : page.index("</title>")]
    assert "evil" in title
    assert not set(title) & set("\u202e\u2066")
    assert "&lt;b&gt;&amp;" in title
    assert plain("a\x07\u200fb<") == "a b&lt;"


async def test_the_tenant_is_asked_for_in_the_words_of_the_page(
    http: httpx.AsyncClient, stranger: httpx.AsyncClient, services: Services, admin_key: str
) -> None:
    services.directory.multi_tenancy = True
    await make(http, "tenants", {"customerId": "acme", "name": "Acme"})
    for tenant, text in (("", "Fill in the tenant"), ("nobody", "no tenant with this customer id")):
        answer = await sign_in(stranger, secret=admin_key, tenant=tenant)
        assert (answer.status_code, text in answer.text, "Tenant-ID" in answer.text) == (403, True, False)


async def test_a_hanging_postgres_is_away_soon(
    pool: Pool, console_url: str, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "LOOK_S", 0.05)
    with pytest.raises(Unavailable):
        async with stores.connection_within_limit(pool) as connection:
            await connection.execute("SELECT pg_sleep(600)")
    with pytest.raises(Unavailable):
        await stores.within_limit(asyncio.Event().wait())
    monkeypatch.undo()
    async with acquired(pool) as connection:  # and the pool is as good as before
        assert await connection.fetchval("SELECT 1") == 1


async def test_sign_in_needs_redis(
    stranger: httpx.AsyncClient, services: Services, admin_key: str, away: RedisClient
) -> None:
    services.redis = away
    answer = await sign_in(stranger, secret=admin_key)
    assert (answer.status_code, "Redis is away" in answer.text) == (503, True)
    assert answer.headers["retry-after"] == "1"
