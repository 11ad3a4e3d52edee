"""Keys from the first to the last day: what each may reach, what it leaves behind, what is written down of it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from podium.game.errors import Unprocessable
from podium.game.periods import iso
from podium.http.endpoints import Raw
from podium.intake.answers import logged_answer
from podium.live.hub import Hub
from podium.live.limits import ConnectionLimiter
from podium.live.rpc import EventRpc
from podium.live.sse import LiveStreams
from podium.services import Services
from podium.spaces import audit, store
from podium.spaces.audit import Entry
from podium.spaces.store import ENVIRONMENTS_MAX
from tests.conftest import SettableClock
from tests.integration.test_boards import flush, make
from tests.integration.test_cli import podium
from tests.integration.test_erasing import USER, everything
from tests.integration.test_tenants import revive


@pytest.fixture
def environment(database_url: str, redis_url: str) -> dict[str, str]:
    """Where the commands find the stores."""
    return {"PODIUM_DATABASE_URL": database_url, "PODIUM_REDIS_URL": redis_url, "PODIUM_LOG_LEVEL": "error"}


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
        assert (answer.status_code, "belongs to a tenant" in answer.json()["error"]) == (403, True), (method, path)
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
    hub = Hub(services.redis, services.clock, services.thaw, logged_answer, services.standings)
    streams = LiveStreams(hub, services.directory, services.clock, ConnectionLimiter())
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


HELD = ({"tz": "Pacific/Kiritimati"}, {"attributes": {"city": "Rome"}}, {"signUpDate": "2020-01-01"}, {"tz": None})
"""What a user's own key may not say of the user."""


@pytest.fixture
async def game(http: httpx.AsyncClient) -> None:
    """A metric of at most 10 a day, a user attribute, an achievement that a call completes."""
    await make(http, "metrics", {"name": "Words", "key": "words", "maxPerDay": 10})
    await make(http, "attributes", {"name": "City", "key": "city", "type": "user"})
    await make(http, "achievements", {"name": "Hero", "trigger": "api", "key": "hero", "status": "active"})


async def own_key(http: httpx.AsyncClient, *capabilities: str) -> dict[str, str]:
    """The header with an application key of Ada."""
    item = {"userId": "ada", "capabilities": ["read", *capabilities]}
    return {"X-API-KEY": (await make(http, "application-api-keys", item))[0]["key"]}


def now_and(clock: SettableClock, minutes: float) -> str:
    return iso(clock.now_ms + int(minutes * 60_000))


async def test_a_players_own_key_cannot_get_round_the_limit_of_a_day(
    http: httpx.AsyncClient, clock: SettableClock, game: None
) -> None:
    path, key = "/v1/metrics/words/event", await own_key(http, "events:write")

    async def post(value: float, who: dict[str, object] | None = None, **fields: object) -> tuple[int, str]:
        body = {"user": {"id": "ada", **(who or {})}, "value": value, **fields}
        answer = await http.post(path, json=body, headers=key)
        return answer.status_code, answer.json().get("error", "")

    assert (await post(10, {"name": "Ada", "email": "ada@example.com"}, timestamp=now_and(clock, -4)))[0] == 201
    assert "maxPerDay" in (await post(1))[1]
    for minutes in (-6, -24 * 60, 5):
        status, said = await post(1, timestamp=now_and(clock, minutes))
        assert status == 422
        assert ("timestamp" if minutes < 0 else "maxPerDay") in said
    for fields in HELD:
        status, said = await post(1, fields)
        assert (status, said.startswith(f"user.{next(iter(fields))} ")) == (422, True), said
    # The app's own server may.
    body = {"user": {"id": "ada", **HELD[0]}, "value": 1, "timestamp": now_and(clock, -48 * 60)}
    assert (await http.post(path, json=body)).status_code == 201


