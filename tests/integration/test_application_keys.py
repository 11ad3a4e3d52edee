"""Keys that act for one user: what they may, and that they may nothing else."""

from __future__ import annotations

import httpx
from trophy import AsyncTrophyApi, CreateApplicationKeyRequestItem

from podium.game.periods import iso
from podium.services import Services
from tests.conftest import SettableClock
from tests.integration.test_boards import make

UNKNOWN = "0195d0d2-0000-7000-8000-000000000000"


async def test_a_key_acts_for_its_user_only(trophy: AsyncTrophyApi, http: httpx.AsyncClient) -> None:
    [words] = await make(http, "metrics", {"name": "Words", "key": "words"})
    board = {"name": "All", "key": "all", "rankBy": "metric", "metricId": words["id"], "status": "active"}
    await make(http, "leaderboards", board)
    await make(http, "achievements", {"name": "Hero", "trigger": "api", "key": "hero", "status": "active"})
    for user in ("ann", "bob"):
        await http.put(f"/v1/users/{user}", json={"name": user.title()})
    made = await trophy.admin.application_api_keys.create(
        request=[CreateApplicationKeyRequestItem(user_id="ann"), CreateApplicationKeyRequestItem(user_id="")]
    )
    [key] = made.created
    assert key.key.startswith(f"{key.prefix}.")
    assert key.prefix.startswith("app_")
    assert [issue.index for issue in made.issues] == [1]
    writer = (
        await http.post(
            "/admin/v1/application-api-keys", json=[{"userId": "ann", "capabilities": ["read", "events:write"]}]
        )
    ).json()["created"][0]

    reads = {"X-API-KEY": key.key}
    writes = {"X-API-KEY": writer["key"]}
    allowed = (
        "/v1/users/ann",
        "/v1/users/ann/streak",
        "/v1/leaderboards",
        "/v1/leaderboards/all",
        "/v1/achievements",
        "/v1/leaderboards/all/around/bob",
        "/v1/leaderboards/all/users?ids=ann,bob",
        "/v1/leaderboards/all?userId=bob",
    )
    for path in (*allowed, "/v1/streaks?userIds=ann"):
        assert (await http.get(path, headers=reads)).status_code == 200, path
    refused = ("/v1/users/bob", "/v1/users/bob/metrics", "/v1/streaks?userIds=ann,bob", "/admin/v1/metrics")
    for path in (*refused, "/v1/users/bob/leaderboards", "/v1/users/bob/leaderboards/all"):
        assert (await http.get(path, headers=reads)).status_code == 403, path
    event = {"user": {"id": "ann"}, "value": 1}
    path = "/v1/metrics/words/event"
    assert (await http.post(path, json=event, headers=reads)).status_code == 403
    assert (await http.post(path, json=event, headers=writes)).status_code == 201
    for method, where, body in (
        ("POST", path, {"user": {"id": "bob"}, "value": 1}),
        ("POST", "/v1/users", {"id": "bob"}),
        ("PUT", "/v1/users/bob", {}),
        ("POST", "/v1/achievements/hero/complete", {"user": {"id": "bob"}}),
        ("POST", "/v1/users/bob/realtime-token", {}),
        ("POST", "/admin/v1/metrics/events", [{"key": "words", **event}]),
    ):
        answer = await http.request(method, where, json=body, headers=writes)
        assert (answer.status_code, list(answer.json())) == (403, ["error"]), where
    assert (await http.post("/v1/users/ann/realtime-token", headers=writes)).status_code == 201

    gone = await trophy.admin.application_api_keys.delete(ids=[key.id, UNKNOWN, "x"])
    assert ([one.id for one in gone.deleted], len(gone.issues)) == ([key.id], 2)
    assert (await http.get("/v1/users/ann", headers=reads)).status_code == 401
    assert (await http.post("/admin/v1/application-api-keys", json=[])).status_code == 422


async def test_the_last_use_of_a_key_is_written_down(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    made = await make(http, "application-api-keys", {"userId": "ann"}, {"userId": "bob"})
    clock.now_ms += 5_000
    assert (await http.get("/v1/leaderboards", headers={"X-API-KEY": made[0]["key"]})).status_code == 200
    await services.directory.note_uses()
    used = dict(await services.pool.fetch("SELECT key_id::text, used_at FROM key_uses"))
    assert used[made[0]["id"]].timestamp() == clock.now_ms / 1000
    assert made[1]["id"] not in used
    clock.now_ms -= 60_000  # what another process writes later doesn't take it back
    assert (await http.get("/v1/leaderboards", headers={"X-API-KEY": made[0]["key"]})).status_code == 200
    await services.directory.note_uses()
    assert dict(await services.pool.fetch("SELECT key_id::text, used_at FROM key_uses")) == used


async def test_keys_are_listed_and_revoked_by_user(
    http: httpx.AsyncClient, services: Services, clock: SettableClock
) -> None:
    path = "/admin/v1/application-api-keys"
    made = [
        (await make(http, "application-api-keys", {"userId": user}))[0] for user in ("ann", "bob", "ann", "a,b")
    ]
    assert (await http.get("/v1/leaderboards", headers={"X-API-KEY": made[0]["key"]})).status_code == 200
    await services.directory.note_uses()
    listed = (await http.get(path)).json()
    assert [one["id"] for one in listed] == [one["id"] for one in made]
    assert set(listed[0]) == {"id", "userId", "prefix", "capabilities", "created", "lastUsed"}
    assert [one["lastUsed"] for one in listed] == [iso(clock.now_ms), None, None, None]
    assert [one["prefix"] for one in listed] == [one["prefix"] for one in made]
    of_ann = (await http.get(path, params={"userId": "ann", "limit": 1, "skip": 1})).json()
    assert [one["id"] for one in of_ann] == [made[2]["id"]]
    for query in ({"limit": 0}, {"skip": -1}, {"userId": ""}):
        assert (await http.get(path, params=query)).status_code == 422, query

    for query in ("", "?userIds=", f"?userIds=ann&ids={made[0]['id']}"):
        assert (await http.delete(path + query)).status_code == 422, query
    gone = (await http.delete(f"{path}?userIds=ann&userIds=nobody&userIds=a,b")).json()
    assert [one["id"] for one in gone["deleted"]] == [made[0]["id"], made[2]["id"], made[3]["id"]]
    assert [(one["userId"], one["message"]) for one in gone["issues"]] == [
        ("nobody", "The user has no application key")
    ]
    assert [one["id"] for one in (await http.get(path)).json()] == [made[1]["id"]]
    assert (await http.get("/v1/leaderboards", headers={"X-API-KEY": made[0]["key"]})).status_code == 401
    assert (await http.get(path, headers={"X-API-KEY": made[1]["key"]})).status_code == 403