async def test_what_of_a_profile_is_the_users_own(http: httpx.AsyncClient, game: None) -> None:
    key = await own_key(http, "events:write")
    for method, path, body in (
        ("POST", "/v1/users", {"id": "ada"}),
        ("PUT", "/v1/users/ada", {}),
        ("PATCH", "/v1/users/ada", {}),
    ):
        good = await http.request(method, path, json={**body, "name": f"A {method}"}, headers=key)
        assert (good.status_code // 100, good.json()["name"]) == (2, f"A {method}")
        for fields in HELD:
            # Whatever stands beside it: a body that this check could not read must not pass it.
            for more in ({}, {"user": 5}, {"user": {"tz": []}}):
                answer = await http.request(method, path, json={**body, **fields, **more}, headers=key)
                said = answer.json()["error"]
                assert (answer.status_code, said.startswith(f"{next(iter(fields))} ")) == (422, True), said
        bad = await http.request(method, path, content=b'{"tz": "\xff"', headers=key)
        assert bad.status_code == 400
    answer = await http.put("/v1/users/ada", json=HELD[0])
    assert answer.json()["tz"] == HELD[0]["tz"]
    wishes = {"notifications": {"recap": ["email"]}, "streak": {"enabled": False}}
    assert (await http.patch("/v1/users/ada/preferences", json=wishes, headers=key)).status_code == 200


async def test_completing_an_achievement_needs_more_than_writing_events(
    http: httpx.AsyncClient, services: Services, space_id: int, game: None
) -> None:
    path, body = "/v1/achievements/hero/complete", {"user": {"id": "ada"}}
    async with services.pool.acquire() as connection:
        server = {"X-API-KEY": await store.create_key(connection, space_id, "server", ["read", "events:write"])}
    await services.directory.refresh()
    for key in (await own_key(http, "events:write"), server):
        refused = await http.post(path, json=body, headers=key)
        assert (refused.status_code, "achievements:complete" in refused.json()["error"]) == (403, True)
    key = await own_key(http, "achievements:complete")
    for fields in HELD:
        bad = await http.post(path, json={"user": {"id": "ada", **fields}}, headers=key)
        assert (bad.status_code, bad.json()["error"].startswith(f"user.{next(iter(fields))} ")) == (422, True)
    assert (await http.post(path, json={"user": {"id": "bob"}}, headers=key)).status_code == 403
    assert (await http.post(path, json=body, headers=key)).status_code == 201
    assert (await http.post("/v1/metrics/words/event", json={**body, "value": 1}, headers=key)).status_code == 403


async def test_a_users_token_is_held_to_the_same(services: Services, clock: SettableClock, game: None) -> None:
    """The rpcs: ``only_user`` is the user of a token or of an application key."""
    space = services.directory.production
    rpc = EventRpc(services.intake, services.catalogs, services.clock)
    old = {"key": "words", "user": "ada", "value": 1, "timestamp": now_and(clock, -6)}
    moved = {"key": "words", "user": {"id": "ada", "tz": "Asia/Tokyo"}, "value": 1}
    for event, said in ((old, "timestamp "), (moved, "user.tz ")):
        with pytest.raises(Unprocessable, match=said):
            await rpc.post_event(space, json.dumps(event).encode(), "ada")
        batch = json.dumps([{**moved, "user": {"id": "ada"}}, {**event, "user": moved["user"]}]).encode()
        with pytest.raises(Unprocessable, match=r"^\[1\]: "):
            await rpc.post_events(space, batch, "ada")
        assert b'"total":' in await rpc.post_event(space, json.dumps(event).encode(), None)


async def audited(http: httpx.AsyncClient, **query: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await http.get("/admin/v1/audit-log", params=query)).json()["rows"]
    return rows


async def test_what_is_written_down_of_keys(http: httpx.AsyncClient, environment: dict[str, str]) -> None:
    may = ["--can", "read", "--can", "events:write"]
    _, key, _ = await podium(environment, "keys", "create", "--name", "backend", *may)
    first = key.partition(".")[0]
    _, key, _ = await podium(environment, "keys", "rotate", first)
    second = key.partition(".")[0]
    await podium(environment, "keys", "revoke", second)
    what = {"name": "backend", "capabilities": ["read", "events:write"]}
    assert [(row["action"], row["item"], row["before"], row["after"]) for row in await audited(http)] == [
        ("revoke", second, {**what, "prefix": second}, None),
        ("rotate", first, {**what, "prefix": first}, {**what, "prefix": second}),
        ("create", first, None, what),
    ]
    [made] = await make(http, "application-api-keys", {"userId": "ada"})
    await http.delete("/admin/v1/application-api-keys", params={"ids": made["id"]})
    what = {"userId": "ada", "prefix": made["prefix"], "capabilities": ["read"]}
    assert [(row["action"], row["before"], row["after"]) for row in await audited(http, item=made["id"])] == [
        ("delete", what, None),
        ("create", None, what),
    ]


async def test_accounts_and_environments_are_written_down_whole(
    http: httpx.AsyncClient, environment: dict[str, str]
) -> None:
    await podium(environment, "users", "create", "--email", "ana@example.com", "--role", "viewer")
    await podium(environment, "users", "disable", "ana@example.com")
    made = await http.post("/admin/v1/environments", json={"key": "qa"})
    _, key, _ = await podium(environment, "environments", "create", "staging")
    own = await audited(http)
    assert [(row["action"], row["kind"], row["before"], row["after"]) for row in own] == [
        ("create", "environment", None, {"name": "Qa", "key": "qa", "priority": 4}),
        ("disable", "console account", {"disabled": False}, {"disabled": True}),
        ("create", "console account", None, {"name": "ana@example.com", "role": "viewer"}),
    ]
    for name, secret in (("qa", made.json()["apiKey"]), ("staging", key.strip())):
        answer = await http.get("/admin/v1/audit-log", headers={"X-API-KEY": secret})
        rows = answer.json()["rows"]
        assert [(row["kind"], row["item"]) for row in rows] == [
            ("key", secret.partition(".")[0]),
            ("environment", name),
        ]
        assert rows[0]["after"] == {"name": f"first key of {name}", "capabilities": ["admin"]}


async def test_there_are_as_many_environments_as_there_may_be(
    http: httpx.AsyncClient, environment: dict[str, str], services: Services
) -> None:
    async with services.pool.acquire() as connection:
        for number in range(2, ENVIRONMENTS_MAX):
            await store.create_space(connection, environment=f"e{number}", now_ms=services.clock())
    assert (await podium(environment, "environments", "create", "last"))[0] == 0
    code, _, err = await podium(environment, "environments", "create", "more")
    assert (code, "at most 20 environments" in err) == (1, True)
    answer = await http.post("/admin/v1/environments", json={"key": "more"})
    assert (answer.status_code, "at most 20 environments" in answer.json()["error"]) == (422, True)
    for name in ("last", "production"):
        code, _, err = await podium(environment, "environments", "create", name)
        assert (code, "already" in err) == (1, True)
        assert "already" in (await http.post("/admin/v1/environments", json={"key": name})).json()["error"]


async def test_nothing_stays_of_a_user_whose_keys_were_handled_at_the_command_line(
    http: httpx.AsyncClient, environment: dict[str, str], services: Services, space_id: int
) -> None:
    await http.put(f"/v1/users/{USER}", json={"name": "Zoe"})
    for again in range(2):
        made = (await make(http, "application-api-keys", {"userId": USER}))[0]
        _, key, _ = await podium(environment, "keys", "rotate", made["prefix"])
        assert f"application key of {USER}" in (await podium(environment, "keys", "list"))[1]
        await podium(environment, "keys", "revoke", key)
        async with services.pool.acquire() as connection:  # as releases before wrote it
            old = Entry("revoke", "key", "app_0", {"name": f"application key of {USER}"})
            await audit.write(connection, space_id, "test", [old])
        await flush(services)
        assert "audit_log" in {place for place, text in (await everything(services)).items() if USER in text}
        gone = (await http.delete("/admin/v1/users", params={"ids": USER})).json()
        # The second time the user was known by a key only.
        assert (gone["deleted"], gone["issues"]) == ([{"id": USER}], []), again
        await http.put("/v1/users/bob", json={"name": f"Bob {again}"})  # the log keeps its newest entry
        await flush(services)
        assert {place for place, text in (await everything(services)).items() if USER in text} == set()
    gone = (await http.delete("/admin/v1/users", params={"ids": USER})).json()
    assert (gone["deleted"], [issue["message"] for issue in gone["issues"]]) == ([], [f"User not found: {USER}"])


async def test_a_user_known_by_a_boost_only_is_erased(http: httpx.AsyncClient, services: Services) -> None:
    [xp] = await make(http, "points", {"name": "XP", "key": "xp"})
    boost = {"name": "Sorry", "start": "2026-11-01", "multiplier": 2, "userId": USER}
    await make(http, f"points/{xp['id']}/boosts", boost)
    gone = (await http.delete("/admin/v1/users", params={"ids": USER})).json()
    assert (gone["deleted"], gone["issues"]) == ([{"id": USER}], [])
    assert {place for place, text in (await everything(services)).items() if USER in text} == set()


async def test_who_is_no_user_leaves_the_log_as_it_was(http: httpx.AsyncClient) -> None:
    """An id that names something else: a metric's is no user's."""
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    before = await audited(http)
    gone = (await http.delete("/admin/v1/users", params={"ids": words["id"]})).json()
    assert (gone["deleted"], len(gone["issues"])) == ([], 1)
    assert await audited(http) == before
